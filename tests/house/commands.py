"""Running a script's main in this process, as a user would from the command line."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from mothello.cli import (
    corpus,
    explore,
    export,
    export_games,
    generate,
    import_games,
    import_model,
    measure,
    probe,
    report,
    runs,
    stage,
    study,
    train,
    transfer,
)
from studies import gather

MAINS: dict[str, Callable[[], None]] = {
    "train": train.main,
    "probe": probe.main,
    "measure": measure.main,
    "transfer": transfer.main,
    "stage": stage.main,
    "report": report.main,
    "runs": runs.main,
    "results": gather.main,
    "study": study.main,
    "generate": generate.main,
    "import_games": import_games.main,
    "import_model": import_model.main,
    "export": export.main,
    "export_games": export_games.main,
    "corpus": corpus.main,
    "explore": explore.main,
}

TINY = [
    "model=tiny", "board=4x4", "tracking=jsonl", "device=cpu", "device.threads=1", "data.games=256", "data.batch_size=32",
    "evaluation.games=8", "evaluation.times=2", "evaluation.log_every=2",
]  # fmt: skip
QUIET = ["tracking=jsonl", "device=cpu", "device.threads=1"]
TINY_PROBE = [
    *QUIET,
    "probes.games=32",
    "probes.batch_size=16",
    "probes.test_games=8",
    "probes.draws=20",
    "probes.hidden=16",
    "probes.held_out=8",
    "probes.evaluations=2",
]
TINY_CAUSAL = ["causal.cases=6", "causal.draws=20"]
TINY_MEASURE = [
    "tracking=jsonl", "device=cpu", "device.threads=1", "legality.games=4", "alignment.games=8", "alignment.pool=20", "alignment.draws=20",
]  # fmt: skip


def run(monkeypatch: pytest.MonkeyPatch, script: str, *arguments: str) -> int:
    """Exit code of ``python scripts/SCRIPT.py ARGUMENTS``."""
    monkeypatch.setattr(sys, "argv", [f"scripts/{script}.py", *arguments])
    GlobalHydra.instance().clear()
    try:
        MAINS[script]()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def fragment(command: str, overrides: list[str]) -> list[str]:
    """Overrides of a command as a study takes them: options of groups are chosen."""
    groups = ("board", "device", "languages", "model", "optimizer", "tracking")
    chosen = {text: text.partition("=")[0] in groups for text in overrides}
    return [f"{command}.choose.{text}" if chosen[text] else f"{command}.{text}" for text in overrides]


def make_base(folder: Path, name: str) -> Path:
    """In the folder: a finished run of that name, 50 stored 4x4 games in games/, and their text in games.txt."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run(patch, "train", "+experiment=naive", *TINY, f"run={name}") == 0
        assert run(patch, "generate", "out=games", "board=4x4", "games=50") == 0
        assert run(patch, "export_games", "folder=games", "out=games.txt") == 0
    return folder
