"""What is read from a model's states: boards by its probes, labels of tasks by heads; and how well, game by game."""

from collections.abc import Iterator
from typing import NamedTuple

from jaxtyping import Float, Int8, Int64
from torch import Tensor

from mothello.bootstrap import Bootstrap
from mothello.measures.alignment.measure import image_states
from mothello.measures.measure import Row, Subject
from mothello.measures.probes.fit import FittedProbes
from mothello.measures.probes.score import Games, read
from mothello.measures.probes.targets import TARGETS, board_targets
from mothello.measures.tasks.heads import Heads, fit_heads
from mothello.measures.tasks.task import TASKS, Labels, Task, typed_task
from mothello.othello.board import Board
from mothello.seeding import generator

L2 = 1e-3
"""Weight of half the squared norm of a head, as in the measure tasks."""


class Key(NamedTuple):
    """What is read: a board by a kind of probe, or a task by a head."""

    quantity: str
    probe: str
    target: str


class HeldOut(NamedTuple):
    """Games that nothing is fitted on, and the truth about them."""

    games: Games
    labels: dict[str, Labels]
    bootstrap: Bootstrap

    @property
    def moves(self) -> Int8[Tensor, "game ply"]:
        return self.games.moves

    @staticmethod
    def of(moves: Int8[Tensor, "game ply"], board: Board, tasks: dict[str, Task], draws: int = 1) -> "HeldOut":
        """The truth by the rules."""
        labels = {name: task.labels(moves, board) for name, task in tasks.items()}
        bootstrap = Bootstrap(len(moves), draws, generator(0, "bootstrap"))
        return HeldOut(Games(moves, board_targets(moves, board)), labels, bootstrap)


def tasks_of(names: list[str]) -> dict[str, Task]:
    """Tasks with their usual settings. UserError names one that does not exist."""
    return {name: TASKS.build(typed_task(name, "stitch.tasks")) for name in names}


class Readers:
    """Probes and heads of one language of a model, each with the layer at which it reads the model itself best."""

    def __init__(
        self, subject: Subject, language: int, probes: FittedProbes, tasks: dict[str, Task], fit: Tensor, tried: HeldOut
    ) -> None:
        """fit: games to fit heads on. tried: others, by which the layers are chosen."""
        self.language, self.probes, self.precision = language, probes, subject.precision
        states = image_states(subject, fit, language, "identity").flatten(1, 2)
        known = {name: task.labels(fit, subject.board).flatten() for name, task in tasks.items()}
        self.heads = {
            name: fit_heads(states[:, labels >= 0], labels[labels >= 0].long(), tasks[name].n_classes, L2)
            for name, labels in known.items()
        }
        own = image_states(subject, tried.moves, language, "identity")
        below = range(subject.n_layers - 1)
        self.best = {
            key: max(below, key=lambda layer: float(self.right(key, own, layer, tried).sum())) for key in self.keys
        }

    @property
    def keys(self) -> list[Key]:
        boards = [Key("accuracy", kind, target) for kind in self.probes.modules for target in TARGETS]
        return boards + [Key("task_accuracy", "", name) for name in self.heads]

    def right(
        self, key: Key, states: Float[Tensor, "layer game ply d"], layer: int, test: HeldOut
    ) -> Int64[Tensor, " game"]:
        """Cells, or labels, that are read right in the states of a layer."""
        at, truth = slice(layer, layer + 1), test.games.truth
        if key.quantity == "task_accuracy":
            head, labels = self.heads[key.target], test.labels[key.target]
            answers = Heads(head.weight[at], head.bias[at])(states[at].flatten(1, 2)).view(labels.shape)
            return ((answers == labels) & (labels >= 0)).sum(1)
        x = self.probes.normalize(states.flatten(1, 2), self.language)
        cells = read(self.probes, key.probe, key.target, self.language, x, self.precision, at)
        board = truth.classes[TARGETS.index(key.target)]
        return ((cells.view(board.shape) == board) & truth.scored.unsqueeze(-1)).sum((1, 2))

    def rows(self, subject: Subject, test: HeldOut, cut: int | None = None) -> Iterator[Row]:
        """What is read from a model, at the best layers; of one stitched at layer ``cut`` there at the earliest."""
        states = image_states(subject, test.moves, self.language, "identity")
        for key in self.keys:
            layer = self.best[key] if cut is None else max(cut, self.best[key])
            summed = self.right(key, states, layer, test).cpu()
            counted = (test.labels[key.target] >= 0).sum(1).cpu() if key.target in test.labels else test.games.cells
            low, high = test.bootstrap(summed, counted)
            value = float(summed.sum() / counted.sum())
            row: Row = {"layer": layer if cut is None else cut, "value": value, "low": float(low), "high": float(high)}
            yield key._asdict() | row | {"n": int(counted.sum())}
