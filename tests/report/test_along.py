"""Proves: the onset is the first of two consecutive checkpoints above the null, by hand; what was measured at kept steps is drawn
against games, through every map, and nowhere else on the page; a planted onset is found, and without one there is none: what
the best of four maps comes to by chance is no onset, nor is a step that was kept beside another one."""

import logging
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from report.made import Rows, add_measure, add_probe, add_run, names, write

from mothello.othello.symmetry import OPENING_MAPS, OTHER_MAPS
from mothello.report.along import alignment, along_of, best_map, curves_of, onset, own, pair_onsets, skill
from mothello.report.along_section import PHONE, along_curves, trajectories
from mothello.report.page import render, write_report
from mothello.report.runs import Run, find_runs
from mothello.report.table import table_of
from mothello.rows import FILE, write_tidy
from mothello.rundir import RunDir

PAIRS = [("atomic_0", "atomic_1"), ("atomic_1", "atomic_0")]


@pytest.mark.parametrize(
    ("above", "games"),
    [("0000", None), ("0111", 2), ("0101", None), ("1011", 4), ("0001", None), ("1111", 1), ("1", None), ("", None)],
)
def test_the_onset_by_hand(above: str, games: int | None) -> None:
    games_ = [2**i for i in range(len(above))]
    points = pd.DataFrame({"games": games_, "map": "", "above": [x == "1" for x in above]}, dtype=object)
    assert onset(points.astype({"above": bool})[::-1]) == games  # whatever the order of the rows


def at_step(folder: RunDir, step: int) -> RunDir:
    """A copy of a measure as one of an earlier step."""
    earlier = RunDir(folder.path.with_name(f"{folder.path.name}-step{step}"))
    write(earlier, "measure", {"games": 100, "step": step, "steps": 100})
    earlier.write_config(folder.read_config())
    return earlier


@pytest.mark.parametrize(
    ("games", "above", "expected"),
    [
        ([100, 1000, 1040, 2000], "0110", None),  # 1040 is nearly 1000
        ([100, 1000, 1040, 2000], "0101", 1000),  # and does not come between
        ([100, 1000, 1050, 2000], "0110", 1000),
        ([1000, 1040, 1080, 1120], "1011", 1000),  # those that count: 1000 and 1080
        ([1, 2, 3], "011", 2),
    ],
)
def test_a_step_kept_beside_another_one_is_no_second_checkpoint(
    games: list[int], above: str, expected: int | None
) -> None:
    assert onset(pd.DataFrame({"games": games, "map": "", "above": [x == "1" for x in above]})) == expected


def test_maps_that_take_turns_as_the_best_are_no_onset() -> None:
    maps = ["main", "anti", "main", "main"]
    points = pd.DataFrame({"games": [1, 2, 4, 8], "map": maps, "above": True, "source": "a", "language": "b"})
    assert pair_onsets(points) == {("a", "b"): (4.0, "main")}
    assert pair_onsets(points[:3]) == {}


def retrieval(values: Sequence[float], random: float, permuted: float = 0.06) -> Rows:
    """Of the maps that there are values for, at layer 1 of three; less at the others. permuted: the upper end of the best
    map's permutations."""
    head = {"measure": "alignment", "quantity": "retrieval_same_ply"}
    rows: Rows = [head | {"control": "chance", "value": 0.03}]
    for (source, language), layer in ((pair, layer) for pair in PAIRS for layer in range(3)):
        place = head | {"source": source, "language": language, "layer": layer}
        for name, value in zip((*OPENING_MAPS, *OTHER_MAPS), values, strict=False):
            near = value if layer == 1 else value / 2
            rows.append(
                place | {"control": "trained", "map": name, "value": near, "low": near - 0.02, "high": near + 0.02}
            )
            rows.append(place | {"control": "random_weights", "map": name, "value": random})
            rows.append(place | {"control": "permuted", "map": name, "value": 0.03, "low": 0.01, "high": 0.045})
        near, name = max(zip(values[:4], OPENING_MAPS, strict=True))
        near, place = near if layer == 1 else near / 2, place | {"quantity": "retrieval_same_ply_best_map"}
        rows += [
            place | {"control": "trained", "map": name, "value": near, "low": near - 0.02, "high": near + 0.02},
            place | {"control": "random_weights", "map": "anti", "value": random},
            place | {"control": "permuted", "value": 0.04, "low": 0.03, "high": permuted},
        ]
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


def write_steps(
    root: Path, values: Sequence[Sequence[float]], permuted: float = 0.06, more: Sequence[Rows] = ([],) * 4
) -> None:
    """A run with retrieval at the four steps, by map, and further rows there; random weights find little."""
    shutil.rmtree(root / "naive", ignore_errors=True)
    measured = [[*retrieval(x, 0.01, permuted), *rows] for x, rows in zip(values, more, strict=True)]
    last = add_measure(add_run(root), "alignment", measured[-1], {})
    for step, rows in zip(STEPS, measured[:3], strict=False):
        write_tidy(at_step(last, step).path, rows)


def runs(root: Path) -> list[Run]:
    return find_runs([str(root)])


def test_a_planted_onset_is_found_through_its_map(tmp_path: Path) -> None:
    """Retrieval is above random weights from step 10 on, and legality above chance from step 30 on (its interval)."""
    add_steps(tmp_path)
    along = along_of(runs(tmp_path))
    assert pair_onsets(best_map(along)) == dict.fromkeys(PAIRS, (100.0, "main"))
    assert [onset(one) for _, one in skill(along).groupby("language")] == [300.0, 300.0]
    points = alignment(along)
    assert set(points["map"]) == {*OPENING_MAPS, *OTHER_MAPS}
    assert points[(points["map"] == "main") & (points.source == "atomic_0")].value.tolist() == [*MAIN[:3], MAIN[3]]
    assert set(best_map(along).null) == {0.1}
    assert best_map(along)["map"].tolist().count("main") == 6  # at three of the four steps


def test_random_weights_and_maps_outside_the_group_are_no_onset(tmp_path: Path) -> None:
    add_steps(tmp_path, random=0.9)
    assert pair_onsets(best_map(along_of(runs(tmp_path)))) == {}
    write_steps(tmp_path, [[0.01] * 4 + [0.9] * 4] * 4)
    along = along_of(runs(tmp_path))
    assert pair_onsets(best_map(along)) == {}
    assert alignment(along).query("map == 'rot90'").value.tolist() == [0.9] * 8


@pytest.mark.parametrize(("permuted", "games"), [(0.09, 300.0), (0.06, 10.0)])
def test_what_the_best_of_four_maps_reaches_by_chance_is_no_onset(
    tmp_path: Path, permuted: float, games: float
) -> None:
    """One of four maps is early above what one map comes to by chance (0.045), at two checkpoints, and not above what
    the best of four does."""
    chance = [0.03, 0.1, 0.03, 0.03]
    write_steps(tmp_path, [chance, chance, [0.4, 0.05, 0.05, 0.05], [0.8, 0.1, 0.1, 0.1]], permuted)
    points = best_map(along_of(runs(tmp_path)))
    assert set(points.null) == {permuted}
    assert pair_onsets(points) == dict.fromkeys(PAIRS, (games, "rot180" if games < 300 else "identity"))


def test_a_measure_without_the_best_map_has_curves_and_no_onset(tmp_path: Path) -> None:
    write_steps(tmp_path, [[0.9] * 4] * 4)
    along = along_of(runs(tmp_path))
    along = along[along.quantity != "retrieval_same_ply_best_map"]
    assert len(alignment(along)) == 4 * 4 * 2
    assert best_map(along).empty
    assert re.findall(r"<td>(.*?)</td>", trajectories(along)["onsets"])[3:] == ["&ndash;"] * 3
    along_curves(curves_of(along), "red")


def test_probes_are_drawn_where_there_are_any(tmp_path: Path) -> None:
    """own, and across through the maps, at the headline's layer; beside the orbit reader."""
    folder = add_steps(tmp_path)
    last = add_probe(folder, 0.9, 0.6, orbit=0.65, best=0.8)
    for step, own_, best in ((1, 0.62, 0.5), (10, 0.7, 0.6), (30, 0.8, 0.7)):
        other = add_probe(RunDir(tmp_path / "other" / str(step)), own_, 0.5, orbit=0.65, best=best)
        shutil.copy(other.path / FILE, at_step(last, step).path)
    along = along_of(find_runs([str(folder.path)]))
    points = alignment(along)
    best = best_map(along)
    assert set(best.null) == {0.65}
    assert best.groupby("games").value.mean().tolist() == [0.5, 0.6, 0.7, 0.8]
    assert points[points["map"] == "main"].groupby("games").value.mean().tolist() == [0.5, 0.6, 0.7, 0.8]
    assert own(along).groupby("games").value.mean().tolist() == [0.62, 0.7, 0.8, 0.9]
    assert pair_onsets(best) == dict.fromkeys(PAIRS, (300.0, "main"))


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
    numbers = pd.read_csv(page.with_name("table.csv.gz"))
    assert sorted(numbers[numbers.folder == "measures/alignment-00000100-step10"].games.unique()) == [100]
    assert len(table_of(found)) + len(along_of(found).query("step < 100")) == len(numbers)


def test_a_run_without_earlier_steps_has_no_section(tmp_path: Path) -> None:
    add_measure(add_run(tmp_path), "alignment", retrieval([0.1] * 4, 0.1), {})
    assert trajectories(along_of(runs(tmp_path))) == {}
    assert "Along the training" not in render(runs(tmp_path), "study")


def test_the_figure_has_what_there_is(tmp_path: Path) -> None:
    add_steps(tmp_path)
    along = along_of(runs(tmp_path))
    curves = curves_of(along)
    both, one = along_curves(curves, "red"), along_curves(curves._replace(legal=curves.legal[:0]), "red")
    assert (len(both.axes), len(one.axes), both.get_figwidth()) == (2, 1, PHONE)
    lines = {line.get_label(): line for line in both.axes[1].lines}
    assert {*OPENING_MAPS, "the four other maps", "null", "onset"} <= lines.keys()
    assert lines["main"].get_ydata().tolist() == MAIN  # type: ignore[union-attr]
    assert lines["main"].get_xdata().tolist() == [10, 100, 300, 1000]  # type: ignore[union-attr]
    assert list(lines["onset"].get_xdata()) == [100, 100]  # type: ignore[arg-type]


def test_a_fork_is_named_with_its_step(tmp_path: Path) -> None:
    add_steps(tmp_path)
    (run,) = runs(tmp_path)
    assert trajectories(along_of([run]), [run])["along"][0].caption == "naive."
    run.config.update(fork="runs/naive/0a1b/seed0", at=1000)
    (panel,) = trajectories(along_of([run]), [run])["along"]
    assert panel.caption == "naive, a fork at step 1,000: its curve begins there."


def test_embeddings_of_a_dictionary_are_drawn_beside_those_held_out(tmp_path: Path) -> None:
    def rows(inside: float) -> Rows:
        head = {"measure": "embedding", "quantity": "neighbours", "layer": 0, "control": "trained"}
        pairs = [head | {"source": source, "language": language} for source, language in PAIRS]
        parts = {"": 0.5, "dictionary": inside, "held_out": inside / 4}
        return [x | {"target": t, "map": m, "value": v} for x in pairs for t, v in parts.items() for m in OPENING_MAPS]

    values = [0.0, 0.2, 0.4, 0.8]
    write_steps(tmp_path, [[0.1] * 4] * 4, more=[rows(x) for x in values])
    figure = along_curves(curves_of(along_of(runs(tmp_path))), "red")
    lines = {line.get_label(): line for line in figure.axes[-1].lines}
    assert list(lines) == ["moves of the dictionary", "moves held out of it"]
    assert lines["moves of the dictionary"].get_ydata().tolist() == values  # type: ignore[union-attr]
    assert lines["moves held out of it"].get_ydata().tolist() == [x / 4 for x in values]  # type: ignore[union-attr]


def test_a_damaged_step_is_left_out_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = add_steps(tmp_path)
    (path,) = folder.path.glob("measures/alignment-*-step10/table.csv.gz")
    path.write_bytes(b"no gzip")
    with caplog.at_level(logging.WARNING):
        points = alignment(along_of(runs(tmp_path)))
    assert "step10/table.csv.gz is damaged" in caplog.text
    assert sorted(points.games.unique()) == [10, 300, 1000]
