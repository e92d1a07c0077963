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
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
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
class ResultsCommand:
    """scripts/results.py: gather finished runs without their weights, and write the page of results."""

    gather: list[str] = field(default_factory=list)
    """Folders of runs, named after their scale, to copy from first: runs/mini goes to OUT/mini."""
    out: str = "results"
    """Folder of README.md, of the runs it is made from, and of its figures."""
    dry_run: bool = False


@dataclass(kw_only=True)
class Overrides:
    """Command-line overrides for each of the scripts that a study calls."""

    train: list[str] = field(default_factory=list)
    probe: list[str] = field(default_factory=list)
    measure: list[str] = field(default_factory=list)
    transfer: list[str] = field(default_factory=list)


@dataclass(kw_only=True)
class CellConfig(Overrides):
    """One cell of a study: a setting, trained from one or several seeds. Its name is the name of its runs, so cells of
    several studies that are alike share their runs."""

    seeds: list[int] = field(default_factory=list)
    """Its seeds; empty: those of the scale."""


@dataclass(kw_only=True)
class ScaleConfig(Overrides):
    """What a study adds or changes at one scale."""

    seeds: list[int] = field(default_factory=list)
    """Seeds of cells that do not say otherwise; empty: seed 0."""
    cells: dict[str, list[int]] = field(default_factory=dict)
    """Seeds of single cells; an empty list leaves the cell out."""


@dataclass(kw_only=True)
class StudyCommand(Overrides):
    """scripts/study.py: cells x seeds and the measurements on each, then the report.

    Overrides are taken in this order, the last one wins: ``recipe`` (of the scale), those of ``at.SCALE``, the cell's,
    and ``train``, ``probe``, ``measure`` and ``transfer`` of the study itself, which are left to the command line.
    """

    name: str = "custom"
    question: str = ""
    scale: str = ""
    """Name of the scale, set by scale=NAME (configs/scale)."""
    like: str = ""
    """The scale whose settings in ``at`` apply; empty: its own. Set by scales that differ in their budget alone."""
    recipe: Overrides = field(default_factory=Overrides)
    """What the scale asks for."""
    at: dict[str, ScaleConfig] = field(default_factory=dict)
    """What this study changes at a scale."""
    cells: dict[str, CellConfig] = field(default_factory=dict)
    """Settings by name."""
    experiments: list[str] = field(default_factory=list)
    """Short for cells of one experiment each."""
    seeds: list[int] = field(default_factory=list)
    """The seeds of every cell; empty: what the files say, else seed 0."""
    transfer_from: list[str] = field(default_factory=list)
    """Cells whose runs are also fine-tuned."""
    measures: bool = True
    """False: train only."""
    parts: list[str] = field(default_factory=list)
    """Only parts CELL/SEED that match one of these patterns, such as naive/* or */0; empty: all."""
    runs: str = ""
    """Where run folders go; by default runs/SCALE."""
    threads: int = 0
    """CPU threads of each part, 0 for all cores, shared among the jobs of a joblib launcher."""
    report: str = "report"
    """Folder of the page; empty: no page. By default report/NAME."""
    minutes: float = 0.0
    """Measured time on 2 cores per seed, printed first."""
    dry_run: bool = False
