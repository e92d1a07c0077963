"""Percentile bootstrap over games: positions of one game are not independent, games are."""

import torch
from jaxtyping import Float
from torch import Tensor


class Bootstrap:
    """Games drawn anew ``draws`` times, the same draws for all quantities of one measurement."""

    def __init__(self, games: int, draws: int, generator: torch.Generator, confidence: float = 0.95) -> None:
        drawn = torch.randint(games, (draws, games), generator=generator)
        self.weight = torch.zeros(draws, games).scatter_add_(1, drawn, torch.ones(draws, games))
        tail = (1 - confidence) / 2
        self.at = torch.tensor([tail, 1 - tail])

    def __call__(
        self, summed: Float[Tensor, "*batch game"], counted: Float[Tensor, " game"]
    ) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch"]]:
        """Low and high of sum(summed) / sum(counted). summed, counted: totals of every game, on the CPU. Draws that
        count nothing are left out."""
        flat, total = summed.reshape(-1, summed.shape[-1]).float(), self.weight @ counted.float()
        used = total > 0
        weight, total = self.weight[used], total[used]
        pieces = [((part @ weight.T) / total).quantile(self.at, 1) for part in flat.split(4096)]
        low, high = torch.cat(pieces, 1).double().view(2, *summed.shape[:-1])
        return low, high
