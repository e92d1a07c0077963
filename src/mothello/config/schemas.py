"""The roots of the scripts that train and measure, composed of the parts' own dataclasses."""

from dataclasses import dataclass, field

from omegaconf import MISSING

from mothello.alignment.config import AlignmentConfig
from mothello.causal.config import CausalConfig
from mothello.data.stream import DataConfig
from mothello.languages.family import FamilyConfig
from mothello.model.transformer import ModelConfig
from mothello.objectives.objective import objective
from mothello.othello.board import board
from mothello.probing.config import ProbeConfig
from mothello.stages.stage import EvaluationConfig
from mothello.tracking import TrackingConfig
from mothello.training.device import DeviceConfig
from mothello.training.optimizer import OptimizerConfig


@dataclass(kw_only=True)
class BoardConfig:
    """The board, and the opening that prefix-restricted pretraining uses on it."""

    size: int = 6
    prefix: list[str] = field(default_factory=list)
    """Opening for experiments that restrict pretraining to a prefix."""

    def __post_init__(self) -> None:
        board(self.size)


@dataclass(kw_only=True)
class TrainConfig:
    """scripts/train.py: one pretraining run."""

    name: str = "custom"
    """Folder and wandb group; experiments set it."""
    board: BoardConfig = field(default_factory=BoardConfig)
    languages: FamilyConfig = field(default_factory=FamilyConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    objective: str = "causal_lm"
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    device: DeviceConfig = field(default_factory=DeviceConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    seed: int = 0
    """Initialisation and data order, nothing else."""
    checkpoint_every: float = 120
    """Seconds between checkpoints, 0 for the last only."""
    runs: str = "runs"
    """Where run folders go."""
    run: str = ""
    """This run's folder; by default runs/NAME/HASH/seedN."""
    force: bool = False
    """Start again even if the run is finished or begun; the old folder's content is replaced."""
    dry_run: bool = False
    """Say what would be done, and stop."""

    def __post_init__(self) -> None:
        objective(self.objective)
        if self.seed < 0:
            raise ValueError(f"seed: {self.seed} is negative")
        if self.checkpoint_every < 0:
            raise ValueError(f"checkpoint_every: {self.checkpoint_every} is negative")


@dataclass(kw_only=True)
class ProbeCommand:
    """scripts/probe.py: probes and alignment of one run."""

    run: str = MISSING
    """The run's folder."""
    probe: ProbeConfig = field(default_factory=ProbeConfig)
    causal: CausalConfig = field(default_factory=CausalConfig)
    device: DeviceConfig = field(default_factory=DeviceConfig)
    force: bool = False
    dry_run: bool = False


@dataclass(kw_only=True)
class MeasureCommand:
    """scripts/measure.py: strict legality, exact, and alignment without probes, of one run."""

    run: str = MISSING
    """The run's folder."""
    legality_games: int = 400
    """Games after whose every ply the next move is asked for."""
    alignment: AlignmentConfig = field(default_factory=AlignmentConfig)
    device: DeviceConfig = field(default_factory=DeviceConfig)
    force: bool = False
    dry_run: bool = False

    def __post_init__(self) -> None:
        if self.legality_games < 2:
            raise ValueError(f"legality_games: {self.legality_games} is below 2")


@dataclass(kw_only=True)
class TransferSettings:
    """Fine-tuning on one language."""

    source: str = ""
    """Language to fine-tune on; by default the first."""
    data: DataConfig = field(default_factory=lambda: DataConfig(games=12_800))
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    alignment: bool = True
    """Probe the model before and after."""
    along: bool = True
    """At every evaluation, compare the source's states with the other languages', without probes."""
    scratch: bool = True
    """Control: the same fine-tuning of a model with random weights."""
    openings: list[list[str]] = field(default_factory=list)
    """Also judge every language on games that begin so; always on the opening that the run was pretrained on."""


@dataclass(kw_only=True)
class TransferCommand:
    """scripts/transfer.py: fine-tune a run on one language and measure all of them."""

    run: str = MISSING
    transfer: TransferSettings = field(default_factory=TransferSettings)
    probe: ProbeConfig = field(default_factory=ProbeConfig)
    device: DeviceConfig = field(default_factory=DeviceConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    seed: int = 0
    checkpoint_every: float = 120
    force: bool = False
    dry_run: bool = False


@dataclass(kw_only=True)
class ReportCommand:
    """scripts/report.py: one page over any set of run folders."""

    runs: list[str] = field(default_factory=lambda: ["runs"])
    """Run folders, or folders that hold some at any depth."""
    out: str = "report"
    """Folder of index.html and the tables."""
    title: str = "mothello"
    dry_run: bool = False


@dataclass(kw_only=True)
class StudyCommand:
    """scripts/study.py: runs x seeds and the measurements on each, then the report."""

    name: str = "custom"
    question: str = ""
    experiments: list[str] = field(default_factory=list)
    """Experiments to run, each for every seed."""
    seeds: list[int] = field(default_factory=lambda: [0])
    train: list[str] = field(default_factory=list)
    """Overrides for every training run."""
    probe: list[str] = field(default_factory=list)
    """Overrides for the probes of every run."""
    measure: list[str] = field(default_factory=list)
    """Overrides for what is measured without probes on every run."""
    transfer_from: list[str] = field(default_factory=list)
    """Experiments whose runs are also fine-tuned."""
    transfer: list[str] = field(default_factory=list)
    """Overrides for the fine-tuning."""
    report: str = "report"
    minutes: float = 0.0
    """Measured time on 2 cores per seed, printed first."""
    dry_run: bool = False
