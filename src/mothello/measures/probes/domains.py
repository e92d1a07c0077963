"""Domains: a map for every cell, where different cells of a board are read through different maps of the opening.

The maps are chosen on the first half of the games and scored on the second. A pure function of readings and boards.
"""

from typing import NamedTuple

import torch
from jaxtyping import Int8, Int64
from torch import Tensor


class Domains(NamedTuple):
    """What a reading scores with a map for every cell, on the second half of the games. On the CPU."""

    single: int
    """Index in OPENING_MAPS of the map that reads most cells of the first half right."""
    which: Int64[Tensor, " cell"]
    """The same for every cell by itself."""
    by_cell: Int64[Tensor, " cell"]
    """Positions at which the cell is read right through its own map."""
    mixed: Int64[Tensor, " game"]
    """Cells of every game that are read right, each through its own map."""
    gain: Int64[Tensor, " game"]
    """The same less the cells that are read right through the single map."""


def domains(
    readings: Int8[Tensor, "row cell"], boards: Int8[Tensor, "map row cell"], game: Int64[Tensor, " row"], games: int
) -> Domains:
    """readings: classes as read. boards: the true board's image under each map. game: 0 .. games - 1, of every row.

    A cell whose maps are equally good, such as one that a map fixes, goes to the single map, else to the first of them.
    """
    half = games // 2
    right, first = readings == boards, game < half
    counts = right[:, first].sum(1)
    single = int(counts.sum(1).argmax())
    preferred = 2 * counts
    preferred[single] += 1
    which, late = preferred.argmax(0), right[:, ~first]
    own = late.gather(0, which.expand(1, *late.shape[1:])).squeeze(0)

    def by_game(rows: Tensor) -> Tensor:
        return rows.new_zeros(games - half, dtype=torch.int64).index_add_(0, game[~first] - half, rows.sum(1)).cpu()

    mixed = by_game(own)
    return Domains(single, which.cpu(), own.sum(0).cpu(), mixed, mixed - by_game(late[single]))
