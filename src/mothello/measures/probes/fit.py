"""Fitting all probes of a model in one pass: every layer, source language and target, linear and MLP together.

The stream is fresh games of the probe split, written in every language; activations are used at once, never stored.
Every probe keeps the weights with which it read the held-out games best.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from tqdm import tqdm

from mothello.data.corpus import Corpus
from mothello.measures.measure import Subject
from mothello.measures.probes.cell_loss import cell_loss
from mothello.measures.probes.config import PROBES, ProbesConfig
from mothello.measures.probes.solver import StackedMuon
from mothello.measures.probes.targets import N_CLASSES, TARGETS, BoardTargets, board_targets, of_another_game
from mothello.seeding import generator
from mothello.training.device import Precision, autocast

GAMES_AT_ONCE = 1024
"""Games that are played and replayed together; a batch of a fit has few, for which that is slow."""
SHUFFLED = "shuffled"
"""A target besides TARGETS: the absolute board of another game at the same ply, which a state knows nothing about."""


@dataclass(frozen=True)
class FittedProbes:
    """Probes of one model: one per target, language and layer, of every kind, in this order on the first axis of every
    parameter."""

    modules: dict[str, nn.Module]
    """By kind."""
    targets: tuple[str, ...]
    mean: Float[Tensor, "language layer 1 d_model"]
    scale: Float[Tensor, "language layer 1 d_model"]
    steps: int
    """Updates made; fewer than planned when no probe was improving any more."""
    some_layers: tuple[int, ...] | None = None
    """The layers, where a copy of a run keeps those of some alone."""

    @property
    def layers(self) -> Sequence[int]:
        """The layers that are probed."""
        return range(self.mean.shape[1]) if self.some_layers is None else self.some_layers

    def cover(self, kinds: Sequence[str]) -> bool:
        """Whether these kinds are here, for both colorings of the board and at every layer."""
        return {*kinds} <= {*self.modules} and {*TARGETS} <= {*self.targets} and self.some_layers is None

    def normalize(self, x: Float[Tensor, "layer row d_model"], source: int) -> Float[Tensor, "layer row d_model"]:
        """Activations as the probes of ``source`` expect them, whichever language they come from."""
        return (x - self.mean[source]) * self.scale[source]

    def weights(self, kind: str, target: str, source: int) -> dict[str, Tensor]:
        """The parameters of one kind, target and language: [layer, ...] each."""
        axes = (len(self.targets), *self.mean.shape[:2])
        index = (self.targets.index(target), source)
        return {name: p.detach().unflatten(0, axes)[index] for name, p in self.modules[kind].named_parameters()}


def _statistics(x: Float[Tensor, "language layer row d_model"]) -> tuple[Tensor, Tensor]:
    """Mean, and one over the root mean square deviation of a whole state: a common scale keeps its geometry."""
    mean = x.mean(2, keepdim=True)
    deviation = (x - mean).square().mean((2, 3), keepdim=True).sqrt()
    return mean, (1 / deviation.clamp(min=1e-6)).expand_as(mean)


def _classes(targets: BoardTargets, names: Sequence[str]) -> Tensor:
    """The labels: [target, row, cell]."""
    shuffled = of_another_game(targets.classes[0]).unsqueeze(0)
    every = dict(zip(TARGETS, targets.classes.split(1), strict=True)) | {SHUFFLED: shuffled}
    return torch.cat([every[name] for name in names])[:, targets.scored]


def _losses(module: nn.Module, x: Tensor, labels: Tensor, precision: Precision) -> Float[Tensor, " k"]:
    """Cross-entropy of every probe, a mean over rows and cells. x: [language * layer, row, d_model]."""
    with autocast(x.device, precision):
        logits = module(x.repeat(len(labels) // len(x), 1, 1))
    return cell_loss(logits, labels)


def penalty(module: nn.Module) -> Float[Tensor, " k"]:
    """Half the squared norm of every probe's matrices; biases are free."""
    matrices = [p for p in module.parameters() if p.shape[1] > 1]
    return torch.stack([0.5 * matrix.square().sum((1, 2)) for matrix in matrices]).sum(0)


class _Batches:
    """Rows of some games: states of every language, normalized as the first batch asks, and the labels of every target.
    Games are played and replayed many at once."""

    def __init__(self, subject: Subject, games: Corpus, config: ProbesConfig, targets: Sequence[str]) -> None:
        self.subject, self.games, self.targets = subject, games, targets
        self.size, self.end = config.batch_size, config.first_test_game
        self.at_once = max(1, GAMES_AT_ONCE // self.size) * self.size
        self.statistics: tuple[Tensor, Tensor] | None = None
        self._played: tuple[int, Tensor, BoardTargets] | None = None

    def _some(self, start: int) -> tuple[Tensor, BoardTargets]:
        """Moves and boards of a batch. start: a multiple of the batch size."""
        first = start - start % self.at_once
        if self._played is None or self._played[0] != first:
            indices = torch.arange(first, min(first + self.at_once, self.end), device=self.subject.device)
            moves = self.games.moves(indices)
            self._played = first, moves, board_targets(moves, self.subject.board)
        _, moves, boards = self._played
        rows = slice(start - first, start - first + self.size)
        return moves[rows], BoardTargets(boards.classes[:, rows], boards.scored[rows])

    def __call__(self, start: int) -> tuple[Float[Tensor, "probed row d_model"], Int64[Tensor, "probe row cell"]]:
        moves, boards = self._some(start)
        languages = range(len(self.subject.names))
        x = torch.stack([self.subject.states(moves, language)[:, boards.scored] for language in languages])
        self.statistics = self.statistics or _statistics(x)
        x = ((x - self.statistics[0]) * self.statistics[1]).flatten(0, 1)
        return x, _classes(boards, self.targets).repeat_interleave(len(x), 0)


class _Best:
    """For each probe of one kind, the weights with which it read the held-out games best."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.kept = {name: p.detach().clone() for name, p in module.named_parameters()}
        self.loss: Tensor | None = None

    @torch.no_grad()
    def improve(self, loss: Float[Tensor, " k"]) -> bool:
        """Keep the weights that are better than before; whether any probe gained more than a thousandth of its loss."""
        before = torch.full_like(loss, torch.inf) if self.loss is None else self.loss
        better = loss < before
        for name, parameter in self.module.named_parameters():
            self.kept[name][better] = parameter[better]
        self.loss = torch.minimum(loss, before)
        return bool((loss < before * 0.999).any())

    @torch.no_grad()
    def restore(self) -> None:
        for name, parameter in self.module.named_parameters():
            parameter.copy_(self.kept[name])


class _Fit:
    """All probes of a model while they are fitted."""

    def __init__(self, subject: Subject, config: ProbesConfig, targets: int) -> None:
        self.config, self.precision = config, subject.precision
        device, d_model = subject.device, subject.model.config.d_model
        k, n_out = targets * len(subject.names) * subject.n_layers, subject.board.n_cells * N_CLASSES
        draw = generator(config.seed, "probes")
        self.modules: dict[str, nn.Module] = {
            name: PROBES[name](k, d_model, n_out, config.hidden, draw).to(device) for name in config.probes
        }
        parameters = [p for module in self.modules.values() for p in module.parameters()]
        self.matrices = StackedMuon([p for p in parameters if p.shape[1] > 1])
        self.biases = torch.optim.AdamW([p for p in parameters if p.shape[1] == 1], betas=(0.9, 0.99), weight_decay=0.0)
        self.best = {name: _Best(module) for name, module in self.modules.items()}

    def step(self, x: Tensor, labels: Tensor, scale: float) -> None:
        """One update. Losses add up, so probes stay independent."""
        for module in self.modules.values():
            loss = _losses(module, x, labels, self.precision).sum()
            if self.config.l2:
                loss = loss + self.config.l2 * penalty(module).sum()
            loss.backward()
        self.matrices.step(self.config.lr * scale)
        self.biases.param_groups[0]["lr"] = self.config.bias_lr * scale
        self.biases.step()
        self.biases.zero_grad(set_to_none=True)

    @torch.no_grad()
    def improved(self, held_out: Iterable[tuple[Tensor, Tensor]]) -> bool:
        """Score on held-out games and keep the best weights."""
        losses: dict[str, list[Tensor]] = {name: [] for name in self.modules}
        for x, labels in held_out:
            for name, module in self.modules.items():
                losses[name].append(_losses(module, x, labels, self.precision))
        gained = [self.best[name].improve(torch.stack(several).mean(0)) for name, several in losses.items()]
        return any(gained)


def fit_probes(
    subject: Subject, games: Corpus, config: ProbesConfig, targets: Sequence[str] = TARGETS, title: str = "probes"
) -> FittedProbes:
    """Fit every probe on the corpus's first games, each batch seen once per epoch. The model is only read.

    The games after them are held out: each probe keeps the weights that read them best, and the fit ends early when
    no probe has improved for ``patience`` evaluations.
    """
    fit, batch = _Fit(subject, config, len(targets)), _Batches(subject, games, config, targets)
    per_epoch = max(1, config.games // config.batch_size)
    steps, stale, step = per_epoch * config.epochs, 0, 0
    evaluations = {round(steps * (i + 1) / config.evaluations) for i in range(config.evaluations)}
    held_out = range(per_epoch * config.batch_size, config.first_test_game, config.batch_size)
    for step in tqdm(range(1, steps + 1), desc=title, unit="step", mininterval=1):
        x, labels = batch((step - 1) % per_epoch * config.batch_size)
        fit.step(x, labels, min(1.0, step / 10) * (1 - (step - 1) / steps))
        if step in evaluations:
            stale = 0 if fit.improved(map(batch, held_out)) else stale + 1
            if stale >= config.patience:
                break
    for best in fit.best.values():
        best.restore()
    assert batch.statistics is not None
    return FittedProbes(fit.modules, tuple(targets), *batch.statistics, step)
