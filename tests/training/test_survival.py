"""Proves: a run that is killed at any moment, stopped by a signal or starved of disk, and then started again by the same
command, leaves the bytes, losses and lines of a run that was never interrupted. Real processes, real signals."""

import os
import random
import re
import shutil
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from house.commands import QUIET, TINY, run
from training.loops import Killed, kill
from training.processes import Child, Command, full_disk, train, until

from mothello.data.stream import Stream
from mothello.rundir import RunDir
from mothello.training import checkpoint

SHORT = [x for x in TINY if not x.startswith(("data.", "evaluation."))]
CALL = [
    "+experiment=naive", *SHORT, "model.dropout=0.1", "data.games=480", "data.batch_size=8", "evaluation.games=8",
    "evaluation.times=4", "evaluation.log_every=2",
]  # fmt: skip
STEPS = 60
OFTEN = "checkpoint_every=0.01"


def run_dir(folder: Path) -> RunDir:
    return RunDir(folder / "run")


def finish(folder: Path, *arguments: str) -> Child:
    child = train(folder, *arguments)
    assert child.wait() == 0, child.text
    return child


def lines(run: RunDir) -> list[dict[str, object]]:
    """Of metrics.jsonl, without what a clock says."""
    return [{key: value for key, value in line.items() if key != "train/seconds"} for line in run.read_metrics()]


def assert_same(folder: Path, whole: Path) -> None:
    """Weights and optimizer bit for bit; the same lines in the same order, none twice, none missing."""
    ours, theirs = run_dir(folder), run_dir(whole)
    assert not list(ours.path.rglob(".part-*"))
    last, expected = (checkpoint.saved(run.checkpoints)[-1] for run in (ours, theirs))
    assert last.name == expected.name
    weights = "weights.safetensors"
    assert (last / weights).read_bytes() == (expected / weights).read_bytes()
    one, other = (checkpoint.read(path).state for path in (last, expected))
    torch.testing.assert_close(one["optimizer"], other["optimizer"], rtol=0, atol=0)
    assert lines(ours) == lines(theirs)
    mine, wanted = ours.read_results(), theirs.read_results()
    assert {key: mine[key] for key in ("final", "tokens", "steps")} == {
        key: wanted[key] for key in ("final", "tokens", "steps")
    }
    assert ours.read_status()["status"] == "ok"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole")
    finish(folder, *CALL)
    steps = [line["step"] for line in lines(run_dir(folder)) if "train/loss" in line]
    assert steps == list(range(2, STEPS + 1, 2))
    return folder


class Life:
    """One start of a run, and what can be seen of it from outside."""

    def __init__(self, folder: Path, start: Callable[[], Child | Command]) -> None:
        self.run, self.born = run_dir(folder), time.time_ns()
        self.child = start()

    def begun(self) -> bool:
        """What the life before left has been read."""
        path = self.run.path / "status.json"
        return path.exists() and path.stat().st_mtime_ns > self.born

    def reached(self) -> int:
        """The last step of the metrics."""
        path = self.run.path / "metrics.jsonl"
        found = re.findall(r'^{"step": (\d+)', path.read_text(), re.MULTILINE) if path.exists() else []
        return int(found[-1]) if found else 0

    def writes(self) -> bool:
        """Whether a checkpoint is being written right now."""
        try:
            parts = [x for x in os.scandir(self.run.checkpoints) if x.name.startswith(".part-")]
            return any(part.stat().st_ctime_ns > self.born for part in parts)
        except FileNotFoundError:
            return False

    def kill(self) -> None:
        self.child.signal(signal.SIGKILL)
        assert self.child.wait() == -signal.SIGKILL, f"it ended before it was killed: {self.child.text}"

    def kill_after(self, steps: int, seconds: float = 0.0) -> None:
        until(self.begun, self.child)
        target = self.reached() + steps
        until(lambda: self.reached() >= target, self.child)
        time.sleep(seconds)
        self.kill()


def kill_while_starting(folder: Path, start: Callable[[], Child | Command], seconds: float) -> None:
    life = Life(folder, start)
    time.sleep(seconds)
    life.kill()


def kill_while_writing(folder: Path, start: Callable[[], Child | Command]) -> None:
    """A checkpoint that was begun lies there afterwards; a life that was quicker does not count."""
    for _ in range(20):
        life = Life(folder, start)
        until(life.writes, life.child)
        life.kill()
        if life.writes():
            return
    raise AssertionError("never caught in the act")


def test_a_run_that_is_killed_leaves_the_same(tmp_path: Path, whole: Path) -> None:
    """While it starts, while it trains, while it writes a checkpoint. The slow test does it twenty times, compiled."""
    draw = random.Random(0)
    start = partial(train, tmp_path, *CALL, OFTEN)
    kill_while_starting(tmp_path, start, draw.uniform(0, 0.5))
    Life(tmp_path, start).kill_after(draw.randrange(4, 20), draw.uniform(0, 0.02))
    assert checkpoint.saved(run_dir(tmp_path).checkpoints)
    kill_while_writing(tmp_path, start)
    finish(tmp_path, *CALL, OFTEN)
    assert "going on after step" in (run_dir(tmp_path).path / "log.txt").read_text()
    assert_same(tmp_path, whole)


def test_a_run_that_is_killed_before_its_first_checkpoint_leaves_the_same(tmp_path: Path, whole: Path) -> None:
    Life(tmp_path, partial(train, tmp_path, *CALL)).kill_after(20)
    assert not checkpoint.saved(run_dir(tmp_path).checkpoints)
    with (run_dir(tmp_path).path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 7, "train/lo')  # a line that the kill cut off
    (run_dir(tmp_path).path / ".part-0123456789abcdef").write_text("name: na")
    finish(tmp_path, *CALL)
    assert_same(tmp_path, whole)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_first(number: signal.Signals, tmp_path: Path, whole: Path) -> None:
    life = Life(tmp_path, partial(train, tmp_path, *CALL))
    until(lambda: life.reached() >= 5, life.child)
    life.child.signal(number)
    assert life.child.wait() == 128 + number
    (error,) = life.child.errors
    found = re.fullmatch(rf"error: stopped by {number.name} after step (\d+); rerun the command to resume", error)
    assert found
    assert checkpoint.latest(life.run.checkpoints)[0].step == int(found[1])
    assert life.run.read_status()["status"] == "failed"
    assert found[0].removeprefix("error: ") in (life.run.path / "log.txt").read_text()
    if number is signal.SIGTERM:
        finish(tmp_path, *CALL)
        assert_same(tmp_path, whole)


@pytest.mark.slow
def test_a_fine_tuning_that_is_killed_leaves_the_same(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same loop; its curves are read from the metrics."""
    for name in ("one", "other"):
        shutil.copytree(whole, tmp_path / name)
    call = [
        "transfer", *QUIET, "transfer.probe_before_and_after=false", "transfer.data.games=128",
        "transfer.data.batch_size=16", "transfer.evaluation.games=8", "transfer.evaluation.log_every=1",
        "checkpoint_every=1e-9",
    ]  # fmt: skip
    monkeypatch.chdir(tmp_path / "one")
    assert run(monkeypatch, *call, "run=run") == 0
    monkeypatch.chdir(tmp_path / "other")
    batch = Stream.batch
    with monkeypatch.context() as patch:
        patch.setattr(Stream, "batch", lambda stream, step: kill() if step == 5 else batch(stream, step))
        with pytest.raises(Killed):
            run(patch, *call, "run=run")
    assert run(monkeypatch, *call, "run=run") == 0
    found = (min((tmp_path / name / "run" / "finetune").glob("*/config.yaml")) for name in ("one", "other"))
    one, other = (RunDir(path.parent) for path in found)
    assert "going on after step 5 of 8" in (other.path / "log.txt").read_text()
    assert lines(other) == lines(one)
    assert other.read_results()["final"] == one.read_results()["final"]


FULL = {
    "weights": ("checkpoint", 2, 60_000),
    "state": ("checkpoint", 2, 120_000),
    "anything": ("checkpoint", 2, 0),
    "metrics": ("metrics.jsonl", 9, 0),
    "status, in the end": ("status.json", 2, 0),
    "status, at the start": ("status.json", 1, 0),
}


@pytest.mark.parametrize("name", FULL)
def test_a_full_disk_stops_with_the_last_good_checkpoint(name: str, tmp_path: Path, whole: Path) -> None:
    """No file may grow beyond so many bytes, from that writing of a checkpoint, a line of metrics or a status on."""
    where, _, _ = FULL[name]
    child = train(tmp_path, *CALL, OFTEN, hook=partial(full_disk, *FULL[name]))
    assert child.wait() == 1  # no user's mistake
    assert len(child.errors) == 1, child.text
    assert "File too large" in child.text or "error: checkpoint" in child.text
    run = run_dir(tmp_path)
    if where != "status.json" or name.endswith("end"):
        kept, problems = checkpoint.latest(run.checkpoints)
        assert not problems
        assert kept.step > 0
    if where == "checkpoint":
        assert f"step-{kept.step:09d} is kept" in child.errors[0]
    assert not list(run.path.rglob(".part-*"))
    if name in ("weights", "metrics"):
        finish(tmp_path, *CALL)
        assert_same(tmp_path, whole)


LONG = [
    "+experiment=naive", "model=small", "model.dropout=0.1", "board=6x6", "tracking=jsonl", "device=cpu",
    "device.threads=2", "device.compile=always", "data.games=24000", "data.batch_size=16", "evaluation.games=8",
    "evaluation.times=4", "evaluation.log_every=5", "checkpoint_every=0.2", "run=run",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_twenty_kills_of_a_compiled_run(tmp_path: Path) -> None:
    """The real command with dropout on two threads, killed at moments drawn from a fixed seed: a quarter while it starts
    or compiles, a quarter while a checkpoint is written, the rest at any step."""
    cache = {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    (tmp_path / "cut").mkdir()
    (tmp_path / "whole").mkdir()
    undisturbed = Command("train", tmp_path / "whole", *LONG, **cache)
    assert undisturbed.wait() == 0, undisturbed.text
    draw = random.Random(0)
    start = partial(Command, "train", tmp_path / "cut", *LONG, **cache)
    moments = [*["start"] * 5, *["write"] * 5, *["step"] * 10]
    draw.shuffle(moments)
    for moment in moments:
        if moment == "start":
            kill_while_starting(tmp_path / "cut", start, draw.uniform(0, 20))
        elif moment == "write":
            kill_while_writing(tmp_path / "cut", start)
        else:
            Life(tmp_path / "cut", start).kill_after(draw.randrange(5, 80), draw.uniform(0, 0.2))
    last = start()
    assert last.wait() == 0, last.text
    assert_same(tmp_path / "cut", tmp_path / "whole")
