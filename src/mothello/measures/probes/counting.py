"""Counting what probes read right: under every map, by square, by ply, whole boards. Pure functions of readings.

A cell is a byte, and eight bytes are added at once as one integer: scoring must not cost more than reading.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Int8, Int64
from torch import Tensor

_ONES = 0x0101010101010101
_LANES = 8


def padded(classes: Int8[Tensor, "*batch cell"], value: int) -> Int8[Tensor, "*batch lane"]:
    """Cells filled up to a multiple of eight. Readings and boards take different values, so these never agree."""
    return F.pad(classes, (0, -classes.shape[-1] % _LANES), value=value)


def _words(agree: Bool[Tensor, "*batch lane"]) -> Int64[Tensor, "*batch word"]:
    return agree.contiguous().view(torch.int64)


def cells_right(
    readings: Int8[Tensor, "*batch row lane"], boards: Int8[Tensor, "map row lane"]
) -> Int64[Tensor, "*batch map row"]:
    """Cells on which each reading agrees with the image of its board, for every map; both padded."""
    counted = []
    for board in boards:
        lanes = _words(readings == board).sum(-1)  # eight counts of at most 31 words in one integer
        counted.append((lanes * _ONES) >> 56)
    return torch.stack(counted, -2)


def rows_right(
    readings: Int8[Tensor, "*batch row lane"], boards: Int8[Tensor, "row lane"], n_cells: int
) -> Int64[Tensor, "*batch cell"]:
    """For every cell, the rows that are read right; both padded."""
    words = _words(readings == boards)
    words = F.pad(words, (0, 0, 0, -words.shape[-2] % 127))
    lanes = words.unflatten(-2, (-1, 127)).sum(-2)  # no byte overflows, nor reaches the sign
    return lanes.view(torch.int8).long().sum(-2)[..., :n_cells]
