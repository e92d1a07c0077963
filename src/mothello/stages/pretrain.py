"""Pretraining on the mixture of all languages of a family."""

from dataclasses import dataclass, field

from mothello.config import NOT_IDENTITY
from mothello.data.stream import DataConfig, Stream
from mothello.languages.language_set import LanguagesConfig
from mothello.model.transformer import GPT, ModelConfig
from mothello.objectives.objective import objective
from mothello.othello.board import BoardConfig
from mothello.stages.stage import EvaluationConfig
from mothello.tracking import TrackingConfig
from mothello.training.device import DeviceConfig
from mothello.training.loop import Plan, Progress, train
from mothello.training.optimizer import OptimizerConfig


@dataclass(kw_only=True)
class TrainConfig:
    """scripts/train.py: one pretraining run."""

    name: str = field(default="custom", metadata=NOT_IDENTITY)
    """Folder and wandb group; experiments set it."""
    board: BoardConfig = field(default_factory=BoardConfig)
    languages: LanguagesConfig = field(default_factory=LanguagesConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    objective: str = "causal_lm"
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig, metadata=NOT_IDENTITY)
    device: DeviceConfig = field(default_factory=DeviceConfig, metadata=NOT_IDENTITY)
    tracking: TrackingConfig = field(default_factory=TrackingConfig, metadata=NOT_IDENTITY)
    seed: int = field(default=0, metadata=NOT_IDENTITY)
    """Initialisation and data order, nothing else."""
    checkpoint_every: float = field(default=120, metadata=NOT_IDENTITY)
    """Seconds between checkpoints, 0 for the last only."""
    runs: str = field(default="runs", metadata=NOT_IDENTITY)
    """Where run folders go."""
    run: str = field(default="", metadata=NOT_IDENTITY)
    """This run's folder; by default runs/NAME/HASH/seedN."""
    force: bool = field(default=False, metadata=NOT_IDENTITY)
    """Start again even if the run is finished or begun; the old folder's content is replaced."""
    dry_run: bool = field(default=False, metadata=NOT_IDENTITY)
    """Say what would be done, and stop."""

    def __post_init__(self) -> None:
        objective(self.objective)
        if self.seed < 0:
            raise ValueError(f"seed: {self.seed} is negative")
        if self.checkpoint_every < 0:
            raise ValueError(f"checkpoint_every: {self.checkpoint_every} is negative")


def pretrain(model: GPT, stream: Stream, plan: Plan) -> Progress:
    """Train on the stream's batches, each game in a language drawn for it."""
    return train(model, stream.batch, plan)
