"""Retrieval: is the nearest state of the other language the parallel one?

x and y hold the same positions in two languages, row by row. P@1 is the share of hits: queries (rows of x) whose
nearest candidate is their own row of y. Cosines are between centered states, and in :func:`published_nearest` between
states as they are.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from mothello.measures.alignment.cosine import centered

NEIGHBOURS = 10
"""k of CSLS (Lample et al. 2018)."""


def cosines(x: Float[Tensor, "row d"], y: Float[Tensor, "candidate d"]) -> Float[Tensor, "row candidate"]:
    """Cosine of every state of x with every state of y, each centered."""
    return F.normalize(centered(x), dim=-1, eps=1e-12) @ F.normalize(centered(y), dim=-1, eps=1e-12).T


def nearest(
    similarity: Float[Tensor, "*batch row candidate"], allowed: Bool[Tensor, "*batch row candidate"] | None = None
) -> Int64[Tensor, "*batch row"]:
    """Index of the candidate that every row is nearest to (weak alignment: the candidates are the other language); -1
    where two are equally near, so that constant states are near to nothing.

    allowed: the candidates of every query; its own row is always one.
    """
    if allowed is not None:
        similarity = similarity.masked_fill(~allowed, -torch.inf)
    best = F.pad(similarity, (0, 1), value=-torch.inf).topk(2)
    return torch.where(best.values[..., 0] > best.values[..., 1], best.indices[..., 0], -1)


def hits(
    similarity: Float[Tensor, "row candidate"], allowed: Bool[Tensor, "row candidate"] | None = None
) -> Bool[Tensor, " row"]:
    """Whether row i is nearest to candidate i."""
    return own_row(nearest(similarity, allowed))


def own_row(found: Int64[Tensor, "*batch row"]) -> Bool[Tensor, "*batch row"]:
    """Where the nearest candidate is the query's own row."""
    return found == torch.arange(found.shape[-1], device=found.device)


def among_both(across: Float[Tensor, "row row"], within: Float[Tensor, "row row"]) -> Int64[Tensor, " row"]:
    """Strong alignment (Roy et al. 2020): the nearest candidate of both languages but the query itself, so a state
    must lie nearer to its translation than to any other state of its own language. Indices from n on are of the own."""
    return nearest(torch.cat([across, within.clone().fill_diagonal_(-torch.inf)], 1))


class Published(NamedTuple):
    """The nearest candidate of every row, by cosines of states as they are (Gaschi et al. 2023)."""

    weak: Int64[Tensor, " row"]
    strong: Int64[Tensor, " row"]
    mutual: Int64[Tensor, " row"]
    """The weak one, where the two are each other's nearest; else -1."""


def published_nearest(x: Float[Tensor, "row d"], y: Float[Tensor, "row d"]) -> Published:
    """From x to y: forward. Backward is from y to x."""
    x, y = (F.normalize(states, dim=-1, eps=1e-12) for states in (x, y))
    across = x @ y.T
    forward, backward = nearest(across), nearest(across.T)
    returned = own_row(backward[forward.clamp(min=0)]) & (forward >= 0)
    return Published(forward, among_both(across, x @ x.T), torch.where(returned, forward, -1))


def csls(similarity: Float[Tensor, "row candidate"], k: int = NEIGHBOURS) -> Float[Tensor, "row candidate"]:
    """Cross-domain similarity local scaling: twice the cosine less the mean of each side's k nearest, which
    corrects for hubness."""
    k = min(k, *similarity.shape)
    return 2 * similarity - similarity.topk(k, 1).values.mean(1, keepdim=True) - similarity.topk(k, 0).values.mean(0)


def chance(allowed: Bool[Tensor, "row candidate"]) -> float:
    """P@1 of guessing among the candidates allowed."""
    return float((1 / allowed.sum(1)).mean())
