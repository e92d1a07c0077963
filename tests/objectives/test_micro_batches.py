"""Proves: a batch that is computed in parts trains what the whole batch trains, for every objective of the registry and every
task, in float64 to 1e-9 after three steps; a mean of means does not; what cannot be divided is computed whole or refused."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from house.commands import QUIET, TINY, run
from torch import Tensor
from training.loops import EVERY_STEP, Killed, batches, before, kill, plan, same, small_model

import mothello.training.gradients as gradients
from mothello.config import typed
from mothello.data.batch import IGNORE, Groups, divided
from mothello.errors import UserError
from mothello.measures.tasks.heads import TaskHead
from mothello.measures.tasks.objective import TaskObjective
from mothello.measures.tasks.task import TASKS
from mothello.model.transformer import GPT
from mothello.objectives.causal_lm import CausalLM
from mothello.objectives.combined import build_objective
from mothello.objectives.micro_batches import Share, check_micro_batches
from mothello.objectives.objective import OBJECTIVES, Objective, with_head
from mothello.rundir import RunDir
from mothello.stages.pretrain import Pretrain, TrainConfig
from mothello.stages.realign import Plain, RealignStageConfig
from mothello.training.device import DeviceConfig
from mothello.training.distributed import World
from mothello.training.loop import train

CPU = torch.device("cpu")
BATCH, STEPS = 16, 3
SPLITS = (5, 40)
"""Parts of a batch: unequal ones, and more than there are games."""
SETTINGS: dict[str, dict[str, Any]] = {
    "expected": {"objective": {"targets": "expected"}},
    "softmax of the language": {"objective": {"softmax": "language"}},
    "unified": {"languages": {"output": "unified"}},
    "split words": {"languages": {"kinds": ["atomic", "split"]}},
    "causal tlm": {"objective": {"name": "tlm", "attention": "causal", "share": 0.3}},
    "code-switched": {"data": {"code_switching": {"probability": 0.3}}},
    "separate parts": {
        "model": {"separate": {"tokens": True, "positions": True, "head": True, "blocks": 1}},
        "data": {"language_sampling": {"grouped": True}},
    },
    "a prefix": {"data": {"prefix": ["a2", "a1"]}},
    "three objectives": {"auxiliary": {"align": {}, "second": {"name": "causal_lm", "targets": "expected", "weight": 0.3}}},
}  # fmt: skip


def pretraining(folder: Path, **settings: Any) -> Pretrain:
    tiny: dict[str, Any] = {
        "run": str(folder / "run"), "board": {"size": 4}, "languages": {"kinds": ["atomic*2"]},
        "data": {"games": BATCH * STEPS, "batch_size": BATCH}, "model": {"n_layer": 2, "n_head": 2, "d_model": 16},
    }  # fmt: skip
    return Pretrain(typed(tiny | {k: tiny.get(k, {}) | v for k, v in settings.items()}, TrainConfig))


def main_or_auxiliary(name: str) -> dict[str, Any]:
    entry = OBJECTIVES.get(name)
    return {"auxiliary": {name: {}}} if getattr(entry, "auxiliary_only", False) else {"objective": {"name": name}}


class Counting:
    """An objective whose losses are counted."""

    def __init__(self, objective: Objective) -> None:
        self.objective, self.calls = objective, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["objective"], name)

    def loss(self, model: GPT, batch: Any) -> Any:
        self.calls += 1
        return self.objective.loss(model, batch)


Result = tuple[list[dict[str, float]], list[Tensor], int]


def result(model: GPT, objective: Any, batch_of: Callable[[int], Any], parts: int, **more: Any) -> Result:
    """What was logged, the weights, and how often the loss was computed."""
    counting, lines = Counting(objective), list[dict[str, float]]()
    how = plan(None, STEPS, "adamw", objective=counting, micro_batches=parts, **more)  # type: ignore[arg-type]
    train(model, batch_of, replace(how, log=lambda _, values: lines.append(dict(values))))
    return lines, [p.detach() for p in model.parameters()], counting.calls


def far(one: Result, other: Result) -> float:
    """The largest relative difference of a logged number, and of a tensor of weights by its norm."""
    assert [line.keys() for line in one[0]] == [line.keys() for line in other[0]]
    logged = [
        abs(line[name] - other[0][step][name]) / max(1e-3, abs(other[0][step][name]))
        for step, line in enumerate(one[0]) for name in line if name != "train/seconds"
    ]  # fmt: skip
    weights = [float((a - b).norm() / b.norm().clamp(min=1e-3)) for a, b in zip(one[1], other[1], strict=True)]
    return max(*logged, *weights)


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """All in float64."""
    monkeypatch.setattr(Tensor, "float", Tensor.double)


def trained(stage: Pretrain, parts: int) -> Result:
    objective = stage.objective()
    model = with_head(objective, stage.initial(), 0).double()
    return result(model, objective, partial(objective.batch, stage.stream(CPU, World())), parts)


REGISTERED = {name: main_or_auxiliary(name) for name in OBJECTIVES}


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("case", [*REGISTERED, *SETTINGS])
def test_parts_train_what_the_whole_batch_trains(case: str, tmp_path: Path) -> None:
    stage = pretraining(tmp_path, **(REGISTERED | SETTINGS)[case])
    objective = stage.objective()
    whole, several = trained(stage, 1), len(getattr(objective, "auxiliary", {}))
    for parts in SPLITS:
        divided = trained(stage, parts)
        print(f"{case}, {parts} parts: {far(divided, whole):.1e}")
        assert far(divided, whole) < 1e-9
        assert divided[2] > STEPS * (1 + several)


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("name", TASKS)
def test_tasks_too(name: str, tmp_path: Path) -> None:
    """With the counts of classes and of pointers."""
    stage, task = pretraining(tmp_path), TASKS.build(TASKS.typed({"name": name}, "task"))
    objective, stream = TaskObjective(task, 2), stage.stream(CPU, World()).speaking(1)

    def tuned(parts: int) -> Result:
        model = stage.initial().double()
        model.task_head = TaskHead(task, model.config.d_model).initialize(0).double()
        return result(model, objective, partial(objective.batch, stream), parts)

    whole = tuned(1)
    assert all(far(tuned(parts), whole) < 1e-9 for parts in SPLITS)


@pytest.mark.usefixtures("exact")
def test_the_control_of_realignment_too(tmp_path: Path) -> None:
    """Batches in two languages; and frozen parameters, which an auxiliary objective alone trains."""
    stage = pretraining(tmp_path)
    objective, stream = Plain(CausalLM(), RealignStageConfig(plain=True)), stage.stream(CPU, World())

    def tuned(parts: int) -> Result:
        model = stage.initial().double()
        model.token_embedding.requires_grad_(False)
        return result(model, objective, partial(objective.batch, stream), parts)

    assert far(tuned(5), tuned(1)) < 1e-9


def test_in_single_precision_as_well(tmp_path: Path) -> None:
    """Relative, of loss and weights: rounding alone."""
    stage = pretraining(tmp_path)
    objective = stage.objective()
    batch_of = partial(objective.batch, stage.stream(CPU, World()))
    found = [result(stage.initial(), objective, batch_of, parts) for parts in (1, 5)]
    assert all(abs(a["train/loss"] / b["train/loss"] - 1) < 1e-6 for a, b in zip(found[0][0], found[1][0], strict=True))
    assert far(*found) < 1e-4


@pytest.mark.usefixtures("exact")
def test_a_mean_of_means_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = pretraining(tmp_path, objective={"name": "masked_lm"})
    whole = trained(stage, 1)
    monkeypatch.setattr(gradients, "shares", lambda _, batch, n: [Share([one], None) for one in divided(batch, n)])
    assert far(trained(stage, 3), whole) > 1e-3


@pytest.mark.usefixtures("exact")
def test_a_part_that_scores_nothing(tmp_path: Path) -> None:
    """Of every second game no move is a target."""
    stage = pretraining(tmp_path)
    objective, stream = CausalLM(), stage.stream(CPU, World())

    def batch_of(step: int) -> Any:
        batch = objective.batch(stream, step)
        odd = torch.arange(BATCH).unsqueeze(1) % 2 == 1
        return batch._replace(targets=torch.where(odd, IGNORE, batch.targets))

    whole, two = (result(stage.initial().double(), objective, batch_of, parts) for parts in (1, 2))
    assert far(two, whole) < 1e-9


def test_parts_hold_every_row_once_and_groups_are_counted() -> None:
    language = torch.tensor([0] * 5 + [1] * 4 + [3] * 2)
    batch = {"rows": language, "groups": Groups((5, 4, 0, 2)), "none": None}
    for n in (1, 2, 3, 11, 20):
        parts = divided(batch, n)
        assert len(parts) == min(n, 11)
        assert torch.equal(torch.cat([part["rows"] for part in parts]).sort().values, language)
        for part in parts:
            assert part["groups"].sizes == tuple(int((part["rows"] == i).sum()) for i in range(4))


def test_dropout_draws_other_masks_for_every_part_and_a_resumed_run_the_same(tmp_path: Path) -> None:
    """The same game twice: two parts with the same masks would have the same loss."""
    seen: list[float] = []

    class Watched(CausalLM):
        def loss(self, model: GPT, batch: Any) -> Any:
            loss = super().loss(model, batch)
            seen.append(float(loss.sum.detach()))
            return loss

    model, stream = small_model(0.5)
    batch = CausalLM().batch(stream, 0)
    batch = batch._replace(text=type(batch.text)(*(x if x is None else x[:1].expand_as(x) for x in batch.text)),
                           targets=batch.targets[:1].expand_as(batch.targets))  # fmt: skip
    train(model, lambda _: batch, plan(None, 1, objective=Watched(), micro_batches=2))  # type: ignore[arg-type]
    assert seen[0] != seen[1]
    one, other = small_model(0.5)[0], small_model(0.5)[0]
    train(one, batches(stream), plan(tmp_path / "one", 6, micro_batches=3))
    cut = plan(tmp_path / "other", 6, micro_batches=3, checkpoint_every=EVERY_STEP)
    with pytest.raises(Killed):
        train(small_model(0.5)[0], before(4, kill, stream), cut)
    train(other, batches(stream), cut)
    assert same(one, other)


@pytest.mark.slow
def test_the_compiled_step_too() -> None:
    """Of two sizes of parts."""
    compiled, eager = (small_model(0.0)[0] for _ in range(2))
    stream = small_model(0.0)[1]
    how = {"micro_batches": 3, "name": "adamw"}
    train(compiled, batches(stream), plan(None, 3, compiled=True, **how))  # type: ignore[arg-type]
    train(eager, batches(stream), plan(None, 3, **how))  # type: ignore[arg-type]
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(compiled.parameters(), eager.parameters(), strict=True))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_what_cannot_be_divided_is_refused_alone_and_whole_beside_others(name: str) -> None:
    objective = OBJECTIVES.build(OBJECTIVES.get(name).Config())  # type: ignore[attr-defined]
    divisible = nullcontext() if hasattr(objective, "counts") else None
    check_micro_batches(objective, 0)
    with divisible or pytest.raises(
        UserError, match=f"^device.micro_batch_size: the loss of {name} is no sum over the games"
    ):
        check_micro_batches(objective, 4)
    if divisible is None:
        check_micro_batches(build_objective({"name": "causal_lm"}, {name: {}}), 4)


@pytest.mark.parametrize(("size", "parts"), [(0, 1), (1, 12), (5, 3), (12, 1), (99, 1)])
def test_the_number_of_parts(size: int, parts: int) -> None:
    assert DeviceConfig(micro_batch_size=size).micro_batches(12) == parts


def test_it_is_no_part_of_a_run_and_a_dry_run_tells_its_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def memory(*more: str) -> str:
        assert run(monkeypatch, "train", *TINY, "dry_run=true", *more) == 0
        return next(line for line in capsys.readouterr().out.splitlines() if line.startswith("memory"))

    assert not memory().endswith("at once")
    assert memory("device.micro_batch_size=5").endswith("of 5 games at once")
    assert run(monkeypatch, "train", *TINY, "device.micro_batch_size=7") == 0
    assert "done: " in capsys.readouterr().out
    assert run(monkeypatch, "train", *TINY) == 0
    assert "finished already" in capsys.readouterr().out
    folder = RunDir(next((tmp_path / "runs").glob("*/*/*")))
    assert folder.read_json("execution.json")["micro_batch_size"] == 7
    assert run(monkeypatch, "stage", f"run={folder.path}", "stage=realign", *QUIET, "device.micro_batch_size=4") == 2
    line = "error: device.micro_batch_size: the loss of realign is no sum over the games of a batch, and cannot be computed"
    assert capsys.readouterr().err.startswith(line)
