"""Proves: one runner serves every stage: it resumes, repeats nothing that is finished, touches no other config's folder,
and leaves a folder of one form, whose model loads, for a child as for a run. What trains loads neither report nor wandb."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import mothello
from mothello.cli.stage import StageCommand
from mothello.config import typed
from mothello.errors import UserError
from mothello.stages.continued import STAGES
from mothello.stages.finetune import Finetune, TransferCommand
from mothello.stages.pretrain import Pretrain, TrainConfig
from mothello.stages.run import Run
from mothello.stages.stage import run_stage

QUICK = {"device": {"name": "cpu", "threads": 1}, "checkpoint_every": 0}
CPU = torch.device("cpu")


def settings(tmp_path: Path, **more: Any) -> dict[str, Any]:
    return QUICK | {
        "name": "tiny", "board": {"size": 4}, "model": {"n_layer": 1, "n_head": 2, "d_model": 16},
        "data": {"games": 128, "batch_size": 32}, "evaluation": {"games": 4, "times": 1}, "runs": str(tmp_path),
    } | more  # fmt: skip


def finetuning(run: Run, scratch: bool = False, **transfer: Any) -> Finetune:
    short: dict[str, Any] = {"data": {"games": 64, "batch_size": 32}, "evaluation": {"games": 4, "times": 1}}
    command = typed(QUICK | {"run": str(run.folder.path), "transfer": short | transfer}, TransferCommand)
    return Finetune(command.transfer, command, run, scratch)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return mothello.train(settings(tmp_path_factory.mktemp("runs")))


def test_the_registered_stages() -> None:
    assert sorted(STAGES) == ["align_words", "finetune", "realign", "task"]


def test_two_commands_make_the_same_folder(run: Run) -> None:
    settings = {"data": {"games": 64, "batch_size": 32}, "source": "atomic_1"}
    command = typed({"run": str(run.folder.path), "stage": {"name": "finetune"} | settings}, StageCommand)
    stage = STAGES.get(command.stage.name)(command.stage, command, run)
    assert stage.folder.path == finetuning(run, evaluation={}, source="atomic_1").folder.path


def test_a_training_loads_no_tables_figures_or_report_and_no_compiler_before_it_trains() -> None:
    code = """
import sys, mothello.cli.train, mothello.cli.transfer
from mothello.model.build import outline
from mothello.stages.pretrain import Pretrain, TrainConfig
stage = Pretrain(TrainConfig())
assert outline(stage.config.model, stage.language_set).n_parameters > 100_000
heavy = {"pandas", "scipy", "matplotlib", "wandb", "jinja2", "torch._dynamo"} & set(sys.modules)
sys.exit(bool(heavy) or any("mothello.report" in name for name in sys.modules))
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_folder_of_another_config_is_never_touched(run: Run, tmp_path: Path) -> None:
    folder = str(run.folder.path)
    for other in ({"model": {"n_layer": 2, "n_head": 2, "d_model": 16}}, {"seed": 1}, {"board": {"size": 6}}):
        with pytest.raises(UserError, match=f"made by another config \\({next(iter(other))} differs\\)"):
            Pretrain(typed(settings(tmp_path, run=folder, force=True, **other), TrainConfig)).check()
    default = {key: value for key, value in settings(tmp_path, run=folder).items() if key != "model"}
    with pytest.raises(UserError, match=r"model differs"):  # also where the new config is the default
        Pretrain(typed(default, TrainConfig)).check()
    Pretrain(typed(settings(tmp_path, run=folder), TrainConfig)).check()


def test_a_child_is_a_run_with_a_parent(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    stage = finetuning(run, source="atomic_1")
    results = run_stage(stage, CPU)
    child = mothello.load_run(stage.folder.path)
    assert (child.stage, child.parent, child.step) == ("finetune", run.folder.path, 2)
    assert stage.folder.path.parent == run.folder.path / "finetune"
    assert child.config.board == run.config.board
    assert results["kind"] == run.folder.read_results()["kind"] == "train"
    assert set(run.folder.read_results()) == set(results)
    assert not torch.equal(child.model.head.weight, run.model.head.weight)
    before = run.folder.read_metrics()[-1]["val/top1"]
    assert {line["step"]: line.get("val/top1") for line in child.folder.read_metrics()}[0] == pytest.approx(before)
    capsys.readouterr()
    assert run_stage(finetuning(run, source="atomic_1"), CPU) == results
    assert "finished already" in capsys.readouterr().out


def test_a_child_has_children_and_controls(run: Run) -> None:
    first = finetuning(run, source="atomic_1")
    run_stage(first, CPU)
    second = finetuning(mothello.load_run(first.folder.path))
    run_stage(second, CPU)
    grandchild = mothello.load_run(second.folder.path)
    assert grandchild.parent == first.folder.path
    control = finetuning(run, scratch=True, source="atomic_1")
    assert control.folder.path.name == f"{first.folder.path.name}-scratch"
    assert not torch.equal(control.initial().head.weight, run.model.head.weight)
    assert torch.equal(first.initial().head.weight, run.model.head.weight)


def test_what_a_child_measures_is_no_part_of_its_name(run: Run) -> None:
    plain = finetuning(run).folder.path
    assert finetuning(run, scratch=True).folder.path != plain
    assert finetuning(run, probe_before_and_after=False).folder.path == plain
    assert finetuning(run, optimizer={"lr": 0.5}).folder.path != plain
