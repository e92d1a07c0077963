"""Proves: words are aligned at any kept step of a run and before its first one, in a folder that is a run; what was random
stays the model that pretraining begins with; pretraining goes on from it on the games that the run had left, and where the
stage changed (almost) nothing it ends (almost) as the run did; alignment of the dictionary and of words held out is logged
and known to measures; any stage takes a step; mistakes are one line."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from house.commands import QUIET
from house.commands import run as command
from stages.test_realign_stage import realign_stage
from stages.test_stage import QUICK, finetuning, settings

import mothello
from mothello.cli.stage import StageCommand
from mothello.config import typed
from mothello.errors import UserError
from mothello.rundir import RunDir
from mothello.stages.align_words import AlignWordsStage
from mothello.stages.pretrain import Pretrain
from mothello.stages.run import Run
from mothello.stages.stage import run_stage

CPU = torch.device("cpu")
STAGE = {"name": "align_words", "steps": 12, "evaluation": {"games": 4, "times": 2}}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Eight steps; whole ones and weights alone are kept."""
    model = {"n_layer": 1, "n_head": 2, "d_model": 16}
    evaluation = {"games": 4, "times": 4, "log_every": 1}
    keep = {"keep": {"log_spaced": 3}}
    data = {"games": 256, "batch_size": 32}
    made = settings(tmp_path_factory.mktemp("runs"), model=model, data=data, evaluation=evaluation, checkpoints=keep)
    return mothello.train(made)


def aligned(run: Run, at: int | None = None, **more: Any) -> AlignWordsStage:
    asked = typed(QUICK | {"run": str(run.folder.path), "at": at, "stage": STAGE | more}, StageCommand)
    return AlignWordsStage(asked.stage, asked, mothello.load_run(run.folder.path, step=at))


def weights(run: Run) -> torch.Tensor:
    return torch.cat([x.flatten() for x in run.model.state_dict().values()])


def top1(folder: RunDir) -> dict[int, float]:
    return {line["step"]: line["val/top1"] for line in folder.read_metrics() if "val/top1" in line}


def test_step_0_is_the_model_that_pretraining_begins_with(run: Run) -> None:
    begun = Pretrain(run.config).initial().state_dict()
    loaded = mothello.load_run(run.folder.path, step=0)
    assert (loaded.step, loaded.earlier) == (0, 0)
    assert all(torch.equal(begun[name], x) for name, x in loaded.model.state_dict().items())


@pytest.mark.parametrize("at", [0, 3, None])
def test_words_are_aligned_at_any_step(run: Run, at: int | None) -> None:
    stage = aligned(run, at, coverage=0.5)
    results = run_stage(stage, CPU)
    child = mothello.load_run(stage.folder.path)
    assert (child.stage, child.parent, child.step) == ("align_words", run.folder.path, 12)
    assert (results["steps"], results["games"]) == (12, 0)
    content = stage.folder.read_config()
    assert content["from"] == {"step": 8 if at is None else at, "steps": 8}
    lines = {line["step"]: line for line in stage.folder.read_metrics() if "words/input/dictionary" in line}
    assert lines[12]["words/block_1/dictionary"] > max(lines[0]["words/block_1/dictionary"], 0.6)
    assert lines[12]["words/output/dictionary"] > 0.6
    assert {"words/input/held_out", "words/block_1/held_out"} <= lines[12].keys()
    assert child.subject().coverage == 0.5
    assert run_stage(aligned(run, at, coverage=0.5), CPU) == results  # finished already


@pytest.mark.parametrize("more", [{}, {"levels": ["input", "blocks"]}, {"output": "unified"}], ids=str)
def test_a_head_at_zero_is_drawn_where_it_is_aligned_and_only_there(more: dict[str, Any], tmp_path: Path) -> None:
    levels = {key: x for key, x in more.items() if key == "levels"}
    model = {"n_layer": 1, "n_head": 2, "d_model": 16, "zero_init": True}
    languages = {key: x for key, x in more.items() if key == "output"}
    whole = mothello.train(settings(tmp_path, model=model, languages=languages))
    assert not mothello.load_run(whole.folder.path, step=0).model.head.weight.any()
    assert bool(aligned(whole, 0, **levels).initial().head.weight.any()) == (not more)


def test_steps_have_folders_of_their_own(run: Run) -> None:
    folders = {aligned(run, at).folder.path for at in (None, 0, 1, 3)}
    folders |= {aligned(run, 0, shuffled=True).folder.path, aligned(run, 8).folder.path}
    assert len(folders) == 5  # 8 is the newest
    other = mothello.load_run(run.folder.path, step=3)
    assert finetuning(other).folder.path != finetuning(run).folder.path
    assert realign_stage(other).folder.path != realign_stage(run).folder.path


def fork(folder: Path, **more: Any) -> Run:
    return mothello.train({"fork": str(folder), **more})


def test_pretraining_goes_on_from_the_beginning_and_is_the_run_where_nothing_was_aligned(run: Run) -> None:
    """A rate so small that the weights keep their digits; the random rows of the head are those of no step."""
    tiny = {"name": "adamw", "lr": 1e-12, "decay": "constant", "warmup_fraction": 0.0, "weight_decay": 0.0}
    stage = aligned(run, 0, levels=["input", "blocks"], optimizer=tiny)
    run_stage(stage, CPU)
    child = fork(stage.folder.path)
    torch.testing.assert_close(weights(child), weights(run), rtol=1e-3, atol=1e-4)
    assert top1(child.folder).keys() == top1(run.folder).keys()
    assert child.folder.read_config()["origin"]["stage"] == f"align_words/{stage.folder.path.name}"
    assert child.folder.read_results()["games"] == 256


@pytest.mark.parametrize("at", [0, 3])
def test_pretraining_goes_on_from_aligned_words(run: Run, at: int) -> None:
    stage = aligned(run, at, coverage=0.5)
    run_stage(stage, CPU)
    switched = {"code_switching": {"probability": 0.2, "label": "original", "coverage": 0.5}}
    child, other = fork(stage.folder.path), fork(stage.folder.path, data=switched)
    assert child.step == other.step == 8
    assert child.folder.path.parents[2] == run.folder.path.parents[2]
    assert not torch.equal(weights(child), weights(run))
    assert child.stage == "pretrain"
    lines = [line["step"] for line in child.folder.read_metrics()]
    assert lines == sorted(lines)
    before = [line for line in run.folder.read_metrics() if line["step"] <= at] if at else []
    assert child.folder.read_metrics()[: len(before)] == before
    assert child.subject().coverage == other.subject().coverage == 0.5
    whole = aligned(run, at, coverage=1.0)
    run_stage(whole, CPU)
    assert fork(whole.folder.path).folder.path != child.folder.path


def test_any_stage_can_be_gone_on_from_and_takes_a_step(run: Run) -> None:
    tuned = finetuning(mothello.load_run(run.folder.path, step=3))
    run_stage(tuned, CPU)
    child = fork(tuned.folder.path, seed=0)
    assert child.folder.read_config()["origin"] == {
        "identity": run.folder.path.parent.name, "seed": 0, "step": 3, "stage": f"finetune/{tuned.folder.path.name}",
    }  # fmt: skip
    stage = aligned(mothello.load_run(tuned.folder.path))  # a chain of two
    run_stage(stage, CPU)
    assert fork(stage.folder.path).folder.read_config()["at"] == 3


def test_the_commands(run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    place = [f"run={run.folder.path}", "at=1", "stage=align_words", "stage.steps=3", "stage.evaluation.games=4", *QUIET]
    assert command(monkeypatch, "stage", *place, "dry_run=true") == 0
    assert command(monkeypatch, "stage", *place) == 0
    assert "3 steps; folder" in capsys.readouterr().out
    (made,) = [x for x in run.folder.path.glob("align_words/*") if RunDir(x).read_config()["settings"]["steps"] == 3]
    go_on = [f"fork={made}", "name=aligned", *QUIET]
    assert command(monkeypatch, "train", *go_on, "dry_run=true") == 0
    assert command(monkeypatch, "train", *go_on) == 0
    (child,) = (run.folder.path.parents[2] / "aligned").glob("*/seed0")
    assert mothello.load_run(child).step == 8


def test_mistakes(run: Run, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"step: .* keeps no checkpoint of step 5; kept: 1, 3, 8"):
        mothello.load_run(run.folder.path, step=5)
    for more, line in (
        ({"data": {"games": 300}}, r"^stage\.data\.games: has no effect on words alone"),
        ({"data": {"games": 10}}, r"^stage\.data\.games: has no effect on words alone"),
        ({"data": {"games": 10, "epochs": 0.01}}, r"^stage\.data\.games: games x epochs is less than one batch"),
        ({"data": {"code_switching": {"probability": 0.5}}}, r"^stage\.data\.code_switching: has no effect on words"),
        ({"objective": {"softmax": "language"}}, r"stage\.objective.* no effect on words alone"),
        ({"steps": 0}, r"stage\.steps: 0 is "),
        ({"coverage": 0.01}, r"coverage: 0\.01 of 12 moves is none"),
    ):
        with pytest.raises(UserError, match=line):
            aligned(run, **more)
    stage = aligned(run, 3)
    run_stage(stage, CPU)
    with pytest.raises(UserError, match=r"at: .* went on from step 3 of its pretraining; leave at out"):
        mothello.train({"fork": str(stage.folder.path), "at": 1})
    last = aligned(run)
    run_stage(last, CPU)
    with pytest.raises(UserError, match=r"at: nothing is left after step 8 of 8; add games"):
        fork(last.folder.path)
    copy = Path(shutil.copytree(run.folder.path, tmp_path / "copy"))
    (begun,) = [x for x in copy.glob("align_words/*") if RunDir(x).read_config()["from"]["step"] == 3][:1]
    RunDir(begun).write_status("failed")
    with pytest.raises(UserError, match=r"fork: .* is not finished"):
        fork(begun)
    with pytest.raises(UserError, match=r"step: .* keeps no checkpoint of step 0"):
        mothello.load_run(stage.folder.path, step=0)
