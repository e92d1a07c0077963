"""Proves the intervals against scipy and against their meaning, and that too few seeds give none."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mothello.report.statistics import estimate, estimate_of


@pytest.mark.parametrize("n", [1, 2])
def test_fewer_than_three_seeds_give_no_interval(n: int) -> None:
    assert estimate([0.5] * n).interval is None


@pytest.mark.parametrize("n", [3, 9])
def test_the_t_interval_is_the_one_of_scipy(n: int) -> None:
    values = np.random.default_rng(n).normal(size=n)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert estimate(values.tolist()).interval == pytest.approx((expected.low, expected.high))


def test_from_ten_seeds_the_interval_is_a_bootstrap() -> None:
    values = np.r_[np.zeros(9), 1.0]
    found = estimate(values.tolist())
    assert found.low == 0.0, "no resample of zeros and ones has a mean below 0; the t-interval goes there"
    assert found.high == pytest.approx(0.3, abs=0.11)
    assert found == estimate(values.tolist()), "the same numbers every time"


def test_equal_seeds_have_an_interval_of_no_width() -> None:
    assert estimate([0.25] * 4).interval == (0.25, 0.25)


@pytest.mark.parametrize("values", [[], [0.1, float("nan")]])
def test_missing_values_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        estimate(values)


def test_groups_have_an_estimate_per_column() -> None:
    table = pd.DataFrame({"label": ["a", "a", "a", "b"], "own": [0.7, 0.8, 0.9, 0.6], "across": [0.5, 0.5, 0.5, None]})
    own, across = (estimate_of(table[table.label == "a"][name]) for name in ("own", "across"))
    assert own is not None
    assert (own.mean, own.n) == (pytest.approx(0.8), 3)
    assert across is not None
    assert across.interval == (0.5, 0.5)
    assert estimate_of(table[table.label == "b"].across) is None
