"""Train, validation, probe and transfer games, disjoint by construction.

On 6x6 and 8x8 the splits of random play are disjoint ranges of indices of one virtual corpus; by chance two ranges may
contain the same short game (``overlap`` counts how often). The 4x4 board has only 60,060 games, and stored corpora are
finite, too: there the hash of a game's orbit under the symmetries of the opening decides its split, so that no game and
no mirror image of it is in two splits.
"""

from collections.abc import Sequence
from enum import StrEnum

from mothello.data.corpus import Consecutive, Corpus, RandomPlay
from mothello.data.enumerated import EnumeratedPlay
from mothello.errors import UserError
from mothello.othello.board import Board
from mothello.othello.facts import Rule
from mothello.othello.policy import PolicyConfig


class Split(StrEnum):
    train = "train"
    validation = "validation"
    probe = "probe"
    transfer = "transfer"


SPAN = 1 << 40
"""Indices per split, more than any run draws."""

PARTS = {
    Split.train: (0.0, 0.7),
    Split.validation: (0.7, 0.8),
    Split.probe: (0.8, 0.9),
    Split.transfer: (0.9, 1.0),
}
"""Hash values of each split, low to high."""


def corpus(
    board: Board, seed: int, split: Split, size: int, prefix: Sequence[int] = (), policy: PolicyConfig | None = None,
    rule: Rule | None = None,
) -> Corpus:  # fmt: skip
    """Random play of one split. UserError for a size outside 1 .. 2^40, an illegal prefix, or facts on 4x4."""
    if not 0 < size <= SPAN:
        raise UserError(f"games: {size} is outside 1..2^40")
    if board.size == 4:
        if rule:
            raise UserError("facts: the games of the 4x4 board are listed, not played; facts need board=6x6 or 8x8")
        return EnumeratedPlay(board, seed, size, PARTS[split], prefix, policy)
    return RandomPlay(board, seed, size, list(Split).index(split) * SPAN, prefix, policy, rule)


def probe_corpus(board: Board, seed: int, *sizes: int) -> Corpus:
    """Games of the probe split for several purposes, one after the other: to fit on, held out, to score on.

    On 4x4, where games repeat, the first purpose has eight tenths of the split and the others share the rest, so that
    no game and no mirror image of it serves two purposes.
    """
    if board.size != 4 or len(sizes) == 1:
        return corpus(board, seed, Split.probe, sum(sizes))
    low, high = PARTS[Split.probe]
    cuts = [low + (high - low) * (0.8 + 0.2 * i / (len(sizes) - 1)) for i in range(len(sizes))]
    parts = zip(sizes, [low, *cuts], [*cuts[:-1], high, high], strict=False)
    return Consecutive([EnumeratedPlay(board, seed, size, (start, end)) for size, start, end in parts])
