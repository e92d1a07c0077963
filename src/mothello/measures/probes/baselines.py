"""Baselines of probes: the best constant, a reader of orbits, and the agreement between a board and its images."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from mothello.measures.probes.targets import N_CLASSES, BoardTargets, of_another_game
from mothello.othello.board import Board
from mothello.othello.symmetry import OPENING_MAPS, cell_map


def _constant_right(fit: BoardTargets, test: BoardTargets) -> Bool[Tensor, "target game ply cell"]:
    """Where the most frequent class per (ply, cell), counted on ``fit``, is right."""
    weight = fit.scored[None, :, :, None, None]
    counts = (F.one_hot(fit.classes, N_CLASSES) * weight).sum(1)
    return counts.argmax(-1).unsqueeze(1) == test.classes


def best_constant(fit: BoardTargets, test: BoardTargets) -> Float[Tensor, " target"]:
    """Accuracy of the most frequent class per (ply, cell), counted on ``fit`` and scored on ``test``."""
    return _constant_right(fit, test)[:, test.scored].double().mean((1, 2))


def constant_by_ply(fit: BoardTargets, test: BoardTargets) -> Float[Tensor, "target ply"]:
    """The same after every ply; NaN where no game has one."""
    right = (_constant_right(fit, test).double().mean(-1) * test.scored).sum(1)
    return right / test.scored.sum(0)


def orbits(board: Board) -> Int64[Tensor, " cell"]:
    """The orbit of every cell under the maps of the opening, named by its first cell."""
    return torch.tensor([cell_map(board, name) for name in OPENING_MAPS]).amin(0)


def best_of_orbits(test: BoardTargets, board: Board) -> Float[Tensor, " target"]:
    """Accuracy of a reader that knows how many cells of every orbit are of each class, and nothing else: it names the
    commonest class everywhere in the orbit, so it reads alike under all four maps."""
    classes = test.classes[:, test.scored]
    orbit = orbits(board).to(classes.device)
    counts = [torch.zeros_like(classes).index_add_(-1, orbit, (classes == i).long()) for i in range(N_CLASSES)]
    return torch.stack(counts).amax(0).sum(-1).double().mean(1) / classes.shape[-1]


def unrelated_agreement(test: BoardTargets) -> Float[Tensor, " target"]:
    """Share of cells on which the boards of two different games agree at the same ply."""
    both = test.scored & of_another_game(test.scored)
    same = test.classes == torch.stack([of_another_game(classes) for classes in test.classes])
    return same[:, both].double().mean((1, 2))


def image_of(classes: Int64[Tensor, "*batch cell"], board: Board, name: str) -> Int64[Tensor, "*batch cell"]:
    """The boards under one symmetry of the square."""
    image = torch.empty_like(classes)
    image[..., list(cell_map(board, name))] = classes
    return image


def images(classes: Int64[Tensor, "*batch cell"], board: Board) -> Int64[Tensor, "map *batch cell"]:
    """The boards under each symmetry of the opening, in the order of OPENING_MAPS."""
    return torch.stack([image_of(classes, board, name) for name in OPENING_MAPS])


def image_agreement(test: BoardTargets, board: Board) -> Float[Tensor, "target map"]:
    """Share of cells on which a board agrees with its image: the score of a perfect probe through a wrong map."""
    same = images(test.classes, board) == test.classes
    return same[:, :, test.scored].double().mean((2, 3)).T
