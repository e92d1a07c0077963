"""Layers that torch does not have, or has slower."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from mothello.languages.language import PAD
from mothello.model.config import Activation, ModelConfig, Norm

HEAD_MULTIPLE = {"cuda": 64}
"""The head is multiplied as a matrix of a multiple of this many rows: tensor cores want it, others do not mind."""


class Head(nn.Linear):
    """A linear layer without bias, computed with zero rows added to the weight up to a multiple by device. A shared
    weight may have more rows than there are classes."""

    def __init__(self, d_model: int, output_size: int) -> None:
        super().__init__(d_model, output_size, bias=False)

    def forward(self, x: Float[Tensor, "*rows D"]) -> Float[Tensor, "*rows V"]:
        """x @ weight.T"""
        spare = -len(self.weight) % HEAD_MULTIPLE.get(x.device.type, 1)
        y = F.linear(x, F.pad(self.weight, (0, 0, 0, spare)) if spare else self.weight)
        return y if y.shape[-1] == self.out_features else y[..., : self.out_features]


def without_padding(tokens: Int64[Tensor, "B T"]) -> Bool[Tensor, "B T T"]:
    """The mask of full attention: every place may attend to every token; padding sees itself as well, or a row without
    tokens would have nothing to average."""
    own = torch.eye(tokens.shape[1], dtype=torch.bool, device=tokens.device)
    return (tokens != PAD).unsqueeze(1) | own


_LANE = 1 << 15


def dropout(x: Float[Tensor, "*shape"], p: float, training: bool) -> Float[Tensor, "*shape"]:
    """Zeros with probability p, the rest scaled up. On a CPU p is rounded to 1/32768 and 60 random bits decide on four
    values: torch draws a number for each, one after the other, a fifth of the paper model's step (docs/LOG.md)."""
    if x.device.type != "cpu" or not (training and p):
        return F.dropout(x, p, training)
    n, dropped = x.numel(), min(round(p * _LANE), _LANE - 1)
    bits = torch.ops.aten.random(torch.empty(-(-n // 4), dtype=torch.int64, device=x.device))  # random_ is not traced
    drop = ((bits.view(torch.int16)[:n] & (_LANE - 1)) < dropped).view(x.shape)  # no sign: the topmost bit is always 0
    return x.masked_fill(drop, 0.0) * (_LANE / (_LANE - dropped))


def activate(x: Float[Tensor, "*shape"], activation: Activation) -> Float[Tensor, "*shape"]:
    if activation is Activation.relu2:
        return F.relu(x).square()
    return F.gelu(x) if activation is Activation.gelu else F.gelu(x, approximate="tanh")


RMS_EPS = 1e-6
"""Fixed: torch's default depends on the dtype, 0.008 in bf16."""


def build_norm(config: ModelConfig) -> nn.Module:
    return nn.LayerNorm(config.d_model) if config.norm is Norm.layer else nn.RMSNorm(config.d_model, RMS_EPS)
