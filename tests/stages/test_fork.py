"""Proves: a fork that changes nothing is its run, bit for bit; one that changes something goes on from the run's state with
it; it has an identity and a folder of its own; and what cannot be forked is one line before anything is written."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from house.commands import run as command
from stages.test_stage import QUICK, finetuning, settings
from training.test_checkpoint import flip

import mothello
from mothello.errors import UserError
from mothello.objectives.objective import OBJECTIVES
from mothello.rundir import RunDir
from mothello.stages.folders import own_settings
from mothello.stages.run import Run
from mothello.stages.stage import run_stage
from mothello.training import checkpoint

KEEP = {"keep": {"log_spaced": 3, "full": [3]}}


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Eight steps; the third is kept."""
    return mothello.train(made(tmp_path_factory.mktemp("runs")))


def made(top: Path, **more: Any) -> dict[str, Any]:
    model = {"n_layer": 1, "n_head": 2, "d_model": 16, "dropout": 0.1}
    data = {"games": 256, "batch_size": 32}
    evaluation = {"games": 4, "times": 4, "log_every": 1}
    return settings(top, model=model, data=data, evaluation=evaluation, checkpoints=KEEP) | more


def fork(parent: Run, at: int = 3, **more: Any) -> Run:
    return mothello.train({"fork": str(parent.folder.path), "at": at, **more})


def numbers(run: Run) -> list[dict[str, Any]]:
    """metrics.jsonl without the clock."""
    return [{k: v for k, v in line.items() if not k.endswith("seconds")} for line in run.folder.read_metrics()]


def weights(run: Run) -> torch.Tensor:
    return torch.cat([x.flatten() for x in run.model.parameters()])


def test_a_fork_that_changes_nothing_is_its_run(parent: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    child = fork(parent)
    last = [checkpoint.latest(x.folder.checkpoints)[0] for x in (parent, child)]
    torch.testing.assert_close(last[0].weights, last[1].weights, rtol=0, atol=0)
    torch.testing.assert_close(last[0].state["optimizer"], last[1].state["optimizer"], rtol=0, atol=0)
    assert last[0].state["tokens"] == last[1].state["tokens"]
    assert numbers(child) == numbers(parent)
    assert child.folder.read_results()["final"] == parent.folder.read_results()["final"]
    assert child.folder.path != parent.folder.path
    before = sorted(child.folder.path.rglob("*"))
    place = [f"fork={parent.folder.path}", "at=3"]
    assert command(monkeypatch, "train", *place) == 0  # the command makes the same folder: it is finished
    assert sorted(child.folder.path.rglob("*")) == before


def test_its_identity_is_that_of_the_run_and_the_step_with_what_is_changed(parent: Run) -> None:
    child, other = fork(parent), fork(parent, optimizer={"muon_lr": 0.003})
    content = child.folder.read_config()
    made_of = {"identity": parent.folder.path.parent.name, "seed": 0, "step": 3}
    assert (content["fork"], content["at"], content["origin"]) == (str(parent.folder.path), 3, made_of)
    assert len({x.folder.path for x in (parent, child, other)}) == 3
    same = {key: value for key, value in own_settings(content).items() if key not in ("fork", "at", "origin")}
    assert same.items() <= own_settings(parent.folder.read_config()).items()
    changed = other.folder.read_config()["optimizer"]
    assert changed == content["optimizer"] | {"muon_lr": 0.003}


@pytest.mark.parametrize(
    "more", [{"optimizer": {"weight_decay": 3.0}}, {"optimizer": {"beta_1": 0.5}}, {"seed": 5}, {"data": {"games": 320}}],
    ids=str,
)  # fmt: skip
def test_what_is_changed_has_its_effect(parent: Run, more: dict[str, Any]) -> None:
    """From the step on, and not before."""
    child = fork(parent, **more)
    assert child.step == (10 if "games" in more.get("data", {}) else 8)
    assert not torch.equal(weights(child), weights(parent))
    lines = [[line for line in numbers(run) if line["step"] <= 3] for run in (parent, child)]
    assert lines[0] == lines[1]
    assert len(lines[0]) > 3


def test_a_fork_of_a_fork_and_one_with_a_later_end(parent: Run) -> None:
    """The last checkpoint can be forked where games are added; the second fork's identity holds the first one's."""
    longer = fork(parent, at=8, data={"games": 384}, checkpoints={"keep": {"full": [10]}})
    assert longer.step == 12
    again = fork(longer, at=10)
    assert torch.equal(weights(again), weights(longer))
    assert again.folder.read_config()["origin"]["identity"] == longer.folder.path.parent.name


def test_a_stopped_run_is_forked_and_a_begun_fork_needs_its_run_no_more(
    parent: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Path(shutil.copytree(parent.folder.path, tmp_path / "copy"))
    RunDir(copy).write_status("failed")
    place = [f"fork={copy}", "at=3", "run=child"]
    monkeypatch.chdir(tmp_path)
    assert command(monkeypatch, "train", *place) == 0
    child = mothello.load_run("child")
    assert torch.equal(weights(child), weights(parent))
    shutil.rmtree(copy / "checkpoints")
    RunDir("child").write_status("failed")
    assert command(monkeypatch, "train", *place) == 0
    assert command(monkeypatch, "train", *place, "force=true") == 2


def test_groups_are_chosen_over_the_settings_of_the_run(parent: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    place = [f"fork={parent.folder.path}", "at=3", "name=pairs", "pairing=drawn", "objective=causal_lm"]
    assert command(monkeypatch, "train", *place, "objective.softmax=language") == 0
    (child,) = (parent.folder.path.parents[2] / "pairs").glob("*/seed0")
    assert torch.equal(weights(mothello.load_run(child)), weights(fork(parent, objective={"softmax": "language"})))


@pytest.mark.parametrize("form", ["objective=dictionary", "objective.name=dictionary", "objective={name:dictionary}"])
def test_of_another_objective_no_setting_stays(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which the other one may not know."""
    run = mothello.train(made(tmp_path, objective={"name": "masked_lm", "rate": 0.3}))
    assert command(monkeypatch, "train", f"fork={run.folder.path}", "at=3", form, f"run={tmp_path}/child") == 0
    found = [mothello.load_run(tmp_path / "child").config.objective]
    again = mothello.train({"fork": str(run.folder.path), "at": 3, "objective": "dictionary"})
    assert [*found, again.config.objective] == [OBJECTIVES.get("dictionary").Config()] * 2


def test_a_dry_run_of_a_fork_at_a_late_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of which the rehearsal's twenty steps fall short."""
    late = mothello.train(made(tmp_path, data={"games": 192, "batch_size": 8}, checkpoints={"keep": {"full": [22]}}))
    assert command(monkeypatch, "train", f"fork={late.folder.path}", "at=22", "seed=3", "dry_run=true") == 0
    assert "in 24 steps of 8" in capsys.readouterr().out


def test_a_fine_tuning_of_a_fork_is_no_fork(parent: Run) -> None:
    stage = finetuning(fork(parent))
    run_stage(stage, torch.device("cpu"))
    assert not stage.folder.read_config()["fork"]


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"at": 4}, r"at: .* has no whole checkpoint of step 4; whole ones: 3, 8 \(checkpoints\.keep\.full=\[4\] keeps one\)"),
    ({"at": 1}, r"at: .* has no whole checkpoint of step 1"),
    ({}, r"^at: give a step of .*; whole ones: 3, 8$"),
    ({"at": 8}, r"at: nothing is left after step 8 of 8; add games"),
    ({"at": 3, "data": {"games": 64}}, r"^at: nothing is left after step 3 of 2; add games"),
    ({"at": 3, "model": {"d_model": 32}}, r"checkpoint: .* does not fit this board, languages and model: token_embedding"),
    ({"at": 3, "model": {"n_layer": 2}}, r"checkpoint: .* does not fit this board, languages and model: blocks\.1"),
    ({"at": 3, "board": {"size": 6}}, r"checkpoint: .* does not fit this board"),
    ({"at": 3, "objective": "masked_lm"}, r"checkpoint: .* does not fit this board, languages and model: token_embedding"),
    ({"at": 3, "optimizer": {"name": "adamw"}}, r"optimizer: its state is that of the run"),
    ({"at": 3, "optimizer": {"decay_embedding": False}}, r"optimizer: its state is that of the run"),
    ({"at": 3, "optimizer": {"rate": 1}}, r"optimizer.rate: unknown key"),
]  # fmt: skip


@pytest.mark.parametrize(("more", "line"), MISTAKES, ids=[str(x) for x, _ in MISTAKES])
def test_what_cannot_be_forked_is_one_line(parent: Run, more: dict[str, Any], line: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=line):
        mothello.train({"fork": str(parent.folder.path), "runs": str(tmp_path), **more})
    assert not list(tmp_path.iterdir())


def test_other_mistakes(parent: Run, tmp_path: Path) -> None:
    child = finetuning(parent)
    run_stage(child, torch.device("cpu"))
    with pytest.raises(UserError, match=r"fork: nowhere/config\.yaml does not exist"):
        mothello.train({"fork": "nowhere", "at": 1})
    with pytest.raises(UserError, match="at: has no effect without fork"):
        mothello.train(QUICK | {"at": 1})
    with pytest.raises(UserError, match="fork: goes with at=STEP"):
        mothello.train(QUICK | {"origin": {"step": 3}})
    copy = Path(shutil.copytree(parent.folder.path, tmp_path / "copy"))
    flip(copy / "checkpoints/kept/step-000000003/state.pt")
    with pytest.raises(UserError, match=r"state\.pt is damaged"):
        mothello.train({"fork": str(copy), "at": 3, "runs": str(tmp_path / "runs")})
    assert not (tmp_path / "runs").exists()
