"""The measure "tasks": a linear head is fitted on one language's states and then reads the other languages' as it is.

All tasks here but bracket are the same under the symmetries of the opening, so a head also reads a language that is
aligned through a mirror image only. Of a task that points, the classes are read.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float, Int8, Int64
from torch import Tensor
from tqdm import tqdm

from mothello.bootstrap import Bootstrap
from mothello.config import check, ranged
from mothello.data.batch import Context
from mothello.data.split import probe_corpus
from mothello.errors import UserError
from mothello.measures.measure import MEASURES, Row, Subject
from mothello.measures.tasks.heads import Heads, fit_heads
from mothello.measures.tasks.score import guesses, score
from mothello.measures.tasks.task import TASKS, Labels, Task, typed_task
from mothello.rows import Table, format_table
from mothello.seeding import generator

GAMES_AT_ONCE = 128


@dataclass(kw_only=True)
class TasksConfig:
    """Linear heads for tasks, fitted on one language and read in all."""

    name: str = "tasks"
    names: list[str] = field(default_factory=lambda: ["flips", "region", "winner"])
    """Tasks."""
    options: dict[str, Any] = field(default_factory=dict)
    """Settings of tasks: tasks.options.TASK.KEY."""
    games: int = ranged(1000, low=2)
    """Games to fit the heads on."""
    test_games: int = ranged(400, low=2)
    """Other games, to score the heads on."""
    sources: list[str] = field(default_factory=list)
    """Languages to fit heads on; by default all."""
    l2: float = ranged(1e-3, low=0)
    """Weight of half the squared norm of a head."""
    draws: int = ranged(1000, low=1)
    """Draws of the bootstrap over games."""
    context: Context = Context.game
    """What a model of full attention is shown where its states are read: the whole game, or the prefix up to there and
    mask tokens after it, as much as a causal model sees. The prefix takes a pass of the model per ply."""
    random_weights: bool = True
    """Control: the same heads on a model with random weights."""

    def __post_init__(self) -> None:
        check(self, "tasks")
        if unused := set(self.options) - set(self.names):
            raise UserError(f"tasks.options.{min(unused)}: has no effect without the task; leave it out")
        configs = {name: self.task_config(name) for name in self.names}
        self.options = {name: configs[name] for name in self.options if configs[name] != type(configs[name])()}

    def task_config(self, name: str) -> Any:
        """The settings of one task, as its own dataclass."""
        options = self.options.get(name, {})
        TASKS.get(name, "tasks.names")
        return typed_task({"name": name, **options} if isinstance(options, dict) else options, f"tasks.options.{name}")

    def shrunk(self, share: float) -> "TasksConfig":
        """The same on a share of the games."""
        sizes = {key: max(2, round(getattr(self, key) * share)) for key in ("games", "test_games")}
        return replace(self, **sizes)


@MEASURES.register("tasks")
class Tasks:
    """Accuracy of every head in every language, of the best guess per ply and per move, and on random weights."""

    Config = TasksConfig

    def __init__(self, config: TasksConfig) -> None:
        self.config = config
        self.tasks: dict[str, Task] = {name: TASKS.build(config.task_config(name)) for name in config.names}

    def __call__(self, subject: Subject) -> Iterator[Row]:
        config, subject = self.config, subject.reading(self.config.context, "tasks.context")
        if unknown := set(config.sources) - set(subject.names):
            raise UserError(f"tasks.sources: no language {min(unknown)!r}; there are {', '.join(subject.names)}")
        games = probe_corpus(subject.board, subject.corpus_seed, config.games, config.test_games)
        moves = games.moves(torch.arange(config.games + config.test_games, device=subject.device))
        fit, test = moves.split([config.games, config.test_games])
        bootstrap = Bootstrap(len(test), config.draws, generator(0, "bootstrap"))
        yield from subject.context_rows()
        for name, task in self.tasks.items():
            yield from self._guesses(name, task, subject, fit, test, bootstrap)
        yield from self._heads(subject, fit, test, bootstrap)
        if config.random_weights:
            yield from self._heads(subject.random_weights(), fit, test, bootstrap)

    def _guesses(
        self, name: str, task: Task, subject: Subject, fit: Tensor, test: Tensor, bootstrap: Bootstrap
    ) -> Iterator[Row]:
        labels, truth = (task.labels(moves, subject.board) for moves in (fit, test))
        for control, guess in guesses(fit, labels, test).items():
            yield _row(name, control, guess, truth, bootstrap)

    def _heads(
        self, subject: Subject, fit: Int8[Tensor, "game ply"], test: Int8[Tensor, "game ply"], bootstrap: Bootstrap
    ) -> Iterator[Row]:
        labels = [task.labels(fit, subject.board).flatten() for task in self.tasks.values()]
        truths = {name: task.labels(test, subject.board) for name, task in self.tasks.items()}
        heads: dict[str, dict[str, Heads]] = {}
        for source in tqdm(self.config.sources or subject.names, desc="tasks", unit="language", mininterval=1):
            states = _states(subject, fit, subject.names.index(source))
            heads[source] = {
                name: fit_heads(states[:, known >= 0], known[known >= 0].long(), task.n_classes, self.config.l2)
                for (name, task), known in zip(self.tasks.items(), labels, strict=True)
            }
        for index, language in enumerate(subject.names):
            states = _states(subject, test, index)
            for source, by_task in heads.items():
                for name, head in by_task.items():
                    for layer, answers in enumerate(head(states).view(-1, *test.shape)):
                        row = _row(name, subject.control, answers, truths[name], bootstrap)
                        yield row | {"layer": layer, "source": source, "language": language}

    def summary(self, rows: Table) -> str:
        """Accuracy of every task at its best layer: own language, other languages, best guesses."""
        table: dict[str, dict[str, object]] = {}
        rows = rows[rows.measure == "tasks"]
        for task in rows.target.unique():
            group = rows[rows.target == task]
            guesses = dict(zip(group.control, group.value, strict=True))
            heads = group[group.layer.notna() & (group.control != "random_weights")]
            within = heads.source == heads.language
            own, across = (part.groupby("layer").value.mean() for part in (heads[within], heads[~within]))
            layer = own.idxmax()
            columns = {"layer": layer, "own": own[layer], "across": across.get(layer, float("nan"))}
            table[task] = columns | {"ply alone": guesses["constant"], "move alone": guesses["constant_by_move"]}
        return f"tasks: labels read right, at the best layer of the own language\n{format_table(table)}"


def _states(subject: Subject, moves: Int8[Tensor, "game ply"], language: int) -> Float[Tensor, "layer row d_model"]:
    """States after every ply of every game; a row is a ply of a game."""
    parts = [subject.states(part, language) for part in moves.split(GAMES_AT_ONCE)]
    return torch.cat(parts, 1).flatten(1, 2)


def _row(task: str, control: str, answers: Int64[Tensor, "game ply"], labels: Labels, bootstrap: Bootstrap) -> Row:
    head: Row = {"measure": "tasks", "quantity": "task_accuracy", "control": control, "target": task}
    return head | score(answers, labels, bootstrap)._asdict()
