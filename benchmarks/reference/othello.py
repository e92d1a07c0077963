"""Othello, slow and obvious: a dict of discs and eight loops, for any even board size.

A square is (row, column), a disc "black" or "white", a board a dict from occupied squares to discs. Shares
no line and no representation with ``mothello.othello``.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Square = tuple[int, int]
Discs = dict[Square, str]

OTHER = {"black": "white", "white": "black"}
DIRECTIONS = [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)]


def start(size: int) -> Discs:
    """The start position: white on d4 and e5, black on e4 and d5 of the 8x8 board."""
    high = size // 2
    low = high - 1
    return {(low, low): "white", (high, high): "white", (low, high): "black", (high, low): "black"}


def flipped(discs: Discs, square: Square, color: str, size: int) -> set[Square]:
    """Discs that ``color`` turns by playing on the square."""
    turned: set[Square] = set()
    for down, right in DIRECTIONS:
        line = []
        row, column = square[0] + down, square[1] + right
        while 0 <= row < size and 0 <= column < size and discs.get((row, column)) == OTHER[color]:
            line.append((row, column))
            row, column = row + down, column + right
        if 0 <= row < size and 0 <= column < size and discs.get((row, column)) == color:
            turned.update(line)
    return turned


def legal(discs: Discs, color: str, size: int) -> list[Square]:
    """Legal squares of a color, row by row."""
    empty = [(r, c) for r in range(size) for c in range(size) if (r, c) not in discs]
    return [square for square in empty if flipped(discs, square, color, size)]


def play(discs: Discs, square: Square, color: str, size: int) -> Discs:
    """The board after a move."""
    after = dict(discs)
    after[square] = color
    for turned in flipped(discs, square, color, size):
        after[turned] = color
    return after


def next_mover(discs: Discs, moved: str, size: int) -> str:
    """Who moves after ``moved`` did: the other side, unless only ``moved`` can go on."""
    if not legal(discs, OTHER[moved], size) and legal(discs, moved, size):
        return moved
    return OTHER[moved]


@dataclass
class State:
    """A position in a game; the game has ended when nothing is legal."""

    discs: Discs
    mover: str
    legal: list[Square]


def replay(squares: Iterable[Square], size: int) -> list[State]:
    """All positions of a game, the start first. ValueError at an illegal move, with its ply as argument."""
    states = [State(start(size), "black", legal(start(size), "black", size))]
    for ply, square in enumerate(squares):
        now = states[-1]
        if square not in now.legal:
            raise ValueError(ply)
        discs = play(now.discs, square, now.mover, size)
        mover = next_mover(discs, now.mover, size)
        states.append(State(discs, mover, legal(discs, mover, size)))
    return states


def score(discs: Discs) -> tuple[int, int]:
    """(black, white) discs."""
    colors: Sequence[str] = list(discs.values())
    return colors.count("black"), colors.count("white")


def game_lengths(size: int) -> dict[int, int]:
    """How many complete games have each length; positions met twice are counted once and remembered."""
    known: dict[tuple[frozenset[tuple[Square, str]], str], dict[int, int]] = {}

    def from_here(discs: Discs, mover: str) -> dict[int, int]:
        key = (frozenset(discs.items()), mover)
        if key not in known:
            moves = legal(discs, mover, size)
            lengths: dict[int, int] = {} if moves else {0: 1}
            for square in moves:
                after = play(discs, square, mover, size)
                for rest, games in from_here(after, next_mover(after, mover, size)).items():
                    lengths[rest + 1] = lengths.get(rest + 1, 0) + games
            known[key] = lengths
        return known[key]

    return from_here(start(size), "black")
