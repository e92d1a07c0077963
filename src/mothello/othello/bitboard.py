"""The rules of Othello on batches of int64 bitboards: pure functions without branches, on any device.

A position is a pair of bitboards (own discs, opponent's discs); bit ``8 * row + column`` is a square::

        a  b  c  d  e  f  g  h
     1  0  1  2  3  4  5  6  7          a shift by 1 moves along a row, by 8 along a column,
     2  8  9 10 ...                     by 9 and 7 along the two diagonals
     ...
     8 56 ...             63            bit 63 is the sign: no shifted value ever holds it

Discs that can be flipped along a direction are never on an edge across it, so the opponent's discs are
masked to the inner squares before every shift: nothing wraps around, and smaller boards need nothing more.
"""

from functools import cache

from jaxtyping import Int64
from torch import Tensor

from mothello.othello.board import Board

Bits = Int64[Tensor, " *batch"]


@cache
def directions(board: Board) -> tuple[tuple[int, int], ...]:
    """(shift, mask of flippable squares) per direction; a negative shift goes right."""
    horizontal = board.inner(rows=False, columns=True)
    vertical = board.inner(rows=True, columns=False)
    diagonal = board.inner(rows=True, columns=True)
    axes = ((1, horizontal), (8, vertical), (9, diagonal), (7, diagonal))
    return tuple((sign * step, mask) for step, mask in axes for sign in (1, -1))


def _shift(bits: Tensor, step: int) -> Tensor:
    return bits << step if step > 0 else bits >> -step


def _run(start: Tensor, inner: Tensor, step: int, board: Board) -> Tensor:
    """Discs of ``inner`` in an unbroken line from ``start`` along ``step``, start excluded."""
    run = _shift(start, step) & inner
    for _ in range(board.size - 3):
        run = run | _shift(run, step) & inner
    return run


def legal_moves(own: Bits, opponent: Bits, board: Board) -> Bits:
    """Squares where the side that owns ``own`` may play, as bitboards."""
    found = own & 0
    for step, mask in directions(board):
        found = found | _shift(_run(own, opponent & mask, step, board), step)
    return found & ~(own | opponent) & board.full


def flips(move: Bits, own: Bits, opponent: Bits, board: Board) -> Bits:
    """Discs turned by playing the single-bit bitboard ``move`` (zero turns nothing)."""
    turned = own & 0
    for step, mask in directions(board):
        inner = opponent & mask
        turned = turned | _run(move, inner, step, board) & _run(own, inner, -step, board)
    return turned


def play(move: Bits, own: Bits, opponent: Bits, board: Board) -> tuple[Bits, Bits]:
    """Bitboards (own, opponent) after the move, still seen by the side that moved."""
    turned = flips(move, own, opponent, board)
    return own | move | turned, opponent & ~turned


def popcount(bits: Bits) -> Bits:
    """Number of set bits, 0..64."""
    x = bits - ((bits >> 1) & 0x5555555555555555)
    x = (x & 0x3333333333333333) + ((x >> 2) & 0x3333333333333333)
    x = (x + (x >> 4)) & 0x0F0F0F0F0F0F0F0F
    x = x + (x >> 8)
    x = x + (x >> 16)
    return (x + (x >> 32)) & 0x7F


def select(bits: Bits, rank: Bits) -> Bits:
    """Square of the set bit of that rank (0 = lowest). The rank must be below ``popcount(bits)``."""
    square = rank & 0
    for width in (32, 16, 8, 4, 2, 1):
        below = popcount(bits >> square & ((1 << width) - 1))
        above = (rank >= below).long()
        rank = rank - above * below
        square = square + above * width
    return square
