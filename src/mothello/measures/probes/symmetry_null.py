"""Alignment up to a symmetry of the opening: the best of four maps, and the best of four by chance.

Pure functions of readings and boards; nothing here knows about models.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

NULL_GAMES = 100
"""Games that a null pairs with one another: enough for its quantiles."""


class BestMap(NamedTuple):
    """The maximum over maps, and which map reached it."""

    accuracy: Float[Tensor, "*pair"]
    which: Int64[Tensor, "*pair"]


def best_map(accuracy: Float[Tensor, "*pair map"]) -> BestMap:
    """Accuracy under every map -> the best one."""
    values, index = accuracy.max(-1)
    return BestMap(values, index)


class NullOfMaximum:
    """Best-of-maps accuracy when every reading is paired with the board of ANOTHER game at the same ply.

    images: the true boards under each map. One random cyclic pairing of the games per draw, the same for all readings.
    """

    def __init__(
        self,
        images: Int64[Tensor, "map game ply cell"],
        scored: Bool[Tensor, "game ply"],
        draws: int,
        generator: torch.Generator,
    ) -> None:
        n, cells = len(scored), images.shape[-1]
        self.scored = scored[:, :, None, None]
        self.boards = self._features(images).flatten(0, 1)
        self.maps = len(images)
        orders = torch.rand(draws, n, generator=generator).argsort(1)
        partners = orders.roll(1, 1)  # a cycle through all games: no game meets itself
        self.pairs = orders * n + partners
        both = scored.float() @ scored.float().T * cells
        self.total = both[orders, partners].sum(-1)

    def _features(self, classes: Tensor) -> Tensor:
        return ((classes.unsqueeze(-1) == torch.arange(3, dtype=classes.dtype)) & self.scored).float().flatten(-3)

    def __call__(self, readings: Int64[Tensor, "*batch game ply cell"]) -> Float[Tensor, "*batch draw"]:
        """readings: the classes that probes read."""
        batch, n, draws = readings.shape[:-3], readings.shape[-3], len(self.total)
        agree = self._features(readings).flatten(0, -2) @ self.boards.T  # cells alike: [batch game, map game]
        agree = agree.view(-1, n, self.maps, n).permute(1, 3, 0, 2).reshape(n * n, -1)  # by pair of games
        summed = F.embedding_bag(self.pairs, agree, mode="sum")  # whole numbers: exact in any order
        share = (summed / self.total.unsqueeze(1)).view(draws, -1, self.maps)
        return share.amax(-1).T.reshape(*batch, draws)


def aligned(
    best: Float[Tensor, "*pair"], null_95: Float[Tensor, "*pair"], constant: float | Tensor
) -> Bool[Tensor, "*pair"]:
    """Whether a pair counts as aligned: its best map beats readings paired with other games, and a guess that never
    looks at the board (a probe can beat the null by a small margin and still be worse than the best guess per ply)."""
    return (best > null_95) & (best > constant)
