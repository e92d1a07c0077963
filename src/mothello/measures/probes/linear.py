"""Linear probes, many at once."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class LinearProbes(nn.Module):
    """K independent maps d_model -> n_out, trained together by one batched product."""

    def __init__(self, k: int, d_model: int, n_out: int, hidden: int, draw: torch.Generator) -> None:
        super().__init__()
        self.W = nn.Parameter(torch.zeros(k, d_model, n_out))
        self.b = nn.Parameter(torch.zeros(k, 1, n_out))

    def forward(self, x: Float[Tensor, "k row d_model"]) -> Float[Tensor, "k row n_out"]:
        return torch.baddbmm(self.b, x, self.W)
