"""Means over seeds, and how far they can be trusted."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from mothello.quantities import QUANTITIES

MIN_SEEDS = 3
"""Below this no interval is given."""
BOOTSTRAP_SEEDS = 10
"""From here on the interval is a percentile bootstrap, below it Student's t."""
RESAMPLES = 10_000


SHARES = frozenset(name for name, text in QUANTITIES.items() if "0..1" in text) | {
    "across", "across_best_map", "game_accuracy", "mass_own_tokens", "mixed", "own", "peak", "retrieval_best_map",
    "retrieval_csls", "retrieval_raw_mutual", "retrieval_raw_strong", "retrieval_same_ply", "retrieval_same_square",
    "top1_restricted", "top1_translated",
}  # fmt: skip
"""Quantities between 0 and 1, and so are their intervals: those that say so, and those that are described by others."""


class Estimate(NamedTuple):
    """A mean over seeds with its 95% interval, or None where there are too few seeds for one."""

    mean: float
    low: float | None
    high: float | None
    n: int

    @property
    def interval(self) -> tuple[float, float] | None:
        return None if self.low is None or self.high is None else (self.low, self.high)


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and interval over seeds: none below 3, t for 3-9, bootstrap from 10. ValueError without values."""
    data = np.asarray(values, dtype=float)
    if data.size == 0 or not np.isfinite(data).all():
        raise ValueError("estimate: one finite value per seed is needed")
    mean, low, high = float(data.mean()), None, None
    if data.size >= BOOTSTRAP_SEEDS:
        resamples = np.random.default_rng(0).integers(0, data.size, (RESAMPLES, data.size))
        low, high = np.quantile(data[resamples].mean(1), [0.025, 0.975]).tolist()
    elif data.size >= MIN_SEEDS:
        half = float(stdtrit(data.size - 1, 0.975) * data.std(ddof=1) / data.size**0.5)
        low, high = mean - half, mean + half
    return Estimate(mean, low, high, data.size)


def share_of(values: pd.Series) -> Estimate | None:
    """The estimate of shares: its interval ends at 0 and 1."""
    found = estimate_of(values)
    if found is None or found.low is None or found.high is None:
        return found
    return found._replace(low=max(0.0, found.low), high=min(1.0, found.high))


def estimate_of(values: pd.Series) -> Estimate | None:
    """The estimate of the values that are there."""
    present = pd.to_numeric(values, errors="coerce").dropna()
    return estimate(present.tolist()) if len(present) else None
