"""What is measured on a model's states, without probes."""

from dataclasses import dataclass


@dataclass(kw_only=True)
class AlignmentConfig:
    """Which positions are compared."""

    games: int = 400
    """Parallel games; rotations are fitted on the first half, and tested on the second."""
    pool: int = 1000
    """Positions among which the parallel one must be found, each reached by other moves."""
    languages: int = 20
    """Languages compared, the first so many: the work grows with their square."""
    seed: int = 0
    """Which positions they are."""
    random_weights: bool = True
    """Control: the same measures on a model with random weights."""
    draws: int = 1000
    """Draws of the bootstrap over games."""

    def __post_init__(self) -> None:
        for name, low in (("games", 4), ("pool", 2), ("languages", 2), ("draws", 1)):
            if getattr(self, name) < low:
                raise ValueError(f"alignment.{name}: {getattr(self, name)} is below {low}")
