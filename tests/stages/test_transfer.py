"""Proves: a finished fine-tuning is given what is asked for later, its control and its probes, and is not trained again."""

from pathlib import Path
from typing import Any

import pytest

import mothello
from mothello.cli.transfer import transfer
from mothello.config import typed
from mothello.errors import UserError
from mothello.stages.finetune import TransferCommand

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


def test_settings_of_probes_that_are_not_fitted_are_an_error() -> None:
    content = {"run": "run", "probes": {"games": 64}, "transfer": {"probe_before_and_after": False}}
    with pytest.raises(UserError, match=r"^probes\.games: has no effect with transfer\.probe_before_and_after=false"):
        typed(content, TransferCommand)
    assert not typed({"run": "run"}, TransferCommand).probes.shuffled  # as its default says, and as it is fitted
