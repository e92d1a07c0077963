"""Centred cosine of parallel states. Rows of x and y are the same positions in two languages."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def centered(x: Float[Tensor, "*batch row d"]) -> Float[Tensor, "*batch row d"]:
    """Each language minus its own mean: what is common to all its states says nothing about the position."""
    return x - x.mean(-2, keepdim=True)


def parallel_cosines(x: Float[Tensor, "*batch row d"], y: Float[Tensor, "*batch row d"]) -> Float[Tensor, "*batch row"]:
    """Cosine between the centered parallel states of every row, in -1..1; the same under scaling and shifts of either
    side and one rotation of both. 0 for a state that is its language's mean."""
    return F.cosine_similarity(centered(x), centered(y), -1, eps=1e-12)
