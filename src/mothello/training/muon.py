"""Muon: momentum, then the nearest orthogonal matrix by five Newton-Schulz steps (Jordan et al. 2024).

Matrices of one shape are orthogonalized together as one stack: the arithmetic of ``torch.optim.Muon``, which takes them
one by one, in two thirds of its time on a CPU (docs/LOG.md) and with fewer kernels on a GPU.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mothello.training.device import has_bf16

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
MOMENTUM = 0.95
STEPS = 5


def orthogonalize(g: Float[Tensor, "k row column"]) -> Float[Tensor, "k row column"]:
    """Each matrix of the stack with its singular values moved to about one (0.7 .. 1.2); computed in bf16 where the
    device multiplies it."""
    a, b, c = COEFFICIENTS
    wide = g.shape[1] <= g.shape[2]
    x = g.to(torch.bfloat16) if has_bf16(g.device) else g
    x = x if wide else x.mT.contiguous()
    x = x / x.flatten(1).norm(dim=1)[:, None, None].clamp(min=1e-7)
    for _ in range(STEPS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x if wide else x.mT).to(g.dtype)


def rate_scale(rows: int, columns: int) -> float:
    """What an orthogonal update is multiplied by: a tall matrix's is larger (Jordan's rule)."""
    return float(max(1.0, rows / columns) ** 0.5)


class Muon(torch.optim.Muon):
    """``torch.optim.Muon`` with its defaults and its state, its matrices stacked by shape, either way round."""

    def __init__(self, params: Iterable[Tensor], lr: float, weight_decay: float = 0.1) -> None:
        super().__init__(params, lr=lr, weight_decay=weight_decay)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One update. A parameter without a gradient stays as it is."""
        assert closure is None
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if not parameters:
                continue
            for p in parameters:
                if "momentum_buffer" not in self.state[p]:
                    self.state[p]["momentum_buffer"] = torch.zeros_like(p)
            gradients = [p.grad for p in parameters]
            momenta = [self.state[p]["momentum_buffer"] for p in parameters]
            torch._foreach_lerp_(momenta, gradients, 1 - MOMENTUM)
            updates = torch._foreach_lerp(gradients, momenta, MOMENTUM)
            torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
            stacks: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
            for i, update in enumerate(updates):
                stacks[tuple(sorted(update.shape))].append(i)
            for indices in stacks.values():
                stack = orthogonalize(torch.stack([_wide(updates[i]) for i in indices]))
                for i, update in zip(indices, stack, strict=True):
                    p = parameters[i]
                    _descend(p, _wide(update, p.shape), group["lr"], rate_scale(*p.shape))


def _descend(parameter: Tensor, update: Tensor, rate: float | Tensor, scale: float) -> None:
    """A tensor of a rate stays on its device."""
    if isinstance(rate, Tensor):
        parameter.addcmul_(update, rate, value=-scale)
    else:
        parameter.add_(update, alpha=-rate * scale)


def _wide(matrix: Tensor, like: torch.Size | None = None) -> Tensor:
    """The matrix lying down, or as a matrix of shape ``like`` lies."""
    tall = matrix.shape[0] > matrix.shape[1] if like is None else like[0] > like[1]
    return matrix.mT if tall else matrix
