"""Proves: cosines are those of gradients that are taken one parameter at a time; a model whose own loss is realignment
has cosine 1 with it at every layer, and less with shuffled links; rows are those of every ordered pair and layer that
is realigned, of a run, a realigned run with its projection, and a run that was tuned on a task; a mistake is named; an
aligner is chosen on the command line in every form that a stage's takes, and alone in the measure's folder."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from house.commands import QUIET
from house.commands import run as command
from stages.test_realign_stage import realign_stage
from stages.test_stage import settings
from stages.test_task import task_stage

import mothello
from mothello.cli.compose import composed
from mothello.cli.dry_run import measure_estimate
from mothello.cli.measure import MeasureCommand
from mothello.cli.stage import StageCommand
from mothello.config import typed
from mothello.data.config import DataConfig
from mothello.data.sources import Sources
from mothello.data.split import Split, corpus
from mothello.data.stream import Stream
from mothello.errors import UserError
from mothello.measures.gradients.measure import GradientCosines, GradientsConfig, _trained
from mothello.measures.measure import folder_name
from mothello.objectives.causal_lm import CausalLM
from mothello.objectives.objective import OBJECTIVES, with_head
from mothello.objectives.realign import Realign
from mothello.stages.run import Run
from mothello.stages.stage import run_stage
from mothello.training import checkpoint
from mothello.training.keeping import CheckpointsConfig, KeepConfig

CPU = torch.device("cpu")
SHORT: dict[str, Any] = {"games": 4, "batches": 2, "draws": 20}


def rows_of(run: Run, **more: Any) -> list[dict[str, Any]]:
    return list(GradientCosines(typed(SHORT | more, GradientsConfig))(run.subject()))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    model = {"n_layer": 2, "n_head": 2, "d_model": 16}
    return mothello.train(settings(tmp_path_factory.mktemp("runs"), model=model))


def test_cosines_are_those_of_gradients_taken_one_by_one(run: Run) -> None:
    games = Sources.shared(corpus(run.board, 0, Split.probe, 8), 2)
    stream = Stream(games, run.language_set, DataConfig(games=8, batch_size=4), 0)
    realign = Realign()
    model = with_head(realign, run.model, run.config.seed)
    wanted = {}
    for step in range(2):
        found = []
        for objective, batch in (
            (CausalLM(), CausalLM().batch(stream.speaking(1), step)), (realign, realign.batch(stream, step)),
        ):  # fmt: skip
            model.zero_grad()
            loss = objective.loss(model, batch)
            (loss.sum / loss.count).backward()
            found.append({name: x.grad for name, x in model.named_parameters() if x.grad is not None})
        for layer, prefix in enumerate(("token_embedding position_embedding", "blocks.0.", "blocks.1.")):
            own = [name for name in found[1] if name.startswith(tuple(prefix.split()))]
            x, y = (torch.cat([part[name].flatten() for name in own]) for part in found)
            wanted.setdefault(layer, []).append(float(torch.cosine_similarity(x, y, dim=0)))
    model.zero_grad()
    model.projection_head = None
    rows = [row for row in rows_of(run) if row["source"] == "atomic_1" and row["control"] == "trained"]
    assert [row["layer"] for row in rows] == [0, 1, 2]
    for row in rows:
        assert row["value"] == pytest.approx(sum(wanted[row["layer"]]) / 2, abs=1e-4)
        assert row["low"] <= row["value"] + 1e-6
        assert row["value"] <= row["high"] + 1e-6


def test_a_loss_has_cosine_one_with_itself(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    main = Realign(typed({"games": 4}, Realign.Config))
    monkeypatch.setattr(OBJECTIVES, "build", lambda _: main)
    rows = rows_of(run, games=4)
    assert {row["control"] for row in rows} == {"trained", "shuffled"}
    for row in rows:
        assert row["value"] == pytest.approx(1, abs=1e-4) if row["control"] == "trained" else row["value"] < 0.9


def test_rows_of_a_realigned_run_and_of_a_task(run: Run) -> None:
    stage = realign_stage(run)
    run_stage(stage, CPU)
    child = mothello.load_run(stage.folder.path)
    with_its_own = mothello.measure(child, "gradients", SHORT | {"layers": ["1"]})
    assert set(zip(with_its_own.source, with_its_own.language, with_its_own.layer, with_its_own.control, strict=True)) == {
        (f"atomic_{i}", f"atomic_{1 - i}", layer, control)
        for i in range(2) for layer in range(2) for control in ("trained", "shuffled")
    }  # fmt: skip
    assert measure_estimate(child.subject(), [typed(SHORT, GradientsConfig)]).seconds > 0
    strange = GradientCosines(typed(SHORT | {"layers": ["1"]}, GradientsConfig))
    new = [row["value"] for row in strange(replace(child.subject(), run=None))]  # without its run: a new projection
    assert len(new) == len(with_its_own)
    assert new != pytest.approx(with_its_own.value.tolist(), abs=1e-3)
    task = task_stage(run, task="mover", layer=1, controls=[])
    run_stage(task, CPU)
    tuned = mothello.measure(mothello.load_run(task.folder.path), "gradients", SHORT | {"shuffled": False})
    assert set(tuned.layer) == {0, 1}  # the task reads nothing of the second block
    assert tuned.value.between(-1, 1).all()


def test_a_kept_step_has_the_projection_and_the_head_of_that_step(run: Run) -> None:
    """In half precision: kept steps hold all weights, those of heads too."""
    keep = CheckpointsConfig(keep=KeepConfig(log_spaced=3))
    realigned, tuned = realign_stage(run, {"seed": 7}), task_stage(run, task="winner", layer=1, controls=[])
    for stage, head in ((realigned, "projection_head"), (tuned, "task_head")):
        stage.config.checkpoints = keep
        run_stage(stage, CPU)
        step = next(iter(sorted(keep.keep.steps(stage.config.data.steps) - {1})))
        subject = mothello.load_run(stage.folder.path, step=step).subject()
        model, _ = _trained(subject, Realign())
        newest, _ = _trained(mothello.load_run(stage.folder.path).subject(), Realign())
        kept = checkpoint.read(checkpoint.of_step(stage.folder, step), weights_alone=True).weights
        for name, x in getattr(model, head).state_dict().items():
            assert (x.dtype, kept[f"{head}.{name}"].dtype) == (torch.float32, torch.float16)
            assert torch.equal(x.half(), kept[f"{head}.{name}"])
        assert any(
            not torch.equal(x, y)
            for x, y in zip(*(getattr(m, head).parameters() for m in (model, newest)), strict=True)
        )
        assert mothello.measure(mothello.load_run(stage.folder.path, step=step), "gradients", SHORT).step.eq(step).all()


def test_a_mistake_is_named(run: Run, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^gradients\.layers: '7' is none of last, penultimate, middle, 0\.\.2"):
        rows_of(run, layers=["7"])
    with pytest.raises(UserError, match=r"^measures: gradients are those of a run's own model"):
        list(GradientCosines(GradientsConfig())(replace(run.subject(), objective=None)))
    alone = mothello.train(settings(tmp_path, languages={"kinds": ["atomic"]}))
    with pytest.raises(UserError, match=r"^gradients\.aligner translates, and there is one language"):
        rows_of(alone)


@pytest.mark.parametrize(
    "form",
    [
        [".name=dictionary"], ["=ibm"], ["={name:dictionary}"], ["={name:dictionary,coverage:.5}"],
        [".name=dictionary", ".coverage=.5"], [".name=ibm", ".pairs=8"], [".name=gold"],
    ],
    ids=str,
)  # fmt: skip
def test_an_aligner_is_chosen_as_that_of_a_stage(form: list[str]) -> None:
    def found(schema: Any, name: str, key: str, *more: str) -> Any:
        return getattr(composed(name, schema, ["run=x", *more, *(f"{key}.aligner{text}" for text in form)]), key)

    measure = found(MeasureCommand, "measure", "gradients", "measures=[gradients]")
    assert measure.aligner == found(StageCommand, "stage", "stage", "stage=realign").aligner
    assert folder_name(measure) == folder_name(GradientsConfig(aligner=measure.aligner))


def test_a_mistake_is_found_before_anything_is_computed(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before another measure, too, and with dry_run."""
    measure = [f"run={run.folder.path}", "measures=[alignment,gradients]", "gradients.layers=[7]", *QUIET]
    for more in ("dry_run=true", "dry_run=false"):
        assert command(monkeypatch, "measure", *measure, more) == 2
        out, err = capsys.readouterr()
        assert err.startswith("error: gradients.layers: '7' is none of")
        assert out == ""


def test_an_aligner_without_the_setting_is_one_line() -> None:
    with pytest.raises(UserError, match=r"^gradients\.aligner\.coverage: unknown key; choices: name$"):
        composed("measure", MeasureCommand, ["run=x", "measures=[gradients]", "gradients.aligner.coverage=.5"])
    with pytest.raises(UserError, match=r"^gradients\.aligner: has no effect without gradients"):
        composed("measure", MeasureCommand, ["run=x", "gradients.aligner=ibm"])
