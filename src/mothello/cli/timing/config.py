"""What scripts/bench.py may be asked."""

from dataclasses import dataclass, field

from mothello.othello.board import Board
from mothello.training.device import DeviceConfig


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
            Board.of(size)
