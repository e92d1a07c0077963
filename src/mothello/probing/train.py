"""Fitting all probes of a model in one pass: every layer, source language and target, linear and MLP together.

The stream is fresh games of the probe split, written in every language; activations are made and used, never stored.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from tqdm import tqdm

from mothello.data.batch import in_language
from mothello.data.corpus import Corpus
from mothello.languages.family import Family
from mothello.model.transformer import GPT
from mothello.probing.activations import states
from mothello.probing.linear import LinearProbes
from mothello.probing.mlp import MLPProbes
from mothello.probing.solver import StackedMuon
from mothello.probing.targets import N_CLASSES, TARGETS, board_targets
from mothello.seeding import generator
from mothello.training.device import Precision, autocast

_BIAS_LR = 3e-3

PROBES: dict[str, type[LinearProbes] | type[MLPProbes]] = {"linear": LinearProbes, "mlp": MLPProbes}


@dataclass(kw_only=True)
class ProbeConfig:
    """How probes are fitted and scored."""

    probes: list[str] = field(default_factory=lambda: list(PROBES))
    games: int = 8_000
    """Fresh games to fit on, each seen once in every language."""
    test_games: int = 400
    """Other games to score on."""
    batch_size: int = 16
    """Games per step."""
    hidden: int = 256
    """Hidden units of the MLP probe."""
    lr: float = 0.2
    """Peak learning rate of Muon (docs/LOG.md); it falls to zero linearly."""
    weight_decay: float = 0.0
    seed: int = 0
    """Probe initialisation."""
    random_weights: bool = True
    """Fit the same probes on a model with random weights, the baseline."""
    draws: int = 1000
    """Draws of the null of the maximum over the symmetry maps."""

    def __post_init__(self) -> None:
        for name in self.probes:
            if name not in PROBES:
                raise ValueError(f"probe.probes: {name!r} is not one of {', '.join(PROBES)}")
        if not self.probes:
            raise ValueError("probe.probes: name at least one of " + ", ".join(PROBES))
        for name, low in (("games", 1), ("test_games", 2), ("batch_size", 1), ("hidden", 1), ("draws", 1)):
            if getattr(self, name) < low:
                raise ValueError(f"probe.{name}: {getattr(self, name)} is below {low}")
        if self.lr <= 0:
            raise ValueError(f"probe.lr: {self.lr} is not positive")
        if self.weight_decay < 0:
            raise ValueError(f"probe.weight_decay: {self.weight_decay} is negative")


class FittedProbes(NamedTuple):
    """Probes of one model. Their K axis is (target, language, layer) flattened, targets outermost."""

    modules: dict[str, nn.Module]
    mean: Float[Tensor, "language layer 1 d_model"]
    scale: Float[Tensor, "language layer 1 d_model"]

    def normalize(self, x: Float[Tensor, "layer row d_model"], source: int) -> Float[Tensor, "layer row d_model"]:
        """Activations as the probes of ``source`` expect them, whichever language they come from."""
        return (x - self.mean[source]) * self.scale[source]


def _rows(model: GPT, moves: Tensor, family: Family, scored: Tensor, precision: Precision) -> Tensor:
    """Activations of all languages, scored plies only: [language, layer, row, d_model]."""
    per_language = [
        states(model, in_language(moves, index, family), precision)[:, scored] for index in range(len(family.languages))
    ]
    return torch.stack(per_language)


def _statistics(x: Float[Tensor, "language layer row d_model"]) -> tuple[Tensor, Tensor]:
    """Mean, and one over the root mean square deviation of a whole state: a common scale keeps its geometry."""
    mean = x.mean(2, keepdim=True)
    deviation = (x - mean).square().mean((2, 3), keepdim=True).sqrt()
    return mean, (1 / deviation.clamp(min=1e-6)).expand_as(mean)


def fit_probes(
    model: GPT,
    family: Family,
    games: Corpus,
    config: ProbeConfig,
    precision: Precision,
    title: str = "probes",
) -> FittedProbes:
    """Fit every probe on the corpus's games, each batch seen once. The model is only read."""
    device = model.head.weight.device
    n_layers, d_model = model.config.n_layer + 1, model.config.d_model
    k = len(TARGETS) * len(family.languages) * n_layers
    n_out = family.board.n_cells * N_CLASSES
    draw = generator(config.seed, "probes")
    modules: dict[str, nn.Module] = {
        name: PROBES[name](k, d_model, n_out, config.hidden, draw).to(device) for name in config.probes
    }
    parameters = [p for module in modules.values() for p in module.parameters()]
    matrices = StackedMuon([p for p in parameters if p.shape[1] > 1], config.weight_decay)
    biases = torch.optim.AdamW([p for p in parameters if p.shape[1] == 1], betas=(0.9, 0.99), weight_decay=0.0)
    steps = max(1, config.games // config.batch_size)
    fitted: FittedProbes | None = None
    for step in tqdm(range(steps), desc=title, unit="step", mininterval=1):
        start = step * config.batch_size
        moves = games.moves(torch.arange(start, start + config.batch_size, device=device))
        targets = board_targets(moves, family.board)
        x = _rows(model, moves, family, targets.scored, precision)
        if fitted is None:
            fitted = FittedProbes(modules, *_statistics(x))
        x = ((x - fitted.mean) * fitted.scale).flatten(0, 1)
        classes = targets.classes[:, targets.scored]
        scale = min(1.0, (step + 1) / 10) * (1 - step / steps)
        _backward(list(modules.values()), x, classes, precision)
        matrices.step(config.lr * scale)
        biases.param_groups[0]["lr"] = _BIAS_LR * scale
        biases.step()
        biases.zero_grad(set_to_none=True)
    assert fitted is not None
    return fitted


def _backward(modules: Sequence[nn.Module], x: Tensor, classes: Tensor, precision: Precision) -> None:
    """x: [language * layer, row, d_model]; classes: [target, row, cell]. Losses add up, so probes stay independent."""
    states_k = x.repeat(len(classes), 1, 1)
    labels = classes.repeat_interleave(len(x), 0)
    for module in modules:
        with autocast(x.device, precision):
            logits = module(states_k)
        logits = logits.unflatten(-1, (labels.shape[-1], N_CLASSES)).float()
        loss = F.cross_entropy(logits.flatten(0, -2), labels.flatten(), reduction="sum") / labels[0].numel()
        loss.backward()
