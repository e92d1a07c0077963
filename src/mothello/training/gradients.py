"""The gradients of a batch: of one pass, or of the passes of its micro-batches, which add up."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mothello.model.transformer import GPT
from mothello.objectives.micro_batches import shares
from mothello.objectives.objective import Loss, double
from mothello.training.device import autocast
from mothello.training.plan import Plan


def backward(
    model: GPT, batch: Any, loss_of: Callable[[GPT, Any], Loss], plan: Plan
) -> tuple[dict[str, float], Float[Tensor, "2 term"]]:
    """Add this process's part of the gradients of the loss, a mean over all processes, to those of the parameters.

    Returns the weight of every term of the loss; and its sum, of this process, and count, of all. Dropout draws other
    masks for other numbers of parts.
    """
    weights: dict[str, float] = {}
    numbers: dict[str, Tensor] = {}
    for parts, counted in shares(plan.objective, batch, plan.micro_batches):
        counts = None if counted is None else plan.world.sum(double(torch.stack([*counted.values()])))
        sums = []
        for part in parts:
            with autocast(model.device, plan.precision):
                loss = loss_of(model, part)
            assert counted is None or [*counted] == [*loss.terms], "counts name the terms of the loss in their order"
            own = loss.numbers()
            counts = plan.world.sum(own[1]) if counts is None else counts
            sums.append(own[0])
            mean = loss.mean(counts)
            if mean.requires_grad:  # all that an objective trains may be frozen
                mean.backward()
            weights |= loss.weights
        assert counts is not None
        for name, *pair in zip(loss.terms, torch.stack(sums).sum(0), counts, strict=True):
            numbers[name] = torch.stack(pair) + numbers.get(name, 0)
    return weights, torch.stack([*numbers.values()], 1)
