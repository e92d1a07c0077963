"""Iterative normalization (Zhang et al. 2019), then the orthogonal map from one side to the other.

Rows of x and y are the same words, positions or games on two sides; ``fitted`` says which rows the means and the map
are learned from. All other rows are only mapped. Sides may differ in width: the narrower one has zeros added.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from mothello.measures.alignment.retrieval import nearest

ROUNDS = 5
"""Rounds of normalization."""


def normalized(
    x: Float[Tensor, "*batch row d"], fitted: Bool[Tensor, "*batch row"], rounds: int = ROUNDS
) -> Float[Tensor, "*batch row d"]:
    """Rows of unit length, less the mean of the fitted ones; again and again, until both hold of those."""
    weight = fitted.to(x.dtype) / fitted.sum(-1, keepdim=True).clamp(min=1)
    for _ in range(rounds):
        x = F.normalize(x, dim=-1, eps=1e-12)
        x = x - (x * weight.unsqueeze(-1)).sum(-2, keepdim=True)
    return x


def mapped(
    x: Float[Tensor, "*batch row d"], y: Float[Tensor, "*batch row e"], fitted: Bool[Tensor, "*batch row"]
) -> tuple[Float[Tensor, "*batch row w"], Float[Tensor, "*batch row w"]]:
    """x, normalized and rotated onto y by W = U V' from U S V' = X'Y of the fitted rows; and y, normalized."""
    width = max(x.shape[-1], y.shape[-1])
    x, y = (normalized(F.pad(side, (0, width - side.shape[-1])), fitted) for side in (x, y))
    u, _, vh = torch.linalg.svd((x * fitted.unsqueeze(-1)).mT @ y)
    return x @ (u @ vh), y


def found_by_map(
    x: Float[Tensor, "*batch row d"], y: Float[Tensor, "*batch row e"], fitted: Bool[Tensor, "*batch row"],
    asked: Int64[Tensor, " query"],
) -> Int64[Tensor, "*batch query"]:  # fmt: skip
    """Which of the asked rows of y is nearest to each of x after the map, as an index into ``asked``; -1 for a tie."""
    one, other = (F.normalize(side[..., asked, :], dim=-1, eps=1e-12) for side in mapped(x, y, fitted))
    return nearest(one @ other.mT)


def folds_of(n: int, folds: int, generator: torch.Generator) -> Int64[Tensor, " row"]:
    """The fold that each of n moves is left out with, at random; sizes differ by one at the most."""
    return torch.randperm(n, generator=generator) % min(folds, n)


def found_left_out(
    x: Float[Tensor, "*batch half move d"], y: Float[Tensor, "*batch half move e"], fold: Int64[Tensor, " move"]
) -> Int64[Tensor, "*batch move"]:
    """Which move of y is nearest to each of x, after the map that was fitted without its fold. The first half holds
    what maps are fitted on, the second what is asked for: the same moves from other games."""
    n, folds = len(fold), int(fold.max()) + 1
    left_out = fold == torch.arange(folds, device=fold.device).unsqueeze(1)
    fitted = torch.cat([~left_out, torch.zeros_like(left_out)], 1)
    x, y = (side.flatten(-3, -2).unsqueeze(-3) for side in (x, y))
    found = found_by_map(x, y, fitted, torch.arange(n, 2 * n, device=fold.device))
    return found.gather(-2, fold.expand(*found.shape[:-2], 1, n)).squeeze(-2)


def means_of_moves(
    x: Float[Tensor, "*batch game ply d"], moves: Int64[Tensor, "game ply"], n_moves: int
) -> Float[Tensor, "*batch move d"]:
    """The mean state of every move over the games; zeros of one that is never played. moves: -1 after the end."""
    flat = torch.where(moves >= 0, moves, n_moves).flatten()
    summed = x.new_zeros(*x.shape[:-3], n_moves + 1, x.shape[-1]).index_add_(-2, flat, x.flatten(-3, -2))
    return summed[..., :-1, :] / flat.bincount(minlength=n_moves + 1)[:-1].clamp(min=1).unsqueeze(-1)
