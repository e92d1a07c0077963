"""Proves: a run folder's files are whole or not there, and it is known which folder a job works in."""

from pathlib import Path

import pytest

from mothello import rundir
from mothello.files import fingerprint
from mothello.rundir import RunDir
from mothello.seeding import derive, generator


def test_seeds_are_named_and_independent() -> None:
    assert derive(0, "a") == derive(0, "a")
    assert len({derive(s, *n) for s in range(5) for n in (("a",), ("b",), ("a", "b"), ("ab",), ("a", 1))}) == 25
    assert generator(1, "x").initial_seed() == derive(1, "x")
    assert 0 <= derive(7, "y") < 2**63


def test_a_fingerprint_ignores_order_and_sees_values() -> None:
    assert fingerprint({"a": 1, "b": {"c": 2}}) == fingerprint({"b": {"c": 2}, "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})


def test_metrics_survive_a_cut_line_and_are_cut_at_a_step(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    for step in range(5):
        run.append_metrics(step, {"x": step / 2})
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "x"')
    assert [line["step"] for line in run.read_metrics()] == [0, 1, 2, 3, 4]
    run.cut_metrics(2)
    assert [line["step"] for line in run.read_metrics()] == [0, 1, 2]


def test_status_and_results(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    assert run.read_status() == {}
    run.write_status("running")
    started = run.read_status()["started"]
    run.write_status("failed", error="why")
    assert run.read_status()["started"] == started
    assert not run.finished
    run.write_results("toy", {"x": 1})
    assert run.read_results()["x"] == 1
    assert run.read_results()["environment"]["versions"]["torch"]
    (run.path / "results.json").write_text('{"x":')
    with pytest.raises(ValueError, match=r"results\.json"):
        run.read_results()


def test_results_name_the_code_that_was_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a commit that was made while it ran."""
    rundir.commit.cache_clear()
    folder = RunDir(tmp_path)
    folder.write_status("running")
    started = rundir.commit()
    monkeypatch.setattr(rundir.subprocess, "run", lambda *_, **__: pytest.fail("looked again"))
    folder.write_results("toy", {})
    assert folder.read_results()["environment"]["commit"] == started != ""
