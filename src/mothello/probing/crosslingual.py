"""Every source language's probes on every language's states of the same games, under every symmetry of the opening."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from mothello.data.batch import in_language
from mothello.languages.family import Family
from mothello.model.transformer import GPT
from mothello.probing.activations import states
from mothello.probing.baselines import images
from mothello.probing.targets import N_CLASSES, TARGETS, BoardTargets, board_targets
from mothello.probing.train import FittedProbes
from mothello.training.device import Precision


class CrossLingual(NamedTuple):
    """Accuracies of one probe kind. readings are kept for the null and for drawings."""

    accuracy: Float[Tensor, "target layer source language map"]
    standard_error: Float[Tensor, "target layer source language"]
    """Over games, of the accuracy under the identity."""
    readings: Int64[Tensor, "target layer source language game ply cell"]


def read_boards(
    model: GPT, family: Family, probes: FittedProbes, moves: Tensor, precision: Precision
) -> dict[str, Int64[Tensor, "target layer source language game ply cell"]]:
    """The class each probe reads for every cell, by probe kind; int8 to keep them small."""
    n, n_layers = len(family.languages), model.config.n_layer + 1
    games, plies = moves.shape
    shape = (len(TARGETS), n_layers, n, n, games, plies, family.board.n_cells)
    readings = {name: torch.empty(shape, dtype=torch.int8) for name in probes.modules}
    for language in range(n):
        x = states(model, in_language(moves, language, family), precision).flatten(1, 2)
        for source in range(n):
            own = probes.normalize(x, source)
            for name, module in probes.modules.items():
                readings[name][:, :, source, language] = _read(module, own, source, n, shape)
    return readings


def _read(module: torch.nn.Module, x: Tensor, source: int, n: int, shape: tuple[int, ...]) -> Tensor:
    """Apply the probes of one source: [target, layer, game, ply, cell]."""
    targets, layers, *_, games, plies, cells = shape
    index = torch.arange(targets * n * layers).view(targets, n, layers)[:, source].flatten()
    weights = {name: value[index.to(x.device)] for name, value in module.named_parameters()}
    with torch.no_grad():
        logits = torch.func.functional_call(module, weights, (x.repeat(targets, 1, 1),))
    classes = logits.unflatten(-1, (cells, N_CLASSES)).argmax(-1)
    return classes.view(targets, layers, games, plies, cells).to(torch.int8).cpu()


def score(
    readings: Int64[Tensor, "target layer source language game ply cell"], truth: BoardTargets, family: Family
) -> CrossLingual:
    """Accuracy under every map: a reading agrees with the image of the true board. Rows are scored plies."""
    moved = images(truth.classes.to(torch.int8), family.board).cpu()  # [map, target, game, ply, cell]
    scored = truth.scored.cpu()
    accuracy = torch.empty(*readings.shape[:4], len(moved), dtype=torch.float64)
    error = torch.empty(readings.shape[:4], dtype=torch.float64)
    plies = scored.sum(1).double()
    for target in range(len(readings)):
        for layer in range(readings.shape[1]):
            for index, image in enumerate(moved[:, target]):
                right = (readings[target, layer] == image).float().mean(-1).double() * scored  # [s, l, game, ply]
                per_game = right.sum(-1)
                mean = per_game.sum(-1) / plies.sum()
                accuracy[target, layer, :, :, index] = mean
                if index == 0:
                    residual = per_game - mean.unsqueeze(-1) * plies
                    error[target, layer] = residual.std(-1) / plies.mean() / len(plies) ** 0.5
    return CrossLingual(accuracy, error, readings)


def evaluate_probes(
    model: GPT, family: Family, probes: FittedProbes, moves: Tensor, precision: Precision
) -> dict[str, CrossLingual]:
    """Read the boards of held-out games in every language with every language's probes, and score them."""
    truth = board_targets(moves, family.board)
    readings = read_boards(model, family, probes, moves, precision)
    return {name: score(reading, truth, family) for name, reading in readings.items()}
