"""Finished run folders, read whole: the only place of this room that touches run files."""

import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from mothello.rows import COLUMNS, FILE, WORDS, read_tidy, training_rows
from mothello.rundir import RESULTS_VERSION, RunDir

log = logging.getLogger(__name__)

_REQUIRED = ("final", "languages", "board", "steps", "games")


@dataclass(frozen=True)
class Measurement:
    """A finished measure of a run."""

    folder: str
    """Relative to the run, such as measures/probes-HASH."""
    config: dict[str, Any]
    results: dict[str, Any]
    """results.json: environment, games, seconds."""
    rows: pd.DataFrame
    """The numbers, one per row (mothello.rows.COLUMNS)."""
    written: str = ""
    examples: list[dict[str, Any]] = field(default_factory=list)
    """Boards as probes read them."""

    @property
    def name(self) -> str:
        """The measure's name in the registry."""
        return Path(self.folder).name.rpartition("-")[0]

    @property
    def controls(self) -> int:
        """How many controls were measured with it."""
        return int(self.rows.control.nunique())


@dataclass(frozen=True)
class Run:
    """A finished stage with the finished measures on its model: a pretraining, or a fine-tuning of one."""

    path: Path
    config: dict[str, Any]
    results: dict[str, Any]
    metrics: list[dict[str, Any]]
    measures: list[Measurement]
    finetunings: list["Run"]
    """Models fine-tuned from this one, without their controls from random weights."""
    alike: Mapping[str, int] = field(default_factory=dict)
    """Folder of a measure -> how many runs of the same label have it."""

    @property
    def name(self) -> str:
        return str(self.config.get("name") or self.path.parent.name)

    @property
    def identity(self) -> str:
        """Hash of the configuration: seeds of one configuration share it."""
        return str(self.results.get("identity") or self.path.parent.name)

    @property
    def seed(self) -> int:
        return int(self.config.get("seed", 0))

    @property
    def languages(self) -> list[str]:
        """Names of the languages, in the order of every axis."""
        return [language["name"] for language in self.results["languages"]]

    @property
    def source(self) -> str:
        """The language that a fine-tuning trained on."""
        return str((self.config.get("settings") or {}).get("source") or self.languages[0])

    def measure(self, name: str) -> Measurement | None:
        """The measurement that a report shows: the one that most runs of the label have, so that seeds are measured
        alike; among these the one with the most controls, then that on the most games, then the latest."""
        measured = [measure for measure in self.measures if measure.name == name]
        key = lambda x: (self.alike.get(x.folder, 0), x.controls, x.results.get("games") or 0, x.written)  # noqa: E731
        return max(measured, key=key, default=None)

    @property
    def rows(self) -> pd.DataFrame:
        """The numbers that a report shows, one per row: of the training and of one measurement per measure. Column
        "folder": the measurement's, or "."; "games": seen in training up to the row's step."""
        shown = [self.measure(name) for name in dict.fromkeys(measure.name for measure in self.measures)]
        trained = [*training_rows(self.metrics), *self._ply_rows()]
        tables = [pd.DataFrame(trained, columns=list(COLUMNS)).assign(folder=".")]
        tables += [measure.rows.assign(folder=measure.folder) for measure in shown if measure is not None]
        table = pd.concat([part for part in tables if len(part)] or tables, ignore_index=True)
        per_step = self.results["games"] / max(1, self.results["steps"])
        table["games"] = (table.step.astype(float) * per_step).round().where(table.folder == ".")
        return table.assign(**{name: table[name].fillna("") for name in WORDS})

    def _ply_rows(self) -> Iterator[dict[str, Any]]:
        """Legality by ply at the end of the training, which results.json holds."""
        for language, values in (self.results.get("by_ply") or {}).items():
            for ply, value in enumerate(values, start=1):
                if value is not None:
                    head = {"measure": "training", "quantity": "top1", "control": "trained", "language": language}
                    yield head | {"ply": ply, "step": self.results["steps"], "value": value}


def find_runs(paths: Sequence[str]) -> list[Run]:
    """Finished runs at or below the paths, sorted by folder, each once.

    What is missing, unfinished or damaged is left out with a warning that names the file.
    """
    folders: set[Path] = set()
    for text in paths:
        path = Path(text)
        if path.is_dir():
            folders.update(_candidates(path.resolve()))
        else:
            log.warning("%s is no folder; skipped", path)
    runs = [_read_run(folder) for folder in sorted(folders)]
    return [run for run in runs if run is not None]


def _candidates(top: Path) -> Iterator[Path]:
    """Run folders at or below ``top``; what lies inside a run is not a run of its own."""
    for folder, inside, files in os.walk(top):
        if "config.yaml" in files or "status.json" in files:
            inside.clear()
            yield Path(folder)
        inside[:] = sorted(name for name in inside if not name.startswith("."))


def _results(folder: RunDir) -> dict[str, Any]:
    """results.json. ValueError names the file that says that the folder is not finished, or is damaged."""
    if not folder.finished:
        raise ValueError(f"{folder.path / 'status.json'}: not finished")
    return folder.read_results()


def _read_run(path: Path) -> Run | None:
    folder, file = RunDir(path), path / "results.json"
    try:
        results = _results(folder)
        if not isinstance(results, dict) or results.get("kind") != "train":
            raise ValueError(f"run: {file} is not of a training")
        if results.get("version") != RESULTS_VERSION:
            raise ValueError(f"run: {file} has version {results.get('version')}, not {RESULTS_VERSION}")
        if missing := [key for key in _REQUIRED if key not in results]:
            raise ValueError(f"run: {file}: {', '.join(missing)} missing")
        config = folder.read_config()
    except (OSError, ValueError) as error:
        log.warning("%s; skipped", error)
        return None
    try:
        metrics = [line for line in folder.read_metrics() if isinstance(line, dict) and "step" in line]
    except (OSError, ValueError) as error:
        log.warning("%s: %s; left out", path / "metrics.jsonl", error)
        metrics = []
    return Run(path, config, results, metrics, list(_measures(path)), list(_finetunings(path)))


def _measures(run: Path) -> Iterator[Measurement]:
    """The finished measures of a run; a damaged one is skipped with a warning that names it. Those of an earlier step,
    measures/NAME-HASH-stepN, are not of the model that is reported."""
    for path in sorted(run.glob(f"measures/*/{FILE}")):
        if "-step" in path.parent.name:
            continue
        folder = RunDir(path.parent)
        try:
            results, config, rows = _results(folder), folder.read_config(), read_tidy(folder.path)
            examples = json.loads(text.read_text()) if (text := folder.path / "examples.json").exists() else []
        except (OSError, ValueError) as error:
            log.warning("%s: %s; skipped", folder.path, error)
            continue
        relative, written = str(folder.path.relative_to(run)), str(folder.read_status().get("written", ""))
        yield Measurement(relative, config, results, rows, written, examples)


def _finetunings(run: Path) -> Iterator[Run]:
    for path in sorted(run.glob("finetune/*")):
        if path.is_dir() and not path.name.endswith("-scratch") and (child := _read_run(path)) is not None:
            yield child
