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

from jaxtyping import Int64
from torch import Tensor, where

from mothello.othello.board import Board

Bits = Int64[Tensor, " *batch"]


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
    for step, mask in board.directions:
        found = found | _shift(_run(own, opponent & mask, step, board), step)
    return found & ~(own | opponent)


def flips(move: Bits, own: Bits, opponent: Bits, board: Board) -> Bits:
    """Discs turned by playing the single-bit bitboard ``move`` (zero turns nothing)."""
    turned = own & 0
    for step, mask in board.directions:
        run = _run(move, opponent & mask, step, board)
        turned = turned | where(_shift(run, step) & own != 0, run, 0)  # one bit of the shifted run is not in the run
    return turned


def play(move: Bits, own: Bits, opponent: Bits, board: Board) -> tuple[Bits, Bits]:
    """Bitboards (own, opponent) after the move, still seen by the side that moved."""
    turned = flips(move, own, opponent, board)
    return own | move | turned, opponent & ~turned


def _counts(bits: Bits) -> list[Bits]:
    """Set bits in every field of 2, 4, 8, 16 and 32 bits, and in the whole word."""
    pairs = bits - (bits >> 1 & 0x5555555555555555)
    nibbles = (pairs & 0x3333333333333333) + (pairs >> 2 & 0x3333333333333333)
    octets = nibbles + (nibbles >> 4) & 0x0F0F0F0F0F0F0F0F
    sixteens = octets + (octets >> 8) & 0x00FF00FF00FF00FF
    halves = sixteens + (sixteens >> 16) & 0x0000FFFF0000FFFF
    return [pairs, nibbles, octets, sixteens, halves, halves + (halves >> 32) & 0x7F]


def popcount(bits: Bits) -> Bits:
    """Number of set bits, 0..64."""
    return _counts(bits)[-1]


def _descend(bits: Bits, counts: list[Bits], rank: Bits) -> Bits:
    """Square of the set bit of that rank: at every width, the lower half of the field or the upper one."""
    square = rank & 0
    for width, fields in zip((32, 16, 8, 4, 2, 1), [*reversed(counts[:-1]), bits], strict=True):
        below = fields >> square & (1 << width) - 1  # a count fits its field: 2 in two bits, 32 in thirty-two
        above = rank >= below
        rank = where(above, rank - below, rank)
        square = where(above, square + width, square)
    return square


def select(bits: Bits, rank: Bits) -> Bits:
    """Square of the set bit of that rank (0 = lowest). The rank must be below ``popcount(bits)``."""
    return _descend(bits, _counts(bits), rank)


def choose(bits: Bits, uniform: Bits) -> Bits:
    """Square of a set bit drawn by 32 random bits, 0 .. 2^32 - 1; any square where no bit is set.

    Uniform over the n set bits: rank ``n * uniform >> 32``, its bias below n / 2^32.
    """
    counts = _counts(bits)
    return _descend(bits, counts, uniform * counts[-1] >> 32) & 63
