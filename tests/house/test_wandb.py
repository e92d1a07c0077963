"""Proves: wandb is a reader of run folders. Each folder has a wandb run of its own with its own config, wandb failing in any
way never touches a run, finished runs are copied afterwards, and the sweep file in docs/ is a command line that works."""

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from house.commands import QUIET, TINY, TINY_CAUSAL, TINY_PROBE, run

from mothello import tracking
from mothello.cli.compose import composed
from mothello.cli.main import SCHEMAS
from mothello.cli.study_plan import part_of
from mothello.cli.wandb import _arguments
from mothello.measures.probes.headline import headline
from mothello.report import wandb_mirror
from mothello.rows import read_tidy
from mothello.rundir import RunDir
from mothello.stages.pretrain import TrainConfig
from mothello.tracking import TrackingConfig, start_mirror

ROOT = Path(__file__).parents[2]
TINY_WANDB = [x for x in TINY if x != "tracking=jsonl"]

FAKE = """
import json, os, signal, sys, time
way = os.environ["FAKE_WANDB"]
if way == "import":
    raise ImportError("no module of that name")
record = open(os.environ["FAKE_WANDB_RECORD"], "a")

def fail(where):
    if way == f"{where} raises":
        raise RuntimeError(f"no {where}")
    if way == f"{where} hangs":
        time.sleep(1000)
    if way == f"{where} dies":
        os.kill(os.getpid(), signal.SIGKILL)

class Run:
    summary = {}
    def define_metric(self, name, step_metric=None, summary=None):
        print(json.dumps(["define", name, step_metric, summary]), file=record, flush=True)
    def log(self, values, step=None):
        fail("log")
        print(json.dumps(["log", step, values]), file=record, flush=True)
    def finish(self, exit_code):
        fail("finish")
        print(json.dumps(["finish", exit_code, self.summary]), file=record, flush=True)

def Settings(**_):
    return None

def init(settings, **order):
    fail("init")
    print(json.dumps(["init", order]), file=record, flush=True)
    return Run()
"""

WAYS = {
    "import": "ImportError: no module",
    "init raises": "RuntimeError: no init",
    "init hangs": "Timeout",
    "init dies": "",
    "log raises": "RuntimeError: no log",
    "log hangs": "Timeout",
    "finish raises": "RuntimeError: no finish",
}


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wandb that does what FAKE_WANDB says, and writes its calls to this file."""
    package = tmp_path / "fake" / "wandb" / "__init__.py"
    package.parent.mkdir(parents=True)
    package.write_text(FAKE)
    monkeypatch.setenv("PYTHONPATH", f"{package.parents[1]}:{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv("FAKE_WANDB", "works")
    monkeypatch.setenv("FAKE_WANDB_RECORD", str(tmp_path / "record.jsonl"))
    return tmp_path / "record.jsonl"


def begun(path: Path, **tracking: Any) -> RunDir:
    """A folder whose run has just begun."""
    folder = RunDir(path)
    config = {"name": "naive", "seed": 3, "data": {"batch_size": 10}, "tracking": tracking}
    folder.write_config(config | {"board": {}, "model": {}, "languages": {}})
    folder.write_status("running")
    return folder


def followed(folder: RunDir, status: str = "failed", steps: range = range(4)) -> "subprocess.Popen[bytes]":
    """The mirror of a run that logs some steps and ends."""
    start_mirror(folder, TrackingConfig(wandb=True))
    for step in steps:
        folder.append_metrics(step, {"x": step / 2})
    folder.write_status(status)
    return tracking._started[-1]


def calls(record: Path) -> list[Any]:
    return [json.loads(line) for line in record.read_text().splitlines()]


@pytest.mark.parametrize("way", WAYS)
def test_wandb_may_fail_in_any_way(
    way: str, record: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("FAKE_WANDB", way)
    if "hangs" in way:  # as PATIENCE in the process would end it
        source = tmp_path / "fake" / "sitecustomize.py"
        source.write_text("from mothello.report import wandb_mirror\nwandb_mirror.PATIENCE = 3.0\n")
    folder, start = begun(tmp_path / "run"), time.monotonic()
    process = followed(folder)
    assert time.monotonic() - start < 2, "the run waits for nothing"
    assert process.wait(60) != 0
    assert [line["step"] for line in folder.read_metrics()] == [0, 1, 2, 3]
    assert WAYS[way] in (folder.path / "wandb" / "mirror.log").read_text()
    assert caplog.records == []
    assert not wandb_mirror.is_mirrored(folder.path)


def test_a_wandb_that_works_receives_everything(record: Path, tmp_path: Path) -> None:
    """The negative control. An end without status "ok" (here: a failure, then a kill) is a failure for wandb, too."""
    folder = begun(tmp_path / "run", group="g" * 200, tags=["t" * 100])
    assert followed(folder).wait(60) == 0
    first, *rest = calls(record)
    lines = [["log", step, {"step": step, "x": step / 2, "games": 10 * step}] for step in range(4)]
    assert [call for call in rest if call[0] != "define"] == [*lines, ["finish", 1, {}]]
    order = first[1]
    assert (order["job_type"], order["name"], order["mode"]) == ("pretrain", "naive-seed3", "offline")
    assert [len(order["group"]), *map(len, order["tags"])] == [128, 64, 5]
    assert wandb_mirror.is_mirrored(folder.path)
    record.unlink()
    folder.write_status("running")
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    command = [sys.executable, "-m", "mothello.cli.wandb", str(folder.path), f"--follow={gone.pid}"]
    assert subprocess.run(command, timeout=60, check=False).returncode == 0
    assert calls(record)[-1] == ["finish", 1, {}]


def test_a_mirror_that_cannot_be_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere"))
    start_mirror(begun(tmp_path / "run"), TrackingConfig(wandb=True))
    assert "wandb: cannot be started" in caplog.text


def test_it_is_said_once_where_the_copy_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tracking, "_started", [])
    monkeypatch.setattr(tracking.subprocess, "Popen", lambda *_, **__: None)
    one, other = begun(tmp_path / "one"), begun(tmp_path / "other")
    start_mirror(one, TrackingConfig(wandb=False))
    assert capsys.readouterr().out == ""
    start_mirror(one, TrackingConfig(wandb=True))
    start_mirror(other, TrackingConfig(wandb=True))
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"wandb: offline copy in {one.path}/wandb; wandb sync uploads")


@pytest.mark.parametrize("words", [["nowhere"], [], ["--mode=on", "x"], ["--typo", "x"]])
def test_a_mistake_is_one_line(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        _arguments(words)
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")


def test_no_command_imports_wandb_or_the_report() -> None:
    code = """
import sys, mothello.cli.train, mothello.cli.probe, mothello.cli.measure, mothello.cli.transfer
sys.exit(any(name in sys.modules for name in ("wandb", "mothello.report.style")))
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


def wandb_records(path: Path) -> Iterator[Any]:
    """The records of a .wandb file: protobuf messages in LevelDB's log format, behind seven bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, parts = path.read_bytes(), 7, b""
    while at < len(data):
        left = 2**15 - at % 2**15
        if left < 7:  # too short for a header: padding up to the next block
            at += left
            continue
        size, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        parts += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # whole, or the last of several parts
            record = Record()
            record.ParseFromString(parts)
            parts = b""
            yield record


def wandb_runs(folder: Path) -> list[dict[str, Any]]:
    """What wandb wrote below a folder, sorted by the runs' names."""
    runs = []
    for path in folder.rglob("*.wandb"):
        content: dict[str, Any] = {"steps": [], "path": path}
        for record in wandb_records(path):
            if record.HasField("run"):
                content |= {"group": record.run.run_group, "job_type": record.run.job_type, "id": record.run.run_id}
                content |= {"name": record.run.display_name, "sweep": record.run.sweep_id}
                content["config"] = {x.key: json.loads(x.value_json) for x in record.run.config.update if x.key}
            elif record.HasField("history"):
                items = {x.key or x.nested_key[0]: json.loads(x.value_json) for x in record.history.item}
                content["steps"] += [items["step"]] if "step" in items else []  # else the pictures at the end
            elif record.HasField("exit"):
                content["exit"] = record.exit.exit_code
        runs.append(content)
    return sorted(runs, key=lambda content: content["name"])


def mirrored(folder: Path) -> Path:
    """The folder, once wandb has everything of it."""
    for _ in range(600):
        if wandb_mirror.is_mirrored(folder):
            return folder
        time.sleep(0.1)
    raise AssertionError((folder / "wandb" / "mirror.log").read_text())


def test_each_job_of_a_sweep_has_a_wandb_run_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    call = ["-m", "+experiment=naive,anchor", *TINY_WANDB, "tracking=wandb", "seed=3"]
    assert run(monkeypatch, "train", *call) == 0
    assert not [name for name in os.environ if name.startswith("WANDB_SERVICE")]
    for folder in tmp_path.glob("runs/*/*/seed3"):
        mirrored(folder)
    runs = wandb_runs(tmp_path)
    assert [x["name"] for x in runs] == ["anchor-seed3", "naive-seed3"]
    assert len({x["id"] for x in runs}) == 2
    for content, name, count in zip(runs, ["anchor", "naive"], [4, 0], strict=True):
        assert (content["group"], content["job_type"], content["exit"]) == (name, "pretrain", 0)
        config = content["config"]
        assert (config["name"], config["seed"], config["languages"]["anchors"]["count"]) == (name, 3, count)
        folder = RunDir(content["path"].parents[2])
        assert folder.read_config()["name"] == name
        assert content["steps"] == sorted({line["step"] for line in folder.read_metrics()}) == [0, 2, 4, 6, 8]


def test_the_trap_two_jobs_of_one_process_share_wandbs_default_run(tmp_path: Path) -> None:
    """The negative control: what a job that called wandb.init() itself would get."""
    jobs = """
import wandb
for seed in (0, 1):
    run = wandb.init(mode="offline", name=f"seed{seed}", config={"seed": seed})
    run.log({"step": seed})
"""
    subprocess.run([sys.executable, "-c", jobs], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    (shared,) = wandb_runs(tmp_path)
    assert (shared["name"], shared["config"]["seed"], shared["steps"]) == ("seed0", 0, [0, 1])


def test_a_study_is_a_group() -> None:
    study = composed("study", SCHEMAS["study"], ["+study=demo"])
    assert part_of(study, "anchor", 0).train.tracking.group == "demo"


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """wandb's own agent, without a server, in a checkout, for docs/wandb_sweep.yaml (offline)."""
    from wandb.wandb_agent import Agent

    for name, value in {"WANDB_DIR": str(tmp_path), "WANDB_RUN_ID": "", "WANDB_SWEEP_PARAM_PATH": ""}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("WANDB_SWEEP_ID", "thesweep")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scripts").symlink_to(ROOT / "scripts")
    result = Agent(None, None, sweep_id="thesweep")
    command = sweep_file()["command"]
    result._sweep_command = [x.replace("mode=online", "mode=offline") for x in command]
    assert result._sweep_command != command
    return result


def sweep_file() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "docs" / "wandb_sweep.yaml").read_text())


def combinations() -> list[dict[str, Any]]:
    """The arguments of every run of the grid, in the form in which the server sends them."""
    parameters = sweep_file()["parameters"]
    values = [parameter["values"] for parameter in parameters.values()]
    return [
        {key: {"value": value} for key, value in zip(parameters, row, strict=True)}
        for row in itertools.product(*values)
    ]


def test_every_combination_of_the_sweep_file_is_a_config(agent: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr("wandb.wandb_agent.AgentProcess", lambda command, **_: commands.append(command) or agent)
    for number, arguments in enumerate(combinations()):
        agent._command_run({"run_id": f"run{number}", "program": sweep_file()["program"], "args": arguments})
    assert commands[0][:3] == ["/usr/bin/env", "python", "scripts/train.py"]
    configs = [composed("train", TrainConfig, command[3:]) for command in commands]
    values = [(x.optimizer.muon_lr, x.model.d_model, x.seed) for x in configs]
    assert values == [tuple(x["value"] for x in arguments.values()) for arguments in combinations()]
    assert len(set(values)) == 12


@pytest.mark.slow
def test_the_command_of_the_sweep_file_runs(agent: Any, tmp_path: Path) -> None:
    agent._sweep_command += [x for x in TINY_WANDB if not x.startswith("model=")]
    arguments = combinations()[-1]
    agent._command_run({"run_id": "therun", "program": sweep_file()["program"], "args": arguments})
    assert agent._run_processes["therun"].wait(60) == 0
    (folder,) = tmp_path.glob("runs/*/*/seed*")
    mirrored(folder)
    (done,) = wandb_runs(tmp_path / "runs")
    assert (done["id"], done["sweep"], done["exit"]) == ("therun", "thesweep", 0)
    assert (done["group"], done["config"]["seed"], done["config"]["model"]["d_model"]) == ("learning-rate", 1, 128)
    assert sweep_file()["metric"]["name"] in RunDir(done["path"].parents[2]).read_metrics()[-1]


def wandb_declared(path: Path) -> dict[str, tuple[str, str]]:
    """Metric -> its step metric and what its summary keeps, as wandb wrote it."""
    names = ("min", "max", "last")
    metrics = [record.metric for record in wandb_records(path) if record.HasField("metric")]
    return {
        metric.name or metric.glob_name: (
            metric.step_metric,
            ",".join(name for name in names if getattr(metric.summary, name)),
        )
        for metric in metrics
    }


def wandb_media(path: Path) -> dict[str, Path]:
    """Pictures by name: the files that wandb wrote beside its log."""
    found = {}
    for record in wandb_records(path):
        for item in record.history.item if record.HasField("history") else ():
            if list(item.nested_key)[1:] == ["path"]:
                found[item.nested_key[0]] = path.parent / "files" / json.loads(item.value_json)
    return found


def wandb_summary(path: Path) -> dict[str, Any]:
    """The last value of everything in the summary."""
    items = [item for record in wandb_records(path) if record.HasField("summary") for item in record.summary.update]
    return {".".join([item.key] if item.key else item.nested_key): json.loads(item.value_json) for item in items}


def test_the_default_workspace_of_a_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What wandb wrote offline, of a run that is followed and of finished folders: numbers against games, summaries,
    labels to group by, figures and boards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    tracked = ["tracking=wandb", "tracking.group=study"]
    call = ["+experiment=anchor", "name=anchor_4", *TINY_WANDB, *tracked, "seed=3", "run=run"]
    assert run(monkeypatch, "train", *call) == 0
    mirrored(tmp_path / "run")
    assert run(monkeypatch, "probe", "run=run", *TINY_PROBE, *TINY_CAUSAL) == 0
    tuning = ["transfer.data.games=64", "transfer.data.batch_size=16", "transfer.evaluation.games=8"]
    more = [*QUIET, *tuning, "transfer.scratch=false", "transfer.probe_before_and_after=false"]
    assert run(monkeypatch, "transfer", "run=run", *more) == 0
    command = [sys.executable, str(ROOT / "scripts" / "wandb_mirror.py"), "run"]
    for line in ("wandb: 4 of 4 folders copied (offline)", "wandb: nothing new to copy"):  # what was added later
        output = subprocess.run(command, timeout=120, capture_output=True, text=True, check=True).stdout
        assert line in output
    runs = {content["job_type"]: content for content in wandb_runs(tmp_path)}
    assert sorted(runs) == ["causal", "finetune", "pretrain", "probes", "transfer"]
    assert {content["group"] for content in runs.values()} == {"study"}
    for content in runs.values():
        config = content["config"]
        assert (config["cell"], config["sharing"]) == ("anchor_4", "anchors")
        assert config["seed"] == (0 if content["job_type"] == "finetune" else 3)
    causal, finetune, pretrain, probes, transfer = (runs[name]["path"] for name in sorted(runs))
    declared = wandb_declared(pretrain)
    assert declared["train/*"] == declared["val/*"] == declared["align/*"] == ("games", "")
    assert declared["val/top1"] == ("games", "max,last")
    assert declared["val/loss"] == ("games", "min,last")
    media = {path: wandb_media(path) for path in (pretrain, probes, causal, transfer)}
    assert set(media[pretrain]) == {"figures/training", "figures/legality by ply", "boards/next move"}
    assert set(media[probes]) == {"figures/layers", "figures/alignment", "boards/readings"}
    assert set(media[causal]) == {"figures/interventions"}
    assert set(media[transfer]) == {"figures/fine-tuning"}
    for path in (file for files in media.values() for file in files.values()):
        assert path.read_bytes()[:4] == b"\x89PNG"
    results = RunDir("run").read_results()
    assert wandb_summary(pretrain)["games"] == {"max": results["games"]}
    assert wandb_summary(pretrain)["val/top1"]["last"] == pytest.approx(results["final"]["val/top1"])
    (measured,) = Path("run/measures").glob("probes-*")
    head = headline(read_tidy(measured), "mlp", "absolute")
    assert wandb_summary(probes)["alignment/mlp/absolute/across"] == pytest.approx(head.across)
    assert "transfer/atomic_1/after" in wandb_summary(finetune)
