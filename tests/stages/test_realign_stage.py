"""Proves: realignment is a stage like any other: its folder is a run that loads, is measured, fine-tuned and realigned
again; it trains what the states are made from and nothing else, and a frozen half stays as it is; an interrupted one ends
with the same weights, the projection's included; its controls see the same games, one of them on the run's own
objective; a fine-tuning and a task realign on the way where they are asked to, and only then; a mistake is named before
anything is trained."""

from pathlib import Path
from typing import Any

import pytest
import torch
from house.commands import QUIET
from house.commands import run as command
from stages.test_stage import QUICK, finetuning, settings
from stages.test_task import task_stage
from torch import Tensor

import mothello
from mothello.cli.stage import StageCommand
from mothello.config import typed
from mothello.errors import UserError
from mothello.model.transformer import HEADS
from mothello.objectives.causal_lm import CausalLM
from mothello.objectives.combined import Combined
from mothello.stages.evaluate import Evaluator
from mothello.stages.realign import RealignStage
from mothello.stages.run import Run
from mothello.stages.stage import run_stage
from mothello.training import checkpoint

CPU = torch.device("cpu")
SHORT = {
    "name": "realign", "data": {"games": 64, "batch_size": 16}, "evaluation": {"games": 4, "times": 2},
    "controls": [],
}  # fmt: skip


def realign_stage(run: Run, command: dict[str, Any] | None = None, **more: Any) -> RealignStage:
    asked = typed(QUICK | {"run": str(run.folder.path), "stage": SHORT | more} | (command or {}), StageCommand)
    return RealignStage(asked.stage, asked, run)


def saved(stage: Any) -> dict[str, Tensor]:
    return checkpoint.latest(stage.folder.checkpoints)[0].weights


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    model = {"n_layer": 2, "n_head": 2, "d_model": 16}
    return mothello.train(settings(tmp_path_factory.mktemp("runs"), model=model))


def moved(run: Run, stage: RealignStage) -> set[str]:
    """The parts of the model that a stage changed."""
    run_stage(stage, CPU)
    before, after = run.model.state_dict(), mothello.load_run(stage.folder.path).model.state_dict()
    assert before.keys() == after.keys()
    changed = [name.split(".") for name in before if not torch.equal(before[name], after[name])]
    return {".".join(name[: 2 if name[0] == "blocks" else 1]) for name in changed}


def test_a_realigned_model_is_a_run(run: Run) -> None:
    stage = realign_stage(run, aligner="dictionary")
    assert stage.folder.path.name.startswith("dictionary-")
    results = run_stage(stage, CPU)
    child = mothello.load_run(stage.folder.path)
    assert (child.stage, child.parent, child.step) == ("realign", run.folder.path, 4)
    assert set(results) == set(run.folder.read_results())
    assert {name.split(".")[0] for name in saved(stage) if name.startswith(HEADS)} == {"projection_head"}
    assert child.config.objective == run.config.objective
    assert child.next_moves(run.games(1)[0][:3].tolist(), child.languages[1])
    assert mothello.measure(child, "alignment", {"games": 8, "pool": 20, "draws": 20}).value.notna().any()
    before = finetuning(child)  # realigned before
    assert run_stage(before, CPU)["steps"] == 2
    assert before.folder.path.parent.parent == child.folder.path
    assert run_stage(realign_stage(mothello.load_run(before.folder.path)), CPU)["steps"] == 4  # and after
    assert not any(name.startswith(HEADS) for name in saved(before))


EMBEDDINGS = {"token_embedding", "position_embedding"}


@pytest.mark.parametrize(
    ("more", "parts"),
    [
        ({}, EMBEDDINGS | {"blocks.0", "blocks.1"}),
        ({"layers": ["penultimate"]}, EMBEDDINGS | {"blocks.0"}),
        ({"layers": ["0"]}, EMBEDDINGS),
        ({"frozen": ["lower"]}, {"blocks.1"}),
        ({"frozen": ["upper"]}, EMBEDDINGS | {"blocks.0"}),
        ({"frozen": ["*_embedding.*"], "layers": ["0", "2"]}, {"blocks.0", "blocks.1"}),
        ({"plain": True}, EMBEDDINGS | {"blocks.0", "blocks.1", "norm", "head"}),
    ],
)
def test_what_the_states_are_made_from_is_trained_and_a_frozen_half_stays(
    run: Run, more: dict[str, Any], parts: set[str]
) -> None:
    assert moved(run, realign_stage(run, **more)) == parts


def test_an_interrupted_one_ends_with_the_same_weights(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    often = {"seed": 1, "checkpoint_every": 1e-9}
    whole = realign_stage(run, often)
    run_stage(whole, CPU)
    expected, calls, real = saved(whole), [], Evaluator.__call__
    again = realign_stage(run, often | {"force": True})

    def killed(self: Evaluator, model: Any) -> dict[str, float]:
        calls.append(1)
        if len(calls) == 2:  # after two of four steps
            raise RuntimeError("killed")
        return real(self, model)

    monkeypatch.setattr(Evaluator, "__call__", killed)
    with pytest.raises(RuntimeError, match="killed"):
        run_stage(again, CPU)
    assert mothello.load_run(whole.folder.path).step == 1
    run_stage(realign_stage(run, often), CPU)
    now = saved(whole)
    assert expected.keys() == now.keys() >= {"projection_head.up.weight", "projection_head.down.weight"}
    assert all(torch.equal(now[name], expected[name]) for name in now)


def test_controls_see_the_same_games(run: Run) -> None:
    stage = realign_stage(run, aligner="dictionary", layers=["1"], controls=["plain", "shuffled"], frozen=["upper"])
    company = {name: parts[0] for name, parts in stage.company().items()}
    assert list(company) == ["plain", "shuffled"]
    assert not company["plain"].company() | company["shuffled"].company() | realign_stage(run).company()
    one = stage.objective().batch(stage.stream(CPU, (0, 1)), 2)  # type: ignore[arg-type]
    other = company["shuffled"].objective().batch(company["shuffled"].stream(CPU, (0, 1)), 2)  # type: ignore[arg-type]
    plain = company["plain"].objective().batch(company["plain"].stream(CPU, (0, 1)), 2)  # type: ignore[arg-type]
    assert torch.equal(one.one.tokens, other.one.tokens)
    assert not torch.equal(one.links, other.links)
    for text, labeled in zip(one[:2], plain, strict=True):
        assert torch.equal(text.tokens, labeled.text.tokens)
    objective = company["plain"].objective()
    losses = [CausalLM().loss(run.model, part) for part in plain]
    both = objective.loss(run.model, plain)
    torch.testing.assert_close(both.sum, losses[0].sum + losses[1].sum)
    assert int(both.count) == int(losses[0].count + losses[1].count)
    assert company["plain"].frozen == stage.frozen != set()
    assert company["plain"].folder.path == realign_stage(run, plain=True, frozen=["upper"]).folder.path
    assert company["shuffled"].folder.path.name.startswith("dictionary-shuffled-")


def test_one_command_trains_it_with_its_controls(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    call = [
        f"run={run.folder.path}", *QUIET, "stage=realign", "stage.aligner.name=dictionary", "+stage.aligner.coverage=.5",
        "stage.data.games=32", "stage.evaluation.games=4", "stage.layers=[middle,last]",
    ]  # fmt: skip
    assert command(monkeypatch, "stage", *call, "dry_run=true") == 0
    assert all(word in capsys.readouterr().out for word in ("realigned, dictionary",))
    assert command(monkeypatch, "stage", *call) == 0
    made = [x for x in run.folder.path.glob("realign/*") if mothello.load_run(x).config.data.games == 32]
    assert sorted(path.name.rpartition("-")[0] for path in made) == ["dictionary", "dictionary-shuffled", "plain"]


def test_a_fine_tuning_realigns_where_it_is_asked_to(run: Run) -> None:
    asked = {"auxiliary": {"realign": {"weight": 0.1, "layers": ["1"]}}}
    with_, without = finetuning(run, **asked), finetuning(run)
    assert with_.folder.path != without.folder.path
    objective = with_.objective()
    assert isinstance(objective, Combined)
    batch = objective.batch(with_.stream(CPU, (0, 1)), 1)  # type: ignore[arg-type]
    assert set(batch[""].text.language.tolist()) == {0}
    assert torch.equal(batch["realign"].one.tokens, batch[""].text.tokens[:16])
    assert set(batch["realign"].other.language.tolist()) == {1}
    for stage in (with_, without):
        run_stage(stage, CPU)
    assert any("train/realign" in line for line in with_.folder.read_metrics())
    assert not any("train/realign" in line for line in without.folder.read_metrics())
    one, other = (mothello.load_run(stage.folder.path).model.state_dict() for stage in (with_, without))
    assert one.keys() == other.keys()
    words = run.language_set.word_table[1, : run.board.n_moves, 0]
    name = "token_embedding.weight"  # no word of the second language is in the games that are fine-tuned on
    assert not torch.equal(one[name][words], other[name][words])
    child = mothello.load_run(with_.folder.path)
    assert finetuning(child).config.auxiliary == {}


def test_a_task_is_learned_with_realignment(run: Run) -> None:
    stage = task_stage(
        run, task="mover", auxiliary={"realign": {"weight": 0.1}}, controls=["random_weights", "scratch"]
    )
    run_stage(stage, CPU)
    assert {name.split(".")[0] for name in saved(stage) if name.startswith(HEADS)} == {"projection_head", "task_head"}
    assert any("train/realign" in line for line in stage.folder.read_metrics())
    company = {name: parts[0].objective() for name, parts in stage.company().items()}
    assert not isinstance(company["random_weights"], Combined)
    assert isinstance(company["scratch"], Combined)


def test_what_is_frozen_stays_in_a_task(run: Run) -> None:
    stage = task_stage(run, frozen=["lower"], controls=[])
    run_stage(stage, CPU)
    before, after = run.model.state_dict(), mothello.load_run(stage.folder.path).model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(name.startswith("blocks.1.") for name in changed)


def test_a_pretraining_with_realignment_is_a_run(tmp_path: Path) -> None:
    made = mothello.train(settings(tmp_path, auxiliary={"realign": {"weight": 0.1}}))
    assert "projection_head.up.weight" in checkpoint.latest(made.folder.checkpoints)[0].weights
    assert realign_stage(made).config.auxiliary == {}


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"layers": ["3"]}, r"layers: '3' is none of last, penultimate, middle, 0\.\.2$"),
    ({"aligner": "guess"}, r"stage\.aligner\.name: 'guess' is not one of"),
    ({"aligner": {"name": "dictionary", "coverage": 2.0}}, r"stage\.aligner\.coverage: 2.0 is above 1"),
    ({"frozen": ["lower"], "layers": ["middle"]}, r"stage\.layers: all that layer 1 is made from is frozen"),
    ({"frozen": ["lower", "upper"]}, r"frozen: nothing is left to train"),
    ({"games": 8}, r"stage\.games: has no effect on realignment alone"),
    ({"objective": {"softmax": "language"}}, r"stage\.objective: has no effect on realignment alone"),
    ({"auxiliary": {"align": {}}}, r"stage\.auxiliary: has no effect on realignment alone"),
    ({"plain": True, "layers": ["1"]}, r"stage\.layers: has no effect with stage\.plain=true"),
    ({"plain": True, "aligner": "dictionary"}, r"stage\.aligner: has no effect with stage\.plain=true"),
    ({"controls": ["nothing"]}, r"stage\.controls.*nothing"),
    ({"pivot": "latin", "languages": []}, r"pivot: no language 'latin'"),
    (
        {"data": {"language_sampling": {"pairing": "disjoint"}}},
        r"aligner: .*no game has a translation with data\.language_sampling\.pairing=disjoint",
    ),
    (
        {"data": {"domains": {"a": {}, "b": {}}, "domain_of": {"atomic_0": "a", "atomic_1": "b"}}},
        r"aligner: .*languages with domains of their own share none",
    ),
    ({"data": {"language_sampling": {"shares": [1.0, 2.0]}}}, r"data\.language_sampling\.shares: has no effect"),
    ({"data": {"code_switching": {"probability": 0.5}}}, r"data\.code_switching\.probability: has no effect"),
]


def test_on_the_command_line_every_line_has_the_whole_key(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whether the settings, the stage or its check finds the mistake; with dry_run, too."""
    for stage, more, line in (
        ("realign", ["stage.layers=[3]"], "stage.layers: '3' is none of"),
        ("realign", ["stage.frozen=[lower]", "stage.layers=[middle]"], "stage.layers: all that layer 1 is made from"),
        ("realign", ["stage.data.games=8"], "stage.data.games: games x epochs is less than one batch"),
        ("align_words", ["stage.levels=[output,output]"], "stage.levels: [output, output] names a level twice"),
        (
            "finetune",
            ["+stage.auxiliary.realign={layers:[1]}", "stage.frozen=[lower]"],
            "stage.auxiliary.realign.layers:",
        ),
    ):
        for dry in ("true", "false"):
            arguments = [f"run={run.folder.path}", f"stage={stage}", *more, f"dry_run={dry}", *QUIET]
            assert command(monkeypatch, "stage", *arguments) == 2
            assert capsys.readouterr().err.splitlines()[-1].startswith(f"error: {line}")
    assert command(monkeypatch, "transfer", f"run={run.folder.path}", *QUIET, "transfer.frozen=[lower]",
                   "+transfer.auxiliary.realign={layers:[1]}") == 2  # fmt: skip
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: transfer.auxiliary.realign.layers: all that")


@pytest.mark.parametrize(("wrong", "line"), WRONG)
def test_a_mistake_is_named_before_anything_is_trained(run: Run, wrong: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError, match=f"^{line}"):
        realign_stage(run, **wrong).check()


def test_mistakes_of_other_stages(run: Run, tmp_path: Path) -> None:
    alone = mothello.train(settings(tmp_path, languages={"kinds": ["atomic"]}))
    with pytest.raises(UserError, match=r"^aligner translates, and there is one language"):
        realign_stage(alone)
    with pytest.raises(UserError, match=r"^auxiliary\.realign\.aligner translates, and there is one language"):
        finetuning(alone, auxiliary={"realign": {"weight": 0.1}})
    with pytest.raises(UserError, match=r"^auxiliary\.realign\.layers: '3' is none of"):
        finetuning(run, auxiliary={"realign": {"layers": ["3"]}})
    with pytest.raises(UserError, match=r"^auxiliary\.realign\.layers: '3' is none of"):
        task_stage(run, auxiliary={"realign": {"layers": ["3"]}})
    with pytest.raises(UserError, match=r"^stage\.auxiliary: has no effect with stage\.tune=head"):
        task_stage(run, auxiliary={"realign": {}}, tune="head", controls=[])
    with pytest.raises(
        UserError, match=r"^transfer\.auxiliary\.realign\.layers: all that layer 1 is made from is frozen"
    ):
        finetuning(run, auxiliary={"realign": {"layers": ["1"]}}, frozen=["lower"]).check()
