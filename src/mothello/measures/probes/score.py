"""Every source language's probes on every language's states of the same games, under every symmetry of the opening.

One forward pass per language and batch of games; what is kept are counts, so memory does not grow with the games read.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int8, Int64
from torch import Tensor

from mothello.data.batch import in_language
from mothello.languages.language_set import LanguageSet
from mothello.measures.activations import states
from mothello.measures.probes.baselines import images
from mothello.measures.probes.counting import cells_right, padded, rows_right
from mothello.measures.probes.fit import SHUFFLED, FittedProbes
from mothello.measures.probes.symmetry_null import NULL_GAMES, NullOfMaximum
from mothello.measures.probes.targets import N_CLASSES, TARGETS, BoardTargets, board_targets
from mothello.model.transformer import GPT
from mothello.othello.symmetry import OPENING_MAPS
from mothello.training.device import Precision, autocast

GAMES_AT_ONCE = NULL_GAMES
DRAWN = 2
"""Games whose readings are kept to be looked at."""


class CrossLingual(NamedTuple):
    """What the probes of one kind read right on the scored plies of the same games. On the CPU."""

    right: Int64[Tensor, "target layer source language map game"]
    """Cells read as the image of the true board has them."""
    by_cell: Int64[Tensor, "target layer source language cell"]
    """Scored plies at which that cell is read right (under the identity, as below)."""
    by_ply: Int64[Tensor, "target layer source language ply"]
    """Cells read right after that ply."""
    whole: Int64[Tensor, "target layer source language"]
    """Scored plies at which every cell is read right."""
    null: Float[Tensor, "target layer source language draw"]
    """Accuracy under the best map of readings paired with other games."""
    readings: Int8[Tensor, "target layer source language game ply cell"]
    """Classes as read, of the first games; zeros after the end of a game."""
    shuffled: Int64[Tensor, "layer language game"] | None
    """Cells that the probes of another game's board read right in their own language: the control."""


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
    """Of the accuracy, over games."""
    residual = right.double() - accuracy(right, games).unsqueeze(-1) * games.cells
    return residual.std(-1) / games.cells.double().mean() / len(games.moves) ** 0.5


class _Batch:
    """Some of the games: their scored rows, and the boards that readings are held against."""

    def __init__(self, moves: Tensor, first: int, language_set: LanguageSet) -> None:
        truth = board_targets(moves, language_set.board)
        self.moves, self.first, self.n, self.scored = moves, first, len(moves), truth.scored
        self.game, self.ply = truth.scored.nonzero().unbind(1)
        self.images = images(truth.classes.to(torch.int8), language_set.board).transpose(
            0, 1
        )  # [target, map, game, ply, cell]
        self.boards = padded(self.images[:, :, truth.scored], -2)

    def whole_games(self, readings: Tensor) -> Tensor:
        """Scored rows back in their games: [..., row, cell] -> [..., game, ply, cell]."""
        grid = torch.zeros(*readings.shape[:-2], *self.scored.shape, readings.shape[-1], dtype=torch.int8)
        grid[..., self.scored.cpu(), :] = readings.cpu()
        return grid


class _Tally:
    """Counts of one probe kind, growing batch by batch."""

    def __init__(self, layers: int, languages: int, moves: Tensor, n_cells: int, draws: int, shuffled: bool) -> None:
        n, plies = moves.shape
        shape = (len(TARGETS), layers, languages, languages)
        self.right = torch.zeros(*shape, len(OPENING_MAPS), n, dtype=torch.int64)
        self.by_cell = torch.zeros(*shape, n_cells, dtype=torch.int64)
        self.by_ply = torch.zeros(*shape, plies, dtype=torch.int64)
        self.whole = torch.zeros(shape, dtype=torch.int64)
        self.null = torch.zeros(*shape, draws)
        self.readings = torch.zeros(*shape, min(DRAWN, n), plies, n_cells, dtype=torch.int8)
        self.shuffled = torch.zeros(layers, languages, n, dtype=torch.int64) if shuffled else None

    def add(self, target: int, pair: tuple[int, int], readings: Tensor, batch: _Batch) -> None:
        """Readings [layer, row, cell] of one target, source and language."""
        lanes, at = padded(readings, -1), (target, slice(None), *pair)
        right = cells_right(lanes, batch.boards[target])
        self.right[(*at, slice(None), slice(batch.first, batch.first + batch.n))] = _by(right, batch.game, batch.n)
        self.by_ply[at] += _by(right[:, 0], batch.ply, self.by_ply.shape[-1])
        self.by_cell[at] += rows_right(lanes, batch.boards[target, 0], readings.shape[-1]).cpu()
        self.whole[at] += (right[:, 0] == readings.shape[-1]).sum(-1).cpu()

    def add_first(
        self, target: int, pair: tuple[int, int], readings: Tensor, batch: _Batch, null: NullOfMaximum
    ) -> None:
        """What only the first batch is used for: the null, and readings to look at."""
        grid, at = batch.whole_games(readings), (target, slice(None), *pair)
        self.readings[at] = grid[:, : self.readings.shape[4]]
        self.null[at] = null(grid)

    def add_shuffled(self, language: int, readings: Tensor, batch: _Batch) -> None:
        assert self.shuffled is not None
        right = cells_right(padded(readings, -1), batch.boards[TARGETS.index("absolute"), :1]).squeeze(-2)
        self.shuffled[:, language, batch.first : batch.first + batch.n] = _by(right, batch.game, batch.n)

    def result(self) -> CrossLingual:
        return CrossLingual(**vars(self))


def _by(values: Int64[Tensor, "*batch row"], group: Int64[Tensor, " row"], n: int) -> Int64[Tensor, "*batch group"]:
    """Sums over the rows of every group."""
    return values.new_zeros(*values.shape[:-1], n).index_add_(-1, group, values).cpu()


def read(probes: FittedProbes, name: str, target: str, source: int, x: Tensor, precision: Precision) -> Tensor:
    """The classes that the probes of one source read in its normalised states: int8 [layer, row, cell]."""
    module, weights = probes.modules[name], probes.weights(name, target, source)
    with torch.no_grad(), autocast(x.device, precision):
        logits = torch.func.functional_call(module, weights, (x,))
    a, b, c = logits.unflatten(-1, (-1, N_CLASSES)).unbind(-1)
    return (b > a).to(torch.int8).masked_fill_(c > torch.maximum(a, b), 2)


def evaluate_probes(
    model: GPT, language_set: LanguageSet, probes: FittedProbes, moves: Int8[Tensor, "game ply"], precision: Precision,
    draws: int, generator: torch.Generator,
) -> dict[str, CrossLingual]:  # fmt: skip
    """Read the boards of held-out games in every language with every language's probes, and score them, by probe kind.

    draws: of the null, on the first NULL_GAMES games, the same pairings for all probes.
    """
    n, layers, shuffled = len(language_set.languages), model.config.n_layer + 1, SHUFFLED in probes.targets
    sizes = (layers, n, moves, language_set.board.n_cells, draws, shuffled)
    tallies = {name: _Tally(*sizes) for name in probes.modules}
    nulls: list[NullOfMaximum] = []
    for first in range(0, len(moves), GAMES_AT_ONCE):
        batch = _Batch(moves[first : first + GAMES_AT_ONCE], first, language_set)
        if first == 0:
            scored, seed = batch.scored.cpu(), int(torch.randint(2**62, (), generator=generator))
            for image in batch.images:
                nulls.append(NullOfMaximum(image.cpu(), scored, draws, torch.Generator().manual_seed(seed)))
        for language in range(n):
            x = states(model, in_language(batch.moves, language, language_set), precision)[:, batch.scored]
            for source in range(n):
                own = probes.normalize(x, source)
                for name, tally in tallies.items():
                    for target, target_name in enumerate(TARGETS):
                        readings = read(probes, name, target_name, source, own, precision)
                        tally.add(target, (source, language), readings, batch)
                        if first == 0:
                            tally.add_first(target, (source, language), readings, batch, nulls[target])
                    if shuffled and source == language:
                        tally.add_shuffled(language, read(probes, name, SHUFFLED, source, own, precision), batch)
    return {name: tally.result() for name, tally in tallies.items()}
