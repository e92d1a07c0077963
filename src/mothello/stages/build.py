"""From a training's config to its parts: languages, model, games."""

from typing import Any

from mothello.data.corpus import Corpus
from mothello.data.domain import mixture
from mothello.data.split import Split, corpus
from mothello.data.stream import DataConfig
from mothello.errors import UserError, keyed
from mothello.languages.language_set import LanguageSet, build_languages
from mothello.model.build import build_model
from mothello.model.transformer import GPT
from mothello.othello.board import Board
from mothello.othello.notation import parse_move


def language_set_of(config: Any) -> LanguageSet:
    """The languages of a config. UserError names the key that does not fit."""
    return build_languages(config.languages, Board.of(config.board.size))


def model_of(config: Any, language_set: LanguageSet) -> GPT:
    """A model of a config, not yet initialized. UserError when the parts do not fit."""
    return build_model(config.model, language_set)


def games_of(data: DataConfig, language_set: LanguageSet, split: Split, size: int) -> list[Corpus]:
    """Games of one split, for each language. UserError names the key that does not fit."""
    board = language_set.board
    unknown = set(data.domain_of) - set(language_set.names)
    if unknown:
        raise UserError(f"data.domain_of: no language {min(unknown)!r}; there are {', '.join(language_set.names)}")
    weights_of(data, language_set)
    with keyed("data.prefix: "):
        prefix = [parse_move(text, board) for text in data.prefix]
    with keyed("data."):
        if not data.domains:
            return [corpus(board, data.corpus_seed, split, size, prefix)] * len(language_set.names)
        shared = mixture(board, data.corpus_seed, split, size, data.domains)
        used = {name: data.domains[name] for name in data.domain_of.values()}
        own = {name: mixture(board, data.corpus_seed, split, size, {name: used[name]}) for name in used}
    return [own[data.domain_of[name]] if name in data.domain_of else shared for name in language_set.names]


def weights_of(data: DataConfig, language_set: LanguageSet) -> list[float]:
    """How often each language occurs. UserError when shares or epochs do not fit the languages."""
    data.language_sampling.check_epochs(data.epochs, len(language_set.names))
    return data.language_sampling.weights(len(language_set.names))
