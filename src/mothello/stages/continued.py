"""Stages that go on from a run: what they share, and the registry of all that can be asked for by name."""

import os
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from omegaconf import MISSING

from mothello.config import NOT_IDENTITY, plain
from mothello.data.config import DataConfig
from mothello.data.sources import Sources
from mothello.data.split import Split
from mothello.data.stream import Stream
from mothello.errors import UserError, keyed
from mothello.model.separate import frozen_names
from mothello.model.transformer import GPT
from mothello.objectives.combined import build_objective, typed_auxiliary
from mothello.objectives.objective import OBJECTIVES, Objective, check_frozen, check_model
from mothello.registry import Registry, load_plugins
from mothello.stages.build import games_of, training_games
from mothello.stages.evaluate import EvaluationConfig
from mothello.stages.folders import Origin, recall_games, stage_folder, stage_identity
from mothello.stages.run import Run
from mothello.tracking import TrackingConfig
from mothello.training.device import DeviceConfig
from mothello.training.distributed import World
from mothello.training.keeping import CheckpointsConfig
from mothello.training.optimizer import OptimizerConfig

STAGES: Registry["Continued"] = Registry("stage", ("measures", "checkpoints", "wandb"))


@dataclass(kw_only=True)
class ContinuedConfig:
    """Settings that every stage has. All but its name determine its result."""

    name: str = ""
    data: DataConfig = field(default_factory=lambda: DataConfig(games=12_800))
    objective: dict[str, Any] = field(default_factory=dict)
    """What differs from the run's objective, such as {softmax: language}; another one has its name here."""
    auxiliary: dict[str, Any] = field(default_factory=dict)
    """Objectives that are added to it, each with a weight, such as {realign: {weight: .1}}; the run's are not taken
    over."""
    frozen: list[str] = field(default_factory=list)
    """Parameters that stay as they are: patterns of their names, such as blocks.0.*; separate: all that languages have
    for themselves (model.separate), as is usual; lower: the embeddings and the first half of the blocks; upper: all
    above. [none] trains all."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)


@dataclass(kw_only=True)
class Continuation:
    """What a command that goes on from a run is told, besides the settings of the stage."""

    run: str = field(default=MISSING, metadata=NOT_IDENTITY)
    """The run's folder."""
    at: int | None = field(default=None, metadata=NOT_IDENTITY | {"low": 0})
    """A step of the run that is kept, or 0 for its random weights; by default the newest."""
    plugins: list[str] = field(default_factory=list, metadata=NOT_IDENTITY)
    """Modules to import first, which may register stages."""
    device: DeviceConfig = field(default_factory=DeviceConfig, metadata=NOT_IDENTITY)
    tracking: TrackingConfig = field(default_factory=TrackingConfig, metadata=NOT_IDENTITY)
    seed: int = field(default=0, metadata={"low": 0})
    """Data order, and what is drawn at random."""
    checkpoint_every: float = field(default=120, metadata=NOT_IDENTITY | {"low": 0})
    """Seconds between checkpoints, 0 for the last only."""
    checkpoints: CheckpointsConfig = field(default_factory=CheckpointsConfig, metadata=NOT_IDENTITY)
    force: bool = field(default=False, metadata=NOT_IDENTITY)
    dry_run: bool = field(default=False, metadata=NOT_IDENTITY)

    key: ClassVar[str] = "stage."
    """Where the settings of the stage stand: put before the messages about them."""


def changed(asked: Mapping[str, Any], of_the_run: Any) -> tuple[dict[str, Any], Any]:
    """What is asked for that differs from the run's objective, and the whole objective."""
    if not asked:
        return {}, of_the_run
    other = asked.get("name", of_the_run.name) != of_the_run.name
    objective = OBJECTIVES.typed(dict(asked) if other else plain(of_the_run) | dict(asked), "objective")
    run, now = plain(of_the_run), plain(objective)
    return {key: value for key, value in now.items() if other or value != run[key]}, objective


class Continued:
    """Training that goes on from a run's model, on the run's languages. Messages of the constructor about its settings
    name them as they stand in the stage, and a command puts its key before them; those of ``check`` have it.

    A stage of one's own derives from it: with a ``Config`` that derives from ContinuedConfig, and what it does
    differently: the model it begins with, its games, what is watched.
    """

    Config: Any = ContinuedConfig
    floor_weights: list[float] | None = None
    origin: Origin | None = None
    reads_games = True
    mixed = True
    """Whether batches mix languages."""

    def __init__(self, settings: Any, command: Continuation, run: Run) -> None:
        own, self.settings, self.run, self.language_set = settings, settings, run, run.language_set
        self.key = command.key
        recall_games(own.data, run.folder.path.glob(f"{own.name}/*"))
        plugins = list(dict.fromkeys([*run.config.plugins, *command.plugins]))
        load_plugins(plugins)
        own.objective, objective = changed(own.objective, run.config.objective)
        own.auxiliary = typed_auxiliary(own.auxiliary, objective)
        self.config = replace(
            run.config, data=replace(own.data, corpus_seed=run.config.data.corpus_seed), objective=objective,
            auxiliary=own.auxiliary, plugins=plugins, optimizer=own.optimizer, evaluation=own.evaluation,
            device=command.device, tracking=command.tracking, seed=command.seed, run="", fork="", at=0, origin={},
            checkpoint_every=command.checkpoint_every, checkpoints=command.checkpoints, force=command.force,
            dry_run=command.dry_run,
        )  # fmt: skip
        if missing := set(self.config.languages.special_tokens) - set(run.language_set.special_tokens):
            line = f"{objective.name} needs the token {min(missing)!r}, which the run's model does not read"
            raise UserError(f"objective: {line}")
        self.frozen = frozen_names(run.model, own.frozen)
        self.identity = stage_identity(settings, command.seed, run.earlier)
        self.folder = stage_folder(run.folder, settings, command.seed, at=run.earlier)
        self.title = f"{run.config.name}, {settings.name}"

    def content(self) -> dict[str, Any]:
        """config.yaml: of the form of a pretraining's, with the parent and the state that training goes on from."""
        return {
            "stage": self.settings.name, "parent": os.path.relpath(self.run.folder.path, self.folder.path),
            "from": self.run.reached, "settings": plain(self.settings), **plain(self.config),
            "generator_version": self.identity["generator_version"],
        }  # fmt: skip

    @property
    def _begun(self) -> dict[str, int]:
        """The state of the run that the folder's training began from."""
        known = (self.folder.path / "config.yaml").exists() and not self.config.force
        return self.folder.read_config().get("from", {}) if known else {}

    def check(self) -> None:
        """UserError when a training to go on with began from another state of the run; one that is finished, from an
        earlier state, is done again."""
        self.folder.check_own(self.config.force)
        begun = self._begun
        if not self.folder.finished:
            with keyed(self.key):
                self._games()
                check_frozen(self.objective(), self.run.model, self.frozen)
        if self.folder.finished and begun.get("step", self.run.step) < self.run.step:
            self.config.force = True
        if begun and begun != self.run.reached and not self.folder.finished and not self.config.force:
            line = f"began from step {begun['step']} of the run, whose newest good checkpoint is step {self.run.step}"
            raise UserError(f"run: {self.folder.path} {line}; force=true to begin again")

    def initial(self) -> GPT:
        """A copy of the run's model, some of it frozen."""
        model = deepcopy(self.run.model)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name not in self.frozen)
        return model

    def stream(self, device: torch.device, world: World) -> Stream:
        """Games of all languages."""
        return Stream(self._games(), self.language_set, self.config.data, self.config.seed, device, world)

    def objective(self) -> Objective:
        """That of the run, with what the settings change."""
        return build_objective(self.config.objective, self.config.auxiliary)

    def company(self) -> Mapping[str, Sequence["Continued"]]:
        """Other trainings to compare with, by what they are; scripts/stage.py runs them after this one."""
        return {}

    def measures(self) -> Sequence[Any]:
        """Configs of the measures that scripts/stage.py takes of the trained model."""
        return []

    def _games_alone(self) -> Sources:
        """Of a stage that trains its objective alone, not the run's. UserError for what does not fit it."""
        data, objective = self.config.data, self.objective()
        games = games_of(data, self.language_set, Split.transfer, data.games)
        objective.check(games, data, self.language_set)
        check_model(objective, self.config.model)
        return games

    def _games(self) -> Sources:
        return training_games(self.config, self.language_set, Split.transfer, self.mixed)

    def watch(self, device: torch.device) -> Callable[[GPT], dict[str, float]]:
        """Nothing."""
        return lambda _: {}
