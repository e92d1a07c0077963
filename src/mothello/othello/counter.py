"""A counter-based generator: the random bits of a (seed, index, counter) are a pure function of the three.

splitmix64's finalizer (Steele, Lea, Flood 2014) applied twice to a counter, in wrapping int64 arithmetic: the same
numbers on every device, in every order and batch, compiled or not.
"""

from jaxtyping import Int64
from torch import Tensor

from mothello.othello.board import signed

_GAMMA = 0x9E3779B97F4A7C15
_MIX = (signed(0xBF58476D1CE4E5B9), signed(0x94D049BB133111EB))
_WORD = (1 << 64) - 1


def _mix(x: Tensor) -> Tensor:
    """splitmix64's finalizer on int64; the masks make the arithmetic shifts logical."""
    x = (x ^ (x >> 30 & 0x3FFFFFFFF)) * _MIX[0]
    x = (x ^ (x >> 27 & 0x1FFFFFFFFF)) * _MIX[1]
    return x ^ (x >> 31 & 0x1FFFFFFFF)


def hashed(seed: int, index: Int64[Tensor, " *batch"]) -> Int64[Tensor, " *batch"]:
    """Keys for ``bits``: a seed and an index, hashed once for all counters."""
    key = signed((seed * 0xD1342543DE82EF95 + 0x2545F4914F6CDD1D) & _WORD)
    return _mix(index * signed(_GAMMA) + key)


def offset(counter: int) -> int:
    """The offset of a counter, for ``bits``."""
    return signed((counter + 1) * _GAMMA & _WORD)


def bits(key: Int64[Tensor, " *batch"], offset: int | Int64[Tensor, ""]) -> Int64[Tensor, " *batch"]:
    """32 random bits (0 .. 2^32 - 1) of ``hashed`` keys and one ``offset``."""
    return _mix(key + offset) >> 32 & 0xFFFFFFFF


def random_bits(seed: int, index: Int64[Tensor, " *batch"], counter: int) -> Int64[Tensor, " *batch"]:
    """32 random bits (0 .. 2^32 - 1) that depend only on the seed, the index and the counter."""
    return bits(hashed(seed, index), offset(counter))
