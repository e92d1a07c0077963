"""Two-layer MLP probes with ReLU, many at once."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class MLPProbes(nn.Module):
    """K independent maps d_model -> hidden -> n_out, trained together by batched products."""

    def __init__(self, k: int, d_model: int, n_out: int, hidden: int, draw: torch.Generator) -> None:
        super().__init__()
        self.W_in = nn.Parameter(torch.randn(k, d_model, hidden, generator=draw) * (2 / d_model) ** 0.5)
        self.b_in = nn.Parameter(torch.zeros(k, 1, hidden))
        self.W_out = nn.Parameter(torch.randn(k, hidden, n_out, generator=draw) * (1 / hidden) ** 0.5)
        self.b_out = nn.Parameter(torch.zeros(k, 1, n_out))

    def forward(self, x: Float[Tensor, "k row d_model"]) -> Float[Tensor, "k row n_out"]:
        return torch.baddbmm(self.b_out, torch.baddbmm(self.b_in, x, self.W_in).relu(), self.W_out)
