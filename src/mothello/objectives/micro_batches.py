"""Micro-batches: a batch is computed in parts whose gradients add up to its own, so that large ones fit a small GPU.

The loss is a mean over all that the batch scores, and parts score more or less of it: a mean of their means would weigh
tokens unequally. So an objective whose loss is a sum over rows says beforehand how much a whole batch scores: by a
method ``counts(batch) -> {term: count}`` without the model, with the terms of its loss in their order, "" for the main
one. The sum of every part is divided by them. An objective without it is computed whole: a contrastive loss, where
every row is compared with all others.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxtyping import Int64
from torch import Tensor

from mothello.data.batch import divided
from mothello.errors import UserError
from mothello.objectives.objective import Objective


class Share(NamedTuple):
    """One objective's share of a step."""

    parts: list[Any]
    """Batches for its loss, which add up to the whole one."""
    counts: Mapping[str, Int64[Tensor, ""]] | None
    """How much all parts score; None for a whole batch, whose loss tells it."""


def shares(objective: Objective, batch: Any, n: int) -> list[Share]:
    """A batch in n parts at most: one share for each of the objectives that are added up in it."""
    if n == 1:
        return [Share([batch], None)]
    if own := getattr(objective, "shares", None):
        return own(batch, n)
    counts = getattr(objective, "counts", None)
    return [Share([batch], None) if counts is None else Share(divided(batch, n), counts(batch))]


def check_micro_batches(objective: Objective, size: int) -> None:
    """UserError where the main objective cannot be computed in parts; an auxiliary one is then computed whole. size: of
    a part, 0 for the whole batch."""
    main = getattr(objective, "main", objective)
    if size and not hasattr(main, "counts"):
        name = getattr(getattr(main, "config", None), "name", type(main).__name__)
        line = f"the loss of {name} is no sum over the games of a batch, and cannot be computed in parts; leave it out"
        raise UserError(f"device.micro_batch_size: {line}")
