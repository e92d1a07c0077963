"""Proves: a checkpoint is whole or not there, whatever operation a kill interrupts; every damage is found, and the newest
good one is used; a disk that is full leaves the last good one; nothing that a checkpoint holds is ever executed."""

import contextlib
import errno
import hashlib
import io
import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from house.commands import TINY, run
from training.loops import EVERY_STEP, Killed, batches, before, kill, plan, same, small_model

from mothello import files
from mothello.rundir import RunDir
from mothello.stages.load import load_run
from mothello.training import checkpoint
from mothello.training.loop import train

FILES = ("weights.safetensors", "state.pt", "manifest.json")


def point(step: int) -> checkpoint.Checkpoint:
    return checkpoint.Checkpoint(step, {"w": torch.full((3,), float(step))}, {"tokens": step})


def steps(folder: Path) -> list[int]:
    return [int(path.name.removeprefix("step-")) for path in checkpoint.saved(folder)]


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    """One bit."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def test_a_checkpoint_is_read_as_written_and_two_are_kept(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        checkpoint.save(tmp_path, point(step))
    assert steps(tmp_path) == [2, 3]
    found, problems = checkpoint.latest(tmp_path)
    assert (found.step, found.state, problems) == (3, {"tokens": 3}, [])
    assert torch.equal(found.weights["w"], torch.full((3,), 3.0))
    assert not list(tmp_path.glob(".part-*"))
    modes = {path.stat().st_mode & 0o777 for path in tmp_path.glob("*/*")}
    assert modes == {0o644}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("harm", [truncate, flip, Path.unlink])
def test_damage_is_found_and_the_one_before_is_used(name: str, harm: Callable[[Path], None], tmp_path: Path) -> None:
    for step in (1, 2):
        checkpoint.save(tmp_path, point(step))
    harm(tmp_path / "step-000000002" / name)
    found, problems = checkpoint.latest(tmp_path)
    assert found.step == 1
    one = (name, harm) != (FILES[2], Path.unlink)  # without a manifest it is no checkpoint
    assert ["step-000000002" in problem for problem in problems] == [True] * one
    checkpoint.save(tmp_path, point(2))  # a run that comes here again mends it
    assert checkpoint.latest(tmp_path)[0].step == 2


@pytest.mark.parametrize("harm", [truncate, flip])
def test_every_byte_counts(harm: Callable[[Path], None], tmp_path: Path) -> None:
    checkpoint.save(tmp_path, point(1))
    path = tmp_path / "step-000000001" / "weights.safetensors"
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] if harm is truncate else whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(checkpoint.CheckpointError, match=r"weights\.safetensors is damaged"):
            checkpoint.read(path.parent)
    path.write_bytes(whole)
    assert checkpoint.read(path.parent).step == 1


def test_a_damaged_one_never_takes_the_place_of_a_good_one(tmp_path: Path) -> None:
    """Ten was damaged, so the run goes on from five: seven and five are good, and both stay."""
    for step in (5, 10):
        checkpoint.save(tmp_path, point(step))
    flip(tmp_path / "step-000000010" / "state.pt")
    checkpoint.save(tmp_path, point(7))
    assert steps(tmp_path) == [5, 7]
    assert checkpoint.latest(tmp_path)[1] == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_one_of_a_gpu_is_read_without_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its tensors are tagged as they are on a GPU. Negative control: as it is, torch does not read the file here."""
    with monkeypatch.context() as patched:
        patched.setattr(torch.serialization, "location_tag", lambda _: "cuda:0")
        train(small_model()[0], batches(small_model()[1]), plan(tmp_path, 2))
    with pytest.raises(RuntimeError, match="CUDA"):
        torch.load(checkpoint.saved(tmp_path)[-1] / "state.pt", weights_only=True)
    model, stream = small_model()
    train(model, batches(stream), plan(tmp_path, 4))
    whole, stream = small_model()
    train(whole, batches(stream), plan(tmp_path / "whole", 4))
    assert same(model, whole)


def test_none_is_good(tmp_path: Path) -> None:
    with pytest.raises(checkpoint.CheckpointError, match="none in"):
        checkpoint.latest(tmp_path)
    checkpoint.save(tmp_path, point(1))
    truncate(tmp_path / "step-000000001" / "state.pt")
    with pytest.raises(checkpoint.CheckpointError, match=r"state\.pt is damaged"):
        checkpoint.latest(tmp_path)


OPERATIONS: list[tuple[Any, str]] = [
    (Path, "mkdir"), (checkpoint, "save_file"), (torch, "save"), (checkpoint, "_sha256"), (Path, "write_text"),
    (files, "flush"), (Path, "rename"), (shutil, "rmtree"), (os, "unlink"), (os, "rmdir"),
]  # fmt: skip
"""What writing a checkpoint and dropping old ones is made of."""


def interrupted(patch: pytest.MonkeyPatch, at: int, act: Callable[[], object]) -> list[str]:
    """``act`` is called in place of the operation number ``at``, and of all that follow; the names of the ones done."""
    done: list[str] = []

    def guarded(name: str, whole: Callable[..., Any]) -> Callable[..., Any]:
        def operation(*arguments: Any, **more: Any) -> Any:
            done.append(name)
            return act() if len(done) > at else whole(*arguments, **more)

        return operation

    for owner, name in OPERATIONS:
        patch.setattr(owner, name, guarded(name, getattr(owner, name)))
    return done


def operations(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> int:
    """How many there are when a third checkpoint is written."""
    for step in (1, 2):
        checkpoint.save(tmp_path / "counted", point(step))
    with monkeypatch.context() as patch:
        done = interrupted(patch, 1000, kill)
        checkpoint.save(tmp_path / "counted", point(3))
    assert {"save_file", "save", "rename", "rmtree", "unlink"} <= set(done)
    return len(done)


def third(folder: Path, patch: pytest.MonkeyPatch, at: int, act: Callable[[], object]) -> None:
    """Two checkpoints, and a third whose operation number ``at`` becomes ``act``."""
    for step in (1, 2):
        checkpoint.save(folder, point(step))
    with patch.context() as inner:
        interrupted(inner, at, act)
        checkpoint.save(folder, point(3))


def test_a_kill_at_any_operation_leaves_a_good_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reached = []
    for at in range(operations(monkeypatch, tmp_path)):
        folder = tmp_path / str(at)
        with pytest.raises(Killed):
            third(folder, monkeypatch, at, kill)
        reached.append(checkpoint.latest(folder)[0].step)
        checkpoint.save(folder, point(4))  # what the kill left is no hindrance
        assert checkpoint.latest(folder)[0].step == 4
        assert not list(folder.glob(".part-*"))
    assert reached == sorted(reached)
    assert set(reached) == {2, 3}


def full() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_at_any_operation_leaves_a_good_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for at in range(operations(monkeypatch, tmp_path)):
        folder = tmp_path / str(at)
        with pytest.raises((checkpoint.CheckpointError, OSError), match="No space left"):
            third(folder, monkeypatch, at, full)
        assert checkpoint.latest(folder)[0].step in (2, 3)
        checkpoint.save(folder, point(4))
        found, problems = checkpoint.latest(folder)
        assert (found.step, problems) == (4, [])


@pytest.mark.parametrize(("name", "at"), [("adamw", 2), ("adamw", 9), ("muon", 5), ("muon", 20)])
def test_a_run_killed_at_any_operation_ends_with_the_same_weights(
    name: str, at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights, optimizer and token count; a checkpoint after every step, the kill while the fourth is written."""
    whole, stream = small_model()
    tokens = train(whole, batches(stream), plan(tmp_path / "whole", 6, name)).tokens
    folder = tmp_path / "cut"
    first, stream = small_model()
    with monkeypatch.context() as patch:
        batch_of = before(3, lambda: interrupted(patch, at, kill), stream)
        with pytest.raises(Killed):
            train(first, batch_of, plan(folder, 6, name, checkpoint_every=EVERY_STEP))
    assert checkpoint.latest(folder)[0].step in (3, 4)
    second, stream = small_model()
    assert train(second, batches(stream), plan(folder, 6, name)).tokens == tokens
    assert same(whole, second)
    states = [checkpoint.latest(x)[0].state["optimizer"] for x in (tmp_path / "whole", folder)]
    torch.testing.assert_close(*states, rtol=0, atol=0)


class Payload:
    """Unpickled, it creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (self.path, "w")


def pickled(path: Path, payload: Payload) -> None:
    path.write_bytes(pickle.dumps(payload))


def zipped(path: Path, payload: Payload) -> None:
    torch.save(payload, path)


def inside(path: Path, payload: Payload) -> None:
    """Among things that belong there."""
    torch.save({"step": 7, "tokens": 1, "seconds": 1.0, "optimizer": [payload]}, path)


def legacy(path: Path, payload: Payload) -> None:
    torch.save({"step": 7, "optimizer": payload}, path, _use_new_zipfile_serialization=False)


def sign(folder: Path) -> None:
    """A manifest whose checksums match."""
    sums = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES[:2]}
    (folder / "manifest.json").write_text(json.dumps(sums))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("make", [pickled, zipped, inside, legacy])
@pytest.mark.parametrize("name", ["state.pt", "weights.safetensors", "both", "manifest.json"])
def test_a_payload_is_refused_and_not_executed(
    make: Callable[[Path, Payload], None], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")  # not even then
    created = tmp_path / "created"
    checkpoint.save(tmp_path / "run", point(7))
    folder = tmp_path / "run" / "step-000000007"
    harmed = [folder / x for x in (FILES[:2] if name == "both" else [name])]
    for path in harmed:
        make(path, Payload(created))
    if name != "manifest.json":
        sign(folder)
    with pytest.raises(checkpoint.CheckpointError):
        checkpoint.read(folder)
    assert not created.exists()
    with contextlib.suppress(RuntimeError, TypeError):  # torch wants more of a plain pickle, and says so afterwards
        torch.load(io.BytesIO(harmed[0].read_bytes()), weights_only=False)  # the control: the payload is real
    assert created.exists()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of eight steps, with the checkpoint before its last."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        assert run(patch, "train", *CALL, f"run={folder / 'run'}") == 0
    assert steps(folder / "run" / "checkpoints") == [7, 8]
    return folder / "run"


CALL = ["+experiment=naive", *TINY, "model.dropout=0.1", f"checkpoint_every={EVERY_STEP}"]
LAST = "checkpoints/step-000000008"


def copied(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def test_a_run_refuses_a_payload(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """load_run and scripts/train.py, where nothing else is there; and where a good one stands before it, which is used."""
    folder, created = copied(finished, tmp_path), tmp_path / "created"
    for name in FILES[:2]:
        inside(folder / LAST / name, Payload(created))
    sign(folder / LAST)
    assert load_run(folder).step == 7
    good = folder / "checkpoints" / "step-000000007"
    good.rename(tmp_path / "aside")
    with pytest.raises(checkpoint.CheckpointError, match="step-000000008"):
        load_run(folder)
    capsys.readouterr()
    assert run(monkeypatch, "train", *CALL, f"run={folder}") == 2
    error = capsys.readouterr().err
    assert error.startswith("error: checkpoint: ")
    assert error.endswith("; force=true to train it again\n")
    assert error.count("\n") == 1
    (tmp_path / "aside").rename(good)
    assert run(monkeypatch, "train", *CALL, f"run={folder}") == 0
    assert "step-000000008 cannot be read" in (folder / "log.txt").read_text()
    assert not created.exists()
    assert (folder / LAST / FILES[0]).read_bytes() == (finished / LAST / FILES[0]).read_bytes()


@pytest.mark.parametrize(
    ("name", "harm"), [(FILES[0], flip), (FILES[1], truncate), (FILES[2], Path.unlink), ("all", shutil.rmtree)]
)
def test_a_finished_run_is_mended_by_the_same_command(
    name: str, harm: Callable[[Path], None], finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copied(finished, tmp_path)
    harm(folder / LAST if name == "all" else folder / LAST / name)
    assert run(monkeypatch, "train", *CALL, f"run={folder}") == 0
    log = (folder / "log.txt").read_text()
    assert "going on after step 7 of 8" in log
    assert ("using the one before, step 7" in log) == (name in FILES[:2])
    assert steps(folder / "checkpoints") == [7, 8]
    assert (folder / LAST / FILES[0]).read_bytes() == (finished / LAST / FILES[0]).read_bytes()
    assert losses(folder) == losses(finished)
    before_, after = RunDir(finished).read_results(), RunDir(folder).read_results()
    assert after["final"] == before_["final"]
    assert after["tokens"] == before_["tokens"]


def test_a_kill_before_the_first_file_is_whole(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / ".part-0123456789abcdef").write_text("name: na")
    assert run(monkeypatch, "train", *CALL, f"run={folder}") == 0
    assert (folder / LAST / FILES[0]).read_bytes() == (finished / LAST / FILES[0]).read_bytes()
    assert not list(folder.glob(".part-*"))


def losses(folder: Path) -> list[tuple[int, float | None]]:
    return [(line["step"], line.get("train/loss")) for line in RunDir(folder).read_metrics()]
