"""Proves: whatever a file of a finished run holds, a command works, repairs it, or ends with one line that names it; and a
report over others goes on without it, with a warning. The control: the whole run works, and says nothing."""

import json
import math
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from games import random_games
from report.made import add_finetuning, add_probe, add_run
from stages.test_stage import finetuning, settings

import mothello
from mothello.data.domain import DomainConfig, mixture
from mothello.data.split import Split
from mothello.data.stored import whole_shard, write_index, write_shard
from mothello.errors import UserError
from mothello.othello.board import Board
from mothello.reading import metrics_line, misfit, parse_json
from mothello.report.page import render
from mothello.report.reference import repeat
from mothello.report.runs import find_runs
from mothello.report.sharing import by_label
from mothello.report.table import table_of
from mothello.rundir import RunDir
from mothello.stages.load import load_run
from mothello.stages.measuring import measure_folder
from mothello.stages.stage import run_stage

NASTY = {
    "empty": b"", "cut": b"{", "binary": b"\x1f\x8b\x00\xff\xfe\x80", "a list": b"[]", "a number": b"5", "null": b"null",
    "a text": b'"step"', "other keys": b'{"a": 1}\n', "deep": b"[" * 100_000, "huge": b"1" + b"0" * 5000, "a date": b"a: 2020-01-01", "a loop": b"&a [*a]",
    "a key that is a list": b"? [1]\n: 2",
}  # fmt: skip
FEW = [NASTY[name] for name in ("empty", "binary", "a list", "other keys")]
VALUES = [None, True, -1, 10**400, math.nan, math.inf, "x", "5", [], ["x"], {}, {"x": "y"}, [[]]]


def changed(content: Any) -> Iterator[tuple[str, Any]]:
    """The content with one value taken out, or another one in its place, at any depth."""
    entries = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in list(entries)[:12]:
        for other in VALUES:
            whole = content.copy()
            whole[key] = other
            yield f"{key}={other}"[:60], whole
        if isinstance(content, dict):
            yield f"no {key}", {name: inner for name, inner in content.items() if name != key}
        for what, inner in changed(value):
            whole = content.copy()
            whole[key] = inner
            yield f"{key}.{what}", whole


# Reports.


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good run, and one with a measure and a fine-tuning in ``bad``."""
    top = tmp_path_factory.mktemp("made")
    add_probe(add_run(top, "good"), 0.9, 0.5)
    bad = add_run(top / "bad", "naive", count=0, moves=[], links=[])
    add_probe(bad, 0.9, 0.5)
    add_finetuning(bad)
    return top


FILES = [
    "config.yaml", "status.json", "results.json", "metrics.jsonl", "measures/*100/config.yaml", "measures/*100/status.json",
    "measures/*100/results.json", "measures/*100/table.csv.gz", "measures/*100/examples.json", "finetune/*/config.yaml",
    "finetune/*/results.json", "finetune/*/status.json", "finetune/*/metrics.jsonl", "finetune/*/measures/*/table.csv.gz",
]  # fmt: skip


def reported(top: Path, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The report is made, and the good run is in it; whatever is not in it is named."""
    caplog.clear()
    runs = find_runs([str(top)])
    rows, groups = table_of(runs), by_label(runs)
    assert repeat(groups)
    assert "good" in {run.name for run in runs}
    parts = {run.path for run in runs} | {run.path / x.folder for run in runs for x in run.measures}
    children = [child for run in runs for child in run.finetunings]
    parts |= {child.path for child in children} | {child.path / x.folder for child in children for x in child.measures}
    if path.name != "metrics.jsonl":
        assert path.parent in parts or str(path) in caplog.text
    assert len(rows)


@pytest.mark.parametrize("name", FILES)
def test_a_bad_run_takes_no_report_down(name: str, made: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = min((made / "bad").glob(f"*/*/*/{name}")).resolve()
    before, parse = path.read_bytes(), yaml.safe_load if name.endswith("yaml") else json.loads
    try:
        reported(made, path, caplog)
        assert not caplog.text
        for content in (*list(NASTY.values())[len(name) % 2 :: 2], before[: len(before) // 2]):
            path.write_bytes(content)
            reported(made, path, caplog)
        several = list(changed(parse(before))) if name.endswith(("yaml", "json")) else []
        for _, whole in several[len(name) % 7 :: max(1, len(several) // 10)]:
            path.write_text(json.dumps(whole))
            reported(made, path, caplog)
    finally:
        path.write_bytes(before)


def test_a_page_of_a_run_that_lost_its_numbers_is_written(made: Path, caplog: pytest.LogCaptureFixture) -> None:
    (path,) = (made / "bad").glob("*/*/*/metrics.jsonl")
    before = path.read_bytes()
    lines = [
        b'{"step": 3, "val/top1": "0.5"}',
        b'{"step": 1e400}',
        b"5",
        b'{"val/top1": 1}',
        b"[]",
        b'{"step": 2, "x": NaN}',
    ]
    path.write_bytes(b"\n".join([*before.splitlines()[:2], *lines, b'{"st']))
    (run,) = find_runs([str(made / "bad")])
    assert f"{path}: damaged lines, left out: 5" in caplog.text
    assert [line["step"] for line in run.metrics] == [0, 0, 2]
    assert render([run], "one")
    path.write_bytes(before)


# Commands.


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with a measure and a fine-tuning."""
    top = tmp_path_factory.mktemp("runs")
    run = mothello.train(settings(top, run=str(top / "run")))
    mothello.measure(run, "legality", {"games": 4})
    run_stage(finetuning(run), torch.device("cpu"))
    return top / "run"


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))


OWN = ["config.yaml", "status.json", "results.json", "metrics.jsonl", "execution.json"]
LAST = "checkpoints/step-000000004"


@pytest.mark.parametrize("name", [*OWN, *(f"{LAST}/{x}" for x in ("manifest.json", "state.pt", "weights.safetensors"))])
def test_a_command_works_repairs_or_names_the_file(name: str, whole: Path, copy: Path) -> None:
    for content in FEW:
        shutil.rmtree(copy)
        shutil.copytree(whole, copy)
        (copy / name).write_bytes(content)
        if name in OWN[1:]:
            load_run(copy)
            run = mothello.train(settings(copy.parent, run=str(copy)))
            assert run.folder.finished
            assert run.folder.read_results()["final"] == RunDir(whole).read_results()["final"]
            continue
        for again in (load_run, lambda path: mothello.train(settings(copy.parent, run=str(path)))):
            with pytest.raises(UserError, match=re.escape(str(copy))) as caught:
                again(copy)
            assert name in str(caught.value) or LAST in str(caught.value)
            assert "\n" not in str(caught.value)
        if name == "config.yaml":
            assert "force=true to begin again" in str(caught.value)
            mothello.train(settings(copy.parent, run=str(copy), force=True))
            assert RunDir(copy).finished


@pytest.mark.parametrize("name", ["config.yaml", "status.json", "results.json", "table.csv.gz"])
def test_a_damaged_measure_is_made_again(name: str, copy: Path) -> None:
    run = load_run(copy)
    (folder,) = (copy / "measures").iterdir()
    before = (folder / "table.csv.gz").read_bytes()
    for content in FEW:
        (folder / name).write_bytes(content)
        assert len(mothello.measure(run, "legality", {"games": 4}))
        assert (folder / "table.csv.gz").read_bytes() == before
        assert RunDir(folder).finished


@pytest.mark.parametrize("name", OWN)
def test_a_damaged_fine_tuning_is_made_again_or_named(name: str, copy: Path) -> None:
    stage = finetuning(load_run(copy))
    for content in FEW:
        (stage.folder.path / name).write_bytes(content)
        if name == "config.yaml":
            with pytest.raises(UserError, match=r"config\.yaml is damaged"):
                run_stage(stage, torch.device("cpu"))
            stage.config.force = True
        run_stage(stage, torch.device("cpu"))
        stage.config.force = False
        assert stage.folder.finished


def test_numbers_that_are_lost_are_named_when_a_run_goes_on(copy: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = copy / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    for kept, lost in ((lines[:1], "steps 0 to 4"), ([], "the first ones"), (lines, "")):
        RunDir(copy).write_status("running")
        path.write_text("".join(kept))
        caplog.clear()
        mothello.train(settings(copy.parent, run=str(copy), evaluation={"games": 4, "times": 1, "log_every": 2}))
        assert ("lacks numbers" in caplog.text) == bool(lost)
        assert lost in caplog.text


def test_damaged_kept_probes_are_fitted_again(copy: Path, caplog: pytest.LogCaptureFixture) -> None:
    from mothello.measures.probes.config import ProbesConfig
    from mothello.measures.probes.kept import FILE, kept_for

    folder = measure_folder(RunDir(copy), ProbesConfig()).path
    folder.mkdir(parents=True)
    for content in NASTY.values():
        (folder / FILE).write_bytes(content)
        assert kept_for(folder, load_run(copy).subject()) is None
        assert FILE in caplog.text


def test_a_damaged_folder_of_games_is_named(tmp_path: Path) -> None:
    games = random_games(0, torch.arange(40), Board.of(4))
    source = {"kind": "generated", "prefix": [], "policy": {"flips": 0.0}}
    write_index(tmp_path, Board.of(4), source, [write_shard(tmp_path, 0, 0, [games], Board.of(4), {})])
    domains = {"a": DomainConfig(folder=str(tmp_path))}

    def opened() -> None:
        assert len(mixture(Board.of(4), 0, Split.train, 8, domains)) == 8
        assert whole_shard(tmp_path, 0, {}) is None or (tmp_path / "shard-00000.json").stat().st_size

    opened()
    for name in ("corpus.json", "shard-00000.json", "shard-00000.npy", "shard-00000.orbit.npy"):
        before = (tmp_path / name).read_bytes()
        several = [json.dumps(x).encode() for _, x in changed(json.loads(before))] if name == "corpus.json" else []
        for content in (*NASTY.values(), *several):
            (tmp_path / name).write_bytes(content)
            domains["a"].content = DomainConfig(folder=str(tmp_path)).content
            try:
                opened()
            except UserError as error:
                told = str(error)
                if str(tmp_path) not in told or not told.startswith("domains.a.") or "\n" in told:
                    raise AssertionError(told) from error
        (tmp_path / name).write_bytes(before)


# The parts.


def test_forms_and_json() -> None:
    form = {"a": ([float], []), "b?": {str: (str, None)}, str: range(3)}
    for good in ({"a": []}, {"a": [1, 0.5]}, {"a": [], "b": {"x": None}, "c": 2}):
        assert not misfit(good, form)
    for bad, where in (
        ({}, "a is missing"), ([], "the content"), ({"a": [math.nan]}, "a[0]"), ({"a": [True]}, "a[0]"), ({"a": {}}, "a "),
        ({"a": [], "b": {"x": 1}}, "b.x"), ({"a": [], "c": 3}, "c "), ({"a": [], "c": True}, "c "),
    ):  # fmt: skip
        assert misfit(bad, form).startswith(where)
    assert parse_json("[NaN, 1e400, -Infinity, 1e3, 7, 100000000000000000000]") == [None, None, None, 1000, 7, None]
    assert metrics_line(b'{"step": 1, "x": 1e400}') == {"step": 1, "x": None}
    assert metrics_line(b'{"step": 1.5}') is None
