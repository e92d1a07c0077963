"""Fine-tuning on a task: a head on one layer's states learns its labels from games in one language; every language is
watched on the way, and none but that one is trained on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mothello.config import NOT_IDENTITY, ranged, without_effect
from mothello.data.batch import IGNORE, Batch
from mothello.data.config import DataConfig
from mothello.data.sources import Sources
from mothello.data.split import Split
from mothello.data.stream import Stream
from mothello.errors import UserError
from mothello.languages.language_set import LanguageSet
from mothello.measures.activations import states_of_layer
from mothello.measures.tasks.heads import TaskHead
from mothello.measures.tasks.task import TASKS, Labels, Task, labels_of, typed_task
from mothello.measures.tasks.transfer import CONTROLS, TaskTransferConfig
from mothello.measures.tasks.watch import TaskWatch
from mothello.model.build import build_model
from mothello.model.inputs import AttentionMask
from mothello.model.transformer import GPT, TASK_HEAD
from mothello.objectives.objective import Loss, Part
from mothello.rundir import RunDir
from mothello.seeding import derive
from mothello.stages.build import games_of
from mothello.stages.continued import STAGES, Continuation
from mothello.stages.folders import stage_folder
from mothello.stages.one_language import OneLanguage, OneLanguageConfig
from mothello.stages.run import Run
from mothello.training import checkpoint

COUNTED = 4096
"""Games of the training, at most, in which the best guesses are counted."""


class Tune(StrEnum):
    """What is trained: the model with the head, or the head alone."""

    model = "model"
    head = "head"


class Control(StrEnum):
    """What else is trained, to compare with."""

    random_weights = "random_weights"
    scratch = "scratch"
    targets = "targets"


@dataclass(kw_only=True)
class TaskStageConfig(OneLanguageConfig):
    """Fine-tuning on a task, in one language."""

    name: str = "task"
    task: Any = field(default_factory=lambda: {"name": "flips"})
    """A name in TASKS with its settings."""
    layer: int = ranged(-1, low=-1)
    """The layer whose states the head reads: 0 for the embeddings, -1 for the last."""
    tune: Tune = Tune.model
    """model: all weights up to that layer and the head. head: the head alone."""
    controls: list[Control] = field(default_factory=lambda: [Control.random_weights], metadata=NOT_IDENTITY)
    """What is trained besides. random_weights: the head alone on a model with random weights. scratch: the same as is
    asked for, from random weights. targets: the same in every other language."""

    def __post_init__(self) -> None:
        self.task = typed_task(self.task, "stage.task")
        if self.objective:
            raise UserError("stage.objective: has no effect on a task; leave it out")
        if self.tune is Tune.head:
            without_effect(self.optimizer, "stage.optimizer", "with stage.tune=head", "muon_lr")
            without_effect(self, "stage", "with stage.tune=head", "frozen")
            if Control.scratch in self.controls:
                raise UserError("stage.controls: with stage.tune=head scratch is random_weights; leave scratch out")


class TaskBatch(NamedTuple):
    """Games and their labels."""

    text: Batch
    labels: Mapping[str, Labels]

    @property
    def targets(self) -> Tensor:
        """The classes, IGNORE where there is none."""
        return _known(self.labels["class"])


def _known(labels: Labels) -> Tensor:
    return torch.where(labels >= 0, labels.long(), IGNORE)


class TaskObjective:
    """Cross-entropy of a task's labels, read by the model's task head from the states of one layer."""

    attention: AttentionMask | None = None

    def __init__(self, task: Task, layer: int) -> None:
        self.task, self.layer = task, layer

    def check(self, games: Sources, data: DataConfig, language_set: LanguageSet) -> None:
        """Any games will do."""

    def batch(self, stream: Stream, step: int) -> TaskBatch:
        """The stream's games."""
        label = partial(labels_of, self.task, board=stream.language_set.board)
        return TaskBatch(stream.batch(step), stream.labels(step, label))

    def loss(self, model: GPT, batch: TaskBatch) -> Loss:
        """In nats per class, and per pointer."""
        assert model.task_head is not None
        logits = model.task_head(states_of_layer(model, batch.text, self.layer))
        parts = {}
        for name, labels in batch.labels.items():
            known = _known(labels)
            total = F.cross_entropy(logits[name].flatten(0, 1), known.flatten(), ignore_index=IGNORE, reduction="sum")
            parts[name] = Part(total, (known != IGNORE).sum(), 1.0)
        main = parts.pop("class")
        return Loss(main.sum, main.count, parts)

    def floor(
        self, batch: Any, language_set: LanguageSet, oracles: Sequence[Any], weights: Sequence[float] | None
    ) -> None:
        """Not known."""


@STAGES.register("task")
class TaskStage(OneLanguage):
    """Training a run's model with a head, or the head alone, on a task in games of one language; as a control, from
    random weights."""

    Config = TaskStageConfig

    def __init__(self, settings: TaskStageConfig, command: Continuation, run: Run, control: str = "") -> None:
        if settings.source == run.language_set.names[0]:
            settings = replace(settings, source="")  # what it is by default: one folder
        super().__init__(settings, command, run, scratch=bool(control))
        if Control.targets in settings.controls and len(run.languages) == 1:
            raise UserError("controls: targets has no effect with one language; leave it out")
        self.command, self.control, last = command, control, run.model.config.n_layer
        self.layer = last if settings.layer < 0 else settings.layer
        if self.layer > last:
            raise UserError(f"layer: {self.layer} is none of the model's layers 0..{last}")
        name, self.task = settings.task.name, TASKS.build(settings.task)
        folder = stage_folder(run.folder, settings, command.seed, f"{name}-{self.source}").path
        self.folder = RunDir(folder.with_name(folder.name + CONTROLS.get(control, "")))
        self.title = f"{run.config.name}, {name} learned from {self.source}{f', {control}' if control else ''}"
        if not self.folder.finished or command.force:  # else its games may be gone
            self._games()

    def _games(self) -> Sources:
        return games_of(self.config.data, self.language_set, Split.transfer, self.config.data.games)

    def objective(self) -> TaskObjective:
        return TaskObjective(self.task, self.layer)

    def initial(self) -> GPT:
        """With a new head. Of a head alone the model takes no gradients."""
        alone = self.settings.tune is Tune.head or self.control == Control.random_weights
        if self.control == Control.random_weights:  # blocks that start at zero would be a model without layers
            shape = replace(self.config.model, zero_init=False)
            model = build_model(shape, self.language_set).initialize(derive(self.config.seed, "random weights"))
        else:
            model = super().initial()
        if alone:
            model.requires_grad_(False)
        model.task_head = TaskHead(self.task, model.config.d_model).initialize(self.config.seed)
        return model

    def watch(self, device: torch.device) -> Callable[[GPT], dict[str, float]]:
        """How well every language's states answer the task, and the best guesses."""
        config, taught = self.config, self._games()[self.language]
        held_out = games_of(config.data, self.language_set, Split.validation, config.evaluation.games)
        counted = taught.moves(torch.arange(min(COUNTED, len(taught)), device=device))
        return TaskWatch(
            self.task, self.settings.task.name, self.layer, self.language_set, held_out, config.evaluation.games,
            counted, config.device.precision,
        )  # fmt: skip

    def company(self) -> dict[str, list["TaskStage"]]:
        """The controls that are asked for."""
        names, settings, asked = self.language_set.names, self.settings, set(self.settings.controls)
        others = [name for name in names if name != self.source] * (Control.targets in asked)
        more = {
            control.value: [TaskStage(settings, self.command, self.run, control)]
            for control in (Control.random_weights, Control.scratch) if control in asked
        }  # fmt: skip
        tuned = [TaskStage(replace(settings, source=name), self.command, self.run) for name in others]
        return more | ({Control.targets.value: tuned} if tuned else {})

    def measures(self) -> list[Any]:
        """The numbers of the task, in every language; those of a control stand in them."""
        return [] if self.control else [TaskTransferConfig()]


def load_head(run: Run) -> TaskHead:
    """The head of a run that was fine-tuned on a task; ``head(run.states(games, language)[layer])`` are its logits.

    UserError where the run is none."""
    settings = run.folder.read_config().get("settings") or {}
    if run.stage != "task":
        raise UserError(f"run: {run.folder.path} was not fine-tuned on a task")
    head = TaskHead(TASKS.build(typed_task(settings["task"], "settings.task")), run.model.config.d_model)
    weights = checkpoint.latest(run.folder.checkpoints)[0].weights
    head.load_state_dict({k.removeprefix(TASK_HEAD): x for k, x in weights.items() if k.startswith(TASK_HEAD)})
    return head.to(run.device).eval()
