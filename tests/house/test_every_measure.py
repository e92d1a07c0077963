"""Proves: every measure and stage works on a model of every objective, or refuses it in the line that docs/objectives.md
says, cell by cell."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import mothello
from mothello.cli.stage import StageCommand, stage
from mothello.cli.transfer import transfer
from mothello.config import typed
from mothello.errors import UserError
from mothello.measures.measure import MEASURES, takes_other
from mothello.stages.finetune import TransferCommand
from mothello.stages.run import Run

QUICK = {"device": {"name": "cpu", "threads": 1, "precision": "fp32"}, "checkpoint_every": 0}
TRAITS = {"atomic_1": {"mover": "before", "synonyms": 0.5}}
MODELS: dict[str, dict[str, Any]] = {
    "causal_lm": {},
    "causal_lm, separate parts": {
        "model": {"separate": {"tokens": True, "positions": True, "head": True, "blocks": 1}},
        "data": {"language_sampling": {"grouped": True}},
    },
    "causal_lm, code-switched": {"data": {"code_switching": {"probability": 0.3}}},
    "causal_lm, markers, synonyms, ids": {"languages": {"traits": TRAITS}, "model": {"language_ids": True}},
    "masked_lm": {"objective": {"name": "masked_lm"}},
    "masked_lm with align": {"objective": {"name": "masked_lm"}, "auxiliary": {"align": {"coverage": 0.5}}},
    "masked_lm, plies in another order": {
        "objective": {"name": "masked_lm"}, "languages": {"traits": {"atomic_1": {"order": "inversion"}}},
    },
    "tlm": {"objective": {"name": "tlm"}},
    "dictionary": {"objective": {"name": "dictionary"}},
}  # fmt: skip
PROBES = {
    "probes": ["linear"], "games": 32, "batch_size": 16, "test_games": 8, "held_out": 8, "evaluations": 2, "draws": 20,
    "shuffled": False,
}  # fmt: skip
SHORT = {"data": {"games": 64, "batch_size": 32}, "evaluation": {"games": 4, "times": 1}}
SETTINGS: dict[str, dict[str, Any]] = {
    "legality": {"games": 4, "draws": 20}, "masked": {"games": 4, "draws": 20}, "alignment": {"games": 8},
    "probes": PROBES, "causal": {"cases": 4, "draws": 20, "probes": PROBES},
    "tasks": {"games": 16, "test_games": 8, "draws": 20}, "distance": {"games": 4, "draws": 20},
    "gradients": {"games": 4, "batches": 2, "draws": 20},
    "links": {"games": 4, "draws": 20, "options": {"ibm": {"pairs": 8}}},
    "posthoc": {"games": 8, "draws": 20},
    "stitch": {"games": 8, "draws": 20, "probes": PROBES},
    "facts": {"count": 4, "plies": 4, "draws": 20},
}  # fmt: skip


def table() -> dict[tuple[str, str], str]:
    """(measure, model) -> yes, or the start of a line."""
    text = (Path(__file__).parents[2] / "docs" / "objectives.md").read_text()
    lines = text.split("## What can be measured")[1].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    head, _, *rows = cells
    return {(row[0], model): cell for row in rows for model, cell in zip(head[1:], row[1:], strict=True)}


TABLE = table()


@pytest.fixture(scope="module")
def model_of(tmp_path_factory: pytest.TempPathFactory) -> Any:
    @cache
    def trained(name: str) -> Run:
        more = MODELS[name]
        content: dict[str, Any] = QUICK | {
            "runs": str(tmp_path_factory.mktemp("runs")), "board": {"size": 4},
            "model": {"n_layer": 2, "n_head": 2, "d_model": 16}, "data": {"games": 64, "batch_size": 32},
            "evaluation": {"games": 4, "times": 1},
        }  # fmt: skip
        return mothello.train(content | {key: content.get(key, {}) | value for key, value in more.items()})

    return trained


def measured(run: Run, name: str) -> int:
    """How many rows a measure gives, or a stage and its measure."""
    path = str(run.folder.path)
    if name == "finetune, then transfer":
        settings = SHORT | {"probe_before_and_after": False, "scratch": False}
        transfer(typed(QUICK | {"run": path, "transfer": settings}, TransferCommand))
        (child,) = run.folder.path.glob("finetune/*")
        return len(mothello.load_run(child).table)
    if name == "task, then task_transfer":
        stage(typed(QUICK | {"run": path, "stage": SHORT | {"name": "task", "task": "flips"}}, StageCommand))
        child = next(x for x in run.folder.path.glob("task/*") if not x.name.endswith(("-random", "-scratch")))
        return len(mothello.load_run(child).table)
    if name in ("realign", "align_words"):
        own = {
            "realign": SHORT | {"controls": ["plain"]},
            "align_words": {"steps": 2, "evaluation": SHORT["evaluation"]},
        }
        stage(typed(QUICK | {"run": path, "stage": {"name": name} | own[name]}, StageCommand))
        return sum(len(mothello.load_run(child).table) for child in run.folder.path.glob(f"{name}/*"))
    measure = MEASURES.get(name)
    subject = run.subject()
    subject = replace(subject, other=subject.random_weights()) if takes_other(name) else subject
    return len(list(measure(typed(SETTINGS[name], measure.Config))(subject)))


LONG = {"causal_lm, code-switched", "masked_lm with align", "masked_lm, plies in another order", "dictionary"}
"""Models whose cells are tried with -m slow."""


@pytest.mark.parametrize(
    ("name", "model"),
    [pytest.param(*cell, marks=[pytest.mark.slow] * (cell[1] in LONG), id=", ".join(cell)) for cell in TABLE],
)
def test_a_cell(name: str, model: str, model_of: Any) -> None:
    run, expected = model_of(model), TABLE[name, model]
    if expected == "yes":
        assert measured(run, name) > 0
        return
    with pytest.raises(UserError) as refused:
        measured(run, name)
    assert str(refused.value).startswith(expected)
    assert "\n" not in str(refused.value)


def test_the_table_has_every_measure_and_every_model() -> None:
    assert {model for _, model in TABLE} == set(MODELS)
    shown = {name for name, _ in TABLE} | {"transfer", "task_transfer", "efficiency"}
    assert shown >= {name for name in MEASURES if MEASURES.get(name).__module__.startswith("mothello.")}
