"""Muon for stacks of matrices: probes are many small problems of one shape, trained by one batched update.

Against AdamW at its best learning rate, the same MLP probe on the same 4,000 games read .80 instead of .77 of the cells
(docs/LOG.md). Update: momentum, Nesterov, then the nearest orthogonal matrix by five Newton-Schulz steps (Jordan 2024).
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from mothello.training.muon import MOMENTUM, orthogonalize, rate_scale


class StackedMuon:
    """Muon on 3-D parameters [k, row, column], each of the k matrices on its own."""

    def __init__(self, parameters: Iterable[Tensor]) -> None:
        self.parameters = list(parameters)
        self.momenta = [torch.zeros_like(p) for p in self.parameters]

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """One update, then clear the gradients."""
        for parameter, momentum in zip(self.parameters, self.momenta, strict=True):
            assert parameter.grad is not None
            momentum.lerp_(parameter.grad, 1 - MOMENTUM)
            update = orthogonalize(parameter.grad.lerp(momentum, MOMENTUM))
            scale = rate_scale(*parameter.shape[1:])
            parameter.add_(update, alpha=-lr * scale)
            parameter.grad = None
