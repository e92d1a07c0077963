"""What a probe number is compared with: the best constant, and the agreement between a board and its images."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from mothello.othello.board import Board
from mothello.othello.symmetry import OPENING_MAPS, cell_map
from mothello.probing.targets import N_CLASSES, BoardTargets


def best_constant(fit: BoardTargets, test: BoardTargets) -> Float[Tensor, " target"]:
    """Accuracy of the most frequent class per (ply, cell), counted on ``fit`` and scored on ``test``."""
    weight = fit.scored[None, :, :, None, None]
    counts = (F.one_hot(fit.classes, N_CLASSES) * weight).sum(1)
    guess = counts.argmax(-1).unsqueeze(1)
    right = (guess == test.classes)[:, test.scored]
    return right.double().mean((1, 2))


def images(classes: Int64[Tensor, "*batch cell"], board: Board) -> Int64[Tensor, "map *batch cell"]:
    """The boards under each symmetry of the opening, in the order of OPENING_MAPS."""
    moved = []
    for name in OPENING_MAPS:
        image = torch.empty_like(classes)
        image[..., list(cell_map(board, name))] = classes
        moved.append(image)
    return torch.stack(moved)


def image_agreement(test: BoardTargets, board: Board) -> Float[Tensor, "target map"]:
    """Share of cells on which a board agrees with its image: what a perfect probe reads through a wrong map."""
    same = images(test.classes, board) == test.classes
    return same[:, :, test.scored].double().mean((2, 3)).T
