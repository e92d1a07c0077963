"""Proves that the page of results says what the folders say: words, predictions, marks, intervals; and changes with them."""

import itertools
import json
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.colors import to_hex
from report.folders import TUNING, add_probe, add_run, add_states, add_transfer

from mothello.report.results.cells import Expected, cell_table, pair_name, select
from mothello.report.results.figures import MAP_COLOURS, emergence_figure
from mothello.report.results.judgement import CORRECTED, DIFFERS, NOT_REACHED, REPRODUCED, band, direction, judge, near
from mothello.report.results.many_languages import emergence_in_short, judged_family
from mothello.report.results.markdown import decimal, ours, over_seeds
from mothello.report.results.page import Study, write_results
from mothello.report.results.predictions import predictions
from mothello.report.results.symmetry import (
    control_table,
    mirror_table,
    placement_table,
    placement_verdict,
    verdict,
)
from mothello.report.results.table1 import table_1
from mothello.report.results.transfer import courses, judged_change, transfer_rows, transfer_table, tuning_text
from mothello.report.runs import Run, find_runs
from mothello.report.statistics import estimate

IMAGES = {"rot180": 0.474, "main": 0.621, "anti": 0.578}
CELLS = {
    "table1": ["naive", "anchor_1", "anchor_2", "anchor_4", "unified"],
    "mirror_anchors": ["anchor_4", "mirror_main", "mirror_columns"],
    "anchor_placement": ["anchor_1", "anchor_1_main", "anchor_1_anti"],
    "many_languages": ["naive_5", "naive_8", "naive_20"],
    "emergence": ["naive"],
    "finetune": ["prefix_naive"],
    "probes": ["naive"],
}


def asked(name: str, probe: str = "00000100") -> Expected:
    """The folders that tests/analysis/folders.py writes."""
    return Expected(f"{name}-id", f"measures/probe-{probe}", "measures/states-00000001", TUNING)


SEEDS = {cell: [0, 1, 2] for names in CELLS.values() for cell in names} | {"naive_20": []}
STUDIES = [
    Study(study, f"{study}?", {cell: asked(cell) for cell in names}, {cell: SEEDS[cell] for cell in names})
    for study, names in CELLS.items()
]


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
        for row in rows_of(table_1(cells(root), SEEDS))
        if (row["pair"], row["anchors"]) == ("atomic + atomic", str(anchors))
    )


@pytest.mark.parametrize(
    ("raw", "best", "legal", "word"),
    [
        (0.5, None, 0.98, REPRODUCED),  # published .53: not aligned
        (0.5, 0.8, 0.98, CORRECTED),  # not aligned raw, aligned through a map
        (0.8, None, 0.98, DIFFERS),  # aligned as it is, by 80%
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
    assert row["raw"] == decimal(raw)
    through = {0.5: "3 none", 0.62: "3 identity (partly)", 0.8: "3 identity (partly)"}[raw]
    assert row["aligned through"] == ("3 main (partly)" if best else through)
    assert ("3 below the bar" in row["legal: strict / either colour"]) == (legal < 0.97)
    assert ("3 of 3 seeds aligned up to a symmetry" in row["why"]) == (word == CORRECTED)


def test_a_row_must_be_in_the_published_band(tmp_path: Path) -> None:
    """Own .85, constant .6: bands end at .6375 and .8125."""
    add(tmp_path, "anchor_1", 0, 0.70, count=1)  # published .82: partly
    add(tmp_path, "anchor_2", 0, 0.70, count=2)  # published .97: aligned
    add(tmp_path, "anchor_4", 0, 0.83, count=4)
    assert [row_for(tmp_path, n)["word"] for n in (1, 2, 4)] == [REPRODUCED, DIFFERS, REPRODUCED]
    assert "partly aligned, published aligned" in row_for(tmp_path, 2)["why"]
    assert "Likely: 2 layers and 1,000 games, not 8 layers and 180 M games" in row_for(tmp_path, 2)["why"]
    assert row_for(tmp_path, 0)["word"] == "not run"
    assert [row_for(tmp_path, n)["seeds"] for n in (1, 2)] == ["1 of 3"] * 2


@pytest.mark.parametrize(
    ("pair", "raw", "word"),
    [
        ("atomic + atomic", 0.53, REPRODUCED),
        ("atomic + atomic", 0.61, REPRODUCED),  # the level of a reflection
        ("atomic + split", 0.47, REPRODUCED),
        ("atomic + split", 0.60, DIFFERS),
        ("atomic + compositional", 0.49, REPRODUCED),
        ("atomic + compositional", 0.56, DIFFERS),
    ],
)
def test_naive_pairs_on_the_published_board(tmp_path: Path, pair: str, raw: float, word: str) -> None:
    for seed in range(3):
        add(tmp_path, "naive", seed, raw)
    table = cells(tmp_path).assign(board="8x8", pair=pair, winner="none")
    row = next(row for row in rows_of(table_1(table, SEEDS)) if (row["pair"], row["anchors"]) == (pair, "0"))
    assert row["word"] == word


def blocks(languages: int, within: float, half_turn: float, reflection: float) -> pd.Series:
    """Raw accuracies of the ordered pairs of languages in four blocks."""
    level = {0: within, 1: half_turn, 2: reflection, 3: reflection}
    pairs = itertools.permutations(range(languages), 2)
    return pd.Series([level[(a % 4) ^ (b % 4)] for a, b in pairs])


@pytest.mark.parametrize(
    ("board", "count", "raw", "word"),
    [
        ("8x8", 20, blocks(20, 0.97, 0.53, 0.61), CORRECTED),
        ("8x8", 20, blocks(20, 0.55, 0.53, 0.61), DIFFERS),  # no two languages in one block
        ("8x8", 20, blocks(20, 0.97, 0.75, 0.8), DIFFERS),
        ("8x8", 5, blocks(5, 0.95, 0.53, 0.61), CORRECTED),  # a lucky pair
        ("8x8", 5, blocks(5, 0.2, 0.2, 0.2), DIFFERS),
        ("6x6", 20, blocks(20, 0.87, 0.49, 0.57), CORRECTED),
        ("6x6", 20, blocks(20, 0.87, 0.8, 0.8), DIFFERS),
    ],
)
def test_families_are_judged_pair_by_pair(board: str, count: int, raw: pd.Series, word: str) -> None:
    of = pd.DataFrame([{"board": board, "constant": 0.62, "legal": 0.99, "best": 0.96}])
    assert judged_family(of, raw, count, mirrored=0.7).word == word
    assert judged_family(of, raw, count, mirrored=0.2).word == (REPRODUCED if word == CORRECTED else DIFFERS)
    assert judged_family(of.assign(legal=0.9), raw, count, mirrored=0.7).word == NOT_REACHED


def test_one_seed_of_three_corrects_nothing(tmp_path: Path) -> None:
    for seed in range(3):
        add(tmp_path, "naive", seed, 0.5, 0.8 if seed == 0 else None)
    row = row_for(tmp_path, 0)
    assert (row["word"], row["aligned through"]) == (REPRODUCED, "2 none, 1 main (partly)")


def test_the_same_board_is_judged_by_number() -> None:
    assert near(0.53, estimate([0.50, 0.52, 0.51]))
    assert near(0.555, estimate([0.50, 0.52, 0.54]))  # in the interval, which is .05 wide to each side
    assert not near(0.60, estimate([0.40, 0.52, 0.60]))  # in an interval that says nothing
    assert not near(0.60, estimate([0.50, 0.52, 0.51]))
    assert [band(x, 0.6, 0.9) for x in (0.5, 0.64, 0.65, 0.85, 0.86)] == [0, 0, 1, 1, 2]
    assert judge(reached=True, agrees=True, changed="", reason="x") == (REPRODUCED, "")
    assert judge(reached=False, agrees=False, changed="y", reason="x").word == NOT_REACHED


def mirrored(root: Path, main: float, columns: float, told: float | None = 0.5) -> pd.DataFrame:
    for seed in range(2):
        add(root, "anchor_4", seed, 0.83, count=4)
        add(root, "mirror_main", seed, 0.55, main, count=4)
        add(root, "mirror_columns", seed, columns, count=4)
    found = cells(root)
    return found.assign(told_kept=pd.Series(told, found.index).where(found.cell == "mirror_columns"))


def test_predictions_that_hold(tmp_path: Path) -> None:
    found = mirrored(tmp_path, 0.82, 0.5)
    main = rows_of(mirror_table(found, IMAGES))
    assert [row["anchors link s with"] for row in main] == ["main"] * 2
    assert [[row[key] for key in list(row)[-3:]] for row in main] == [["held"] * 3] * 2
    assert all(row["main"] == "**.820**" for row in main)
    outside = rows_of(control_table(found, found))
    assert [(row["anchors link s with"], row["not aligned"]) for row in outside] == [("columns", "held")] * 2
    assert verdict(found).startswith("2 of 2 runs aligned through the map")
    assert "Of 2 runs with a map outside the group, 2 did not align through one in it." in verdict(found)


def test_predictions_that_fail(tmp_path: Path) -> None:
    """The negative control of the page: other folders, other words."""
    found = mirrored(tmp_path, 0.65, 0.82)
    main, outside = rows_of(mirror_table(found, IMAGES))[0], rows_of(control_table(found, found))[0]
    assert [main[key] for key in list(main)[-3:]] == ["held", "failed", "held"]  # aligned, but not as well
    assert outside["not aligned"] == "failed"
    assert "0 did not align through one in it. The others: 2 identity" in verdict(found)


@pytest.mark.parametrize(
    ("told", "text"),
    [
        (0.84, "2 of 2 are aligned (.840 .840): anchors tie"),
        (0.7, "2 of 2 are aligned, 2 of them partly (.700 .700): anchors tie"),
        (0.59, "Nor do they align"),
        (None, "was not read"),
    ],
)
def test_the_control_is_also_read_under_its_own_map(tmp_path: Path, told: float | None, text: str) -> None:
    found = mirrored(tmp_path, 0.82, 0.5, told)
    assert text in control_table(found, found)
    asked = "1 negative control, asked afterwards: not through the map that its anchors tell either"
    assert outcomes(found)[asked] == "not predicted"
    assert ("Under the map that they told" in verdict(found)) == (told is not None)
    weak = "1.1 to 1.3 are weaker tests" in predictions(by_study(found), IMAGES, transfer_rows([]), SEEDS)
    assert weak == ("anchors tie languages through other maps" in verdict(found)) == (told in (0.7, 0.84))


def test_maps_outside_the_group_are_read_pair_by_pair(tmp_path: Path) -> None:
    """A quarter turn one way is the other on the way back: each pair has its own best map."""
    folder = add(tmp_path, "naive", 0, 0.5, 0.8)
    (path,) = folder.path.glob("measures/probe*/results.json")
    content = json.loads(path.read_text())
    maps = ["rot90", "rot270", "columns", "rows"]
    kept = [[[0, 0.9], [0.3, 0]], [[0, 0.3], [0.8, 0]], [[0, 0.2], [0.2, 0]], [[0, 0.1], [0.1, 0]]]
    same = [[[0, 0.4], [0.4, 0]]] * 4
    content["outside"] = {"map": maps, "mlp/absolute": {"kept": kept, "exchanged": same}}
    path.write_text(json.dumps(content))
    row = cells(tmp_path).iloc[0]
    assert (row.outside_kept, row.outside_exchanged) == pytest.approx((0.85, 0.4))
    assert pd.isna(row.told_kept)
    assert outcomes(cells(tmp_path))["8 naive pairs"] == "failed"
    assert outcomes(cells(tmp_path).assign(outside_kept=0.55))["8 naive pairs"] == "held"
    assert outcomes(cells(tmp_path).assign(outside_kept=float("nan")))["8 naive pairs"] == "open"
    columns = cells(tmp_path)
    config = folder.path / "config.yaml"
    config.write_text(config.read_text().replace("placement: 'off'", "image: columns\n    placement: 'off'"))
    assert "columns" in config.read_text()
    assert cells(tmp_path).iloc[0].told_kept == pytest.approx(0.2)
    assert columns.told_kept.isna().all()


def test_an_anchor_leaves_what_it_leaves(tmp_path: Path) -> None:
    add(tmp_path, "anchor_1", 0, 0.5, 0.8, count=1)
    add(tmp_path, "anchor_1_main", 0, 0.5, 0.8, count=1)
    add(tmp_path, "anchor_1_anti", 0, 0.5, count=1)
    words = {row["anchors"]: row["prediction 2"] for row in rows_of(placement_table(cells(tmp_path)))}
    assert words == {"1, off the diagonals": "failed", "1, on main": "held", "1, on anti": "open"}
    assert placement_verdict(cells(tmp_path)) == (
        "Of 2 runs with all anchors on one diagonal, 1 aligned through a reflection (raw .500, best map .800), 0 as they "
        "are. Of the 1 with anchors off the diagonals or on each, 0 aligned as they are."
    )
    assert placement_verdict(cells(tmp_path).assign(reached=False)) == ""
    mixed = cells(tmp_path).assign(winner="mixed")  # one direction alone: nothing is tested
    assert {row["prediction 2"] for row in rows_of(placement_table(mixed))} == {"open"}


def test_a_model_that_did_not_learn_tests_no_prediction(tmp_path: Path) -> None:
    add(tmp_path, "anchor_4", 0, 0.83, count=4)
    add(tmp_path, "mirror_main", 0, 0.55, 0.82, legal=0.9, count=4)
    add(tmp_path, "mirror_columns", 0, 0.5, legal=0.9, count=4)
    add(tmp_path, "anchor_1", 0, 0.5, 0.8, legal=0.9, count=1)
    found = cells(tmp_path)
    main, columns = rows_of(mirror_table(found, IMAGES))[0], rows_of(control_table(found, found))[0]
    assert [main[key] for key in list(main)[-3:]] == ["open"] * 3
    assert columns["not aligned"] == "not reached"
    assert rows_of(placement_table(cells(tmp_path)))[0]["prediction 2"] == "open"


def by_study(every: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {study: every[every.cell.isin(names)] for study, names in CELLS.items()}


def outcomes(
    every: pd.DataFrame, runs: list[Run] | None = None, planned: dict[str, list[int]] = SEEDS
) -> dict[str, str]:
    rows = rows_of(predictions(by_study(every), IMAGES, transfer_rows(runs or []), planned))
    found = {row["prediction"]: row["outcome"] for row in rows}
    assert len(found) == len(rows)
    return {name.split(":")[0] if name[:2] not in ("4 ", "1 ", "7 ") else name: word for name, word in found.items()}


TWENTY = "7 twenty naive languages: the best map reads within .05 of the own language"
NONE_OF_EIGHT = "4 eight naive languages: no pair is aligned at this scale"
CONTROL = "1 negative control: anchors that tell a map outside the group align through none of the four"


def test_every_prediction_has_an_outcome(tmp_path: Path) -> None:
    add(tmp_path, "naive", 0, 0.5, 0.8)
    found = outcomes(cells(tmp_path))
    assert found["3 naive pairs"] == "held"
    assert found["1.1 mirror anchors"] == found[CONTROL] == found[NONE_OF_EIGHT] == "open"
    every = mirrored(tmp_path, 0.82, 0.5)
    add(tmp_path, "anchor_1", 0, 0.5, 0.8, count=1)
    add(tmp_path, "unified", 0, 0.7, output="unified")
    add(tmp_path, "naive_8", 0, 0.5, 0.8, languages=8)
    every = cells(tmp_path)
    found = outcomes(every)
    assert found["1.1 mirror anchors"] == found[CONTROL] == "held"
    assert found["1 negative control: no better off than naive pairs"] == "held"
    assert found["1 the symmetry account is wrong if 1.1 fails on more than one of six runs"] == "open"  # two runs only
    assert found["2 anchors"] == found[NONE_OF_EIGHT] == "failed"
    assert found["4 eight naive languages: if pairs are aligned, their maps are consistent"] == "held"
    assert found["5 unified output loses at most .03"] == "failed"
    below = outcomes(every.assign(reached=False))  # no model learned: nothing was tested
    assert set(below.values()) == {"open", "not predicted", "not asked for at this scale"}
    mixed = outcomes(every.assign(winner="mixed"))
    assert mixed["3 naive pairs"] == mixed["2 anchors"] == "open"


def test_other_families_say_nothing_about_eight_languages(tmp_path: Path) -> None:
    add(tmp_path, "naive_20", 0, 0.51, 0.84, languages=5)
    every = cells(tmp_path)
    assert outcomes(every)[NONE_OF_EIGHT] == "open"
    assert outcomes(every)["7 twenty naive languages, at the published scale"] == "not asked for at this scale"
    published = SEEDS | {"naive_8": [], "naive_20": [0]}
    found = outcomes(every, planned=published)
    assert NONE_OF_EIGHT not in found
    group, levels = "7 the same: the winning maps form the group", "7 the same: raw, pairs read .97, .61 or .53"
    assert (found[TWENTY], found[group], found[levels]) == ("held", "failed", "held")  # one map only; .51 is near .53
    assert outcomes(every.assign(best=0.7), planned=published)[TWENTY] == "failed"
    several = outcomes(every.assign(maps="identity 5, rot180 5, main 5, anti 5", at_levels=0.8), planned=published)
    assert (several[group], several[levels]) == ("held", "failed")
    assert outcomes(every[:0], planned=published)[group] == "open"


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
    assert courses("92 to 99.7 / 91 to 89.6")[1] == pytest.approx((0.91, 0.896, None))
    assert courses("90.8 to 99.1 / same as source")[1] == pytest.approx((0.908, 0.991, None))
    assert courses("91.5 to 99.6 / 91.8 to 89.2 (peak 95.7)")[1] == pytest.approx((0.918, 0.892, 0.957))
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
    assert judged_change(falls, -0.225, same=True).word == REPRODUCED
    three = pd.concat([falls.assign(lenient_after=0.6 + x) for x in (-0.015, 0.0, 0.015)])
    assert judged_change(three, -0.235, same=True).word == REPRODUCED  # in our interval, which is .037 to each side
    assert judged_change(three, -0.245, same=True).word == DIFFERS


def test_every_family_that_was_tuned_is_shown(tmp_path: Path) -> None:
    """Also where nothing was published about it; what no study asks for is named, not shown as missing."""
    add_transfer(add_run(tmp_path, "prefix_naive", 0))
    add_transfer(add_run(tmp_path, "mix_prefix_naive", 0, languages=4))
    rows = transfer_rows(find_runs([str(tmp_path)]))
    text = transfer_table(rows, {"prefix_naive": [0, 1], "split_prefix_naive": [0]})
    table = rows_of(text)
    assert {row["pair"] for row in table} == {"atomic", "4 atomic", "split"}
    assert next(row["seeds"] for row in table if row["pair"] == "atomic") == "1 of 2"
    assert [row["word"] for row in table if row["pair"] == "split"] == ["not run"] * 2
    assert "compositional, 8 anchors" in text.splitlines()[-1]


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
    lines = text.splitlines()
    for beginning in (
        "| main | 0 | ",  # mirror anchors
        "| 1, on main | 0 | ",  # where an anchor lies
        "| 5 | off the diagonal",  # many naive languages
        "| atomic + atomic | 1,000 | 500 | 16 | 3 | ",  # when alignment emerges
        "| atomic | naive | source | .920 to .997 | ",  # fine-tuning
        "* **Many naive languages.** 5 atomic, seed 0, after 1,000 games: 20 of 20 ordered pairs are aligned, through main",
        "| table1 | 9 | cpu | 2 | 1.5 | ",  # cost
        "| 3 naive pairs: where some are aligned, one at least through a map other than the identity | 3 main",
    ):
        assert any(line.startswith(beginning) for line in lines), beginning
    for name in (
        "table1",
        "mirror_anchors",
        "anchor_placement",
        "many_languages_naive_5_0",
        "naive_boards",
        "finetune",
        "probes",
    ):
        assert f"(mini/figures/{name}.png)" in text
        assert (out / "mini" / "figures" / f"{name}.png").read_bytes()[:4] == b"\x89PNG"
    assert "prefix_naive/0 (.900)" in text  # below the bar, and so marked
    (naive,) = [line for line in text.splitlines() if line.startswith("| atomic + atomic | 0 | .53 |")]
    assert f"| {CORRECTED} | 3 of 3 seeds aligned up to a symmetry" in naive
    assert "No runs of this scale are committed" in text
    assert "nan" not in text
    assert write_results(out, {"mini": STUDIES}).read_text() == text
    results = next((out / "mini" / "naive").glob("*/seed0/measures/probe*/results.json"))
    content = json.loads(results.read_text())
    content["headline"]["mlp/absolute"]["own"] = 0.91
    results.write_text(json.dumps(content))
    assert write_results(out, {"mini": STUDIES}).read_text() != text


def test_when_alignment_emerges_is_drawn_seed_by_seed() -> None:
    """A panel per number of languages and width, pairs first and wide before narrow; a place per budget."""
    rows = [
        ("atomic + atomic", 2, 128, 60_000, 0.55, "none"),
        ("atomic + atomic", 2, 128, 480_000, 0.8, "main"),
        ("atomic + atomic", 2, 128, 480_000, 0.9, "identity"),
        ("atomic + atomic", 2, 64, 480_000, 0.7, "main"),
        ("8 atomic", 56, 128, 3_000_000, 0.87, "mixed"),
    ]
    of = pd.DataFrame(rows, columns=["pair", "pairs", "width", "games", "best", "winner"])
    of = of.assign(own=0.9, constant=0.6, seed=range(len(rows)))
    axes = emergence_figure(of).axes
    titles = [axis.get_title(loc="left") for axis in axes]
    assert titles == ["atomic + atomic\nwidth 128", "atomic + atomic\nwidth 64", "8 atomic\nwidth 128"]
    assert [label.get_text() for label in axes[0].get_xticklabels()] == ["0.06 M", "0.48 M"]
    points = {c.get_label(): (*c.get_offsets()[0], to_hex(c.get_facecolor()[0])) for c in axes[0].collections}  # type: ignore[index]
    assert points["not aligned"] == (0, 0.55, MAP_COLOURS["none"])
    assert points["aligned: main"][1:] == (0.8, MAP_COLOURS["main"])
    assert points["aligned: main"][0] < 1 < points["aligned: identity"][0], "seeds of one budget do not hide each other"
    assert axes[2].collections[0].get_label() == "aligned, several maps"


def test_a_row_below_the_bar_says_which_language_is(tmp_path: Path) -> None:
    folder = add(tmp_path, "split_naive", 0, 0.5, legal=0.92)
    config = folder.path / "results.json"
    config.write_text(config.read_text().replace('"kind": "atomic"', '"kind": "split"', 1))
    add_states(folder, strict=(0.88, 0.96))
    row = next(row for row in rows_of(table_1(cells(tmp_path), SEEDS)) if row["seeds"] == "1")
    assert (row["pair"], row["word"], row["why"]) == ("atomic + split", NOT_REACHED, "strict: split .880, atomic .960")


def test_what_fine_tuning_was(tmp_path: Path) -> None:
    add_transfer(add_run(tmp_path, "prefix_naive", 0))
    text = tuning_text(find_runs([str(tmp_path)]))
    assert "640 games in one language, adamw, learning rate 0.0005; legality estimated on 64 games a language" in text
    assert tuning_text([]) == ""


def test_when_alignment_emerges_in_a_sentence() -> None:
    rows = [(2, 128, 60_000, "none"), (2, 128, 480_000, "main"), (2, 128, 480_000, "none"), (2, 64, 480_000, "main")]
    of = pd.DataFrame([*rows, (56, 128, 3_000_000, "mixed")], columns=["pairs", "width", "games", "winner"])
    said = "at width 128: 0 of 1 after 60,000 games, 1 of 2 after 480,000 games."
    assert emergence_in_short(of).endswith(said)
    assert emergence_in_short(of[of.games == 480_000]) == ""
