"""Retrieval: is the nearest state of the other language the parallel one?

x and y hold the same positions in two languages, row by row. Cosines are between centered states. P@1 is the share of
hits: queries (rows of x) whose nearest candidate is their own row of y.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from mothello.measures.alignment.cosine import centered

NEIGHBOURS = 10
"""k of CSLS (Lample et al. 2018)."""


def cosines(x: Float[Tensor, "row d"], y: Float[Tensor, "candidate d"]) -> Float[Tensor, "row candidate"]:
    """Cosine of every state of x with every state of y, each centered."""
    return F.normalize(centered(x), dim=-1, eps=1e-12) @ F.normalize(centered(y), dim=-1, eps=1e-12).T


def hits(
    similarity: Float[Tensor, "row candidate"], allowed: Bool[Tensor, "row candidate"] | None = None
) -> Bool[Tensor, " row"]:
    """Whether row i is nearest to candidate i (weak alignment: the candidates are the other language). Ties
    count as misses, so constant states score 0.

    allowed: the candidates of every query; its own row is always one.
    """
    if allowed is not None:
        similarity = similarity.masked_fill(~allowed, -torch.inf)
    itself = torch.eye(*similarity.shape, dtype=torch.bool, device=similarity.device)
    return similarity.diagonal() > similarity.masked_fill(itself, -torch.inf).amax(1)


def strong_hits(x: Float[Tensor, "row d"], y: Float[Tensor, "row d"]) -> Bool[Tensor, " row"]:
    """Strong alignment (Roy et al. 2020): the candidates are both languages without the query itself, so a state
    must lie nearer to its translation than to any other state of its own language."""
    within = cosines(x, x).fill_diagonal_(-torch.inf)
    return hits(torch.cat([cosines(x, y), within], 1))


def csls(similarity: Float[Tensor, "row candidate"], k: int = NEIGHBOURS) -> Float[Tensor, "row candidate"]:
    """Cross-domain similarity local scaling: twice the cosine less the mean of each side's k nearest, which
    corrects for hubness."""
    k = min(k, *similarity.shape)
    return 2 * similarity - similarity.topk(k, 1).values.mean(1, keepdim=True) - similarity.topk(k, 0).values.mean(0)


def chance(allowed: Bool[Tensor, "row candidate"]) -> float:
    """P@1 of guessing among the candidates allowed."""
    return float((1 / allowed.sum(1)).mean())
