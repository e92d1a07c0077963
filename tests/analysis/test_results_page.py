"""Proves that the page of results says what the folders say: words, predictions, marks, intervals; and changes with them."""

import itertools
import json
from pathlib import Path

import pandas as pd
import pytest
from analysis.folders import add_probe, add_run, add_states, add_transfer

from mothello.analysis.cells import Expected, cell_table, pair_name, select
from mothello.analysis.markdown import decimal, ours, over_seeds
from mothello.analysis.results_page import Study, write_results
from mothello.analysis.results_predictions import predictions
from mothello.analysis.results_symmetry import mirror_table, placement_table, verdict
from mothello.analysis.results_table1 import table_1
from mothello.analysis.results_transfer import ends, judged_change, transfer_rows
from mothello.analysis.runs import find_runs
from mothello.analysis.statistics import estimate
from mothello.analysis.words import CORRECTED, DIFFERS, NOT_REACHED, REPRODUCED, band, direction, judge, near

IMAGES = {"rot180": 0.474, "main": 0.621, "anti": 0.578}
CELLS = {
    "table1": ["naive", "anchor_1", "anchor_2", "anchor_4", "unified"],
    "mirror_anchors": ["anchor_4", "mirror_main", "mirror_columns"],
    "anchor_placement": ["anchor_1", "anchor_1_main", "anchor_1_anti"],
    "many_languages": ["naive_5"],
    "emergence": ["naive"],
    "finetune": ["prefix_naive"],
    "probes": ["naive"],
}


def asked(name: str, probe: str = "00000100") -> Expected:
    """The folders that tests/analysis/folders.py writes."""
    return Expected(f"{name}-id", f"measures/probe-{probe}", "measures/states-00000001", {"games": 64})


STUDIES = [Study(study, f"{study}?", {cell: asked(cell) for cell in names}) for study, names in CELLS.items()]


def rows_of(table: str) -> list[dict[str, str]]:
    """A pipe table, row by row."""
    lines = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines() if line[:1] == "|"]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]


def add(root: Path, name: str, seed: int, raw: float, best: float | None = None, legal: float = 0.98, **more: object):
    folder = add_run(root, name, seed, top1=legal, **more)  # type: ignore[arg-type]
    add_probe(folder, 0.85, raw, best=best, languages=int(more.get("languages", 2)))  # type: ignore[call-overload]
    return folder


def cells(root: Path) -> pd.DataFrame:
    runs = find_runs([str(root)])
    return cell_table(select(runs, {run.name: asked(run.name) for run in runs}))


def row_for(root: Path, anchors: int) -> dict[str, str]:
    return next(
        row
        for row in rows_of(table_1(cells(root)))
        if (row["pair"], row["anchors"]) == ("atomic + atomic", str(anchors))
    )


@pytest.mark.parametrize(
    ("raw", "best", "legal", "word"),
    [
        (0.5, None, 0.98, REPRODUCED),  # published .53: not aligned
        (0.5, 0.8, 0.98, CORRECTED),  # not aligned raw, aligned through a map
        (0.8, None, 0.98, DIFFERS),  # aligned as it is
        (0.62, None, 0.98, REPRODUCED),  # a hair above the constant is not alignment
        (0.5, None, 0.96, NOT_REACHED),
    ],
)
def test_the_word_on_naive_pairs(tmp_path: Path, raw: float, best: float | None, legal: float, word: str) -> None:
    for seed in range(3):
        add(tmp_path, "naive", seed, raw, best, legal)
    row = row_for(tmp_path, 0)
    assert row["word"] == word
    assert (row["seeds"], row["published"]) == ("3", ".53")
    assert row["raw"] == f"{decimal(raw)} [{decimal(raw)}, {decimal(raw)}]"
    through = {0.5: "3 none", 0.62: "3 identity (partly)", 0.8: "3 identity"}[raw]
    assert row["aligned through"] == ("3 main" if best else through)
    assert ("3 below the bar" in row["legal: strict / either colour"]) == (legal < 0.97)
    assert ("3 of 3 seeds aligned up to a symmetry" in row["why"]) == (word == CORRECTED)


def test_a_row_must_be_in_the_published_band(tmp_path: Path) -> None:
    """Own .85, constant .6: bands end at .6375 and .8125."""
    add(tmp_path, "anchor_1", 0, 0.70, count=1)  # published .82: partly
    add(tmp_path, "anchor_2", 0, 0.70, count=2)  # published .97: aligned
    add(tmp_path, "anchor_4", 0, 0.83, count=4)
    assert [row_for(tmp_path, n)["word"] for n in (1, 2, 4)] == [REPRODUCED, DIFFERS, REPRODUCED]
    assert "partly aligned, published aligned" in row_for(tmp_path, 2)["why"]
    assert row_for(tmp_path, 0)["word"] == "not run"


def test_one_seed_of_three_corrects_nothing(tmp_path: Path) -> None:
    for seed in range(3):
        add(tmp_path, "naive", seed, 0.5, 0.8 if seed == 0 else None)
    row = row_for(tmp_path, 0)
    assert (row["word"], row["aligned through"]) == (REPRODUCED, "2 none, 1 main")


def test_the_same_board_is_judged_by_number() -> None:
    assert near(0.53, estimate([0.50, 0.52, 0.51]))
    assert near(0.555, estimate([0.50, 0.52, 0.54]))  # in the interval, which is .05 wide to each side
    assert not near(0.60, estimate([0.40, 0.52, 0.60]))  # in an interval that says nothing
    assert not near(0.60, estimate([0.50, 0.52, 0.51]))
    assert [band(x, 0.6, 0.9) for x in (0.5, 0.64, 0.65, 0.85, 0.86)] == [0, 0, 1, 1, 2]
    assert judge(reached=True, agrees=True, changed="", reason="x") == (REPRODUCED, "")
    assert judge(reached=False, agrees=False, changed="y", reason="x").word == NOT_REACHED


def mirrored(root: Path, main: float, columns: float) -> list[dict[str, str]]:
    for seed in range(2):
        add(root, "anchor_4", seed, 0.83, count=4)
        add(root, "mirror_main", seed, 0.55, main, count=4)
        add(root, "mirror_columns", seed, columns, count=4)
    return rows_of(mirror_table(cells(root), IMAGES))


def test_predictions_that_hold(tmp_path: Path) -> None:
    found = mirrored(tmp_path, 0.82, 0.5)
    main = [row for row in found if row["anchors link s with"] == "main"]
    assert [[row[key] for key in list(row)[-3:]] for row in main] == [["held"] * 3] * 2
    assert all(row["main"] == "**.820**" for row in main)
    outside = [row for row in found if row["anchors link s with"] == "columns"]
    assert [row["1.1 aligned through the map"] for row in outside] == ["not aligned: held"] * 2
    assert verdict(cells(tmp_path)).startswith("2 of 2 runs aligned through the map")
    assert "Of 2 runs with a map outside the group, 2 did not align." in verdict(cells(tmp_path))


def test_predictions_that_fail(tmp_path: Path) -> None:
    """The negative control of the page: other folders, other words."""
    found = mirrored(tmp_path, 0.65, 0.82)
    main, outside = (next(x for x in found if x["anchors link s with"] == name) for name in ("main", "columns"))
    assert [main[key] for key in list(main)[-3:]] == ["held", "failed", "held"]  # aligned, but not as well
    assert outside["1.1 aligned through the map"] == "not aligned: failed"
    assert "0 did not align. The others: 2 identity." in verdict(cells(tmp_path))


def test_an_anchor_leaves_what_it_leaves(tmp_path: Path) -> None:
    add(tmp_path, "anchor_1", 0, 0.5, 0.8, count=1)
    add(tmp_path, "anchor_1_main", 0, 0.5, 0.8, count=1)
    add(tmp_path, "anchor_1_anti", 0, 0.5, count=1)
    words = {row["anchors"]: row["prediction 2"] for row in rows_of(placement_table(cells(tmp_path)))}
    assert words == {"anchor_1": "failed", "anchor_1_main": "held", "anchor_1_anti": "open"}


def test_a_model_that_did_not_learn_tests_no_prediction(tmp_path: Path) -> None:
    add(tmp_path, "anchor_4", 0, 0.83, count=4)
    add(tmp_path, "mirror_main", 0, 0.55, 0.82, legal=0.9, count=4)
    add(tmp_path, "mirror_columns", 0, 0.5, legal=0.9, count=4)
    add(tmp_path, "anchor_1", 0, 0.5, 0.8, legal=0.9, count=1)
    main, columns = (
        next(x for x in rows_of(mirror_table(cells(tmp_path), IMAGES)) if x["anchors link s with"] == name)
        for name in ("main", "columns")
    )
    assert [main[key] for key in list(main)[-3:]] == ["open"] * 3
    assert columns["1.1 aligned through the map"] == "not reached"
    assert rows_of(placement_table(cells(tmp_path)))[0]["prediction 2"] == "open"


def outcomes(root: Path) -> dict[str, str]:
    every = cells(root)
    by_study = {study: every[every.cell.isin(names)] for study, names in CELLS.items()}
    tuned = transfer_rows([run for run in find_runs([str(root)]) if run.transfers])
    rows = rows_of(predictions(by_study, IMAGES, tuned))
    return {row["prediction"].split(":")[0]: row["outcome"] for row in rows}


def test_every_prediction_has_an_outcome(tmp_path: Path) -> None:
    add(tmp_path, "naive", 0, 0.5, 0.8)
    found = outcomes(tmp_path)
    assert found["3 naive pairs"] == "held"
    assert found["1.1 mirror anchors"] == found["1 negative control"] == found["4 eight naive languages"] == "open"
    mirrored(tmp_path, 0.82, 0.5)
    add(tmp_path, "anchor_1", 0, 0.5, 0.8, count=1)
    add(tmp_path, "unified", 0, 0.7, output="unified")
    add(tmp_path, "naive_5", 0, 0.5, 0.8, languages=5)
    found = outcomes(tmp_path)
    assert found["1.1 mirror anchors"] == found["1 negative control"] == "held"
    assert found["2 anchors"] == found["4 eight naive languages"] == "failed"
    assert found["5 unified output loses at most .03"] == "failed"


def test_only_what_a_study_asks_for_counts(tmp_path: Path) -> None:
    """Another budget and another fit under the same name are left out, not averaged."""
    add(tmp_path, "naive", 0, 0.5)
    add_probe(add_run(tmp_path, "naive", 1), 0.9, 0.5, games=900)
    add(tmp_path, "naive", 0, 0.9, identity="other")
    found = cells(tmp_path)
    assert found.seed.tolist() == [0, 1]
    assert found.raw.notna().tolist() == [True, False]
    runs = select(find_runs([str(tmp_path)]), {"naive": asked("naive", "00000900")})
    assert [run.probe is not None for run in runs] == [False, True]
    assert pair_name(["split", "atomic"]) == "atomic + split"
    assert pair_name(["atomic"] * 8) == "8 atomic"


def test_published_changes_and_ours() -> None:
    assert ends("92 to 99.7 / 91 to 89.6").target == pytest.approx((0.91, 0.896))
    assert ends("90.8 to 99.1 / same as source").target == pytest.approx((0.908, 0.991))
    assert ends("91.5 to 99.6 / 91.8 to 89.2 (peak 95.7)").target == pytest.approx((0.918, 0.892))
    assert [direction(x) for x in (-0.2, 0.02, 0.3)] == [-1, 0, 1]
    row = {"before": 0.7, "after": 0.5, "lenient_before": 0.8, "lenient_after": 0.6, "own_before": 0.7, "legal": 0.98}
    falls = pd.DataFrame([row | {"own_after": 0.5, "wrong_after": 0.3}])
    assert judged_change(falls, -0.19).word == REPRODUCED
    assert judged_change(falls, -0.014).word == DIFFERS
    assert "30% of the answers are in another language" in judged_change(falls, 0.1).reason
    assert judged_change(falls.assign(after=0.7), -0.19).word == CORRECTED  # falls only by the published criterion
    assert judged_change(falls.assign(legal=0.9), -0.19).word == NOT_REACHED
    assert judged_change(falls, -0.4).word == REPRODUCED
    assert judged_change(falls, -0.4, same=True).word == DIFFERS


def test_numbers_as_the_page_writes_them() -> None:
    assert [decimal(x) for x in (0.5321, -0.5, 1.0, None, float("nan"))] == [".532", "-.500", "1.000", "-", "-"]
    assert ours(over_seeds([0.5, None, 0.6])) == ".550"
    assert over_seeds([None]) is None
    low, high = estimate([0.5, 0.52, 0.54]).interval or (0, 0)
    assert ours(over_seeds([0.5, 0.52, 0.54])) == f".520 [{decimal(low)}, {decimal(high)}]"


def test_the_whole_page(tmp_path: Path) -> None:
    """Every section from folders alone; the same bytes again."""
    out = tmp_path / "results"
    for name, seed in itertools.product(("naive", "anchor_4", "unified"), range(3)):
        kind = {"naive": {}, "anchor_4": {"count": 4}, "unified": {"output": "unified"}}[name]
        add_states(
            add(out / "mini", name, seed, 0.5 if name == "naive" else 0.84, 0.8 if name == "naive" else None, **kind)
        )
    add(out / "mini", "mirror_main", 0, 0.55, 0.83, count=4)
    add(out / "mini", "anchor_1_main", 0, 0.55, 0.83, count=1)
    add(out / "mini", "naive_5", 0, 0.5, 0.8, languages=5)
    add_transfer(add_run(out / "mini", "prefix_naive", 0))
    page = write_results(out, {"mini": STUDIES})
    text = page.read_text()
    for heading in (
        "Table 1",
        "mirror anchors",
        "Where an anchor lies",
        "Many naive",
        "emerges",
        "Fine-tuning",
        "cost",
        "Predictions",
    ):
        assert heading in text
    for name in ("table1", "mirror_anchors", "anchor_placement", "many_languages_naive_5_0", "finetune", "probes"):
        assert f"(mini/figures/{name}.png)" in text
        assert (out / "mini" / "figures" / f"{name}.png").read_bytes()[:4] == b"\x89PNG"
    assert "prefix_naive/0 (.900)" in text  # below the bar, and so marked
    assert "corrected" in text
    assert "No runs of this scale are committed" in text
    assert "nan" not in text
    assert write_results(out, {"mini": STUDIES}).read_text() == text
    results = next((out / "mini" / "naive").glob("*/seed0/measures/probe*/results.json"))
    content = json.loads(results.read_text())
    content["headline"]["mlp/absolute"]["own"] = 0.91
    results.write_text(json.dumps(content))
    assert write_results(out, {"mini": STUDIES}).read_text() != text
