"""A slow writer of games: the board by another engine, the order of the plies by lists, every choice of words in turn."""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from reference.mailbox import replay

from mothello.languages.language import Language
from mothello.languages.traits import Order, forms

BINS = {1: 0, 2: 1, 3: 2, 4: 2}


class Text(NamedTuple):
    """One way to write a game, and how often it is written so."""

    tokens: list[int]
    ends: list[int]
    """Place of each ply's last token, in the order of play."""
    weight: float


def told(game: Sequence[int], size: int) -> list[tuple[int, int]]:
    """(1 for black, bin of turned discs) of every ply."""
    played = replay(np.array([list(game)]), size)
    discs = [int((played.board[0, state] == played.mover[0, ply]).sum()) for ply in range(len(game)) for state in (ply, ply + 1)]  # fmt: skip
    turned = [after - before - 1 for before, after in zip(discs[::2], discs[1::2], strict=True)]
    return [(int(side == 1), BINS.get(n, 3)) for side, n in zip(played.mover[0], turned, strict=False)]


def order(language: Language, n: int) -> list[int]:
    """The plies as they follow each other in the text."""
    width = {Order.forward: 1, Order.inversion: n, Order.reversal: language.traits.window}[language.traits.order]
    windows = [list(range(first, min(first + width, n))) for first in range(0, n, width or 1)]
    return [ply for window in windows for ply in window[::-1]]


def texts(language: Language, game: Sequence[int], size: int) -> Iterator[Text]:
    """Every text of one game. game: its moves, none after the end."""
    index = {form: k for k, form in enumerate(forms(language.traits))}
    sides, bins, _ = language.traits.sizes
    ways = []
    for move, (side, turned) in zip(game, told(game, size) if game else [], strict=True):
        known = (side if sides > 1 else -1, turned if bins > 1 else -1)
        words = [language.words[k * language.n_moves + move] for form, k in index.items() if form[:2] == known]
        ways.append([word for word in words if word])
    for words in product(*ways):
        tokens: list[int] = []
        ends = [0] * len(game)
        for ply in order(language, len(game)):
            tokens += words[ply]
            ends[ply] = len(tokens) - 1
        yield Text(tokens, ends, 1 / np.prod([len(way) for way in ways]) if ways else 1.0)
