"""Proves: a list of runs shows each one's skill, how far it is and what was measured, also of unfinished and damaged ones; what
differs is what its config has besides what most have; two runs are compared key by key; and none of it needs torch."""

import subprocess
import sys
from pathlib import Path

import pytest
from house.commands import run
from report.made import add_finetuning, add_measure, add_run

from mothello.files import locked
from mothello.report.listing import differing, exceptions, read_listed
from mothello.rundir import RunDir

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def begun(name: str, status: str, step: int, **more: str) -> RunDir:
    """A run of 100 steps that is not finished."""
    folder = add_run(Path("runs"), name)
    (folder.path / "results.json").unlink()
    folder.write_status(status, **more)
    folder.cut_metrics(step)
    return folder


def test_how_far_a_run_is() -> None:
    states = {
        "done": add_run(Path("runs"), "done"),
        "killed": begun("killed", "running", 50),
        "stopped": begun("stopped", "failed", 50, error="stopped by SIGINT after step 50; rerun the command to resume"),
        "failed": begun("failed", "failed", 0, error="ValueError: no"),
        "lost": add_run(Path("runs"), "lost"),
    }
    (states["lost"].path / "results.json").write_text("{")
    found = {name: read_listed(folder.path).status for name, folder in states.items()}
    assert found == {
        "done": "finished", "killed": "interrupted, 50 of 100 steps", "stopped": "interrupted, 50 of 100 steps",
        "failed": "failed, 0 of 100 steps", "lost": "damaged",
    }  # fmt: skip
    with locked(states["killed"].path):
        assert read_listed(states["killed"].path).status == "running, 50 of 100 steps"
    assert read_listed(states["killed"].path).final["val/top1"] == 0.7  # of its last evaluation
    (states["failed"].path / "metrics.jsonl").unlink()
    assert read_listed(states["failed"].path).final == {}


def test_what_was_measured_and_done() -> None:
    folder = add_run(Path("runs"))
    for games in (1, 2, 3):
        add_measure(folder, "legality", [], {}, games)
    (folder.path / "measures/legality-00000001").rename(folder.path / "measures/legality-00000001-step50")
    add_measure(folder, "alignment", [], {})
    assert read_listed(folder.path).done == ["alignment", "legality 2"]  # of its last step
    add_finetuning(folder)
    add_finetuning(folder, identity="0123abcd-scratch")  # a control
    assert read_listed(folder.path).done[-1] == "finetune"


def test_what_differs_is_told_from_what_most_have() -> None:
    configs = [{"a": 1, "b": True}, {"a": 1, "b": 1}, {"a": 2, "b": True, "c": 3}]
    keys = differing(configs)
    assert keys == ["a", "b", "c"]  # True is not 1
    assert exceptions(configs, keys) == ({"a": 1, "b": True}, [{}, {"b": 1}, {"a": 2, "c": 3}])
    assert exceptions([{"a": 1}, {"a": 2}], ["a"]) == ({}, [{"a": 1}, {"a": 2}])
    assert differing([{"a": 1}]) == []


def test_a_line_per_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in (0, 1):
        add_run(Path("runs"), "naive", seed, top1=0.91)
    add_run(Path("runs"), "anchor", count=4)
    begun("naive_long", "running", 50)
    assert run(monkeypatch, "runs") == 0
    head, *lines, usual, last = capsys.readouterr().out.splitlines()
    assert head.split() == ["name", "seed", "legality", "chance", "status", "folder", "differs", "in"]
    assert [line.split()[0] for line in lines] == ["anchor", "naive", "naive", "naive_long"]
    assert lines[0].split()[-2:] == ["runs/anchor/anchor-id/seed0", "languages.anchors.count=4"]
    assert lines[2].split() == ["naive", "1", "0.910", "0.400", "finished", "runs/naive/naive-id/seed1"]
    assert "0.700     0.400   interrupted, 50 of 100 steps" in lines[3]
    assert usual == "most have: languages.anchors.count=0"  # the default, which these configs do not hold
    assert last.startswith("4 runs; written last: runs/")
    assert run(monkeypatch, "runs", "only=naive", "runs=[runs/naive,runs]") == 0
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_two_configs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    add_run(Path("runs"), "naive")
    add_run(Path("runs"), "anchor", seed=3, count=4)
    assert run(monkeypatch, "runs", "compare=[runs/naive,anchor]") == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["runs/naive/naive-id/seed0", "runs/anchor/anchor-id/seed3"],
        ["name", "naive", "anchor"], ["languages.anchors.count", "0", "4"], ["seed", "0", "3"],
    ]  # fmt: skip
    assert run(monkeypatch, "runs", "compare=[runs/naive,naive]") == 0
    assert "have the same settings" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["runs=[nowhere]"],
            "runs: nowhere is no folder; python scripts/train.py +experiment=naive trains a first run",
        ),
        (["only=x*"], "only: no run is called x*; names: naive"),
        (["compare=[naive]"], "compare: give two runs, not 1"),
        (["compare=[naive,nowhere]"], "compare: nowhere/config.yaml does not exist; runs: runs/naive/naive-id/seed0"),
        (["compare=[naive,naive]", "only=n*"], "only: has no effect with compare; leave it out"),
        (["compare=[naive,naive]", "runs=[x]"], "runs: has no effect with compare; leave it out"),
    ],
)
def test_a_mistake_is_one_line(
    words: list[str], line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    add_run(Path("runs"), "naive")
    assert run(monkeypatch, "runs", *words) == 2
    assert capsys.readouterr().err == f"error: {line}\n"


def test_an_empty_folder_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    Path("runs").mkdir()
    assert run(monkeypatch, "runs") == 0
    assert capsys.readouterr().out == "no run in runs; python scripts/train.py +experiment=naive trains a first run\n"


def test_the_script_loads_no_torch() -> None:
    code = """
import runpy, sys
sys.argv = ["scripts/runs.py", "runs=[results/board8]"]
runpy.run_path(sys.argv[0], run_name="__main__")
assert not {"torch._C", "numpy._core", "pandas.core"} & set(sys.modules)
"""
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert "results/board8/naive/186d8d70/seed1" in shown
    assert shown.splitlines()[-1].startswith("13 runs; ")


def test_of_a_damaged_config_no_difference_is_invented(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [add_run(Path("runs"), name) for name in ("one", "other", "lost")]
    (runs[2].path / "config.yaml").write_text("lost")
    assert run(monkeypatch, "runs") == 0
    lines = capsys.readouterr().out.splitlines()
    assert next(line for line in lines if "damaged" in line).split()[-1] == str(runs[2].path)
    assert not [line for line in lines if "=" in line]
