"""Every source language's probes on every language's states of the same games, under every symmetry of the opening.

One forward pass per language and batch of games; counts are kept, so memory does not grow with the games read.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int8, Int64
from torch import Tensor
from tqdm import tqdm

from mothello.measures.measure import Subject
from mothello.measures.probes.baselines import images
from mothello.measures.probes.counting import cells_right, padded, rows_right
from mothello.measures.probes.fit import SHUFFLED, FittedProbes
from mothello.measures.probes.targets import N_CLASSES, TARGETS, BoardTargets, board_targets
from mothello.othello.board import Board
from mothello.othello.symmetry import OPENING_MAPS
from mothello.training.device import Precision, autocast

GAMES_AT_ONCE = 100
EXAMPLES = 2
"""Games whose readings are kept to be looked at."""


class Games(NamedTuple):
    """The games that probes are scored on."""

    moves: Int8[Tensor, "game ply"]
    truth: BoardTargets

    @property
    def plies(self) -> Int64[Tensor, " game"]:
        """Scored plies of every game."""
        return self.truth.scored.sum(1).cpu()

    @property
    def cells(self) -> Int64[Tensor, " game"]:
        """Cells to read in every game."""
        return self.plies * self.truth.classes.shape[-1]


def accuracy(right: Int64[Tensor, "*batch game"], games: Games) -> Float[Tensor, "*batch"]:
    """Share of the cells read right."""
    return right.sum(-1).double() / games.cells.sum()


def standard_error(right: Int64[Tensor, "*batch game"], games: Games) -> Float[Tensor, "*batch"]:
    """Standard error of the accuracy, over games."""
    residual = right.double() - accuracy(right, games).unsqueeze(-1) * games.cells
    return residual.std(-1) / games.cells.double().mean() / len(games.moves) ** 0.5


class _Batch:
    """Some of the games: their scored rows, and the boards that readings are compared with."""

    def __init__(self, moves: Tensor, first: int, board: Board) -> None:
        truth = board_targets(moves, board)
        self.moves, self.scored = moves, truth.scored
        self.games = slice(first, first + len(moves))
        self.game, self.ply = truth.scored.nonzero().unbind(1)
        moved = images(truth.classes.to(torch.int8), board).transpose(0, 1)  # [target, map, game, ply, cell]
        self.boards = padded(moved[:, :, truth.scored], -2)

    def whole_games(self, readings: Tensor) -> Tensor:
        """Scored rows back in their games: [..., row, cell] -> [..., game, ply, cell]."""
        grid = torch.zeros(*readings.shape[:-2], *self.scored.shape, readings.shape[-1], dtype=torch.int8)
        grid[..., self.scored.cpu(), :] = readings.cpu()
        return grid


@dataclass
class CrossLingual:
    """Counts of what the probes of one kind read right on the scored plies of the same games. On the CPU."""

    right: Int64[Tensor, "target layer source language map game"]
    """Cells read as the image of the true board has them."""
    by_cell: Int64[Tensor, "target layer source language cell"]
    """Scored plies at which that cell is read right (under the identity, as below)."""
    by_ply: Int64[Tensor, "target layer source language ply"]
    """Cells read right after that ply."""
    whole: Int64[Tensor, "target layer source language"]
    """Scored plies at which every cell is read right."""
    readings: Int8[Tensor, "target layer source language game ply cell"]
    """Classes as read, of the first games; zeros after the end of a game."""
    shuffled: Int64[Tensor, "layer language game"] | None
    """Cells that the probes of another game's board read right in their own language: the control."""

    @staticmethod
    def zeros(subject: Subject, moves: Int8[Tensor, "game ply"], shuffled: bool) -> "CrossLingual":
        """Before the first batch."""
        (n, plies), cells, layers, languages = moves.shape, subject.board.n_cells, subject.n_layers, len(subject.names)
        shape = (len(TARGETS), layers, languages, languages)

        def counts(*size: int) -> Tensor:
            return torch.zeros(size, dtype=torch.int64)

        return CrossLingual(
            right=counts(*shape, len(OPENING_MAPS), n), by_cell=counts(*shape, cells), by_ply=counts(*shape, plies),
            whole=counts(*shape),
            readings=torch.zeros(*shape, min(EXAMPLES, n), plies, cells, dtype=torch.int8),
            shuffled=counts(layers, languages, n) if shuffled else None,
        )  # fmt: skip

    def add(self, target: int, pair: tuple[int, int], readings: Tensor, batch: _Batch) -> None:
        """Count readings [layer, row, cell] of one target, source and language; keep those of the first games."""
        lanes, at = padded(readings, -1), (target, slice(None), *pair)
        right = cells_right(lanes, batch.boards[target])
        self.right[(*at, slice(None), batch.games)] = _by(right, batch.game, len(batch.moves))
        self.by_ply[at] += _by(right[:, 0], batch.ply, self.by_ply.shape[-1])
        self.by_cell[at] += rows_right(lanes, batch.boards[target, 0], readings.shape[-1]).cpu()
        self.whole[at] += (right[:, 0] == readings.shape[-1]).sum(-1).cpu()
        if batch.games.start == 0:
            self.readings[at] = batch.whole_games(readings)[:, : self.readings.shape[4]]

    def add_shuffled(self, language: int, readings: Tensor, batch: _Batch) -> None:
        """The same for the probes of another game's board."""
        assert self.shuffled is not None
        right = cells_right(padded(readings, -1), batch.boards[TARGETS.index("absolute"), :1]).squeeze(-2)
        self.shuffled[:, language, batch.games] = _by(right, batch.game, len(batch.moves))


def _by(values: Int64[Tensor, "*batch row"], group: Int64[Tensor, " row"], n: int) -> Int64[Tensor, "*batch group"]:
    """Sums over the rows of every group."""
    return values.new_zeros(*values.shape[:-1], n).index_add_(-1, group, values).cpu()


def read(
    probes: FittedProbes, kind: str, target: str, source: int, x: Float[Tensor, "layer row d_model"],
    precision: Precision = Precision.auto, layers: slice = slice(None),
) -> Int8[Tensor, "layer row cell"]:  # fmt: skip
    """The classes that the probes of one language read in normalized states (FittedProbes.normalize) of some layers."""
    weights = {name: p[layers] for name, p in probes.weights(kind, target, source).items()}
    with torch.no_grad(), autocast(x.device, precision):
        logits = torch.func.functional_call(probes.modules[kind], weights, (x[layers],))
    a, b, c = logits.unflatten(-1, (-1, N_CLASSES)).unbind(-1)
    return (b > a).to(torch.int8).masked_fill_(c > torch.maximum(a, b), 2)


def evaluate_probes(subject: Subject, probes: FittedProbes, moves: Int8[Tensor, "game ply"]) -> dict[str, CrossLingual]:
    """Read the boards of held-out games in every language with every language's probes, and score them, by probe
    kind."""
    shuffled, languages = SHUFFLED in probes.targets, range(len(subject.names))
    counts = {kind: CrossLingual.zeros(subject, moves, shuffled) for kind in probes.modules}
    starts = range(0, len(moves), GAMES_AT_ONCE)
    bar = tqdm(total=len(starts) * len(languages), desc="read boards", unit="language", delay=1, mininterval=1)
    for first in starts:
        batch = _Batch(moves[first : first + GAMES_AT_ONCE], first, subject.board)
        for language in languages:
            x = subject.states(batch.moves, language)[:, batch.scored]
            for source in languages:
                own = probes.normalize(x, source)
                for kind, count in counts.items():
                    for target, name in enumerate(TARGETS):
                        readings = read(probes, kind, name, source, own, subject.precision)
                        count.add(target, (source, language), readings, batch)
                    if shuffled and source == language:
                        readings = read(probes, kind, SHUFFLED, source, own, subject.precision)
                        count.add_shuffled(language, readings, batch)
            bar.update()
    bar.close()
    return counts
