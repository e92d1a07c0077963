"""Proves: the optimizers are torch's, weight decay falls on matrices only; the schedule is what it says; a run that is cut
off ends with the weights of one that was not."""

import math
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor
from training.loops import EVERY_STEP, Changed, Killed, batches, before, kill, mean_loss, plan, same, small_model

from mothello.model.transformer import GPT
from mothello.training.device import DeviceConfig, resolve
from mothello.training.distributed import World
from mothello.training.loop import train
from mothello.training.optimizer import OptimizerConfig, OptimizerName, build_optimizer
from mothello.training.schedule import lr_scale


def test_adamw_is_torchs_adamw() -> None:
    (model, stream), (other, _) = small_model(0.0), small_model(0.0)
    config = OptimizerConfig(name=OptimizerName.adamw, lr=1e-3, max_grad_norm=0.0, beta_2=0.95)
    ours = build_optimizer(model, config)
    decayed = [p for n, p in other.named_parameters() if p.ndim == 2 and "position" not in n]
    rest = [p for n, p in other.named_parameters() if p.ndim != 2 or "position" in n]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
    theirs = torch.optim.AdamW(groups, lr=5e-4, betas=(0.9, 0.95))
    for step in range(5):
        for m in (model, other):
            mean_loss(m, batches(stream)(step)).backward()
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
    config = OptimizerConfig(warmup_fraction=0.1, final_lr_fraction=0.1, decay="cosine")
    values = [lr_scale(step, 100, config) for step in range(100)]
    assert values[0] == pytest.approx(0.1)
    assert max(values) == values[9] == pytest.approx(1.0)
    assert values[-1] == pytest.approx(0.1)
    assert values[10 + 44] == pytest.approx(0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * 44 / 89)))
    assert all(a >= b for a, b in zip(values[9:], values[10:], strict=False))
    linear = OptimizerConfig(decay="linear", final_lr_fraction=0.0, warmup_fraction=0.5)
    assert [lr_scale(step, 1, linear) for step in range(1)] == [1.0]
    assert lr_scale(99, 100, linear) == pytest.approx(0.0)


@pytest.mark.parametrize("name", ["adamw", "muon"])
@pytest.mark.parametrize("killed_at", [1, 7])
def test_a_killed_run_ends_with_the_same_weights(name: str, killed_at: int, tmp_path: Path) -> None:
    whole, stream = small_model()
    train(whole, batches(stream), plan(tmp_path / "whole", name=name))
    first, stream = small_model()
    with pytest.raises(Killed):
        train(first, before(killed_at, kill, stream), plan(tmp_path / "cut", name=name, checkpoint_every=EVERY_STEP))
    second, stream = small_model()
    train(second, batches(stream), plan(tmp_path / "cut", name=name))
    assert same(whole, second)
    third, stream = small_model()
    train(third, before(0, kill, stream), plan(tmp_path / "cut", name=name))  # finished: no batch is asked for
    assert torch.equal(third.head.weight, whole.head.weight)


def test_training_lowers_the_loss_and_another_seed_differs(tmp_path: Path) -> None:
    losses: list[float] = []

    def log(_: int, values: Mapping[str, float]) -> None:
        losses.append(values["train/loss"])

    model, stream = small_model()
    train(model, batches(stream), plan(tmp_path / "a", steps=60, log=log))
    assert losses[-1] < 0.75 * losses[0]
    other, stream = small_model()
    train(other, batches(stream), plan(tmp_path / "b", steps=60, seed=1))
    assert not torch.equal(model.head.weight, other.head.weight)


def test_dropout_is_drawn_for_every_step_and_process(tmp_path: Path) -> None:
    drawn: dict[int, list[float]] = {}
    for rank in (0, 1):
        model, stream = small_model()
        seen = drawn[rank] = []

        def draw(_: GPT, loss: Tensor, seen: list[float] = seen) -> Tensor:
            seen.append(float(torch.rand(1)))
            return loss

        train(model, batches(stream), plan(tmp_path / str(rank), 5, objective=Changed(draw), world=World(rank, 1)))
    assert len({*drawn[0], *drawn[1]}) == 10


def test_cuda_that_is_absent_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ValueError, match="cuda"):
        resolve(DeviceConfig(name="cuda"))
    assert resolve(DeviceConfig(name="auto", threads=1)).type == "cpu"
