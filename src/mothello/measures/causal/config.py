"""Which interventions are made."""

from dataclasses import dataclass


@dataclass(kw_only=True)
class CausalConfig:
    """Interventions along the directions of linear probes, and patching of parallel games."""

    cases: int = 1000
    """Positions that are edited, and patched; 0 leaves both out."""
    strength: float = 3.0
    """How far a state is moved along the difference of two of a probe's classes: 1 to where both are read alike, 2 to
    its mirror image behind that. 3 left the fewest errors (docs/LOG.md)."""
    languages: int = 3
    """Languages edited by one another's probes, the first so many: the work grows with their square."""
    seed: int = 0
    """Which positions, and the random directions."""
    draws: int = 1000
    """Draws of the bootstrap over games."""

    def __post_init__(self) -> None:
        for name, low in (("cases", 0), ("languages", 1), ("draws", 1)):
            if getattr(self, name) < low:
                raise ValueError(f"causal.{name}: {getattr(self, name)} is below {low}")
        if self.strength <= 0:
            raise ValueError(f"causal.strength: {self.strength} is not positive")
