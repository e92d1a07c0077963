"""Proves: steps=all measures every kept step and the newest one, each in a folder of its own, with the step in its rows; a list
measures those; a second call measures nothing; what is not kept is one line before anything is measured. Every measure of
a causal model takes a kept step."""

import json
from pathlib import Path

import pytest
from house.commands import QUIET, TINY, TINY_MEASURE, run
from house.test_every_measure import SETTINGS

import mothello
from mothello.cli.measure import MeasureCommand, folders_of, schema
from mothello.config import quoted, typed
from mothello.rows import read_tidy
from mothello.rundir import RunDir

KEEP = "checkpoints.keep={log_spaced: 3, full: [4]}"
LEGAL = ["run=run", "measures=[legality]", *(x for x in TINY_MEASURE if "alignment" not in x)]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of eight steps that keeps 1, 3 and, whole, 4; and one that keeps none."""
    folder = tmp_path_factory.mktemp("base")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run(patch, "train", "+experiment=naive", *TINY, "run=run", KEEP) == 0
        assert run(patch, "train", "+experiment=naive", *TINY, "run=none", "seed=1") == 0
    return folder


def steps(folder: Path) -> list[str]:
    """What follows NAME-HASH in the names of the measures."""
    return sorted(path.name[len("legality-") + 8 :] for path in folder.glob("run/measures/*"))


def test_a_list_of_steps_then_all(
    base: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(base)
    assert run(monkeypatch, "measure", *LEGAL, "steps=[1,5]") == 2
    assert "error: steps: run keeps no checkpoint of step 5; kept: 1, 3, 4, 8" in capsys.readouterr().err
    assert steps(base) == []
    assert run(monkeypatch, "measure", *LEGAL, "steps=all", "dry_run=true") == 0
    assert capsys.readouterr().out.count("folder  ") == 4
    assert run(monkeypatch, "measure", *LEGAL, "steps=[3]") == 0
    assert steps(base) == ["-step3"]
    assert run(monkeypatch, "measure", *LEGAL, "steps=all") == 0
    assert steps(base) == ["", "-step1", "-step3", "-step4"]
    written = {path: path.stat().st_mtime_ns for path in base.glob("run/measures/*/table.csv.gz")}
    capsys.readouterr()
    assert run(monkeypatch, "measure", *LEGAL, "steps=all") == 0
    assert capsys.readouterr().out.count("finished already") == 4
    assert written == {path: path.stat().st_mtime_ns for path in written}
    config = typed({"run": "run", "measures": ["legality"], "legality": {"games": 4}, "steps": "all"}, schema())
    assert {folder.path for folder in folders_of(config, RunDir(base / "run"))} == {path.parent for path in written}


def test_the_rows_hold_the_step_and_the_numbers_of_its_model(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(base)
    assert run(monkeypatch, "measure", *LEGAL, "steps=all") == 0
    table = mothello.load_run("run").table.query(
        "measure == 'legality' and quantity == 'mass' and control == 'trained'"
    )
    table = table[table.ply.isna()]
    assert sorted(table.step.fillna(0).unique()) == [0, 1, 3, 4]
    mass = table[table.language == "atomic_0"].set_index("step").value
    assert mass.nunique() == 4
    run_ = mothello.load_run("run", step=3)
    assert (run_.step, run_.earlier, run_.device.type) == (3, 3, "cpu")
    assert {str(x.dtype) for x in run_.model.parameters()} == {"torch.float32"}
    results = json.loads(next(base.glob("run/measures/*-step3/results.json")).read_text())
    assert (results["step"], results["steps"]) == (3, 8)


@pytest.mark.parametrize("steps", ["some", "[0]", "[1.5]", "3"])
def test_steps_of_another_form_are_one_line(
    steps: str, base: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(base)
    assert run(monkeypatch, "measure", *LEGAL, f"steps={steps}") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: steps: ")
    assert line.endswith("is neither all nor a list of steps")


def test_a_run_that_keeps_none_says_how_to(
    base: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(base)
    assert run(monkeypatch, "measure", *LEGAL, "run=none", "steps=all") == 2
    assert "steps: none keeps none; train with checkpoints.keep.log_spaced=40" in capsys.readouterr().err


@pytest.mark.parametrize("name", [name for name in SETTINGS if name != "masked"])
def test_every_measure_takes_a_kept_step(name: str, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Step 3, of which there are half-precision weights alone."""
    monkeypatch.chdir(base)
    few = SETTINGS[name] | ({"random_weights": False} if name == "tasks" else {})
    settings = [f"{name}={quoted(few)}", f"measures=[{name}]"]
    pattern = f"run/measures/{name}-*-step3"
    before = set(base.glob(pattern))
    assert run(monkeypatch, "measure", "run=run", *QUIET, *settings, "steps=[3]") == 0
    (path,) = {*base.glob(pattern)} - before
    assert read_tidy(path).step.eq(3).all()


def test_without_steps_nothing_is_new() -> None:
    assert folders_of(MeasureCommand(run="x", measures=[]), RunDir("x")) == []
