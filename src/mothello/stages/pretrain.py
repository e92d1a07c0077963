"""Pretraining: from random weights, on the games of all languages."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, is_dataclass
from typing import Any, ClassVar

import torch

from mothello.config import NOT_IDENTITY, check, check_name, plain, typed, without_effect
from mothello.data.config import DataConfig
from mothello.data.sources import Sources
from mothello.data.split import Split
from mothello.data.stream import Stream
from mothello.errors import UserError, keyed
from mothello.languages.language_set import LanguagesConfig
from mothello.model.build import build_model
from mothello.model.transformer import GPT, ModelConfig
from mothello.objectives.combined import build_objective, typed_auxiliary
from mothello.objectives.objective import OBJECTIVES, Objective, special_tokens
from mothello.othello.board import BoardConfig
from mothello.registry import load_plugins
from mothello.rundir import RunDir
from mothello.stages.build import language_set_of, training_games, weights_of
from mothello.stages.evaluate import EvaluationConfig
from mothello.stages.folders import Origin, identity, own_settings, recall_games, run_folder, runs_like
from mothello.tracking import TrackingConfig
from mothello.training.device import DeviceConfig
from mothello.training.distributed import World
from mothello.training.keeping import CheckpointsConfig
from mothello.training.optimizer import OptimizerConfig


@dataclass(kw_only=True)
class TrainConfig:
    """scripts/train.py: one pretraining run."""

    names_itself: ClassVar[bool] = True
    """Without a name it is called after the settings that its command line changes."""
    name: str = field(default="custom", metadata=NOT_IDENTITY)
    """Folder and wandb group; experiments set it, else scripts/train.py makes it of what its command line changes."""
    board: BoardConfig = field(default_factory=BoardConfig)
    languages: LanguagesConfig = field(default_factory=LanguagesConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    objective: Any = field(default_factory=lambda: {"name": "causal_lm"})
    """What the model is trained to do: a name in OBJECTIVES with its settings."""
    auxiliary: dict[str, Any] = field(default_factory=dict)
    """Objectives that are added to it, each with a weight."""
    plugins: list[str] = field(default_factory=list, metadata=NOT_IDENTITY)
    """Your own modules, imported first: they register objectives, kinds of languages and so on."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig, metadata=NOT_IDENTITY)
    device: DeviceConfig = field(default_factory=DeviceConfig, metadata=NOT_IDENTITY)
    tracking: TrackingConfig = field(default_factory=TrackingConfig, metadata=NOT_IDENTITY)
    seed: int = field(default=0, metadata=NOT_IDENTITY | {"low": 0})
    """Initialization and data order, nothing else."""
    checkpoint_every: float = field(default=120, metadata=NOT_IDENTITY | {"low": 0})
    """Seconds between checkpoints, 0 for the last only."""
    checkpoints: CheckpointsConfig = field(default_factory=CheckpointsConfig, metadata=NOT_IDENTITY)
    runs: str = field(default="runs", metadata=NOT_IDENTITY)
    """Where run folders go."""
    run: str = field(default="", metadata=NOT_IDENTITY)
    """This run's folder; by default runs/NAME/HASH/seedN."""
    fork: str = field(default="", metadata=NOT_IDENTITY)
    """A run's folder: training goes on from one of its steps, with its settings but for those given here."""
    at: int = field(default=0, metadata=NOT_IDENTITY | {"low": 0})
    """The step: one of checkpoints.keep.full, or of the last checkpoints."""
    origin: dict[str, Any] = field(default_factory=dict)
    """Of a fork, found out: the identity and the seed of the run that it goes on from, and the step."""
    force: bool = field(default=False, metadata=NOT_IDENTITY)
    """Start again even if the run is finished or begun. What the house wrote in its folder is replaced, measures
    included; all else there is kept."""
    dry_run: bool = field(default=False, metadata=NOT_IDENTITY)
    """Print what would be done and what it would take, and stop."""

    def __post_init__(self) -> None:
        check_name(self.name, "name")
        load_plugins(self.plugins)
        self.objective = OBJECTIVES.typed(self.objective, "objective")
        self.auxiliary = typed_auxiliary(self.auxiliary, self.objective)
        if all(map(is_dataclass, (self.objective, *self.auxiliary.values()))):  # else a plugin is missing
            objective = build_objective(self.objective, self.auxiliary)
            self.model.take_mask(objective.attention)
            self.languages = self.languages.with_special(special_tokens(objective))
        check(self, "")
        if self.fork and self.origin.get("step", self.at) >= self.data.steps:
            raise UserError(f"at: nothing is left after step {self.at} of {self.data.steps}; add games: data.games=...")
        self.checkpoints.keep.steps(self.data.steps)
        if bool(self.fork) != bool(self.origin):
            raise UserError("fork: goes with at=STEP, in scripts/train.py and mothello.train alone")
        if self.at and not self.fork:
            raise UserError("at: has no effect without fork; leave it out")
        recall_games(self.data, runs_like(self))
        if len(self.languages.language_names()) == 1:
            key = "data.language_sampling"
            without_effect(
                self.data.language_sampling, key, "with one language", "pairing", "shares", "shares_end", "alpha"
            )


def stored_config(folder: RunDir, content: Mapping[str, Any]) -> TrainConfig:
    """The config of a stage from its config.yaml. UserError names the file and the key."""
    with keyed(f"run: {folder.path / 'config.yaml'}: "):
        try:
            load_plugins(content.get("plugins", []))
            return typed(own_settings(content), TrainConfig)
        except (TypeError, AttributeError, KeyError) as error:  # whatever the file may hold
            raise UserError(f"is damaged ({error})") from None


class Pretrain:
    """Training from random weights on a mixture of all languages."""

    Config: Any = TrainConfig
    origin: Origin | None = None
    reads_games = True

    def __init__(self, config: TrainConfig) -> None:
        self.config, self.language_set = config, language_set_of(config)
        needed = special_tokens(build_objective(config.objective, config.auxiliary))
        if unneeded := set(config.languages.special_tokens) - set(needed):
            raise UserError(f"languages.special_tokens: no objective needs {min(unneeded)!r}; leave it out")
        self.floor_weights: list[float] | None = weights_of(config.data, self.language_set)
        self.identity = identity(config)
        self.folder = RunDir(run_folder(config))
        if not self.folder.finished or config.force:  # else its games may be gone
            self._games()
        self.title = config.name

    def content(self) -> dict[str, Any]:
        return {"stage": "pretrain", **plain(self.config), "generator_version": self.identity["generator_version"]}

    def check(self) -> None:
        """UserError when another config made the folder: it is never touched, not even with force."""
        path = self.folder.path
        self.folder.check_own(self.config.force)
        try:
            content = self.folder.read_config()
        except UserError:
            return  # nothing is there, or it is begun again
        stored = stored_config(self.folder, content)
        made = identity(stored) | {"seed": stored.seed, "generator_version": content.get("generator_version")}
        now = self.identity | {"seed": self.config.seed}
        for key in sorted({*made, *now}):
            if made.get(key) != now.get(key):
                raise UserError(f"run: {path} was made by another config ({key} differs); choose another folder")

    def initial(self) -> GPT:
        return build_model(self.config.model, self.language_set).initialize(self.config.seed)

    def stream(self, device: torch.device, world: World) -> Stream:
        return Stream(self._games(), self.language_set, self.config.data, self.config.seed, device, world)

    def objective(self) -> Objective:
        """With the auxiliary ones."""
        return build_objective(self.config.objective, self.config.auxiliary)

    def _games(self) -> Sources:
        return training_games(self.config, self.language_set, Split.train)

    def watch(self, device: torch.device) -> Callable[[GPT], dict[str, float]]:
        return lambda _: {}
