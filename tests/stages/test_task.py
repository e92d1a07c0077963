"""Proves: a task whose labels lie in the states is learned in one language and read in the other, pointers too, and labels
that lie nowhere stay at the best guess; a fine-tuning on a task is a run folder like any other, ends with the same weights
after an interruption, and leaves a head whose scores can be computed again; the numbers of transfer are those of its
metrics, its controls' and its twin's on the other language; a mistake is named before anything is trained."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from house.commands import QUIET
from house.commands import run as command
from stages.test_stage import QUICK, settings
from torch import Tensor, nn

import mothello
from mothello.cli.compose import composed
from mothello.cli.pictures import closing
from mothello.cli.stage import StageCommand
from mothello.config import typed
from mothello.data.batch import in_language
from mothello.data.orbit import prefix_codes
from mothello.errors import UserError
from mothello.languages.language_set import LanguagesConfig, build_languages
from mothello.measures.tasks.heads import TaskHead
from mothello.measures.tasks.objective import TaskBatch, TaskObjective
from mothello.measures.tasks.score import score
from mothello.measures.tasks.task import TASKS, Task, labels_of
from mothello.measures.tasks.transfer import accuracy_rows, overview
from mothello.measures.tasks.watch import Exam, TaskWatch, answers
from mothello.model.inputs import Inputs
from mothello.model.separate import frozen_names
from mothello.othello.board import Board
from mothello.othello.counter import random_bits
from mothello.othello.random_play import RandomGames
from mothello.othello.replay import replay
from mothello.othello.rules import brackets
from mothello.report.page import render
from mothello.report.reference import stage_command
from mothello.report.runs import find_runs
from mothello.stages.run import Run
from mothello.stages.stage import run_stage
from mothello.stages.task import TaskStage, load_head
from mothello.training.device import Precision

BOARD = Board.of(4)
LANGUAGES = build_languages(LanguagesConfig(kinds=["atomic*2"]), BOARD)
CPU, WIDTH = torch.device("cpu"), 64


class Coin:
    """Two classes that only the end of the game decides, by a hash: no state knows them before it."""

    n_classes = 2

    def labels(self, moves: Tensor, board: Board) -> Tensor:
        whole = prefix_codes(moves)[:, -1:] + torch.arange(moves.shape[1])
        return torch.where(moves >= 0, random_bits(0, whole, 0) & 1, -1).to(torch.int8)


class Planted(nn.Module):
    """Stands in for a model: it reads the moves from the tokens of either language, and its states hold the class, where
    the move points to, and its own place, in a few coordinates each."""

    def __init__(self, task: Task, written: Task) -> None:
        super().__init__()
        self.written, self.task_head = written, TaskHead(task, WIDTH).initialize(0)
        self.move_of = torch.full((LANGUAGES.vocabulary_size,), -1)
        for words in LANGUAGES.word_table[:, :, 0]:
            self.move_of[words] = torch.arange(BOARD.n_moves)

    def residual(self, inputs: Inputs, layer: int) -> Tensor:
        moves = self.move_of[inputs.tokens].to(torch.int8)
        labels = labels_of(self.written, moves, BOARD)
        code = torch.randn(3, WIDTH, WIDTH, generator=torch.Generator().manual_seed(0))
        states = code[0][labels["class"].long()]
        if "pointer" in labels:
            states = states + code[1][labels["pointer"].long()] + code[2][4 + torch.arange(moves.shape[1])]
        return states


def scores_of(task: Task, written: Task, steps: int = 60) -> Mapping[str, Mapping[str, tuple[float, float]]]:
    """After learning in the first language: by language and part, labels read right and those guessed from the ply."""
    games = RandomGames(BOARD, 5).games(torch.arange(500))
    taught, tested = games[:300], games[300:]
    model, objective = Planted(task, written), TaskObjective(task, 0)
    batch = TaskBatch(in_language(taught, 0, LANGUAGES), labels_of(task, taught, BOARD))
    optimizer = torch.optim.AdamW(model.parameters(), 0.01)
    for _ in range(steps):
        loss = objective.loss(model, batch)  # type: ignore[arg-type]
        loss.mean(loss.numbers()[1]).backward()
        optimizer.step()
        optimizer.zero_grad()
    exam, result = Exam.of(tested, taught, task, LANGUAGES), {}
    for language, name in enumerate(LANGUAGES.names):
        said = answers(model, tested, language, LANGUAGES, 0, Precision.fp32)  # type: ignore[arg-type]
        result[name] = {
            part: (score(said[part], truth, exam.bootstrap).value, exam.guessed[part]["constant"].value)
            for part, truth in exam.labels.items()
        }
    return result


@pytest.mark.parametrize("name", ["flips", "mover", "bracket"])
def test_what_lies_in_the_states_is_learned_once_and_read_in_both_languages(name: str) -> None:
    task = TASKS.build(TASKS.get(name).Config())  # type: ignore[attr-defined]
    scores = scores_of(task, task)
    for parts in scores.values():
        assert set(parts) == ({"class", "pointer"} if name == "bracket" else {"class"})
        for read, _ in parts.values():
            assert read > 0.99
    assert scores["atomic_0"] == scores["atomic_1"]


def test_labels_that_lie_nowhere_stay_at_the_best_guess() -> None:
    flips = TASKS.build(TASKS.get("flips").Config())  # type: ignore[attr-defined]
    for parts in scores_of(Coin(), flips).values():  # type: ignore[arg-type]
        read, guessed = parts["class"]
        assert abs(read - 0.5) < 0.03 > abs(guessed - 0.5)


# The stage

SHORT = {"name": "task", "data": {"games": 128, "batch_size": 32}, "evaluation": {"games": 16, "times": 2}}


def task_stage(run: Run, **more: Any) -> TaskStage:
    asked = typed(QUICK | {"run": str(run.folder.path), "stage": SHORT | more}, StageCommand)
    return TaskStage(asked.stage, asked, run)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return mothello.train(settings(tmp_path_factory.mktemp("runs")))


def test_a_model_that_learned_a_task_is_a_run_and_its_scores_can_be_computed_again(run: Run) -> None:
    stage = task_stage(run, task="bracket", layer=0, source="atomic_1", controls=[])
    assert stage.folder.path.name.startswith("bracket-atomic_1-")
    results = run_stage(stage, CPU)
    child = mothello.load_run(stage.folder.path)
    assert (child.stage, child.parent, child.step) == ("task", run.folder.path, 4)
    assert set(results) == set(run.folder.read_results())
    games, language, head = run.games(20), child.languages[1], load_head(child)
    watch = stage.watch(CPU)
    assert isinstance(watch, TaskWatch)
    exam, last = watch.exams[1], child.folder.read_metrics()[-1]
    logits = head(child.states(exam.moves, language)[0])
    for part, target in (("class", "bracket"), ("pointer", "bracket_pointer")):
        again = score(logits[part].argmax(-1), exam.labels[part], exam.bootstrap)
        assert again.value == pytest.approx(last[f"val/{language}/{target}_accuracy"])
        assert again.low <= again.value <= again.high
    assert (
        mothello.measure(child, "tasks", {"games": 40, "test_games": 20, "random_weights": False}).value.notna().all()
    )
    assert child.next_moves(games[0][:3].tolist(), language)
    assert (
        run_stage(task_stage(child, controls=[]), CPU)["steps"] == 4
    )  # and what goes on from it begins with a new head
    with pytest.raises(UserError, match="was not fine-tuned on a task"):
        load_head(run)


@pytest.mark.parametrize(("tune", "layer"), [("model", 1), ("head", 1), ("model", 0)])
def test_only_what_lies_below_the_head_is_trained(run: Run, tune: str, layer: int) -> None:
    stage = task_stage(run, tune=tune, layer=layer, controls=[])
    run_stage(stage, CPU)
    before, after = run.model.state_dict(), mothello.load_run(stage.folder.path).model.state_dict()
    moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    embeddings = {"token_embedding", "position_embedding"}
    assert moved == (set() if tune == "head" else embeddings | ({"blocks"} if layer else set()))


def test_what_is_frozen_stays_as_it_is(run: Run) -> None:
    stage = task_stage(run, frozen=["token_embedding.*", "blocks.*.up.*"], controls=[])
    run_stage(stage, CPU)
    before, after = run.model.state_dict(), mothello.load_run(stage.folder.path).model.state_dict()
    stayed = {name for name in before if torch.equal(before[name], after[name])}
    frozen = frozen_names(run.model, ["token_embedding.*", "blocks.*.up.*"])
    assert frozen
    assert {name for name in before if not name.startswith(("head", "norm"))} & stayed == frozen


def test_an_interrupted_one_ends_with_the_same_weights(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def made(seed: int) -> TaskStage:
        often = QUICK | {"run": str(run.folder.path), "stage": SHORT, "seed": seed, "checkpoint_every": 1e-9}
        asked = typed(often, StageCommand)
        return TaskStage(asked.stage, asked, run)

    whole = made(1)
    run_stage(whole, CPU)
    expected = (mothello.load_run(whole.folder.path), load_head(mothello.load_run(whole.folder.path)))
    lines = whole.folder.read_metrics()
    command_ = made(1)
    command_.config.force, calls, real = True, [], TaskWatch.__call__

    def killed(self: TaskWatch, model: Any) -> dict[str, float]:
        calls.append(1)
        if len(calls) == 2:  # after two of four steps, of which one is saved
            raise RuntimeError("killed")
        return real(self, model)

    monkeypatch.setattr(TaskWatch, "__call__", killed)
    with pytest.raises(RuntimeError, match="killed"):
        run_stage(command_, CPU)
    assert mothello.load_run(whole.folder.path).step == 1
    run_stage(made(1), CPU)
    again = mothello.load_run(whole.folder.path)
    for one, other in zip(expected, (again, load_head(again)), strict=True):
        old, new = (x.state_dict() if isinstance(x, nn.Module) else x.model.state_dict() for x in (one, other))
        assert all(torch.equal(old[name], new[name]) for name in old)
    timeless = [
        [{k: v for k, v in line.items() if k != "train/seconds"} for line in x]
        for x in (lines, again.folder.read_metrics())
    ]
    assert timeless[0] == timeless[1]


def test_one_command_trains_the_controls_and_makes_the_numbers_of_transfer(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    call = [
        f"run={run.folder.path}", *QUIET, "stage=task", "stage.task=mover", "stage.data.games=64", "stage.data.batch_size=32",
        "stage.evaluation.games=16", "stage.evaluation.times=2", "stage.controls=[random_weights,scratch,targets]",
    ]  # fmt: skip
    assert command(monkeypatch, "stage", *call, "dry_run=true") == 0
    estimate = capsys.readouterr().out
    assert all(word in estimate for word in (", random_weights ", ", scratch ", ", targets ", "folder ", "tokens "))
    assert not list(run.folder.path.glob("task/mover-*"))
    assert command(monkeypatch, "stage", *call) == 0
    assert "mover in atomic_1" in capsys.readouterr().out
    folders = {path.name.partition("-")[2]: path for path in run.folder.path.glob("task/mover-*")}
    assert sorted(len(name.split("-")) for name in folders) == [2, 2, 3, 3]
    first, second = (mothello.load_run(folders[name]) for name in sorted(folders) if len(name.split("-")) == 2)
    rows = first.table[first.table.measure == "task_transfer"]
    ends = rows[(rows.step == 2)].set_index(["control", "language"]).value
    assert set(ends.index.get_level_values(0)) == {
        "trained",
        "random_weights",
        "scratch",
        "constant",
        "constant_by_move",
    }
    last = {child.config.name + str(i): child.folder.read_metrics()[-1] for i, child in enumerate((first, second))}
    own, other = last.values()
    m_a, m_b = own["val/atomic_0/mover_accuracy"], own["val/atomic_1/mover_accuracy"]
    made = rows[rows.step.isna()].set_index(["quantity", "language"]).value
    assert made["relative_gap", "atomic_1"] == pytest.approx((m_b - m_a) / m_a, abs=1e-5)
    assert made["delta", "atomic_1"] == pytest.approx(other["val/atomic_1/mover_accuracy"] - m_b, abs=1e-5)
    assert made["over_scratch", "atomic_0"] == pytest.approx(m_a - ends["scratch", "atomic_0"], abs=1e-5)
    assert "delta" in set(second.table.quantity)
    (found,) = find_runs([str(run.folder.path)])
    child = next(x for x in found.finetunings if x.path == first.folder.path.resolve())
    script, *words = shlex.split(stage_command(child))[1:]
    asked = composed("stage", StageCommand, words)
    assert (script, TaskStage(asked.stage, asked, run).folder.path.name) == ("scripts/stage.py", child.path.name)
    measure = child.measure("task_transfer")
    assert measure is not None
    assert set(closing(child.path / measure.folder)[0]) == {"figures/task"}
    text = render([found], "page")
    assert "<h2>Tasks</h2>" in text
    assert "head on random weights" in text


def test_answers_that_are_right_of_the_mirrored_game_count_through_its_map(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = task_stage(run, task="bracket", controls=[]).watch(CPU)
    assert isinstance(watch, TaskWatch)
    exam = watch.exams[1]
    own, turned = exam.labels, exam.moved["rot180"]
    played = own["class"] >= 0
    squares = torch.tensor(BOARD.moves)[exam.moves.long().clamp(min=0)]
    states = replay(exam.moves, BOARD)
    black, white, mover = states.black[:, :-1], states.white[:, :-1], states.black_to_move[:, :-1]
    sides = torch.where(mover, black, white), torch.where(mover, white, black)
    single = played & ((brackets(1 << squares, *sides, BOARD) != 0).sum(-1) == 1)  # one line of discs is turned
    assert single.sum() > 50
    assert (turned["class"][single] == own["class"][single] ^ 1).all()  # the opposite direction
    placed = single & (own["pointer"] >= 4)
    assert (turned["pointer"][placed] == own["pointer"][placed]).all()  # the same move
    said = {part: labels.long() for part, labels in exam.moved["main"].items()}
    monkeypatch.setattr("mothello.measures.tasks.watch.answers", lambda *_: said)
    numbers = watch(run.model)
    for target in ("bracket", "bracket_pointer"):
        key = f"val/atomic_1/{target}"
        assert numbers[f"{key}_through_main"] == 1
        assert numbers[f"{key}_accuracy"] < 0.9
        assert numbers[f"{key}_through_anti_low"] <= numbers[f"{key}_through_anti"] < 0.9
    lines = [numbers | {"step": 0.0}]
    rows = [row for row in accuracy_rows(lines, ["atomic_1"], "bracket", "trained") if row.get("map")]
    assert {row["map"]: row["value"] for row in rows}["main"] == 1
    assert {row["quantity"] for row in rows} == {"task_accuracy_moved"}
    table = pd.DataFrame(accuracy_rows(lines, ["atomic_1"], "bracket", "trained")).assign(target="bracket")
    assert overview(table)["bracket in atomic_1"]["through main"] == 1
    same = task_stage(run, task="flips", controls=[]).watch(CPU)
    assert isinstance(same, TaskWatch)
    assert same.exams[1].moved == {}  # its labels depend on no map


def test_one_language_has_no_transfer(tmp_path: Path) -> None:
    alone = mothello.train(settings(tmp_path, languages={"kinds": ["atomic"]}))
    with pytest.raises(UserError, match=r"^controls: targets has no effect with one language"):
        task_stage(alone, controls=["targets"])
    stage = task_stage(alone, controls=[])
    run_stage(stage, CPU)
    rows = mothello.measure(mothello.load_run(stage.folder.path), "task_transfer")
    assert set(rows.quantity) == {"task_accuracy", "peak", "forgetting"}


def test_the_first_language_is_the_default(run: Run) -> None:
    assert task_stage(run).folder.path == task_stage(run, source="atomic_0", controls=[]).folder.path
    assert task_stage(run).folder.path != task_stage(run, source="atomic_1").folder.path


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"task": "flip"}, r"stage\.task\.name: 'flip' is not one of flips, region, winner, mover, bracket$"),
        ({"task": {"name": "region", "bins": [1]}}, r"stage\.task\.bins: unknown key; choices: name$"),
        ({"task": {"name": "flips", "bins": [2]}}, r"stage\.task\.bins: \[2\] does not begin with 1"),
        ({"layer": -2}, r"stage\.layer: -2 is below -1"),
        ({"layer": 2}, r"layer: 2 is none of the model's layers 0\.\.1$"),
        ({"source": "latin"}, r"source: .*latin"),
        ({"tune": "body"}, r"stage\.tune: .*body"),
        ({"controls": ["nothing"]}, r"stage\.controls.*nothing"),
        ({"tune": "head", "controls": ["scratch"]}, r"stage\.controls: with stage\.tune=head"),
        (
            {"tune": "head", "optimizer": {"muon_lr": 0.5}},
            r"stage\.optimizer\.muon_lr: has no effect with stage\.tune=head",
        ),
        ({"tune": "head", "frozen": ["blocks.*"]}, r"stage\.frozen: has no effect with stage\.tune=head"),
        ({"objective": {"softmax": "language"}}, r"stage\.objective: has no effect on a task"),
        ({"openings": [["c2"]]}, r"stage\.openings: unknown key"),
        (
            {"data": {"language_sampling": {"pairing": "parallel"}}},
            r"data\.language_sampling: fine-tuning is on one language",
        ),
    ],
)
def test_a_mistake_is_named(run: Run, wrong: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError, match=f"^{line}"):
        task_stage(run, **wrong)


def test_the_measure_is_of_a_task_alone(run: Run) -> None:
    with pytest.raises(UserError, match=r"^measures: task_transfer is measured on a model tuned on a task"):
        mothello.measure(run, "task_transfer")
