"""Proves: the onset is the first of two consecutive checkpoints above the null, by hand; what was measured at kept steps is drawn
against games, through every map, and nowhere else on the page; a planted onset is found, and without one there is none."""

import logging
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from report.made import Rows, add_measure, add_probe, add_run, names, write

from mothello.othello.symmetry import OPENING_MAPS, OTHER_MAPS
from mothello.report.along import alignment, along_of, onset, own, pair_onsets, skill
from mothello.report.along_section import PHONE, along_curves, trajectories
from mothello.report.page import render, write_report
from mothello.report.runs import Run, find_runs
from mothello.report.table import table_of
from mothello.rows import FILE, write_tidy
from mothello.rundir import RunDir

PAIRS = [("atomic_0", "atomic_1"), ("atomic_1", "atomic_0")]


@pytest.mark.parametrize(
    ("above", "games"),
    [("0000", None), ("0111", 2), ("0101", None), ("1011", 3), ("0001", None), ("1111", 1), ("1", None), ("", None)],
)
def test_the_onset_by_hand(above: str, games: int | None) -> None:
    points = pd.DataFrame({"games": range(1, len(above) + 1), "above": [x == "1" for x in above]}, dtype=object)
    assert onset(points.astype({"above": bool})[::-1]) == games  # whatever the order of the rows


def at_step(folder: RunDir, step: int) -> RunDir:
    """A copy of a measure as one of an earlier step."""
    earlier = RunDir(folder.path.with_name(f"{folder.path.name}-step{step}"))
    write(earlier, "measure", {"games": 100, "step": step, "steps": 100})
    earlier.write_config(folder.read_config())
    return earlier


def retrieval(values: Sequence[float], random: float, chance: float = 0.03) -> Rows:
    """Of the maps that there are values for, at layer 1 of three; less at the others."""
    head = {"measure": "alignment", "quantity": "retrieval_same_ply"}
    rows: Rows = [head | {"control": "chance", "value": chance}]
    for (source, language), layer in ((pair, layer) for pair in PAIRS for layer in range(3)):
        place = head | {"source": source, "language": language, "layer": layer}
        for name, value in zip((*OPENING_MAPS, *OTHER_MAPS), values, strict=False):
            near = value if layer == 1 else value / 2
            rows.append(
                place | {"control": "trained", "map": name, "value": near, "low": near - 0.02, "high": near + 0.02}
            )
            rows.append(place | {"control": "random_weights", "map": name, "value": random})
    return rows


def legal(value: float) -> Rows:
    head = {"measure": "legality", "quantity": "top1"}
    rows = [head | {"control": "trained", "language": x, "value": value, "low": value - 0.02} for x in names(2)]
    rows += [head | {"control": "chance", "language": x, "value": 0.4} for x in names(2)]
    return [*rows, head | {"control": "trained", "language": "atomic_0", "ply": 1, "value": 0.0}]


STEPS = [1, 10, 30, 100]
MAIN = [0.05, 0.2, 0.4, 0.8]
"""What is found through the map main at these steps."""


def add_steps(root: Path, name: str = "naive", random: float = 0.1, seed: int = 0) -> RunDir:
    """A run of 100 steps of ten games that was measured at four of them, without probes."""
    folder = add_run(root, name, seed)
    for measure, of in (
        ("alignment", lambda i: retrieval([0.1, 0.1, MAIN[i], 0.1, *[0.08] * 4], random)),
        ("legality", lambda i: legal([0.3, 0.41, 0.6, 0.9][i])),
    ):
        last = add_measure(folder, measure, of(3), {})
        for i, step in enumerate(STEPS[:3]):
            write_tidy(at_step(last, step).path, of(i))
    return folder


def runs(root: Path) -> list[Run]:
    return find_runs([str(root)])


def test_a_planted_onset_is_found_through_its_map(tmp_path: Path) -> None:
    """Retrieval is above random weights from step 10 on, and legality above chance from step 30 on (its interval)."""
    add_steps(tmp_path)
    along = along_of(runs(tmp_path))
    assert pair_onsets(alignment(along)) == dict.fromkeys(PAIRS, (100.0, "main"))
    assert [onset(one) for _, one in skill(along).groupby("language")] == [300.0, 300.0]
    points = alignment(along)
    assert set(points["map"]) == {*OPENING_MAPS, *OTHER_MAPS}
    assert points[(points["map"] == "main") & (points.source == "atomic_0")].value.tolist() == [*MAIN[:3], MAIN[3]]
    assert set(points.null) == {0.1}


def test_random_weights_and_maps_outside_the_group_are_no_onset(tmp_path: Path) -> None:
    add_steps(tmp_path, random=0.9)
    assert pair_onsets(alignment(along_of(runs(tmp_path)))) == {}
    points = pd.DataFrame({
        "source": "a", "language": "b", "map": ["rot90"] * 2 + ["main"] * 2 + ["anti"] * 2, "games": [1, 2] * 3,
        "above": [True, True, True, False, False, True],
    })  # fmt: skip
    assert pair_onsets(points) == {}  # nor are two maps that take turns


def test_probes_are_drawn_where_there_are_any(tmp_path: Path) -> None:
    """own, and across through the maps, at the headline's layer; beside the orbit reader."""
    folder = add_steps(tmp_path)
    last = add_probe(folder, 0.9, 0.6, orbit=0.65, best=0.8)
    for step, own_, best in ((1, 0.62, 0.5), (10, 0.7, 0.6), (30, 0.8, 0.7)):
        other = add_probe(RunDir(tmp_path / "other" / str(step)), own_, 0.5, orbit=0.65, best=best)
        shutil.copy(other.path / FILE, at_step(last, step).path)
    along = along_of(find_runs([str(folder.path)]))
    points = alignment(along)
    assert set(points.null) == {0.65}
    assert points[points["map"] == "main"].groupby("games").value.mean().tolist() == [0.5, 0.6, 0.7, 0.8]
    assert own(along).groupby("games").value.mean().tolist() == [0.62, 0.7, 0.8, 0.9]
    assert pair_onsets(points) == dict.fromkeys(PAIRS, (300.0, "main"))


def test_the_page_has_a_narrow_figure_per_label_and_the_onsets(tmp_path: Path) -> None:
    for seed in (0, 1):
        add_steps(tmp_path / "runs", seed=seed)
    add_run(tmp_path / "runs", "unified", output="unified")
    found = runs(tmp_path / "runs")
    content = trajectories(along_of(found))
    (panel,) = content["along"]
    width = re.search(r"width:(\d+)px", panel.image)
    assert width is not None
    assert int(width[1]) <= 480
    rows = re.findall(r"<td>(.*?)</td>", content["onsets"])
    assert rows == [
        *("naive", "0", "300", "100", "2 of 2", "main: 2"),
        *("naive", "1", "300", "100", "2 of 2", "main: 2"),
    ]
    page = write_report(found, tmp_path / "page", "study")
    assert "Along the training" in page.read_text()
    numbers = pd.read_csv(page.with_name("table.csv"))
    assert sorted(numbers[numbers.folder == "measures/alignment-00000100-step10"].games.unique()) == [100]
    assert len(table_of(found)) + len(along_of(found).query("step < 100")) == len(numbers)


def test_a_run_without_earlier_steps_has_no_section(tmp_path: Path) -> None:
    add_measure(add_run(tmp_path), "alignment", retrieval([0.1] * 4, 0.1), {})
    assert trajectories(along_of(runs(tmp_path))) == {}
    assert "Along the training" not in render(runs(tmp_path), "study")


def test_the_figure_has_what_there_is(tmp_path: Path) -> None:
    add_steps(tmp_path)
    along = along_of(runs(tmp_path))
    legal_, aligned = skill(along), alignment(along)
    both, one = along_curves(legal_, aligned, own(along), "red"), along_curves(legal_[:0], aligned, own(along), "red")
    assert (len(both.axes), len(one.axes), both.get_figwidth()) == (2, 1, PHONE)
    lines = {line.get_label(): line for line in both.axes[1].lines}
    assert {*OPENING_MAPS, "the four other maps", "null", "onset"} <= lines.keys()
    assert lines["main"].get_ydata().tolist() == MAIN  # type: ignore[union-attr]
    assert lines["main"].get_xdata().tolist() == [10, 100, 300, 1000]  # type: ignore[union-attr]
    assert list(lines["onset"].get_xdata()) == [100, 100]  # type: ignore[arg-type]


def test_a_damaged_step_is_left_out_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = add_steps(tmp_path)
    (path,) = folder.path.glob("measures/alignment-*-step10/table.csv.gz")
    path.write_bytes(b"no gzip")
    with caplog.at_level(logging.WARNING):
        points = alignment(along_of(runs(tmp_path)))
    assert "step10/table.csv.gz is damaged" in caplog.text
    assert sorted(points.games.unique()) == [10, 300, 1000]
