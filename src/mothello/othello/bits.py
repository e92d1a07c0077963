"""Counting and choosing set bits of int64 bitboards: pure functions without branches, on any device."""

from jaxtyping import Int64
from torch import Tensor, where

Bits = Int64[Tensor, " *batch"]


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
        below = fields >> square & (1 << width) - 1  # every count fits its field: 2 in two bits, 32 in thirty-two
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
