"""Proves: results/first/README.md is what its committed runs make it; its numbers are those of their tables, read by other
code; a task is learned, and followed, by the rules that the page states; a run that lacks a measure leaves a dash."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mothello.report.measurements import Measurement
from mothello.report.runs import Run, find_runs
from mothello.rows import as_table
from studies import RESULTS
from studies.first import CELLS, First, firsts, task_of, worth, write_first

FIRST = RESULTS / "first"


def run_with(rows: list[dict[str, Any]], children: tuple[Run, ...] = (), **config: Any) -> Run:
    results = {"languages": [{"name": "atomic_0"}, {"name": "atomic_1"}], "games": 64, "steps": 1}
    measures = [
        Measurement(f"measures/{name}-00000000", {}, {}, part) for name, part in as_table(rows).groupby("measure")
    ]
    return Run(Path("runs/naive/00000000/seed0"), config, results, [], measures, list(children))


def tuned(source: tuple[float, float], other: tuple[float, float], guess: float) -> Run:
    head = {"measure": "task_transfer", "quantity": "task_accuracy", "target": "bracket", "control": "trained"}
    rows = [
        head | {"language": language, "step": step, "value": value}
        for language, values in (("atomic_0", source), ("atomic_1", other))
        for step, value in zip((600, 0), reversed(values), strict=True)
    ]
    rows += [
        head | {"language": "atomic_0", "step": 0, "control": name, "value": guess}
        for name in ("constant", "constant_by_move")
    ]
    return run_with(rows, settings={"source": "atomic_0"})


@pytest.mark.parametrize(
    ("source", "other", "learned", "follows"),
    [
        ((0.5, 0.7), (0.5, 0.61), True, True),
        ((0.5, 0.7), (0.5, 0.59), True, False),
        ((0.5, 0.7), (0.5, 0.2), True, False),
        ((0.5, 0.51), (0.5, 0.51), False, True),
    ],
)
def test_a_task_is_learned_and_followed(
    source: tuple[float, float], other: tuple[float, float], learned: bool, follows: bool
) -> None:
    task = task_of(run_with([], (tuned(source, other, 0.45),)))
    assert task is not None
    assert (task.source, task.other, task.guess) == (source, other, 0.45)
    assert (task.learned, task.follows) == (learned, follows)


def test_a_mean_is_over_languages_and_not_over_plies() -> None:
    head = {"measure": "legality", "quantity": "top1", "control": "trained"}
    rows = [head | {"language": "atomic_0", "value": 0.9}, head | {"language": "atomic_1", "value": 0.8}]
    rows += [head | {"language": "atomic_0", "ply": 3, "value": 0.1}, head | {"control": "chance", "value": 0.4}]
    one = First("naive", run_with(rows), None, None)
    assert one.share("top1") == pytest.approx(0.85)
    assert one.share("top1", "chance") == pytest.approx(0.4)
    assert one.share("masked_accuracy", "trained", "prefix") is None
    assert one.sentence == "It plays a legal next move in 85% of cases (a random one: 40%)."


def test_the_page_is_what_the_committed_runs_make_it(tmp_path: Path) -> None:
    (tmp_path / "mini").symlink_to(FIRST / "mini")
    assert write_first(tmp_path).read_text() == (FIRST / "README.md").read_text(), "say: make results"


def test_the_numbers_are_those_of_the_tables() -> None:
    runs = firsts(find_runs([str(FIRST / "mini")]))
    assert [one.cell for one in runs] == list(CELLS)  # every objective
    for one in runs:
        name, quantity = ("masked", "masked_accuracy") if one.share("top1") is None else ("legality", "top1")
        (path,) = (one.run.path / "measures").glob(f"{name}-*/table.csv.gz")
        table = pd.read_csv(path, keep_default_na=False, na_values=[""])
        for target in ("prefix", "game") if name == "masked" else ("",):
            rows = table[(table.quantity == quantity) & (table.control == "trained") & table.ply.isna()]
            rows = rows[rows.target == target] if target else rows
            assert one.share(quantity, "trained", target) == pytest.approx(rows.value.mean())
        assert one.head is not None
        assert one.task is not None
        assert f"| {one.cell} |" in (FIRST / "README.md").read_text()
        assert one.sentence in (FIRST / "README.md").read_text()


def test_what_is_said_of_a_run_is_what_it_was_trained_on() -> None:
    configs = {one.cell: one.run.config for one in firsts(find_runs([str(FIRST / "mini")]))}
    assert (configs["code_switch"]["data"]["code_switching"]["cap"], "15%" in CELLS["code_switch"]) == (0.15, True)
    for cell in ("tlm", "tlm_causal"):
        assert (configs[cell]["objective"]["share"], "a quarter" in CELLS[cell]) == (0.25, True)
    for cell, variant in (("dict_mlm", "released"), ("dict_target", "target")):
        assert (configs[cell]["objective"]["cross"], configs[cell]["objective"]["variant"]) == (0.5, variant)
        assert "half of them" in CELLS[cell]
    model = configs["separate"]["model"]
    assert (model["separate"]["blocks"], model["n_layer"], "two of three blocks" in CELLS["separate"]) == (2, 3, True)
    assert configs["align_mlm"]["auxiliary"]["align"]["coverage"] == 1
    budgets = {(config["data"]["games"], config["data"]["batch_size"], config["seed"]) for config in configs.values()}
    assert len(budgets) == 1  # the same games and steps


def test_what_a_game_is_worth_stands_there() -> None:
    runs = {run.name: run for run in find_runs([str(FIRST / "mini"), str(RESULTS / "mini" / "single")])}
    rungs = [runs[name] for name in ("single_60k", "single_120k", "single_240k", "single")]
    games = np.log([run.results["games"] for run in rungs])
    slope, offset = np.polyfit(games, np.log([run.results["final"]["val/excess_nats"] for run in rungs]), 1)
    lines = worth(list(runs.values()))
    assert [(line["run"], line["language"]) for line in lines] == [
        (run, language) for run in ("naive", "naive_9_1") for language in ("atomic_0", "atomic_1")
    ]
    for line, share in zip(lines, (0.5, 0.5, 0.9, 0.1), strict=True):
        excess = runs[line["run"]].results["final"][f"val/{line['language']}/excess_nats"]
        alone = np.exp((np.log(excess) - offset) / slope)
        assert line["token efficiency"].startswith(f"{alone / (480_000 * share):.2f} ")
