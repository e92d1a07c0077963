"""Alignment up to a symmetry of the opening: the best of four maps, and what the best of four reaches by chance.

Pure functions of readings and boards; nothing here knows about models.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

NULL_GAMES = 200
"""Games that a null pairs with one another: enough for its quantiles."""


class BestMap(NamedTuple):
    """The maximum over maps, and which map reached it."""

    accuracy: Float[Tensor, "*pair"]
    which: Int64[Tensor, "*pair"]


def best_map(accuracy: Float[Tensor, "*pair map"]) -> BestMap:
    """Accuracy under every map -> the best one."""
    values, index = accuracy.max(-1)
    return BestMap(values, index)


def _agreement(
    readings: Int64[Tensor, "game ply cell"],
    image: Int64[Tensor, "game ply cell"],
    scored: Bool[Tensor, "game ply"],
) -> Float[Tensor, "game game"]:
    """Cells on which the reading of game i agrees with the board of game j, summed over plies scored in both."""
    weight = scored[:, :, None, None].float()
    left = (F.one_hot(readings.long(), 3).float() * weight).flatten(1)
    right = (F.one_hot(image.long(), 3).float() * weight).flatten(1)
    return left @ right.T


def null_of_maximum(
    readings: Int64[Tensor, "game ply cell"],
    images: Int64[Tensor, "map game ply cell"],
    scored: Bool[Tensor, "game ply"],
    draws: int,
    generator: torch.Generator,
) -> Float[Tensor, " draw"]:
    """Best-of-maps accuracy when every reading is paired with the board of ANOTHER game at the same ply.

    readings: classes a probe read, images: the true boards under each map. One random cyclic pairing per draw.
    """
    n, cells = len(readings), readings.shape[-1]
    both = scored.float() @ scored.float().T * cells
    agree = torch.stack([_agreement(readings, image, scored) for image in images])
    orders = torch.rand(draws, n, generator=generator).argsort(1)
    partner = orders.roll(1, 1)  # a cycle through all games: no game meets itself
    return (agree[:, orders, partner].sum(-1) / both[orders, partner].sum(-1)).max(0).values
