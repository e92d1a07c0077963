"""Proves: in a sweep every job ends by itself, in its own folder and in the table, whatever happens to the others and
whichever launcher runs it; the exit code tells; nothing passes from one job to the next."""

import os
import pickle
import re
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
from house.commands import QUIET, TINY, TINY_PROBE, run
from house.jobs import job as fake_job
from house.test_mistakes import assert_one_line, snapshot
from hydra.core.global_hydra import GlobalHydra

from mothello.cli import jobs, measure, train, transfer
from mothello.cli.jobs import Outcome, isolated
from mothello.cli.launchers import tell_ranks
from mothello.cli.line import command_line
from mothello.cli.main import SCHEMAS, command
from mothello.cli.report import ReportCommand
from mothello.rundir import RunDir

ROOT = Path(__file__).parents[2]
JOBS = ROOT / "tests" / "house" / "jobs.py"
SWEEP = ["-m", "+experiment=naive", *TINY]


def ended(out: str) -> dict[str, str]:
    """Label -> status, as the table says."""
    lines = out[out.rindex("\njob ") + 1 :].splitlines()
    start = lines[0].index("status")
    table = lines[1 : next(i for i, line in enumerate(lines) if re.match(r"\d+ jobs? in ", line))]
    return {line[:start].strip(): line[start:].split("  ")[0] for line in table}


def typed_by_a_user(folder: Path, script: Path, *arguments: str, code: int) -> str:
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
    assert "6 jobs in" in out
    assert "1 ok, 1 skipped, 4 failed" in out
    assert "optimizer.lr=1e+30 seed=0 failed: FloatingPointError" in err
    assert "seed: -1 is negative" in out
    statuses = [RunDir(path.parent).read_status() for path in Path("runs/naive").rglob("seed*/status.json")]
    bad = [status for status in statuses if status["status"] == "failed"]
    assert len(bad) == 2
    assert all("FloatingPointError" in status["error"] and "Traceback" in status["traceback"] for status in bad)
    final = next(Path("runs/naive").rglob("seed1/results.json")).parent
    final = RunDir(final).read_results()["final"]
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
        (["seed=0,1", "hydra/launcher=ray"], ["hydra/launcher", "ray", "joblib"]),
        (["seed=0,1", "hydra/launcher=submitit_slurm"], ["hydra/launcher", "srun"]),
        (["seed=0,1", "hydra/launcher=submitit_local", "hydra.launcher.jobs=3"], ["hydra/launcher", "jobs"]),
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
    assert snapshot(tmp_path) == {}


def test_a_dry_run_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "train", *SWEEP, "seed=0,1", "dry_run=true") == 0
    told = capsys.readouterr().out
    assert set(ended(told).values()) == {"dry run"}
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
    assert out.splitlines()[-4].split()[:4] == ["job", "status", "own", "across"]
    assert "nowhere/config.yaml does not exist" in out
    short = ["transfer.data.games=64", "transfer.data.batch_size=16", "transfer.evaluation.games=8", "tracking=jsonl"]
    call = ["-m", "run=one", *QUIET, *short, "transfer.probe_before_and_after=false"]
    assert run(monkeypatch, "transfer", *call, "transfer.source=atomic_0,klingon") == 1
    out = capsys.readouterr().out
    assert ended(out) == {"transfer.source=atomic_0": "ok", "transfer.source=klingon": "failed"}


def test_a_failing_job_touches_no_folder_that_is_not_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.txt").write_text("years of work")
    assert run(monkeypatch, "train", "+experiment=naive", *TINY, "run=one") == 0
    before = snapshot(tmp_path)
    assert run(monkeypatch, "train", *SWEEP, "run=one,thesis", "optimizer.lr=0.5", "force=true") == 1
    assert snapshot(tmp_path) == before
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
    (last,) = (
        RunDir(path.parent)
        for path in Path("runs").rglob("config.yaml")
        if RunDir(path.parent).read_config()["model"]["n_layer"] == 3
    )

    def numbers(run: RunDir) -> list[dict[str, float]]:
        return [{key: x for key, x in line.items() if "seconds" not in key} for line in run.read_metrics()]

    assert len(numbers(last)) > 4
    assert numbers(last) == numbers(RunDir("alone"))


def test_isolation_gives_back_what_a_job_changes() -> None:
    filters, threads, precision = list(warnings.filters), torch.get_num_threads(), torch.get_float32_matmul_precision()
    with isolated():
        torch.set_num_threads(threads + 1)
        torch.set_float32_matmul_precision("medium")
        warnings.simplefilter("error")
    assert (torch.get_num_threads(), torch.get_float32_matmul_precision()) == (threads, precision)
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
    out = typed_by_a_user(tmp_path, ROOT / "scripts" / "train.py", *call, code=1)
    assert ended(out) == {"seed=0": "ok", "seed=-1": "failed"}
    assert "seed: -1 is negative" in out
    assert len(list(tmp_path.rglob("results.json"))) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_the_tasks_of_a_job_are_told_their_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {
        "EXECUTOR": "local",
        "LOCAL_JOB_ID": "7",
        "LOCAL_NTASKS": "2",
        "LOCAL_GLOBALID": "1",
        "LOCAL_LOCALID": "1",
    }
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)
    for name, value in told.items():
        monkeypatch.setenv(f"SUBMITIT_{name}", value)
    tell_ranks()
    assert [os.environ[name] for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")] == ["1", "2", "1"]
    assert "MASTER_PORT" in os.environ
    monkeypatch.delenv("RANK")
    monkeypatch.setenv("SUBMITIT_LOCAL_NTASKS", "1")
    tell_ranks()
    assert "RANK" not in os.environ


@pytest.mark.slow
def test_the_tasks_of_a_job_train_one_model(tmp_path: Path) -> None:
    call = [*SWEEP, "hydra/launcher=submitit_local", "hydra.launcher.tasks_per_node=2", "seed=0,-1"]
    out = typed_by_a_user(tmp_path, ROOT / "scripts" / "train.py", *call, code=1)
    assert ended(out) == {"seed=0": "ok", "seed=-1": "failed"}
    (run,) = tmp_path.glob("runs/naive/*/seed0")
    assert RunDir(run).read_results()["processes"] == 2


@pytest.mark.slow
def test_a_killed_job_and_one_that_is_put_back_into_the_queue(tmp_path: Path) -> None:
    call = ["-m", "hydra/launcher=submitit_local", "title=kill,requeue"]
    out = typed_by_a_user(tmp_path, JOBS, *call, code=1)
    assert ended(out) == {"title=kill": "killed", "title=requeue": "ok"}
    logs = "".join(path.read_text() for path in tmp_path.glob("runs/.submitit/*/*.out"))
    assert "Requeued job" in logs


def test_a_killed_worker_of_joblib_leaves_the_others(tmp_path: Path) -> None:
    call = ["-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "title=kill,sleep1,ok"]
    states = ended(typed_by_a_user(tmp_path, JOBS, *call, code=1))
    assert states == {"title=kill": "killed", "title=sleep1": "ok", "title=ok": "ok"}


@pytest.mark.parametrize(
    ("launcher", "number"),
    [
        ("joblib", signal.SIGKILL),
        pytest.param("basic", signal.SIGINT, marks=pytest.mark.slow),
        pytest.param("joblib", signal.SIGTERM, marks=pytest.mark.slow),
    ],
)
def test_a_signal_stops_a_sweep_and_its_children(launcher: str, number: signal.Signals, tmp_path: Path) -> None:
    more = ["hydra.launcher.n_jobs=2"] if launcher == "joblib" else []
    titles = "ok,sleep30,sleep31" if launcher == "basic" else "sleep30"
    call = [sys.executable, str(JOBS), "-m", f"hydra/launcher={launcher}", *more, f"title={titles}"]
    pipe = subprocess.PIPE
    sweeping = subprocess.Popen(call, cwd=tmp_path, stdout=pipe, stderr=pipe, text=True, start_new_session=True)
    while not (tmp_path / "begun-sleep30").exists():
        assert sweeping.poll() is None
        time.sleep(0.05)
    pressed = time.monotonic()
    if number is signal.SIGINT:
        os.killpg(sweeping.pid, number)  # as a terminal does
    else:
        sweeping.send_signal(number)
    out, err = sweeping.communicate(timeout=60)
    assert time.monotonic() - pressed < 20
    if number is signal.SIGKILL:
        assert not err
    else:
        assert sweeping.returncode == 128 + number
        assert err == f"error: stopped by {number.name}\n"
        others = {"title=ok": "ok", "title=sleep31": "not begun"} if launcher == "basic" else {}
        assert ended(out) == {"title=sleep30": "interrupted"} | others
    until = time.monotonic() + 10
    while subprocess.run(["pgrep", "-g", str(sweeping.pid)], capture_output=True, check=False).returncode == 0:
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.mark.parametrize("script", ["train", "probe", "measure", "transfer"])
def test_jobs_of_every_command_can_be_sent_to_another_process(script: str) -> None:
    actions = {
        "train": train.train,
        "probe": measure.measure,
        "measure": measure.measure,
        "transfer": transfer.transfer,
    }
    plan = jobs.sweep_jobs(script, SCHEMAS[script], actions[script], ["run=a,b"])
    sent = pickle.loads(pickle.dumps(plan))
    assert [job.config().run for job in sent] == ["a", "b"]


def test_the_table() -> None:
    outcomes = [
        Outcome("a=1", "ok", "x", numbers={"loss": 1.0}),
        Outcome("a=2", "killed", "y", "the process is gone"),
        Outcome("a=3"),
    ]
    lines = jobs.table(outcomes).splitlines()
    assert [line.split() for line in lines[:2]] == [
        ["job", "status", "loss", "minutes", "folder", "or", "error"], ["a=1", "ok", "1.000", "0.0", "x"],
    ]  # fmt: skip
    assert lines[2].endswith("the process is gone (y)")
    assert jobs.summary(outcomes, 2) == "3 jobs in 2.0 min: 1 ok, 1 killed, 1 not begun"


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        (["-m"], True),
        (["--multirun", "a=1"], True),
        (["hydra.mode=MULTIRUN"], True),
        (["-m", "--help"], False),
    ],
)
def test_what_is_a_sweep(arguments: list[str], asked: bool) -> None:
    assert command_line(arguments).sweep is asked


def test_a_mistake_outside_a_sweep_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "train", "+experiment=naive", *TINY, "seed=-1") == 2
    assert_one_line(capsys, ["seed", "negative"])
