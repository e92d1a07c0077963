"""The roots of the scripts that make, read, draw and time games."""

from dataclasses import dataclass, field

from omegaconf import MISSING

from mothello.config.schemas import BoardConfig
from mothello.data.stream import DataConfig
from mothello.languages.family import FamilyConfig
from mothello.othello.board import board
from mothello.othello.engine import Engine
from mothello.othello.policy import PolicyConfig
from mothello.training.device import DeviceConfig


def _positive(name: str, value: int, low: int = 1) -> None:
    if value < low:
        raise ValueError(f"{name}: {value} is below {low}")


@dataclass(kw_only=True)
class GenerateCommand:
    """scripts/generate.py: random games on disk."""

    out: str = MISSING
    """Folder of the shards."""
    board: BoardConfig = field(default_factory=lambda: BoardConfig(size=8))
    games: int = 1_000_000
    seed: int = 0
    first: int = 0
    """Index of the first game."""
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    prefix: list[str] = field(default_factory=list)
    """Opening moves every game starts with."""
    shard_games: int = 1_000_000
    workers: int = 1
    """Processes; the files are the same for any number."""
    engine: Engine = Engine.auto
    dry_run: bool = False

    def __post_init__(self) -> None:
        for name in ("games", "shard_games", "workers"):
            _positive(name, getattr(self, name))
        _positive("first", self.first, 0)


@dataclass(kw_only=True)
class ImportCommand:
    """scripts/import_games.py: recorded games into a folder of shards."""

    files: list[str] = field(default_factory=list)
    """WTHOR (.wtb), text (.txt) or pickle (.pickle, .pkl) files, or folders of them."""
    format: str = "auto"
    """auto (by the file's ending), wthor, text or pickle."""
    out: str = MISSING
    board: BoardConfig = field(default_factory=lambda: BoardConfig(size=8))
    shard_games: int = 1_000_000
    force: bool = False
    """Replace what an earlier import wrote to the same folder."""
    dry_run: bool = False

    def __post_init__(self) -> None:
        _positive("shard_games", self.shard_games)
        if self.format not in ("auto", "wthor", "text", "pickle"):
            raise ValueError(f"format: {self.format!r} is not one of auto, wthor, text, pickle")


@dataclass(kw_only=True)
class ExportCommand:
    """scripts/export_games.py: a folder of shards as text, one game a line."""

    folder: str = MISSING
    out: str = MISSING
    """Text file."""
    dry_run: bool = False


@dataclass(kw_only=True)
class CorpusCommand:
    """scripts/corpus.py: pictures and numbers of what a training run would read."""

    board: BoardConfig = field(default_factory=BoardConfig)
    data: DataConfig = field(default_factory=DataConfig)
    languages: FamilyConfig = field(default_factory=FamilyConfig)
    sample: int = 10_000
    """Games to look at."""
    against: str = "uniform"
    """The corpus is held against uniform random play, or against one of its domains by name."""
    out: str = "corpus"
    """Folder of index.html, figures and numbers.json."""
    device: DeviceConfig = field(default_factory=DeviceConfig)
    dry_run: bool = False

    def __post_init__(self) -> None:
        _positive("sample", self.sample, 100)


@dataclass(kw_only=True)
class BenchCommand:
    """scripts/bench.py: how fast a part is, on this machine."""

    target: str = "engine"
    seconds: float = 2.0
    """Time per measurement; the best of three counts."""
    boards: list[int] = field(default_factory=lambda: [4, 6, 8])
    peers: bool = True
    """Also time pgx, open_spiel and the slow reference, where they are installed."""
    out: str = ""
    """Folder for the numbers as JSON, and for the figure of target=growth; by default nothing is written."""
    device: DeviceConfig = field(default_factory=DeviceConfig)
    dry_run: bool = False

    def __post_init__(self) -> None:
        if self.target not in ("engine", "growth", "train", "measures"):
            raise ValueError(f"target: {self.target!r} is not one of engine, growth, train, measures")
        if not 0.05 <= self.seconds <= 60:
            raise ValueError(f"seconds: {self.seconds} is outside 0.05..60")
        for size in self.boards:
            board(size)
