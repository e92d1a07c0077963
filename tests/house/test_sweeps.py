"""Proves: in a sweep every job ends by itself, in its own folder and in the table, whatever happens to the others and
whichever launcher runs it; the exit code tells; nothing passes from one job to the next."""

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
import torch._dynamo  # whole, before any test may interrupt its import
from house.commands import TINY, TINY_PROBE, run
from house.jobs import job as fake_job
from house.test_mistakes import assert_one_line, snapshot
from hydra.core.global_hydra import GlobalHydra

from mothello.cli import sweep
from mothello.cli.main import command
from mothello.cli.report import ReportCommand
from mothello.cli.sweep_job import Record, isolated
from mothello.rundir import RunDir

ROOT = Path(__file__).parents[2]
JOBS = ROOT / "tests" / "house" / "jobs.py"
SWEEP = ["-m", "+experiment=naive", *TINY]


def ended(out: str) -> dict[str, str]:
    """Label -> status, as the table says."""
    lines = out[out.rindex("\njob ") + 1 :].splitlines()
    start = lines[0].index("status")
    table = [line for line in lines[1:] if not line.startswith("sweep:")]
    return {line[:start].strip(): line[start:].split("  ")[0] for line in table}


def records(folder: Path) -> list[dict[str, object]]:
    found = [json.loads(path.read_text()) for path in folder.glob("runs/.sweep/*/*.json")]
    return sorted(found, key=lambda record: record["number"])


def command_line(folder: Path, script: Path, *arguments: str, code: int) -> str:
    """What it prints when a user types it in ``folder``."""
    done = subprocess.run(
        [sys.executable, str(script), *arguments], cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def test_every_job_ends_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "train", "+experiment=naive", *TINY, "optimizer.lr=0.01") == 0
    assert run(monkeypatch, "train", *SWEEP, "optimizer.lr=1e30,0.01", "seed=0,-1,1") == 1
    out, err = capsys.readouterr()
    assert ended(out) == {
        "optimizer.lr=1e+30 seed=0": "failed",
        "optimizer.lr=1e+30 seed=-1": "failed",
        "optimizer.lr=1e+30 seed=1": "failed",
        "optimizer.lr=0.01 seed=0": "skipped",
        "optimizer.lr=0.01 seed=-1": "failed",
        "optimizer.lr=0.01 seed=1": "ok",
    }
    assert "sweep: 6 jobs in" in out
    assert "1 ok, 1 skipped, 4 failed" in out
    assert "; records in runs/.sweep/" in out
    assert "job #0 failed: FloatingPointError" in err
    first, mistake, *_, last = records(tmp_path)
    status = RunDir(str(first["folder"])).read_status()
    assert status["status"] == "failed"
    assert "FloatingPointError" in status["error"]
    assert "Traceback" in status["traceback"]
    assert "train.py" in status["traceback"]
    assert (mistake["folder"], mistake["error"]) == ("", "seed: -1 is negative")
    assert "UserError" in str(mistake["traceback"])
    final = RunDir(str(last["folder"])).read_results()["final"]
    assert last["numbers"] == {"top-1": final["val/top1"], "loss": final["val/loss"]}
    assert f"{final['val/top1']:.3f}  {final['val/loss']:.3f}" in out
    assert run(monkeypatch, "train", *SWEEP, "optimizer.lr=0.01", "seed=0,1") == 0
    assert set(ended(capsys.readouterr().out).values()) == {"skipped"}


def test_every_way_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["jobs.py", "-m", "title=raise,exit,ok"])
    GlobalHydra.instance().clear()
    with pytest.raises(SystemExit) as stop:
        command("report", ReportCommand, fake_job)()
    assert stop.value.code == 1
    out = capsys.readouterr().out
    assert ended(out) == {"title=raise": "failed", "title=exit": "failed", "title=ok": "ok"}
    assert "ZeroDivisionError: on purpose" in out
    assert "SystemExit: 3" in out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["seed=0,1", "model=tiny,nope"], ["model", "nope", "tiny"]),
        (["seed=0,abc"], ["seed", "abc"]),
        (["seed=0,1", "typo=1"], ["typo: unknown key"]),
        (["seed=0,1", "hydra/launcher=ray"], ["hydra/launcher", "ray", ".[launchers]"]),
        (["seed=0,1", "hydra/launcher=submitit_slurm"], ["hydra/launcher", "srun"]),
    ],
)
def test_what_cannot_be_composed_is_one_line_and_leaves_nothing(
    arguments: list[str],
    expected: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "train", *SWEEP, *arguments) == 2
    out, err = capsys.readouterr()
    assert "\njob " not in out
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1
    assert all(text in err for text in expected)
    assert [path for path in snapshot(tmp_path) if ".submitit" not in path] == []


def test_a_dry_run_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "train", *SWEEP, "seed=0,1", "dry_run=true") == 0
    told = capsys.readouterr().out
    assert set(ended(told).values()) == {"dry run"}
    assert "records in" not in told
    assert list(tmp_path.iterdir()) == []


def test_probes_and_transfers_sweep_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "train", "+experiment=naive", *TINY, "run=one") == 0
    capsys.readouterr()
    assert run(monkeypatch, "probe", "-m", "run=one,nowhere", *TINY_PROBE) == 1
    out = capsys.readouterr().out
    assert ended(out) == {"run=one": "ok", "run=nowhere": "failed"}
    assert "own  cross" in out
    assert "nowhere/config.yaml does not exist" in out
    short = ["transfer.data.games=64", "transfer.data.batch_size=16", "transfer.evaluation.games=8", "tracking=jsonl"]
    call = ["-m", "run=one", *TINY_PROBE, *short, "transfer.probe_before_and_after=false"]
    assert run(monkeypatch, "transfer", *call, "transfer.source=atomic_0,klingon") == 1
    out = capsys.readouterr().out
    assert ended(out) == {"transfer.source=atomic_0": "ok", "transfer.source=klingon": "failed"}
    assert "source before  source after" in out


def test_a_failing_job_touches_no_folder_that_is_not_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.txt").write_text("years of work")
    assert run(monkeypatch, "train", "+experiment=naive", *TINY, "run=one") == 0
    before = snapshot(tmp_path)
    assert run(monkeypatch, "train", *SWEEP, "run=one,thesis", "optimizer.lr=0.5", "force=true") == 1
    assert all(
        "choose another folder" in str(x["error"]) or "no run folder" in str(x["error"]) for x in records(tmp_path)
    )
    after = snapshot(tmp_path)
    assert {path: content for path, content in after.items() if not path.startswith("runs/.sweep")} == before
    assert run(monkeypatch, "train", *SWEEP, "languages.anchors.count=99", "run=two") == 1  # no folder yet: it gets one
    assert "languages.anchors.count" in RunDir("two").read_status()["error"]
    assert run(monkeypatch, "train", *SWEEP, "languages.anchors.count=2", "run=two") == 0


def test_a_job_does_not_notice_the_one_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = torch.get_num_threads(), list(warnings.filters), set(os.environ)
    assert run(monkeypatch, "train", *SWEEP, "seed=1", "model.n_layer=2,3") == 0
    assert (torch.get_num_threads(), list(warnings.filters)) == before[:2]
    assert set(os.environ) - before[2] <= {"HYDRA_FULL_ERROR", "CUBLAS_WORKSPACE_CONFIG", "PYTEST_CURRENT_TEST"}
    assert not GlobalHydra.instance().is_initialized()
    assert run(monkeypatch, "train", "+experiment=naive", *TINY, "seed=1", "model.n_layer=3", "run=alone") == 0
    last = RunDir(str(records(tmp_path)[-1]["folder"]))

    def numbers(run: RunDir) -> list[dict[str, float]]:
        return [{key: x for key, x in line.items() if "seconds" not in key} for line in run.read_metrics()]

    assert len(numbers(last)) > 4
    assert numbers(last) == numbers(RunDir("alone"))


def test_isolation_gives_back_what_a_job_changes() -> None:
    filters, threads = list(warnings.filters), torch.get_num_threads()
    with isolated():
        torch.set_num_threads(threads + 1)
        torch.set_float32_matmul_precision("medium")
        warnings.simplefilter("error")
        GlobalHydra.instance().clear()
    assert (torch.get_num_threads(), torch.get_float32_matmul_precision()) == (threads, "highest")
    assert list(warnings.filters) == filters


@pytest.mark.parametrize(("apart", "compiled"), [(True, 4), (False, 2)])
@torch._dynamo.config.patch(recompile_limit=2)
def test_a_later_model_of_a_sweep_is_still_compiled(apart: bool, compiled: int) -> None:
    """The negative control: without isolation torch stops compiling a function after some shapes, and only warns."""
    torch._dynamo.reset()
    graphs = []

    def backend(graph: torch.fx.GraphModule, _: object) -> object:
        graphs.append(graph)
        return graph.forward

    def double(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    for size in range(2, 6):
        with isolated() if apart else nullcontext():
            torch.compile(double, backend=backend, dynamic=False)(torch.zeros(size))
    torch._dynamo.reset()
    assert len(graphs) == compiled


@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_jobs_in_processes_of_their_own(launcher: str, tmp_path: Path) -> None:
    more = ["hydra.launcher.n_jobs=2"] if launcher == "joblib" else []
    call = [*SWEEP, f"hydra/launcher={launcher}", *more, "seed=0,-1"]
    out = command_line(tmp_path, ROOT / "scripts" / "train.py", *call, code=1)
    assert ended(out) == {"seed=0": "ok", "seed=-1": "failed"}
    done, mistake = records(tmp_path)
    assert "UserError" in str(mistake["traceback"])
    assert (tmp_path / str(done["folder"]) / "results.json").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_a_killed_job_and_one_that_is_put_back_into_the_queue(tmp_path: Path) -> None:
    call = ["-m", "hydra/launcher=submitit_local", "title=kill,requeue"]
    out = command_line(tmp_path, JOBS, *call, code=1)
    assert ended(out) == {"title=kill": "killed", "title=requeue": "ok"}
    logs = "".join(path.read_text() for path in tmp_path.glob("runs/.sweep/.submitit/*/*.out"))
    assert "Requeued job" in logs


def test_a_killed_worker_of_joblib_leaves_the_jobs_that_had_not_begun(tmp_path: Path) -> None:
    call = ["-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "title=kill,sleep9,ok"]
    states = ended(command_line(tmp_path, JOBS, *call, code=1))
    assert states.pop("title=sleep9") in ("killed", "ok")  # with the other worker, unless that had not begun either
    assert states == {"title=kill": "killed", "title=ok": "ok"}


@pytest.mark.parametrize("launcher", ["basic", "joblib", "submitit_local"])
def test_ctrl_c_stops_a_sweep(launcher: str, tmp_path: Path) -> None:
    more = ["hydra.launcher.n_jobs=2"] if launcher == "joblib" else []
    titles = "ok,sleep30,sleep31" if launcher == "basic" else "sleep30"
    call = [sys.executable, str(JOBS), "-m", f"hydra/launcher={launcher}", *more, f"title={titles}"]
    sweeping = subprocess.Popen(call, cwd=tmp_path, stdout=subprocess.PIPE, text=True, start_new_session=True)
    while not (tmp_path / "begun-sleep30").exists():
        assert sweeping.poll() is None
        time.sleep(0.05)
    time.sleep(0.3)
    pressed = time.monotonic()
    os.killpg(sweeping.pid, signal.SIGINT)  # as a terminal does
    out = sweeping.communicate(timeout=60)[0]
    assert time.monotonic() - pressed < 20
    assert sweeping.returncode == 130
    if launcher == "basic":
        assert ended(out) == {"title=ok": "ok", "title=sleep30": "interrupted", "title=sleep31": "not begun"}
    else:
        assert list(ended(out).values()) in (["interrupted"], ["killed"])
    alive = [
        x for x in records(tmp_path) if x["status"] == "running" and Path(f"/proc/{x['process']}/cmdline").exists()
    ]
    assert alive == []


def test_the_table_of_jobs_that_cannot_be_asked(tmp_path: Path) -> None:
    Record(number=0, overrides=["a=1", "b=1"], status="ok", numbers={"loss": 1.0}, folder="x").write(tmp_path)
    Record(number=1, overrides=["a=2", "b=1"], machine="elsewhere").write(tmp_path)
    Record(number=2, overrides=["a=3", "b=1"], process=2**22 + 1).write(tmp_path)
    jobs = sweep.ended(tmp_path, sweep.planned(["-m", "a=1,2,3,4", "b=1", "hydra/launcher=joblib"]))
    assert [job.status for job in jobs] == ["ok", "unknown", "killed", "not begun"]
    assert sweep.labels(jobs) == ["a=1", "a=2", "a=3", "a=4"]
    lines = sweep.table(jobs).splitlines()
    assert lines[1] == "a=1  ok         1.000      0.0  x"
    assert lines[2].endswith("no word from elsewhere")
    assert sweep.summary(jobs, 2).startswith("sweep: 4 jobs in 2.0 min: 1 ok, 1 unknown, 1 killed, 1 not begun")


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        (["-m"], True),
        (["--multirun", "a=1"], True),
        (["hydra.mode=MULTIRUN"], True),
        (["a=1,2"], False),
        (["-m", "--help"], False),
    ],
)
def test_what_is_a_sweep(arguments: list[str], asked: bool) -> None:
    assert sweep.asked_for(arguments) is asked


def test_a_mistake_outside_a_sweep_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "train", "+experiment=naive", *TINY, "seed=-1") == 2
    assert_one_line(capsys, ["seed", "negative"])
