"""Rank correlations of points that come in cells: seeds of one cell are no independent points, cells are."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from studies.numbers import decimal

DRAWS = 2000
"""Of the bootstrap over cells."""
LEAST = 5
"""Points that a correlation is taken of, at least."""
CLUSTER = ("board", "cell")


class Correlation(NamedTuple):
    """Spearman's, with its 95% interval over cells."""

    value: float
    low: float
    high: float
    points: int
    cells: int


def shown(one: Correlation | None) -> str:
    """With its interval, where there are cells enough for one."""
    if one is None:
        return "-"
    return decimal(one.value) + (f" [{decimal(one.low)}, {decimal(one.high)}]" if one.cells >= LEAST else "")


def spearman(x: ArrayLike, y: ArrayLike) -> float:
    """Of two columns; NaN where one of them is constant."""
    one, other = (ranks - ranks.mean() for ranks in (rankdata(x), rankdata(y)))
    size = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / size if size > 0 else float("nan")


def partial(x: ArrayLike, y: ArrayLike, given: ArrayLike) -> float:
    """Spearman's of what of x and y a third column does not predict, all as ranks."""
    xy, xz, yz = spearman(x, y), spearman(x, given), spearman(y, given)
    left = (1 - xz**2) * (1 - yz**2)
    return (xy - xz * yz) / left**0.5 if left > 0 else float("nan")


def correlation(known: pd.DataFrame, x: str, y: str = "follows", given: str = "") -> Correlation | None:
    """Of the points that have all columns; None where there are fewer than LEAST. Cells are drawn with replacement."""
    columns = [x, y, *([given] if given else [])]
    known = known.dropna(subset=columns).reset_index(drop=True)
    if len(known) < LEAST:
        return None
    of, values = partial if given else spearman, known[columns].to_numpy(float).T
    cells = list(known.groupby(list(CLUSTER), sort=False).indices.values())
    random = np.random.default_rng(0)
    drawn = (np.concatenate([cells[i] for i in random.integers(len(cells), size=len(cells))]) for _ in range(DRAWS))
    found = [of(*values[:, rows]) for rows in drawn]
    low, high = np.nanpercentile(found, [2.5, 97.5]) if np.isfinite(found).any() else (float("nan"), float("nan"))
    return Correlation(of(*values), float(low), float(high), len(known), len(cells))


def within(known: pd.DataFrame, x: str, factor: str, y: str = "follows") -> float | None:
    """The mean over the levels of a factor, weighted by their points; levels with fewer than LEAST, or where x or y is
    constant, say nothing. None where none does."""
    known = known.dropna(subset=[x, y])
    parts = [part for _, part in known.groupby(factor) if len(part) >= LEAST]
    values = np.array([spearman(part[x], part[y]) for part in parts])
    weights = np.array([len(part) for part in parts], dtype=float)
    told = np.isfinite(values)
    return float(np.average(values[told], weights=weights[told])) if told.any() else None


def without_each(known: pd.DataFrame, x: str, y: str = "follows") -> Iterator[tuple[str, float]]:
    """(study, correlation of all points but its own)."""
    known = known.dropna(subset=[x, y])
    for study in known.study.unique():
        rest = known[known.study != study]
        if len(rest) >= LEAST:
            yield str(study), spearman(rest[x], rest[y])
