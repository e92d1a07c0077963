"""Linear centered kernel alignment (Kornblith et al. 2019): do two languages arrange the same positions alike?

0..1, invariant under shifts, scaling and rotation of either side. With few rows it is biased upwards: compare it with
its value on unrelated rows.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mothello.measures.alignment.cosine import centered


def linear_cka(x: Float[Tensor, "*batch row d"], y: Float[Tensor, "*batch row e"]) -> Float[Tensor, "*batch"]:
    """|Y'X|^2 / (|X'X| |Y'Y|) of centered columns, Frobenius norms; 0 where a side does not vary."""
    x, y = centered(x), centered(y)
    cross = torch.linalg.matrix_norm(x.mT @ y).square()
    within = torch.linalg.matrix_norm(x.mT @ x) * torch.linalg.matrix_norm(y.mT @ y)
    return torch.where(within > 0, cross / within.clamp(min=torch.finfo(x.dtype).tiny), 0.0)


def cka_of_games(
    x: Float[Tensor, "*batch game ply d"], y: Float[Tensor, "*batch game ply e"], scored: Bool[Tensor, "game ply"]
) -> Float[Tensor, "*batch"]:
    """Rows are games: the mean of a game's states."""
    return linear_cka(mean_of_games(x, scored), mean_of_games(y, scored))


def mean_of_games(
    x: Float[Tensor, "*batch game ply d"], scored: Bool[Tensor, "game ply"]
) -> Float[Tensor, "*batch game d"]:
    """The mean of every game's states."""
    weight = scored.to(x.dtype) / scored.sum(1, keepdim=True)
    return (x * weight[..., None]).sum(-2)


def cka_within_ply(
    x: Float[Tensor, "*batch game ply d"], y: Float[Tensor, "*batch game ply e"], scored: Bool[Tensor, "game ply"]
) -> Float[Tensor, "*batch"]:
    """The mean of linear CKA at single plies, so that the ply explains nothing; over plies that every game reached."""
    whole = scored.all(0).nonzero().flatten()
    assert len(whole), "no ply that every game reached"
    return linear_cka(x[..., whole, :].transpose(-3, -2), y[..., whole, :].transpose(-3, -2)).mean(-1)
