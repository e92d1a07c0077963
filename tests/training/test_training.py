"""Proves: the optimizers are torch's, weight decay falls on matrices only; the schedule is what it says; a checkpoint is whole
or not there, damage is found and the one before is used; an interrupted run ends with the weights of an uninterrupted one."""

import math
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from mothello.data.batch import Batch
from mothello.data.split import Split, corpus
from mothello.data.stream import Stream
from mothello.languages.family import FamilyConfig, build_family
from mothello.model.transformer import GPT, ModelConfig
from mothello.objectives.causal_lm import causal_lm
from mothello.othello.board import board
from mothello.stages.stage import build_model
from mothello.training import checkpoint
from mothello.training.device import DeviceConfig, Precision, resolve
from mothello.training.loop import Plan, train
from mothello.training.optimizer import OptimizerConfig, OptimizerName, build_optimizer
from mothello.training.schedule import lr_scale


def small_model(dropout: float = 0.1) -> tuple[GPT, Stream]:
    family = build_family(FamilyConfig(kinds=["atomic", "split"]), board(4))
    config = ModelConfig(n_layer=2, n_head=2, d_model=16, dropout=dropout)
    model = build_model(config, family).initialize(0)
    return model, Stream(corpus(board(4), 0, Split.train, 200), family, 16, seed=0)


def plan(folder: Path, steps: int = 12, name: str = "muon", **more: object) -> Plan:
    settings: dict[str, object] = {
        "steps": steps, "objective": causal_lm, "optimizer": OptimizerConfig(name=OptimizerName(name)),
        "precision": Precision.fp32, "seed": 0, "folder": folder, "log": lambda step, values: None,
        "evaluate": lambda model: {}, "evaluate_at": frozenset(), "log_every": 1, "checkpoint_every": 0,
    }  # fmt: skip
    return Plan(**(settings | more))  # type: ignore[arg-type]


class Killed(Exception):
    """Stands for a kill."""


def stop_after(step: int, stream: Stream) -> object:
    def batch_of(at: int) -> Batch:
        if at == step:
            raise Killed
        return stream.batch(at)

    return batch_of


def test_adamw_is_torchs_adamw() -> None:
    (model, stream), (other, _) = small_model(0.0), small_model(0.0)
    config = OptimizerConfig(name=OptimizerName.adamw, lr=1e-3, clip=0.0)
    ours = build_optimizer(model, config)
    decayed = [p for n, p in other.named_parameters() if p.ndim == 2 and "position" not in n]
    rest = [p for n, p in other.named_parameters() if p.ndim != 2 or "position" in n]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
    theirs = torch.optim.AdamW(groups, lr=5e-4, betas=(0.9, 0.95))
    for step in range(5):
        for m in (model, other):
            causal_lm(m, stream.batch(step)).backward()
        ours.step(0.5)
        theirs.step()
        theirs.zero_grad()
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, two)


def test_every_parameter_is_in_exactly_one_optimizer() -> None:
    model, _ = small_model()
    for name in OptimizerName:
        parts = build_optimizer(model, OptimizerConfig(name=name)).parts
        held = [id(p) for part in parts for group in part.param_groups for p in group["params"]]
        assert sorted(held) == sorted(id(p) for p in model.parameters())


def test_the_schedule() -> None:
    config = OptimizerConfig(warmup=0.1, final_lr=0.1, shape="cosine")
    values = [lr_scale(step, 100, config) for step in range(100)]
    assert values[0] == pytest.approx(0.1)
    assert max(values) == values[9] == pytest.approx(1.0)
    assert values[-1] == pytest.approx(0.1)
    assert values[10 + 44] == pytest.approx(0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * 44 / 89)))
    assert all(a >= b for a, b in zip(values[9:], values[10:], strict=False))
    linear = OptimizerConfig(shape="linear", final_lr=0.0, warmup=0.5)
    assert [lr_scale(step, 1, linear) for step in range(1)] == [1.0]
    assert lr_scale(99, 100, linear) == pytest.approx(0.0)


@pytest.mark.parametrize("name", ["adamw", "muon"])
@pytest.mark.parametrize("killed_at", [1, 7])
def test_a_killed_run_ends_with_the_same_weights(name: str, killed_at: int, tmp_path: Path) -> None:
    whole, stream = small_model()
    train(whole, stream.batch, plan(tmp_path / "whole", name=name))
    first, stream = small_model()
    with pytest.raises(Killed):
        train(first, stop_after(killed_at, stream), plan(tmp_path / "cut", name=name, checkpoint_every=1e-9))
    second, stream = small_model()
    train(second, stream.batch, plan(tmp_path / "cut", name=name))
    for one, other in zip(whole.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)
    third, stream = small_model()
    train(third, stop_after(0, stream), plan(tmp_path / "cut", name=name))  # finished: no batch is asked for
    assert torch.equal(third.head.weight, whole.head.weight)


def test_training_lowers_the_loss_and_another_seed_differs(tmp_path: Path) -> None:
    losses: list[float] = []

    def log(_: int, values: Mapping[str, float]) -> None:
        losses.append(values["train/loss"])

    model, stream = small_model()
    train(model, stream.batch, plan(tmp_path / "a", steps=60, log=log))
    assert losses[-1] < 0.75 * losses[0]
    other, stream = small_model()
    train(other, stream.batch, plan(tmp_path / "b", steps=60, seed=1))
    assert not torch.equal(model.head.weight, other.head.weight)


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path: Path) -> None:
    model, stream = small_model()
    bad = plan(tmp_path, objective=lambda m, b: causal_lm(m, b) * float("nan"))
    with pytest.raises(FloatingPointError, match="step 0"):
        train(model, stream.batch, bad)


def point(step: int) -> checkpoint.Checkpoint:
    return checkpoint.Checkpoint(step, {"w": torch.full((3,), float(step))}, {"tokens": step})


def test_a_checkpoint_is_read_as_written_and_two_are_kept(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        checkpoint.save(tmp_path, point(step))
    assert [path.name for path in checkpoint.saved(tmp_path)] == ["step-000000002", "step-000000003"]
    found, problems = checkpoint.latest(tmp_path)
    assert (found.step, found.state, problems) == (3, {"tokens": 3}, [])
    assert torch.equal(found.weights["w"], torch.full((3,), 3.0))
    assert not list(tmp_path.glob(".part-*"))


@pytest.mark.parametrize("name", ["weights.safetensors", "state.pt", "manifest.json"])
@pytest.mark.parametrize("harm", ["truncate", "flip", "remove"])
def test_damage_is_found_and_the_one_before_is_used(name: str, harm: str, tmp_path: Path) -> None:
    for step in (1, 2):
        checkpoint.save(tmp_path, point(step))
    path = tmp_path / "step-000000002" / name
    data = path.read_bytes()
    if harm == "remove":
        path.unlink()
    else:
        middle = len(data) // 2
        path.write_bytes(
            data[:middle] if harm == "truncate" else data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1 :]
        )
    found, problems = checkpoint.latest(tmp_path)
    assert found.step == 1
    assert len(problems) == 1
    assert "step-000000002" in problems[0]


def test_a_pickle_is_not_executed(tmp_path: Path) -> None:
    import json
    import pickle

    class Payload:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (Path(tmp_path / "executed"),)  # type: ignore[return-value]

    checkpoint.save(tmp_path / "run", point(1))
    folder = tmp_path / "run" / "step-000000001"
    (folder / "state.pt").write_bytes(pickle.dumps(Payload()))
    sums = {name: checkpoint._sha256(folder / name) for name in ("weights.safetensors", "state.pt")}
    (folder / "manifest.json").write_text(json.dumps(sums))
    with pytest.raises(checkpoint.CheckpointError):
        checkpoint.read(folder)
    assert not (tmp_path / "executed").exists()


def test_cuda_that_is_absent_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ValueError, match="cuda"):
        resolve(DeviceConfig(name="cuda"))
    assert resolve(DeviceConfig(name="auto", threads=1)).type == "cpu"
