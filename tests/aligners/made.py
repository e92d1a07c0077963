"""Languages and sides for tests of aligners."""

from typing import Any

import torch
from torch import Tensor

from mothello.aligners.aligner import Aligner, Side, build_aligner, side, typed_aligner
from mothello.config import typed
from mothello.data.batch import in_language
from mothello.data.split import Split, corpus
from mothello.languages.config import LanguagesConfig
from mothello.languages.language_set import LanguageSet, build_languages
from mothello.othello.board import Board


def languages(size: int = 4, **settings: Any) -> LanguageSet:
    return build_languages(typed({"kinds": ["atomic*2"], **settings}, LanguagesConfig, "languages"), Board.of(size))


def games(n: int, size: int = 4, split: Split = Split.probe) -> Tensor:
    return corpus(Board.of(size), 0, split, n).moves(torch.arange(n))


def aligner(name: str, language_set: LanguageSet, pair: tuple[int, int] = (0, 1), **settings: Any) -> Aligner:
    config = typed_aligner({"name": name, **settings}, "links.options")
    return build_aligner(config, language_set, pair, "links.options")


def sides(moves: Tensor, language_set: LanguageSet, pair: tuple[int, int] = (0, 1)) -> tuple[Side, Side]:
    one, other = (side(in_language(moves, index, language_set), language_set) for index in pair)
    return one, other


def links_of(name: str, moves: Tensor, language_set: LanguageSet, pair: tuple[int, int] = (0, 1), **settings: Any) -> Tensor:  # fmt: skip
    return aligner(name, language_set, pair, **settings).links(*sides(moves, language_set, pair))
