"""Proves: other readings of a pair are those of its rows, and of the committed runs: a pair that relative colors align and
absolute ones do not, and a naive pair whose states are found through its map alone."""

import pandas as pd
import pytest

from studies.asked import study_runs
from studies.readings import APART, COLUMNS, directions, maps, readings, table, widest


@pytest.fixture(scope="module")
def found() -> pd.DataFrame:
    return readings(study_runs("table1"))


def test_naive_states_are_found_through_their_map(found: pd.DataFrame) -> None:
    naive = found[(found.cell == "naive")].set_index("seed")
    assert naive.relative_kind[3] == "one map (main)"
    assert naive.retrieval[3] < 0.2 < 0.99 < naive.retrieval_map[3]
    assert naive.retrieval[4] == naive.retrieval_map[4]  # aligned as they are


def test_naive_pairs_are_shown_through_every_map(found: pd.DataFrame) -> None:
    rows = {row["seed"]: row for row in maps(found)}
    assert set(rows) == {"0", *map(str, range(2, 10))}  # the states of seed 1 were not measured
    assert rows["3"]["tokens: main"] == rows["3"]["states: main"] == "1.000"
    assert float(rows["3"]["states: identity"]) == pytest.approx(found[found.seed == 3].iloc[0].retrieval, abs=1e-3)
    divided = rows["0"]
    shares = [float(divided[f"tokens: {name}"]) for name in ("identity", "main")]
    assert min(shares) > 0.3  # two domains
    assert sum(shares) < 1 + 0.125  # but for the moves on the diagonal, which both maps send to one place
    assert float(divided["tokens: orbit"]) > 0.95
    assert all(float(row["tokens: random weights"]) < 0.15 for row in rows.values())
    assert maps(pd.DataFrame(columns=COLUMNS)) == []


def test_relative_colors_need_no_parity(found: pd.DataFrame) -> None:
    split = found[found.cell == "split_anchor_4"].iloc[0]
    assert split.relative > split.absolute + 0.1
    assert split.relative_far > 0.5 > 0 > split.absolute_far


def test_directions_that_differ_are_shown_apart(found: pd.DataFrame) -> None:
    rows, split = directions(found), found[found.cell == "split_anchor_4"].iloc[0]
    shown = [row for row in rows if row["run"] == "split_anchor_4/0"]
    assert [row["direction"] for row in shown] == ["atomic_0 in split_0", "split_0 in atomic_0"]
    ends = [float(row["absolute colors"]) for row in shown]
    assert abs(ends[0] - ends[1]) == pytest.approx(split.apart, abs=1.1e-3)
    assert sum(ends) / 2 == pytest.approx(split.absolute, abs=1.1e-3)
    wide = {f"{row.cell}/{row.seed}": widest(row.directions) for row in found.itertuples()}
    assert {row["run"] for row in rows} == {name for name, value in wide.items() if value > APART} != set(wide)
    assert directions(pd.DataFrame(columns=COLUMNS)) == []
    assert directions(found[found.cell == "unified"]) == []  # none is apart


def test_a_row_per_kind_of_pair(found: pd.DataFrame) -> None:
    rows = table(found)
    assert len({(row["pair"], row["shared"], row["seed"]) for row in rows}) == len(rows)
    atomic = [row for row in rows if row["pair"] == "atomic + atomic"]
    assert [row["seed"] for row in atomic if row["shared"] == "naive"] == [str(seed) for seed in range(10)]
    assert [row["seed"] for row in atomic if row["shared"] == "4 anchors"] == ["all"]
    assert next(row for row in rows if row["shared"] == "1 anchor")["absolute: recovered"] != "-"
    assert table(pd.DataFrame(columns=COLUMNS)) == []
