"""Orthogonal Procrustes (Schoenemann 1966): the rotation that carries one language's states onto another's.

Fitted on some games, tested on others. Its score says how alike two languages are up to a rotation; compared with raw
retrieval it separates a space that is shared from one that merely has the same shape.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class Rotation(NamedTuple):
    """y ~ (x - mean_x) @ rotation * scale + mean_y."""

    rotation: Float[Tensor, "d e"]
    scale: Float[Tensor, ""]
    mean_x: Float[Tensor, "1 d"]
    mean_y: Float[Tensor, "1 e"]

    def __call__(self, x: Float[Tensor, "*row d"]) -> Float[Tensor, "*row e"]:
        """States of the first language, as if written in the second."""
        return (x - self.mean_x) @ self.rotation * self.scale + self.mean_y


def fit_rotation(x: Float[Tensor, "row d"], y: Float[Tensor, "row e"]) -> Rotation:
    """The orthogonal map and the scale with the least squared error on these rows. Between widths, as if the narrower
    side had zeros added."""
    mean_x, mean_y = x.mean(0, keepdim=True), y.mean(0, keepdim=True)
    u, singular, vh = torch.linalg.svd((x - mean_x).T @ (y - mean_y), full_matrices=False)
    scale = singular.sum() / (x - mean_x).square().sum().clamp(min=torch.finfo(x.dtype).tiny)
    return Rotation(u @ vh, scale, mean_x, mean_y)


def explained(y: Float[Tensor, "row d"], predicted: Float[Tensor, "row d"]) -> float:
    """Share of the variance of y that a prediction explains; 1 perfect, 0 like the mean, below 0 worse."""
    residual = (y - predicted).square().sum()
    return float(1 - residual / (y - y.mean(0)).square().sum().clamp(min=torch.finfo(y.dtype).tiny))
