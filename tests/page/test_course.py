"""Proves: games at which legal moves and alignment begin are read from the steps that a run kept; predictions 27 hold and fail
in planted worlds, and stay open while a cell is missing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from report.test_along import MAIN, add_steps

from mothello.report.runs import find_runs
from studies.course import COLUMNS, courses, figure, predictions, table


def test_a_planted_onset_is_a_row(tmp_path: Path) -> None:
    """Through `main` from step 10 on, legal from step 30 on; a step is ten games."""
    add_steps(tmp_path)
    found = courses(find_runs([str(tmp_path)]))
    (row,) = found.to_dict("records")
    assert (row["cell"], row["games"], row["steps"], row["legal"], row["aligned"]) == ("naive", 1000, 4, 300, 100)
    assert (row["maps"], row["settled"], row["best"]) == (["main", "main"], True, MAIN[3])
    assert row["after"] == pytest.approx({10: 0.1, 100: MAIN[1], 300: MAIN[2], 1000: MAIN[3]})
    (line,) = table(found)
    assert line["alignment from"] == "100"
    assert line["through"] == "main"
    assert (line["retrieval after a tenth"], line["retrieval after a third"]) == (".200", ".400")
    assert line["half found from"] == "1,000"
    (drawn,) = figure(found).axes[0].get_lines()[:-1]  # the last is the half
    assert drawn.get_ydata() == pytest.approx([0.1, *MAIN[1:]])


def test_nothing_found_and_nothing_measured(tmp_path: Path) -> None:
    add_steps(tmp_path, random=0.9)  # weights that were not trained find as much
    found = courses(find_runs([str(tmp_path)]))
    assert found.aligned.isna().all()
    assert table(found)[0]["alignment from"] == "-"
    assert courses([]).empty
    assert [outcome for *_, outcome, _ in predictions(courses([]))] == [None] * 4


GAMES = {"naive": 100.0, "naive_expected": 40.0, "naive_decay_0": 120.0, "naive_decay_3": 150.0}


def world(changed: Mapping[str, float | None] = {}, **more: Any) -> list[bool | None]:
    rows = [
        {
            "cell": cell,
            "seed": 10,
            "games": 1000,
            "legal": 30.0,
            "aligned": games,
            "maps": ["main"] * 2,
            "settled": True,
        }
        | more
        for cell, games in (GAMES | dict(changed)).items()
    ]
    return [outcome for *_, outcome, _ in predictions(pd.DataFrame(rows, columns=COLUMNS))]


def test_predictions_hold_fail_and_stay_open() -> None:
    assert world() == [True, True, True, True]
    assert world(legal=110.0)[0] is False
    assert world(settled=False)[1] is False
    assert world({"naive_expected": 60.0}) == [True, True, False, True]
    assert world({"naive_decay_0": 210.0})[3] is False
    assert world({"naive_decay_0": None})[3] is None
    assert world({"naive_decay_0": None, "naive_decay_3": 300.0})[3] is False
    assert world({"naive": None})[2:] == [None, None]
