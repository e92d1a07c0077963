"""Proves: a finished fine-tuning is given what is asked for later, its control and its probes, and is not trained again."""

from pathlib import Path
from typing import Any

import pytest
import torch

import mothello
from mothello.cli.transfer import transfer
from mothello.config import typed
from mothello.errors import UserError
from mothello.measures.alignment.measure import AlignmentConfig
from mothello.measures.causal.measure import CausalConfig
from mothello.measures.legality.estimate import legality
from mothello.measures.legality.measure import LegalityConfig
from mothello.measures.measure import MEASURES
from mothello.measures.probes.config import ProbesConfig
from mothello.measures.transfer.watch import Watch
from mothello.model.separate import frozen_names
from mothello.objectives.causal_lm import CausalLM
from mothello.objectives.cross_entropy import Softmax
from mothello.stages.finetune import Finetune, TransferCommand
from mothello.stages.stage import run_stage

QUICK = {"device": {"name": "cpu", "threads": 1, "precision": "fp32"}, "checkpoint_every": 0}
TINY = QUICK | {
    "name": "tiny", "board": {"size": 4}, "model": {"n_layer": 1, "n_head": 2, "d_model": 16},
    "data": {"games": 128, "batch_size": 32}, "evaluation": {"games": 4, "times": 1},
}  # fmt: skip
SHORT = {"data": {"games": 64, "batch_size": 32}, "evaluation": {"games": 4, "times": 1}, "track_retrieval": False}
PROBES = {
    "probes": ["linear"], "games": 32, "batch_size": 16, "test_games": 8, "held_out": 8, "evaluations": 2, "draws": 20,
}  # fmt: skip


def test_what_is_missing_is_added_to_a_finished_fine_tuning(tmp_path: Path) -> None:
    run = mothello.train(TINY | {"runs": str(tmp_path)}).folder.path

    def tune(**more: Any) -> None:
        probes = {"probes": PROBES} if more["probe_before_and_after"] else {}
        content = QUICK | probes | {"run": str(run), "transfer": SHORT | more}
        transfer(typed(content, TransferCommand))

    tune(probe_before_and_after=False, scratch=False)
    (child,) = run.glob("finetune/*")
    trained = (child / "metrics.jsonl").read_text()
    assert not list(child.glob("measures/probes-*"))
    tune(probe_before_and_after=True, scratch=True)
    assert {path.name for path in run.glob("finetune/*")} == {child.name, f"{child.name}-scratch"}
    assert len(list(child.glob("measures/probes-*"))) == len(list(run.glob("measures/probes-*"))) == 1
    assert (child / "metrics.jsonl").read_text() == trained
    table = mothello.load_run(child).table
    assert set(table[table.measure == "transfer"].control) >= {"trained", "scratch"}


def test_another_objective_is_another_fine_tuning_of_the_same_run(tmp_path: Path) -> None:
    run = mothello.train(TINY | {"runs": str(tmp_path)})

    def stage(**objective: Any) -> Finetune:
        content = QUICK | {"run": str(run.folder.path), "transfer": SHORT | {"objective": objective}}
        command = typed(content, TransferCommand)
        return Finetune(command.transfer, command, run)

    plain, own = stage(), stage(softmax="language")
    assert stage(softmax="all").folder.path == plain.folder.path != own.folder.path
    for tuned in (plain, own):
        run_stage(tuned, torch.device("cpu"))
    child = mothello.load_run(own.folder.path)
    assert child.config.objective == CausalLM.Config(softmax=Softmax.language)
    assert child.folder.read_config()["settings"]["objective"] == {"softmax": "language"}
    other = mothello.load_run(plain.folder.path)
    assert other.config.objective == run.config.objective
    assert not torch.equal(child.model.head.weight, other.model.head.weight)
    grandchild = mothello.load_run(own.folder.path)
    command = typed(QUICK | {"run": str(own.folder.path), "transfer": SHORT}, TransferCommand)
    assert Finetune(command.transfer, command, grandchild).config.objective == child.config.objective
    with pytest.raises(
        UserError, match=r"^objective\.softmx: unknown key; choices: name, targets, softmax; did you mean softmax\?$"
    ):
        stage(softmx="all")


def test_a_unified_output_has_no_softmax_to_choose(tmp_path: Path) -> None:
    run = mothello.train(TINY | {"runs": str(tmp_path), "languages": {"output": "unified"}})
    content = QUICK | {"run": str(run.folder.path), "transfer": SHORT | {"objective": {"softmax": "language"}}}
    with pytest.raises(UserError, match=r"^transfer\.objective\.softmax: has no effect with a unified output"):
        transfer(typed(content, TransferCommand))


def test_what_every_language_answers_in_the_sources_tokens(tmp_path: Path) -> None:
    """The source's translation is its own answer; of a model whose other head is the source's, so is the target's."""
    run = mothello.train(TINY | {"runs": str(tmp_path)})
    command = typed(QUICK | {"run": str(run.folder.path), "transfer": SHORT}, TransferCommand)
    stage = Finetune(command.transfer, command, run)
    watch = stage.watch(torch.device("cpu"))
    assert isinstance(watch, Watch)
    model, words = run.model, run.language_set.word_table[:, :, 0]

    def translated(language: int) -> float:
        return watch(model)[f"val/atomic_{language}/top1_translated"]

    def own(language: int) -> float:
        return legality(model, watch.held_out[language], run.language_set, language)["top1_restricted"]

    assert translated(0) == pytest.approx(own(0))
    with torch.no_grad():
        model.head.weight[words[1]] = model.head.weight[words[0]].clone()
    assert translated(1) == pytest.approx(own(1))
    with torch.no_grad():
        model.head.weight[words[1]] = model.head.weight[words[0].roll(1)].clone()
    assert translated(1) != pytest.approx(own(1))


def test_settings_of_probes_that_are_not_fitted_are_an_error() -> None:
    content = {"run": "run", "probes": {"games": 64}, "transfer": {"probe_before_and_after": False}}
    with pytest.raises(UserError, match=r"^probes\.games: has no effect with transfer\.probe_before_and_after=false"):
        typed(content, TransferCommand)
    assert not typed({"run": "run"}, TransferCommand).probes.shuffled  # as its default says, and as it is fitted


def test_separate_parts_from_the_training_to_the_fine_tuning(tmp_path: Path) -> None:
    """Every measure reads such a model; fine-tuned with its separate parts frozen, only what is shared moves."""
    separate = {"tokens": True, "positions": True, "head": True, "blocks": 1}
    data = TINY["data"] | {"language_sampling": {"grouped": True}}
    model = {"n_layer": 2, "n_head": 2, "d_model": 16, "separate": separate}
    run = mothello.train(TINY | {"runs": str(tmp_path), "model": model, "data": data})
    subject = run.subject()
    measures = (
        LegalityConfig(games=8, draws=20), AlignmentConfig(games=8), ProbesConfig(**PROBES | {"shuffled": False}),
        CausalConfig(cases=6, draws=20, probes=ProbesConfig(**PROBES)),
    )  # fmt: skip
    for config in measures:
        rows = list(MEASURES.build(config)(subject))
        assert {row.get("language") for row in rows} >= {"atomic_0", "atomic_1"}, config.name

    def tuned(*frozen: str) -> dict[str, torch.Tensor]:
        content = QUICK | {"run": str(run.folder.path), "transfer": SHORT | {"frozen": list(frozen)}}
        command = typed(content, TransferCommand)
        stage = Finetune(command.transfer, command, run)
        run_stage(stage, torch.device("cpu"))
        return mothello.load_run(stage.folder.path).model.state_dict()

    before, all_of_it, rest, usual = run.model.state_dict(), tuned("none"), tuned("separate"), tuned()
    assert all(torch.equal(rest[name], usual[name]) for name in rest)  # they stay as they are unless all is asked for
    own = frozen_names(run.model, ["separate"])
    assert {name for name in before if torch.equal(before[name], rest[name])} == own
    source = {name for name in own if ".0." in name.removeprefix("blocks.0")}
    assert not any(torch.equal(before[name], all_of_it[name]) for name in source)
    assert all(torch.equal(before[name], all_of_it[name]) for name in own - source), "the other language's"


def test_separate_parts_need_grouped_batches(tmp_path: Path) -> None:
    model = TINY["model"] | {"separate": {"head": True}}
    with pytest.raises(UserError, match=r"model.separate: needs batches sorted by language; set data"):
        mothello.train(TINY | {"runs": str(tmp_path), "model": model})
    with pytest.raises(UserError, match=r"model.separate: has no effect with a single language"):
        mothello.train(TINY | {"runs": str(tmp_path), "model": model, "languages": {"kinds": ["atomic"]}})
