"""Proves: the steps that are kept are log-spaced, rounded to half precision, whole or not there, written over by a resumed run with
the same bits, by the first process alone; and nothing that reads or drops checkpoints takes them for one to go on from."""

import errno
from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from training.loops import EVERY_STEP, Killed, batches, before, kill, plan, same, small_model
from training.test_checkpoint import flip, interrupted, point

from mothello.config import typed
from mothello.errors import UserError
from mothello.rundir import RunDir, checkpoints_in, step_of
from mothello.stages.pretrain import TrainConfig
from mothello.training import checkpoint
from mothello.training.keeping import KeepConfig, log_spaced
from mothello.training.loop import train
from mothello.training.saving import Checkpoints


def files(folder: Path) -> dict[str, bytes]:
    """Those of the kept steps."""
    return {str(x.relative_to(folder)): x.read_bytes() for x in sorted(folder.rglob("kept/*/*.safetensors"))}


def kept(folder: Path) -> list[int]:
    return [step_of(path) for path in checkpoints_in(folder / "kept")]


@given(st.integers(0, 60), st.integers(1, 10**6))
def test_steps_are_log_spaced(count: int, total: int) -> None:
    """As many as asked for, the last one included, and the ratio of neighbors is constant up to rounding."""
    steps = sorted(log_spaced(count, total) | ({total} if count > 1 else set()))
    if count > 1:
        assert len(steps) == min(count, total)
        assert (steps[0], steps[-1]) == (1, total)
    far = [(a, b) for a, b in zip(steps, steps[1:], strict=False) if b - a > 1]
    ratios = [(a, (b - 0.5) / (a + 0.5), (b + 0.5) / (a - 0.5)) for a, b in far]
    assert not far or max(low for _, low, _ in ratios) <= min(high for _, _, high in ratios) * 1.001


def test_by_hand() -> None:
    assert sorted(log_spaced(4, 1000)) == [1, 10, 100]
    assert sorted(log_spaced(10, 40)) == [1, 2, 3, 4, 6, 9, 13, 19, 28]
    assert log_spaced(0, 1000) == log_spaced(5, 1) == frozenset()
    assert KeepConfig(log_spaced=4, full=[7]).steps(1000) == {1, 7, 10, 100}


@pytest.mark.parametrize(
    ("keep", "line"),
    [
        ({"log_spaced": -1}, "checkpoints.keep.log_spaced: -1 is negative"),
        ({"full": [0]}, "checkpoints.keep.full: 0 is below 1"),
        ({"full": [3, 4]}, "checkpoints.keep.full: 4 is not before the last of 4 steps"),
        ({"ful": [3]}, "checkpoints.keep.ful: unknown key"),
    ],
)
def test_mistakes_are_one_line(keep: dict[str, object], line: str) -> None:
    with pytest.raises(UserError, match=line):
        typed({"data": {"games": 128, "batch_size": 32}, "checkpoints": {"keep": keep}}, TrainConfig)


def test_kept_steps_are_the_trainings_states(tmp_path: Path) -> None:
    """Half precision rounds by 2**-11 at most; a whole one is the checkpoint of a training that keeps none, bit for bit."""
    keep = KeepConfig(log_spaced=4, full=[5])
    model, stream = small_model()
    train(model, batches(stream), plan(tmp_path / "a", keep=keep))
    other, stream = small_model()
    train(other, batches(stream), plan(tmp_path / "b", steps=12, checkpoint_every=EVERY_STEP))
    assert same(model, other)  # keeping changes nothing
    assert kept(tmp_path / "a") == [1, 2, 5]
    assert [step_of(path) for path in checkpoint.saved(tmp_path / "a")] == [12]
    for step in kept(tmp_path / "a"):
        stopped, stream = small_model()
        with pytest.raises(Killed):
            train(stopped, before(step, kill, stream), plan(tmp_path / "b" / str(step), checkpoint_every=EVERY_STEP))
        expected = checkpoint.latest(tmp_path / "b" / str(step))[0]
        path = tmp_path / "a" / "kept" / f"step-{step:09d}"
        found = checkpoint.read(path, weights_alone=True)
        assert (found.step, (path / "state.pt").exists()) == (step, step == 5)
        for name, weights in expected.weights.items():
            assert found.weights[name].dtype == (torch.float32 if step == 5 else torch.float16)
            torch.testing.assert_close(found.weights[name].float(), weights, rtol=(step != 5) * 2**-11, atol=2**-25)
    whole = checkpoint.read(tmp_path / "a" / "kept" / "step-000000005").state
    torch.testing.assert_close(whole["optimizer"], checkpoint.latest(tmp_path / "b" / "5")[0].state["optimizer"])


@pytest.mark.parametrize(("every", "at"), [(EVERY_STEP, 3), (EVERY_STEP, 9), (0, 6)])
def test_a_run_killed_while_it_keeps_a_step_ends_with_the_same_ones(
    every: float, at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kill while the third of four is written; and where only the last checkpoint is saved, from the beginning."""
    settings = {"steps": 5, "keep": KeepConfig(log_spaced=5, full=[3]), "checkpoint_every": every}
    folders = tmp_path / "whole", tmp_path / "cut"
    whole, stream = small_model()
    train(whole, batches(stream), plan(folders[0], **settings))  # type: ignore[arg-type]
    first, stream = small_model()
    with monkeypatch.context() as patch:
        batch_of = before(2, partial(interrupted, patch, at, kill), stream)
        with pytest.raises(Killed):
            train(first, batch_of, plan(folders[1], **settings))  # type: ignore[arg-type]
    second, stream = small_model()
    train(second, batches(stream), plan(folders[1], **settings))  # type: ignore[arg-type]
    assert files(folders[0]) == files(folders[1])
    assert len(files(folders[0])) == 4
    assert not list(folders[1].rglob(".part-*"))


def test_damage_is_named_and_mended(tmp_path: Path) -> None:
    checkpoint.keep(tmp_path, point(3), whole=False)
    path = tmp_path / "kept" / "step-000000003"
    flip(path / "weights.safetensors")
    with pytest.raises(checkpoint.CheckpointError, match=r"weights\.safetensors is damaged"):
        checkpoint.read(path, weights_alone=True)
    checkpoint.keep(tmp_path, point(3), whole=False)
    assert checkpoint.read(path, weights_alone=True).weights["w"].tolist() == [3, 3, 3]
    with pytest.raises(checkpoint.CheckpointError, match="state"):  # training does not go on from it
        checkpoint.read(path)


def test_kept_steps_are_no_checkpoints_to_go_on_from_and_are_never_dropped(tmp_path: Path) -> None:
    for step in range(1, 6):
        checkpoint.keep(tmp_path / "checkpoints", point(step), whole=step == 2)
        if step < 4:
            checkpoint.save(tmp_path / "checkpoints", point(step))
    assert checkpoint.latest(tmp_path / "checkpoints")[0].step == 3
    assert kept(tmp_path / "checkpoints") == [1, 2, 3, 4, 5]
    own = {str(path.relative_to(tmp_path)) for path in RunDir(tmp_path).own() if path.exists()}
    assert own == {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}


def test_a_full_disk_leaves_the_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    checkpoint.save(tmp_path, point(1))
    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(OSError, match=r"kept/step-000000002 cannot be written .*; step-000000001 is kept"):
        checkpoint.keep(tmp_path, point(2), whole=False)


def test_only_the_first_process_writes(tmp_path: Path) -> None:
    model, _ = small_model()
    made = plan(tmp_path)
    made.world = type("Second", (), {"main": False, "broadcast": staticmethod(lambda x: x)})()
    checkpoints = Checkpoints(model, None, made)  # type: ignore[arg-type]
    checkpoints.keep(checkpoints.start._replace(step=1))
    assert not list(tmp_path.iterdir())
