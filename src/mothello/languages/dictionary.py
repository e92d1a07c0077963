"""A dictionary between languages: which moves have an entry, so that objectives and measures agree on it."""

from functools import lru_cache

import torch
from jaxtyping import Bool
from torch import Tensor

from mothello.errors import UserError
from mothello.languages.language_set import LanguageSet
from mothello.othello.board import Board
from mothello.seeding import generator


def covered_moves(board: Board, coverage: float, key: str) -> list[int]:
    """The moves in a dictionary of that share of all moves: the first ones of a fixed order of the board, so that a
    larger share contains a smaller one. It is not the order of anchors. UserError names the key where there is none."""
    count = round(coverage * board.n_moves)
    if not count:
        raise UserError(f"{key}: {coverage:g} of {board.n_moves} moves is none")
    return torch.randperm(board.n_moves, generator=generator(0, "dictionary", board.name))[:count].tolist()


@lru_cache(maxsize=16)
def dictionary(language_set: LanguageSet, coverage: float, key: str) -> Bool[Tensor, "language language move"]:
    """Whether a move's word in one language has a translation into another. Words that are written alike (anchors) have
    none: nothing is to be learned from them. UserError names the key where no word has one."""
    words = language_set.word_table[:, : language_set.board.n_moves]
    entries = (words.unsqueeze(0) != words.unsqueeze(1)).any(-1)
    held_out = torch.ones(language_set.board.n_moves, dtype=torch.bool)
    held_out[covered_moves(language_set.board, coverage, key)] = False
    entries[..., held_out] = False
    if not bool(entries.any()):
        raise UserError(f"{key}: no move of the dictionary is written in two ways; leave out anchors or raise it")
    return entries


def require_several(language_set: LanguageSet, user: str) -> None:
    """UserError where there is one language. user: what translates."""
    if len(language_set.languages) == 1:
        raise UserError(f"{user} translates, and there is one language; give languages.kinds another")
