"""Proves: what fine-tuned models answer is read from their folders, the usual fine-tuning among several is the one that the
older tables have, and the predictions of 9 hold and fail on planted courses."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from report.made import add_finetuning, add_run

from mothello.report.runs import find_runs
from studies.answers import (
    AMONG,
    COURSES,
    by_run,
    conclusion,
    courses,
    predictions,
    ratios,
    same_signs,
    shares,
    table,
    usual,
)
from studies.numbers import decimal

OWN, SOURCE = AMONG["_restricted"], AMONG["_translated"]


def planted(**ratios: float) -> pd.DataFrame:
    """Courses of targets on three seeds, by names such as anchors_language_own; the rest as it was predicted."""
    predicted = {
        "anchors_language_own": 0.5, "anchors_all_own": 0.05, "naive_language_own": 0.3, "naive_all_own": -0.5,
        "anchors_language_source": 0.6, "anchors_all_source": 0.4, "unified_all_all": 0.9,
        "anchors_language_own_published": 0.4, "anchors_all_own_published": 0.01, "naive_all_all": -2.0,
    }  # fmt: skip
    among = {"own": OWN, "source": SOURCE, "all": AMONG[""]}
    rows = []
    for name, ratio in (predicted | ratios).items():
        sharing, softmax, answered, *schedule = name.split("_")
        head = {
            "sharing": sharing,
            "softmax": softmax,
            "among": among[answered],
            "schedule": "".join(schedule) or "ours",
        }
        cell = f"prefix_{'anchor_8' if sharing == 'anchors' else sharing}"
        head |= {"cell": cell, "learned": True, "part": "target", "language": "b", "before": 0.7, "after": 0.8}
        rows += [head | {"seed": seed, "peak": 0.8, "ratio": ratio + 0.01 * seed} for seed in range(3)]
    return pd.DataFrame(rows, columns=COURSES)


def outcomes(found: pd.DataFrame) -> dict[str, Any]:
    return {claim[:3]: outcome for claim, _, outcome, _ in predictions(found)}


def test_what_was_predicted_holds_where_it_was_found() -> None:
    assert outcomes(planted()) == dict.fromkeys(("9.1", "9.2", "9.3", "9.4", "9.5"), True)
    assert outcomes(planted()[:0]) == dict.fromkeys(("9.1", "9.2", "9.3", "9.4", "9.5"))


@pytest.mark.parametrize(
    ("failed", "ratios"),
    [
        ("9.1", {"anchors_language_own": 0.24, "naive_language_own": 0.1}), ("9.1", {"anchors_all_own": 0.09}), ("9.2", {"naive_language_own": -0.6}),
        ("9.2", {"naive_language_own": 0.55}), ("9.3", {"anchors_all_source": 0.2}), ("9.5", {"unified_all_all": 0.4}),
        ("9.4", {"anchors_language_own_published": -0.1}),
    ],
)  # fmt: skip
def test_each_prediction_can_fail(failed: str, ratios: dict[str, float]) -> None:
    found = outcomes(planted(**ratios))
    assert [name for name, outcome in found.items() if not outcome] == [failed]


def test_signs_on_another_board() -> None:
    assert same_signs(planted(), planted(anchors_language_own=0.1))[2] is True
    assert same_signs(planted(anchors_all_own=-0.5), planted())[2] is False
    assert same_signs(planted()[:0], planted())[2] is None


def test_courses_are_read_from_the_folders(tmp_path: Path) -> None:
    folder = add_run(tmp_path, "prefix_naive")
    add_finetuning(folder, answers=True)
    other = add_finetuning(folder, identity="89abcdef", answers=True)
    config = other.read_config()
    other.write_config(config | {"objective": {"name": "causal_lm", "softmax": "language"}})
    (run,) = find_runs([str(tmp_path)])
    assert [child.path.name for child in usual(run.finetunings)] == ["atomic_0-0123abcd"]
    found = courses([run])
    assert set(found.softmax) == {"all", "language"}
    targets = found[found.part == "target"].set_index(["softmax", "among"])
    row = targets.loc[("language", SOURCE)]
    assert [row.before, row.peak, row.after, row.ratio] == pytest.approx([0.6, 0.9, 0.8, 0.5])
    shown = table(found)
    assert len(shown) == 2 * len(AMONG)
    assert shown[0]["gain / source's"] == "+.500"
    source = found[(found.part == "source") & (found.among == AMONG[""])].iloc[0]
    assert shown[0]["source"] == f"{decimal(source.before)} to {decimal(source.after)}"
    assert len(source.curve) == len(source.steps) > 2
    assert (source.curve[0], source.curve[-1]) == (source.before, source.after)
    assert table(found[found.softmax == "all"]) == []


def test_a_share_says_of_how_many_seeds_it_is() -> None:
    rows = planted()
    rows.loc[(rows.cell == "prefix_naive") & (rows.among == AMONG[""]) & (rows.seed > 0), "ratio"] = None
    shown = {row["gain / source's"] for row in table(rows) if row["answered in"] == AMONG[""]}
    assert shown == {"-2.000 (1 of 3 seeds)", "+.910"}


def test_alignment_before_stands_beside_what_followed_run_by_run() -> None:
    head = {"probed": True, "sharing": "naive", "cell": "prefix_naive", "verdict": "identity (partly)"}
    cells = pd.DataFrame([head | {"seed": seed, "recovered": 0.27, "learned": seed < 2} for seed in (1, 0, 2)])
    shown = by_run(planted(), cells)
    assert [row["run"] for row in shown] == ["prefix_naive/0", "prefix_naive/1", "prefix_naive/2"]
    assert [row["the bar"] for row in shown] == ["passed", "passed", "below"]
    assert {row["verdict before"] for row in shown} == {"identity (partly)"}
    assert {row["recovered"] for row in shown} == {"27%"}
    assert [row["in its own tokens"] for row in shown] == ["-.500", "-.490", "-.480"]
    assert [row["in the source's tokens"] for row in shown] == ["-", "-", "-"]
    assert by_run(planted()[:0], cells) == []


def test_the_conclusion_is_drawn_only_where_the_numbers_say_it() -> None:
    assert conclusion(planted()).startswith("So pairs that anchors align do transfer")
    for other in ({"anchors_all_source": 0.2}, {"anchors_language_own": 0.2}, {"anchors_all_own": 0.4}):
        assert conclusion(planted(**other)) == ""
    assert conclusion(planted()[:0]) == ""


def test_the_shares_of_the_answer_are_means_over_seeds_by_what_is_answered_in() -> None:
    rows = planted(unified_all_own=0.9)
    assert shares(rows) == [
        {"label": "naive", "usual": "-49%", "own": "+31%", "translated": "-"},
        {"label": "eight anchors", "usual": "+6%", "own": "+51%", "translated": "+41%"},
        {"label": "unified output", "usual": "+91%", "own": "-", "translated": "-"},
    ]
    assert [way for sharing, way in ratios(rows) if sharing == "unified output"] == ["in its own tokens"]
    assert shares(rows[:0]) == []
