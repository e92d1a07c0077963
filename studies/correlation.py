"""Rank correlations of points that come in cells: seeds of one cell are no independent points, cells are."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from studies.numbers import decimal

DRAWS = 2000
"""Of the bootstrap over cells."""
LEAST = 5
"""Points that a correlation is taken of, at least."""


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


Numbers = NDArray[np.float64]


def _ranks(values: ArrayLike, times: Numbers) -> Numbers:
    """From 1 on, equal values share their mean rank; of points that count so many times, [*draw, point]."""
    _, group = np.unique(np.asarray(values, float), return_inverse=True)
    order = np.argsort(group, kind="stable")
    begin = np.flatnonzero(np.diff(group[order], prepend=-1))
    same = np.add.reduceat(times[..., order], begin, axis=-1)
    return (same.cumsum(-1) - same / 2 + 0.5)[..., group]


def spearman(x: ArrayLike, y: ArrayLike, times: Numbers | None = None) -> Numbers:
    """Of two columns; NaN where one of them is constant. times: how often each point counts, [*draw, point], by default
    once; the answer is [*draw]."""
    times = np.ones(len(np.asarray(x))) if times is None else times
    one, other = (_ranks(values, times) for values in (x, y))
    count = np.maximum(times.sum(-1, keepdims=True), 1)  # a draw may hold none of the points
    one, other = (ranks - (times * ranks).sum(-1, keepdims=True) / count for ranks in (one, other))
    size = np.sqrt((times * one**2).sum(-1) * (times * other**2).sum(-1))
    return np.divide((times * one * other).sum(-1), size, out=np.full(size.shape, np.nan), where=size > 0)


def partial(x: ArrayLike, y: ArrayLike, given: ArrayLike, times: Numbers | None = None) -> Numbers:
    """Spearman's of what of x and y a third column does not predict, all as ranks."""
    xy, xz, yz = spearman(x, y, times), spearman(x, given, times), spearman(y, given, times)
    left = (1 - xz**2) * (1 - yz**2)
    return np.divide(xy - xz * yz, np.sqrt(left), out=np.full(left.shape, np.nan), where=left > 0)


def correlation(
    known: pd.DataFrame, x: str, y: str = "follows", given: str = "", cells: str = "cell"
) -> Correlation | None:
    """Of the points that have all columns; None where there are fewer than LEAST. Cells of a board are drawn with
    replacement. cells: the column that names them."""
    columns = [x, y, *([given] if given else [])]
    known = known.dropna(subset=columns).reset_index(drop=True)
    if len(known) < LEAST:
        return None
    of: Callable[..., Numbers] = partial if given else spearman
    values = known[columns].to_numpy(float).T
    times, count = _draws(known, cells)
    return Correlation(float(of(*values)), *_middle(of(*values, times)), len(known), count)


def _draws(known: pd.DataFrame, cells: str) -> tuple[Numbers, int]:
    """How often each point counts in every draw; how many cells there are."""
    cell = known.groupby(["board", cells], sort=False).ngroup().to_numpy()
    count = int(cell.max()) + 1
    drawn = np.random.default_rng(0).integers(count, size=(DRAWS, count))
    times = np.zeros((DRAWS, count))
    np.add.at(times, (np.arange(DRAWS)[:, None], drawn), 1)
    return times[:, cell], count


def _middle(found: Numbers) -> tuple[float, float]:
    """What 95% of the draws lie between."""
    low, high = np.nanpercentile(found, [2.5, 97.5]) if np.isfinite(found).any() else (np.nan, np.nan)
    return float(low), float(high)


def difference(known: pd.DataFrame, x: str, other: str, y: str = "follows", cells: str = "cell") -> tuple[float, float]:
    """95% of how much more y goes with x than with another column, over the same points and draws."""
    known = known.dropna(subset=[x, other, y]).reset_index(drop=True)
    times, _ = _draws(known, cells)
    return _middle(spearman(known[x], known[y], times) - spearman(known[other], known[y], times))


def within(known: pd.DataFrame, x: str, factor: str, y: str = "follows") -> float | None:
    """The mean over the levels of a factor, weighted by their points; levels with fewer than LEAST, or where x or y is
    constant, say nothing. None where none does."""
    known = known.dropna(subset=[x, y])
    parts = [part for _, part in known.groupby(factor) if len(part) >= LEAST]
    values = np.array([spearman(part[x], part[y]) for part in parts])
    weights = np.array([len(part) for part in parts], dtype=float)
    told = np.isfinite(values)
    return float(np.average(values[told], weights=weights[told])) if told.any() else None


def within_drawn(
    known: pd.DataFrame, x: str, factor: str, y: str = "follows", cells: str = "cell"
) -> Correlation | None:
    """The same with its interval over cells."""
    known = known.dropna(subset=[x, y]).reset_index(drop=True)
    value = within(known, x, factor, y)
    if value is None:
        return None
    times, count = _draws(known, cells)
    levels = [rows for rows in known.groupby(factor).indices.values() if len(rows) >= LEAST]
    values = np.array([spearman(known[x].iloc[rows], known[y].iloc[rows], times[:, rows]) for rows in levels])
    weights = np.isfinite(values) * np.array([[len(rows)] for rows in levels])
    total = weights.sum(0)
    drawn = np.divide((np.nan_to_num(values) * weights).sum(0), total, out=np.full(DRAWS, np.nan), where=total > 0)
    return Correlation(value, *_middle(drawn), len(known), count)


def without_each(known: pd.DataFrame, x: str, y: str = "follows") -> Iterator[tuple[str, float]]:
    """(study, correlation of all points but its own)."""
    known = known.dropna(subset=[x, y])
    for study in known.study.unique():
        rest = known[known.study != study]
        if len(rest) >= LEAST:
            yield str(study), float(spearman(rest[x], rest[y]))
