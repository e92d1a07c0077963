"""Proves the door of the objectives: a second objective, written here, is registered, configured, added with a weight, trained
and logged by name; sums and counts of several processes give the loss and the gradient of one; nothing changes without it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from house.commands import TINY, run
from torch import Tensor
from training.loops import batches, plan, same, small_model

from mothello.config import identity, plain, typed
from mothello.data.batch import Batch, rows
from mothello.data.stream import Stream
from mothello.errors import UserError
from mothello.languages.language import PAD
from mothello.model.inputs import AttentionMask, Inputs
from mothello.model.transformer import GPT
from mothello.objectives.causal_lm import CausalLM
from mothello.objectives.combined import Combined, build_objective
from mothello.objectives.objective import OBJECTIVES, Loss, Part
from mothello.registry import lenient
from mothello.rundir import RunDir
from mothello.stages.load import load_run
from mothello.stages.pretrain import TrainConfig
from mothello.training.distributed import World
from mothello.training.loop import train


class Closeness:
    """Parallel games have close states: the mean squared difference of the last layer at the ends of moves."""

    @dataclass(kw_only=True)
    class Config:
        name: str = "closeness"
        scale: float = 1.0

    attention = None

    def __init__(self, config: Config) -> None:
        self.scale = config.scale

    def check(self, games: Any, data: Any, language_set: Any) -> None: ...

    def batch(self, stream: Stream, step: int) -> tuple[Batch, Batch]:
        return stream.pairs(step, 0, 1)

    def loss(self, model: GPT, batch: tuple[Batch, Batch]) -> Loss:
        one, other = (self.ends(model, text) for text in batch)
        played = batch[0].moves >= 0
        squares = (one - other).square().mean(-1) * played
        near = Part((squares.detach() < 1).logical_and(played).sum().float(), played.sum())
        return Loss(self.scale * squares.sum(), played.sum(), {"near": near})

    @staticmethod
    def ends(model: GPT, text: Batch) -> Tensor:
        hidden = model(Inputs.of(text), hidden=True).hidden
        assert hidden is not None
        return hidden[-1].gather(1, text.move_ends.clamp(min=0).unsqueeze(-1).expand(-1, -1, hidden.shape[-1])).float()

    def floor(self, *_: Any) -> None:
        return None


class Guess(CausalLM):
    """Predict the token itself where it stands, with full attention: nobody knows the floor."""

    @dataclass(kw_only=True)
    class Config(CausalLM.Config):
        name: str = "guess"

    attention = AttentionMask.full

    def batch(self, stream: Stream, step: int) -> Any:
        text = stream.batch(step)
        return CausalLM().batch(stream, step)._replace(targets=torch.where(text.tokens == PAD, -100, text.tokens))

    def floor(self, *_: Any) -> None:
        return None


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    entries = dict(OBJECTIVES._entries)
    OBJECTIVES.register("closeness")(Closeness)
    OBJECTIVES.register("guess")(Guess)
    yield
    OBJECTIVES._entries = entries


def combined(weight: float = 0.5) -> Combined:
    objective = build_objective("causal_lm", {"closeness": {"weight": weight}})
    assert isinstance(objective, Combined)
    return objective


def logged(objective: Any, folder: Path, steps: int = 12, **more: Any) -> tuple[GPT, list[dict[str, float]]]:
    """The trained model and the log of every step."""
    lines: list[dict[str, float]] = []

    def log(_: int, values: Mapping[str, float]) -> None:
        lines.append(dict(values))

    model, stream = small_model(0.0)
    train(model, lambda step: objective.batch(stream, step), plan(folder, steps, objective=objective, log=log, **more))
    return model, lines


def test_parts_are_logged_by_name_and_the_loss_is_their_weighted_sum(tmp_path: Path) -> None:
    _, lines = logged(combined(0.5), tmp_path, steps=30)
    assert len(lines) == 30
    for line in lines:
        names = {key for key in line if key not in ("train/gradient_norm", "train/lr_scale", "train/seconds")}
        assert names == {"train/loss", "train/causal_lm", "train/closeness", "train/closeness/near"}
        assert line["train/loss"] == pytest.approx(line["train/causal_lm"] + 0.5 * line["train/closeness"], rel=1e-6)
    _, without = logged(combined(1e-12), tmp_path / "without", steps=30)
    _, much = logged(combined(50.0), tmp_path / "much", steps=30)
    assert much[-1]["train/closeness"] < 0.5 * without[-1]["train/closeness"]  # the added objective is trained on
    assert 0 < lines[-1]["train/closeness/near"] <= 1


def test_the_main_objective_alone_logs_its_loss_only_and_is_trained_as_ever(tmp_path: Path) -> None:
    alone, lines = logged(CausalLM(), tmp_path / "alone")
    assert {key for key in lines[0] if key.count("/") == 1} == {
        "train/loss", "train/gradient_norm", "train/lr_scale", "train/seconds"
    }  # fmt: skip
    beside, _ = logged(combined(1e-12), tmp_path / "beside")
    for one, other in zip(alone.parameters(), beside.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)
    moved, _ = logged(combined(3.0), tmp_path / "moved")  # control
    assert not torch.allclose(alone.head.weight, moved.head.weight, atol=1e-2)


def gradient(model: GPT) -> Tensor:
    flat = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    model.zero_grad()
    return flat


@pytest.mark.parametrize("share", [slice(0, 8), slice(0, 1), slice(0, 15)])
def test_processes_with_uneven_counts_add_up_to_one(share: slice) -> None:
    """Each process takes the gradient of what its batch adds; their sum is the gradient of the mean over all rows."""
    objective = combined()
    model, stream = small_model(0.0)
    whole = objective.batch(stream, 0)
    whole[""].targets[5:9] = -100  # rows that carry no loss: counts differ more than rows do
    rest = torch.arange(share.stop, 16)
    parts = [rows(whole, share), rows(whole, rest)]
    losses = [objective.loss(model, part) for part in parts]
    totals = torch.stack([loss.numbers() for loss in losses]).sum(0)
    together = objective.loss(model, whole)
    torch.testing.assert_close(totals, together.numbers(), rtol=1e-6, atol=1e-6)
    each = sum(loss.mean(totals[1]) for loss in losses)
    assert isinstance(each, Tensor)
    each.backward()
    added = gradient(model)
    mean = together.sum / together.count + 0.5 * together.parts["closeness"].sum / together.parts["closeness"].count
    mean.backward()
    expected = gradient(model)
    torch.testing.assert_close(each, mean)
    torch.testing.assert_close(added, expected, rtol=1e-4, atol=1e-6)
    halves = [objective.loss(model, part) for part in parts]  # control: the mean of the processes' own means
    wrong = sum(loss.mean(loss.numbers()[1]) for loss in halves) / 2  # type: ignore[operator]
    assert abs(float((wrong - mean).detach())) > 1e-5


def test_a_batch_without_anything_to_score_adds_nothing() -> None:
    model, stream = small_model(0.0)
    batch = CausalLM().batch(stream, 0)
    batch.targets[:] = -100
    loss = CausalLM().loss(model, batch)
    found = loss.mean(loss.numbers()[1])
    found.backward()
    assert float(found) == 0
    assert float(gradient(model).abs().max()) == 0


def test_two_processes_log_what_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sum over processes, played by two models of the same weights: the first process' loop is given the other's part."""
    objective = combined()
    model, stream = small_model(0.0)
    other, _ = small_model(0.0)
    whole = objective.batch(stream, 0)
    sums, counts = objective.loss(other, rows(whole, slice(5, 16))).numbers()
    theirs = {len(counts): counts, len(sums) + 1: torch.cat([sums, torch.zeros(1)])}  # counts, then sums and the stop

    class Two(World):
        def sum(self, tensor: Tensor) -> Tensor:
            return tensor + theirs[len(tensor)]

    lines: list[dict[str, float]] = []
    made = plan(tmp_path, 1, objective=objective, world=Two(0, 1), log=lambda _, values: lines.append(dict(values)))
    train(model, lambda _: rows(whole, slice(0, 5)), made)
    one, _ = small_model(0.0)
    expected = objective.loss(one, whole)
    assert lines[0]["train/loss"] == pytest.approx(float(expected.mean(expected.numbers()[1])), rel=1e-5)
    assert lines[0]["train/causal_lm"] == pytest.approx(float(expected.sum / expected.count), rel=1e-5)


def config(**content: Any) -> TrainConfig:
    return typed(content, TrainConfig)


def test_settings_are_typed_and_only_what_differs_is_identity() -> None:
    assert identity(config(objective={"name": "causal_lm"})) == {}
    assert identity(config(objective="causal_lm")) == {}  # the form of earlier run folders
    found = config(auxiliary={"closeness": {"weight": 2.0}, "again": {"name": "closeness", "scale": 3}})
    assert identity(found) == {
        "auxiliary": {"closeness": {"name": "closeness", "weight": 2.0}, "again": {"name": "closeness", "scale": 3.0}}
    }
    assert plain(typed(plain(found), TrainConfig)) == plain(found)  # config.yaml is read as it was written
    assert identity(config(objective={"name": "guess"})) == {"objective": {"name": "guess"}}


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ({"objective": {"name": "nope"}}, "objective.name: 'nope' is not one of align, causal_lm"),
        ({"objective": {"typo": 1, "name": "guess"}}, "objective.typo: unknown key; choices: name"),
        ({"auxiliary": {"nope": {}}}, "auxiliary.nope.name: 'nope' is not one of"),
        ({"auxiliary": {"closeness": {"wait": 1}}}, "auxiliary.closeness.wait: unknown key; choices: .*weight"),
        ({"auxiliary": {"closeness": {"weight": 0}}}, "auxiliary.closeness.weight: 0.0 is not positive"),
        ({"auxiliary": {"causal_lm": {}}}, "auxiliary.causal_lm: has a place of its own in the log"),
        ({"model": {"mask": "full"}}, "model.mask: full does not fit the objective"),
    ],
)
def test_mistakes_are_one_line_that_names_the_key(content: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError, match=f"^{line}"):
        config(**content)


def test_the_model_is_built_with_the_objectives_attention() -> None:
    assert config().model.mask is AttentionMask.causal
    assert config(objective={"name": "guess"}).model.mask is AttentionMask.full
    assert identity(config(objective={"name": "guess"}))["objective"] == {"name": "guess"}


def test_objectives_of_different_attention_are_not_added() -> None:
    """A model of full attention would see the token that a causal one is to predict."""
    with pytest.raises(UserError, match=r"^auxiliary\.causal_lm: needs causal attention; guess has full"):
        config(objective={"name": "guess"}, auxiliary={"causal_lm": {}})
    assert isinstance(build_objective("guess", {"closeness": {}}), Combined)


def test_from_the_command_line_to_a_loaded_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An objective with full attention and no floor, and an auxiliary one. Without them the run is loaded all the same, with
    its own attention; only training needs them."""
    monkeypatch.chdir(tmp_path)
    call = ["train", *TINY, "objective.name=guess", "auxiliary.closeness.weight=0.1", "run=run"]
    assert run(monkeypatch, *call) == 0
    metrics = RunDir("run").read_metrics()
    last = metrics[-1]
    assert last["val/floor"] is last["val/excess_nats"] is None
    assert last["val/loss"] > 0
    assert any("train/closeness" in line for line in metrics)
    known = load_run("run")
    OBJECTIVES._entries = {name: entry for name, entry in OBJECTIVES._entries.items() if name == "causal_lm"}
    found = load_run("run")
    assert same(found.model, known.model)
    assert found.model.config.mask is AttentionMask.full
    assert plain(found.config)["objective"] == {"name": "guess", "targets": "sampled", "softmax": "all"}
    with pytest.raises(UserError, match="objective"):
        build_objective(found.config.objective)
    assert run(monkeypatch, *call, "force=true") == 2


def test_a_plugin_that_is_not_here_does_not_stop_reading() -> None:
    content = {"objective": {"name": "elsewhere", "rate": 0.5}, "plugins": ["no_such_module"]}
    with pytest.raises(UserError, match="plugins: no_such_module"):
        config(**content)
    with lenient():
        assert config(**content).objective == {"name": "elsewhere", "rate": 0.5}
    with pytest.raises(UserError, match="plugins"):
        config(**content)


def test_the_causal_lms_loss_is_the_mean_cross_entropy() -> None:
    model, stream = small_model(0.0)
    batch = batches(stream)(0)
    loss = CausalLM().loss(model, batch)
    logits = model(Inputs.of(batch.text)).logits.flatten(0, 1)
    expected = torch.nn.functional.cross_entropy(logits, batch.targets.flatten(), ignore_index=-100)
    torch.testing.assert_close(loss.mean(loss.numbers()[1]), expected)
    assert int(loss.count) == int((batch.targets != -100).sum())
