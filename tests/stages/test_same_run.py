"""Proves: a run is what determines its result. Stored games are what they are, wherever they lie, also when they are gone;
a copy of a run is the run, for whatever reads it; other games in the same place, another name and another seed are not."""

import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from games import random_games
from report.made import add_finetuning, add_measure, add_run
from stages.test_stage import finetuning, settings

import mothello
from mothello.cli.compose import composed, grid
from mothello.cli.study_config import StudyCommand
from mothello.cli.study_plan import names_of
from mothello.config import typed
from mothello.data.stored import write_index, write_shard
from mothello.errors import UserError
from mothello.othello.board import Board
from mothello.report.runs import find_runs
from mothello.report.sharing import by_label
from mothello.report.wandb_mirror import once
from mothello.rundir import RunDir
from mothello.stages.find import find_run
from mothello.stages.finetune import FinetuneConfig
from mothello.stages.folders import finetune_folder, run_folder
from mothello.stages.pretrain import Pretrain, TrainConfig
from studies.gather import gather

FOUR = Board.of(4)


def stored(folder: Path, first: int = 0) -> Path:
    """Two hundred recorded games."""
    games = random_games(0, torch.arange(first, first + 200), FOUR)
    write_index(folder, FOUR, {"kind": "recorded"}, [write_shard(folder, 0, 0, [games], FOUR, {})])
    return folder


def config(folder: Path | str, **more: Any) -> TrainConfig:
    data = {"games": 60, "batch_size": 30, "domains": {"human": {"folder": str(folder)}}}
    return typed({"name": "hum", "board": {"size": 4}, "data": data, "runs": "hr"} | more, TrainConfig)


def begin(stage: Pretrain, status: str = "running") -> RunDir:
    stage.folder.write_config(stage.content())
    stage.folder.write_status(status)
    return stage.folder


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    stored(tmp_path / "games")


def test_games_are_what_they_are_wherever_they_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = begin(Pretrain(config("games")))
    shutil.copytree("games", "copy")
    for other in ("./games", tmp_path / "games", "copy"):
        again = Pretrain(config(other))
        assert again.folder.path == folder.path
        again.check()
    shutil.move("games", "moved")
    Pretrain(config("moved")).check()
    monkeypatch.chdir("copy")
    Pretrain(config("../moved", run=str(tmp_path / folder.path))).check()
    assert Pretrain(config("../moved")).content()["data"]["domains"]["human"]["folder"] == "../moved"
    tuned = [FinetuneConfig(data=config(place).data) for place in ("../copy", tmp_path / "moved")]
    assert len({finetune_folder(folder, x, 0, "atomic_0").path for x in tuned}) == 1


def test_other_games_in_the_same_place_are_another_run(tmp_path: Path) -> None:
    folder = begin(Pretrain(config("games")))
    shutil.rmtree("games")
    stored(tmp_path / "games", first=200)
    assert run_folder(config("games")) != str(folder.path)
    with pytest.raises(UserError, match=r"made by another config \(data differs\)"):
        Pretrain(config("games", run=str(folder.path))).check()
    known = folder.read_config()["data"]
    with pytest.raises(UserError, match=r"data\.domains\.human\.content: games holds other games"):
        Pretrain(config("games", data=known))


def test_a_run_whose_games_are_gone_is_known_and_only_a_finished_one_needs_them_no_more() -> None:
    folder, made = RunDir(run_folder(config("games"))), config("games")
    begin(Pretrain(made))
    shutil.rmtree("games")
    assert run_folder(config("games")) == str(folder.path)
    with pytest.raises(UserError, match=r"data\.domains\.human\.folder: games/corpus\.json does not exist"):
        Pretrain(config("games"))
    results = add_run(Path("any")).read_results()
    folder.write_results("train", results)
    folder.write_status("ok")
    Pretrain(config("games")).check()
    assert run_folder(config("elsewhere")) != str(folder.path)


def test_a_fine_tuning_whose_games_are_gone_is_known(tmp_path: Path) -> None:
    run = mothello.train(settings(tmp_path / "runs"))
    data = {"games": 60, "batch_size": 30, "domains": {"human": {"folder": "games"}}}
    child = finetuning(run, data=data)
    child.folder.write_config(child.content())
    child.folder.write_results("train", run.folder.read_results())
    child.folder.write_status("ok")
    shutil.rmtree("games")
    again = finetuning(run, data=data)
    assert again.folder.path == child.folder.path
    again.check()
    child.folder.write_status("running")
    with pytest.raises(UserError, match=r"domains\.human\.folder: games/corpus\.json does not exist"):
        finetuning(run, data=data)


def copies(top: Path, *names: str, **how: Any) -> list[Path]:
    folder = add_run(Path("made"), **how).path
    return [Path(shutil.copytree(folder, top / name)) for name in names]


def test_copies_of_a_run_are_one_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first, second, third = copies(tmp_path / "three", "1", "2", "3")
    add_measure(
        RunDir(second), "toy", [{"measure": "toy", "quantity": "accuracy", "control": "trained", "value": 1}], {}
    )
    with caplog.at_level(logging.WARNING):
        runs = find_runs(["three"])
    assert [run.path for run in runs] == [second]
    assert [str(path) in caplog.text for path in (first, third)] == [True, True]
    shutil.rmtree(second)
    assert [run.path for run in find_runs(["three/3", "three"])] == [first]


def test_copies_are_copied_to_wandb_once(tmp_path: Path) -> None:
    first, second = copies(tmp_path, "1", "2")
    seed = add_run(tmp_path / "runs", seed=1).path
    child, other = (add_finetuning(RunDir(path)).path for path in (first, seed))
    measure = next((first / "measures").iterdir())
    assert once([first, second, seed, child, other, measure]) == [first, seed, child, other, measure]


def test_a_linked_run_is_gathered(tmp_path: Path) -> None:
    (tmp_path / "mini").mkdir()
    (tmp_path / "mini" / "mine").symlink_to(add_run(tmp_path / "store").path)
    assert gather(Path("mini"), Path("results")) == 1
    assert [run.path for run in find_runs(["results"])] == [tmp_path / "results/mini/naive/naive-id/seed0"]


def test_another_seed_and_another_name_are_no_copy(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("a", 1), ("b", 0)):
        add_run(tmp_path / "runs", name, seed, identity="same")
    groups = by_label(find_runs(["runs"]))
    assert {label: [run.seed for run in runs] for label, runs in groups.items()} == {"a": [0, 1], "b": [0]}


def test_copies_of_a_fine_tuning_and_of_a_measure_are_one(tmp_path: Path) -> None:
    folder = add_run(tmp_path / "runs")
    child = add_finetuning(folder).path
    shutil.copytree(child, child.with_name("atomic_0-ffffffff"))
    shutil.copytree(child, child.with_name(f"{child.name} (copy)"))
    measure = next((folder.path / "measures").iterdir())
    shutil.copytree(measure, measure.with_name(f"{measure.name}-backup"))
    (run,) = find_runs(["runs"])
    assert [x.path.name for x in run.finetunings] == [child.name]
    assert [x.folder for x in run.measures] == [f"measures/{measure.name}"]


def test_linked_runs_are_found_once_and_loops_end(tmp_path: Path) -> None:
    folder = add_run(tmp_path / "store").path
    runs = tmp_path / "runs"
    runs.mkdir()
    (runs / "mine").symlink_to(folder)
    (runs / "again").symlink_to(folder)
    (runs / "all").symlink_to(tmp_path)
    (runs / "loop").symlink_to(runs)
    assert [run.path for run in find_runs(["runs"])] == [folder]
    assert [run.path for run in find_runs(["runs", "store", "runs/mine"])] == [folder]
    (runs / "all").unlink()
    assert find_run("mine") == find_run("min") == Path("runs/mine")


def test_seeds_count_once() -> None:
    study = ["experiments=[naive]", "+cells={own: {seeds: [2,2]}}", "+at={paper: {seeds: [1,1]}}", "scale=paper"]
    assert names_of(composed("study", StudyCommand, study)) == [("naive", 1), ("own", 2)]
    assert names_of(composed("study", StudyCommand, [*study, "seeds=[0,0]"])) == [("naive", 0), ("own", 0)]
    assert grid(["seed=0,1,0"]) == [["seed=0"], ["seed=1"]]
