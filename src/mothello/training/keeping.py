"""Which steps of a training are kept for good: for numbers along it, and for forks."""

from dataclasses import dataclass, field

from mothello.config import ranged
from mothello.errors import UserError


@dataclass(kw_only=True)
class KeepConfig:
    """Steps that are kept for good, besides the last checkpoints."""

    log_spaced: int = ranged(0, low=0)
    """Half-precision weights of that many steps, evenly spaced on a log scale from the first to the last one, whose
    checkpoint is there anyway: for measures along the training."""
    full: list[int] = field(default_factory=list, metadata={"low": 1})
    """Steps of which everything is kept, the optimizer's state included: for forks."""

    def steps(self, total: int) -> frozenset[int]:
        """The steps kept of a training of that many. UserError names one that it does not come to."""
        if self.full and max(self.full) >= total:
            raise UserError(f"checkpoints.keep.full: {max(self.full)} is not before the last of {total} steps")
        return log_spaced(self.log_spaced, total) | {*self.full}


@dataclass(kw_only=True)
class CheckpointsConfig:
    """Checkpoints besides those that a stopped training goes on from."""

    keep: KeepConfig = field(default_factory=KeepConfig)


def log_spaced(count: int, total: int) -> frozenset[int]:
    """``count`` steps from 1 to ``total``, evenly spaced on a log scale and rounded; where several would fall on one
    step, one after the other. ``total`` itself is left out, since it has a checkpoint anyway. All steps before it
    where ``count`` is larger."""
    steps = [1][:count]
    for left in range(count - 1, 0, -1):
        step = steps[-1]
        steps.append(max(step + 1, round(step * max(1.0, total / step) ** (1 / left))))
    return frozenset(step for step in steps if step < total)
