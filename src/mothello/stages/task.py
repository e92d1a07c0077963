"""Fine-tuning on a task: a head on one layer's states learns its labels from games in one language; every language is
watched on the way, and none but that one is trained on."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import torch

from mothello.config import NOT_IDENTITY, ranged, without_effect
from mothello.data.sources import Sources
from mothello.data.split import Split
from mothello.errors import UserError
from mothello.measures.tasks.heads import TaskHead
from mothello.measures.tasks.objective import TaskObjective, read_head
from mothello.measures.tasks.task import TASKS, typed_task
from mothello.measures.tasks.transfer import CONTROLS, TaskTransferConfig
from mothello.measures.tasks.watch import TaskWatch
from mothello.model.build import build_model
from mothello.model.transformer import GPT
from mothello.objectives.combined import with_auxiliary
from mothello.objectives.objective import Objective, check_objective
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
            without_effect(self, "stage", "with stage.tune=head", "frozen", "auxiliary")
            if Control.scratch in self.controls:
                raise UserError("stage.controls: with stage.tune=head scratch is random_weights; leave scratch out")


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
        folder = stage_folder(run.folder, settings, command.seed, f"{name}-{self.source}", run.earlier).path
        self.folder = RunDir(folder.with_name(folder.name + CONTROLS.get(control, "")))
        self.title = f"{run.config.name}, {name} learned from {self.source}{f', {control}' if control else ''}"
        if not self.folder.finished or command.force:  # else its games may be gone
            self._games()

    def _games(self) -> Sources:
        games = games_of(self.config.data, self.language_set, Split.transfer, self.config.data.games)
        check_objective(self.objective(), games, self.config.data, self.language_set, self.config.model)
        return games

    def objective(self) -> Objective:
        """Of a control with random weights without the auxiliary ones, since the model is not trained."""
        auxiliary = {} if self.control == Control.random_weights else self.config.auxiliary
        return with_auxiliary(TaskObjective(self.task, self.layer), "task", auxiliary)

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
    if run.stage != "task":
        raise UserError(f"run: {run.folder.path} was not fine-tuned on a task")
    settings = run.folder.read_config().get("settings") or {}
    weights = checkpoint.latest(run.folder.checkpoints)[0].weights
    return read_head(settings["task"], run.model.config.d_model, weights).to(run.device).eval()
