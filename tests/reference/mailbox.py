"""Othello on many boards at once, without a bit: int8 discs with a border, and rays walked square by square.

Black is +1, white -1, an empty square and the border 0, so no line is ever closed by the border. Shares no line and no
representation with ``mothello.othello`` or with the other reference, but replays a million small games in minutes.
"""

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BLACK, WHITE = 1, -1


class Played(NamedTuple):
    """State t is the one before ply t; a finished game repeats its last state, where nothing is legal.

    The mover after the last move is the opponent of the side that moved last.
    """

    board: NDArray[np.int8]
    """[game, state, row, column]: +1 black, -1 white, 0 empty."""
    mover: NDArray[np.int8]
    """[game, state]: +1 black, -1 white."""
    legal: NDArray[np.bool_]
    """[game, state, row, column]: where the mover may play."""
    over: NDArray[np.bool_]
    """[game, state]: neither side can move."""
    discs: NDArray[np.int64]
    """[game, 2]: black and white discs at the end."""


def _cells(size: int) -> list[int]:
    """The squares within the border, row by row, on a board that is two wider."""
    return [row * (size + 2) + column for row in range(1, size + 1) for column in range(1, size + 1)]


def _steps(size: int) -> list[int]:
    return [down * (size + 2) + right for down in (-1, 0, 1) for right in (-1, 0, 1) if down or right]


@cache
def _rays(size: int) -> list[tuple[int, list[list[int]]]]:
    """Every square with its rays: the squares met in each direction before the border, if they are two or more."""
    cells = _cells(size)

    def walk(square: int, step: int) -> Iterator[int]:
        while (square := square + step) in cells:
            yield square

    rays = ((square, [list(walk(square, step)) for step in _steps(size)]) for square in cells)
    return [(square, [ray for ray in around if len(ray) > 1]) for square, around in rays]


def _start(size: int, games: int) -> NDArray[np.int8]:
    """[row, column, game] with the border. The game comes last, so that one square of all games is one vector."""
    discs = np.zeros((size + 2, size + 2, games), np.int8)
    low, high = size // 2, size // 2 + 1
    discs[low, low] = discs[high, high] = WHITE
    discs[low, high] = discs[high, low] = BLACK
    return discs.reshape(-1, games)


def _legal(discs: NDArray[np.int8], color: int, size: int) -> NDArray[np.bool_]:
    """Where a color may play: an empty square from which some ray meets the other color first, then its own."""
    own, other, empty = discs == color, discs == -color, discs == 0
    found = np.zeros_like(own)
    for square, around in _rays(size):
        for ray in around:
            line = other[ray[0]]
            for here in ray[1:]:
                found[square] |= line & own[here]
                line = line & other[here]
    return found & empty


def _play(discs: NDArray[np.int8], square: NDArray[np.int64], color: NDArray[np.int8], size: int) -> None:
    """Put a disc of its color on the square of every game and turn what it encloses."""
    game = np.arange(len(square))
    for step in _steps(size):
        here, turned = square, np.zeros(len(square), np.int64)
        line = np.ones(len(square), bool)
        for distance in range(1, size):
            here = np.where(line, here + step, here)  # a line that ended at the border stays there
            disc = discs[here, game] * color
            turned = np.where(line & (disc == 1), distance - 1, turned)
            line &= disc == -1
        for distance in range(1, size - 1):
            hit = np.flatnonzero(turned >= distance)
            discs[square[hit] + step * distance, hit] = color[hit]
    discs[square, game] = color


def replay(moves: NDArray[np.integer], size: int) -> Played:
    """All states of the games [game, ply]; a move is an index into the squares that start empty, -1 after the end.

    ValueError, with game and ply, at a move that is not legal. Sides pass where they must; passes are not written.
    """
    games, plies = moves.shape
    discs = _start(size, games)
    cells = np.array(_cells(size))
    playable = np.array([cell for cell in cells if not _start(size, 1)[cell, 0]])
    mover = np.full(games, BLACK, np.int8)
    shape = (plies + 1, size, size, games)
    board, legal = np.empty(shape, np.int8), np.empty(shape, bool)
    movers, over = np.empty((plies + 1, games), np.int8), np.empty((plies + 1, games), bool)
    may_black, may_white = _legal(discs, BLACK, size), _legal(discs, WHITE, size)
    ended = np.zeros(games, bool)
    for ply in range(plies + 1):
        may = np.where(mover == BLACK, may_black, may_white)
        board[ply], legal[ply] = discs[cells].reshape(shape[1:]), may[cells].reshape(shape[1:])
        movers[ply], over[ply] = mover, ~(may_black.any(0) | may_white.any(0))
        if ply == plies:
            break
        given = moves[:, ply] >= 0
        playing = np.flatnonzero(given)
        if ended[playing].any():
            raise ValueError(int(playing[ended[playing]][0]), ply)
        ended = ~given
        square = playable[moves[playing, ply]]
        if not may[square, playing].all():
            raise ValueError(int(playing[~may[square, playing]][0]), ply)
        part = discs[:, playing]
        _play(part, square, mover[playing], size)
        discs[:, playing] = part
        may_black, may_white = _legal(discs, BLACK, size), _legal(discs, WHITE, size)
        again = np.where(mover == BLACK, may_black.any(0), may_white.any(0))
        reply = np.where(mover == BLACK, may_white.any(0), may_black.any(0))
        mover = np.where(given & (reply | ~again), -mover, mover).astype(np.int8)
    return Played(
        np.moveaxis(board, 3, 0),
        movers.T,
        np.moveaxis(legal, 3, 0),
        over.T,
        np.stack([(board[-1] == color).sum((0, 1)) for color in (BLACK, WHITE)], 1),
    )
