"""Train, validation, probe and transfer games, disjoint by construction.

On 6x6 and 8x8 the splits are disjoint ranges of indices of one virtual corpus; two ranges may still hold the same
short game by chance (``shared_games`` counts how often). The 4x4 board has only 60,060 games, so there a game belongs
to a split by a hash of its orbit under the symmetries of the opening: no game and no mirror image is in two splits.
"""

from collections.abc import Sequence
from enum import StrEnum

import torch

from mothello.data.corpus import Corpus, EnumeratedPlay, RandomPlay
from mothello.othello.board import Board


class Split(StrEnum):
    train = "train"
    validation = "validation"
    probe = "probe"
    transfer = "transfer"


_SPAN = 1 << 40
"""Indices per split: more games than anyone will draw."""

_PARTS = {
    Split.train: (0.0, 0.7),
    Split.validation: (0.7, 0.8),
    Split.probe: (0.8, 0.9),
    Split.transfer: (0.9, 1.0),
}


def corpus(board: Board, seed: int, split: Split, size: int, prefix: Sequence[int] = ()) -> Corpus:
    """Random play of one split. ValueError when the size is not in 1 .. 2^40 or the prefix is not legal."""
    if not 0 < size <= _SPAN:
        raise ValueError(f"data.games: {size} is outside 1..2^40")
    if board.size == 4:
        return EnumeratedPlay(board, seed, size, _PARTS[split], prefix)
    return RandomPlay(board, seed, size, list(Split).index(split) * _SPAN, prefix)


def shared_games(one: Corpus, other: Corpus, n: int = 10_000) -> float:
    """Share of the first n games of ``one`` that also stand among the first n of ``other``."""
    rows = [torch.arange(min(n, len(c))) for c in (one, other)]
    first, second = ({bytes(g.numpy().tobytes()) for g in c.moves(i)} for c, i in zip((one, other), rows, strict=True))
    return len(first & second) / len(first)
