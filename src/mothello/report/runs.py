"""Finished run folders, read whole: the only place of this room that touches run files."""

import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from mothello.report.finetuned import finetunings
from mothello.report.measured import legality_content, probe_content
from mothello.rows import COLUMNS, FILE, WORDS, read_tidy, training_rows
from mothello.rundir import RESULTS_VERSION, RunDir

log = logging.getLogger(__name__)

_REQUIRED = {
    "train": ("final", "languages", "board", "steps", "games"),
}


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


@dataclass(frozen=True)
class Run:
    """One finished pretraining run and the finished measurements on it.

    Probes and transfers are results.json as stored, plus "folder" (relative to the run) and "written" (time, may be
    empty), "config" (may be empty or None) and "table" (tidy.COLUMNS; an empty one where a transfer has none);
    transfers also hold their own "metrics".
    """

    path: Path
    config: dict[str, Any]
    results: dict[str, Any]
    metrics: list[dict[str, Any]]
    probes: list[dict[str, Any]]
    transfers: list[dict[str, Any]]
    states: list[dict[str, Any]] = field(default_factory=list)
    """Measures without probes, and interventions, by "kind": legality, alignment, causal ..."""
    measures: list[Measurement] = field(default_factory=list)
    finetunings: list["Run"] = field(default_factory=list)
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
    def source(self) -> str:
        """The language that a fine-tuning trained on."""
        return str((self.config.get("finetune") or {}).get("source") or self.languages[0])

    def measure(self, name: str) -> Measurement | None:
        """The measurement that a report shows: the one that most runs of the label have, so that seeds are measured
        alike; among these the one on the most games, then the latest."""
        measured = [measure for measure in self.measures if measure.name == name]
        key = lambda x: (self.alike.get(x.folder, 0), x.results.get("games") or 0, x.written)  # noqa: E731
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

    @property
    def seed(self) -> int:
        return int(self.config.get("seed", 0))

    @property
    def languages(self) -> list[str]:
        """Names of the languages, in the order of every axis."""
        return [language["name"] for language in self.results["languages"]]

    @property
    def probe(self) -> dict[str, Any] | None:
        """The probe measurement that a report shows: the one scored on the most games, the latest among equals."""
        return max(self.probes, key=lambda x: (x.get("games") or 0, x["written"]), default=None)

    @property
    def tidy(self) -> pd.DataFrame:
        """The numbers that a report shows, one a row: of the training, of that probe measurement, of the latest
        measure of every other kind, and of all fine-tunings; "folder" is the measurement's."""
        of_kind = {x["kind"]: x for x in sorted(self.states, key=lambda x: (x.get("games") or 0, x["written"]))}
        shown = [measure for measure in (self.probe, *of_kind.values(), *self.transfers) if measure is not None]
        trained = pd.DataFrame(training_rows(self.metrics), columns=list(COLUMNS)).assign(folder=".")
        tables = [trained, *(measure["table"].assign(folder=measure["folder"]) for measure in shown)]
        whole = pd.concat([table for table in tables if len(table)] or [trained], ignore_index=True)
        return whole.assign(**{name: whole[name].fillna("") for name in WORDS})


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


def _read_results(folder: RunDir, kind: str) -> dict[str, Any] | None:
    """results.json of a finished folder of that kind, else None after a warning."""
    path = folder.path / "results.json"
    try:
        status = folder.read_status()
        if not isinstance(status, dict) or status.get("status") != "ok":
            log.warning("%s: not finished; skipped", folder.path / "status.json")
            return None
        content = folder.read_results()
        if not isinstance(content, dict) or content.get("kind") != kind:
            raise ValueError(f"not the results of a {kind} run")
        if content.get("version") != RESULTS_VERSION:
            raise ValueError(f"results version {content.get('version')}, not {RESULTS_VERSION}")
        missing = [key for key in _REQUIRED.get(kind, ()) if key not in content]
        if missing:
            raise ValueError(f"{', '.join(missing)} missing")
    except (OSError, ValueError) as error:
        log.warning("%s: %s; skipped", path, error)
        return None
    return content


def _read_metrics(folder: RunDir) -> list[dict[str, Any]]:
    try:
        return [line for line in folder.read_metrics() if isinstance(line, dict) and "step" in line]
    except (OSError, ValueError) as error:
        log.warning("%s: %s; left out", folder.path / "metrics.jsonl", error)
        return []


def _read_config(folder: RunDir) -> dict[str, Any] | None:
    try:
        return folder.read_config()
    except ValueError as error:
        log.warning("%s: %s; skipped", folder.path / "config.yaml", error)
        return None


def _read_run(path: Path) -> Run | None:
    folder = RunDir(path)
    results = _read_results(folder, "train")
    if results is None:
        return None
    config = _read_config(folder)
    if config is None:
        return None
    probes, states = measures_in(path)
    tuned = finetunings(path, probes, _read_results, lambda child: measures_in(child)[0])
    return Run(
        path, config, results, _read_metrics(folder), probes, tuned, states,
        list(_measures(path)), list(_finetunings(path)),
    )  # fmt: skip


def _measures(run: Path) -> Iterator[Measurement]:
    """The finished measures of a run; a damaged one is skipped with a warning that names it."""
    for path in sorted(run.glob(f"measures/*/{FILE}")):
        folder = RunDir(path.parent)
        status = folder.read_status()
        if status.get("status") != "ok":
            log.warning("%s: not finished; skipped", folder.path / "status.json")
            continue
        try:
            config, results, rows = folder.read_config(), folder.read_results(), read_tidy(folder.path)
            examples = json.loads(text.read_text()) if (text := folder.path / "examples.json").exists() else []
        except (OSError, ValueError) as error:
            log.warning("%s: %s; skipped", folder.path, error)
            continue
        relative, written = str(folder.path.relative_to(run)), str(status.get("written", ""))
        yield Measurement(relative, config, results, rows, written, examples)


def _finetunings(run: Path) -> Iterator[Run]:
    for path in sorted(run.glob("finetune/*")):
        if path.is_dir() and not path.name.endswith("-scratch") and (child := _read_run(path)) is not None:
            yield child


def measures_in(path: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Finished measures of a run or a fine-tuning: probes, and all others."""
    measures = [
        content
        for kind in sorted({name.name.rpartition("-")[0] for name in path.glob("measures/*-*") if name.is_dir()})
        for content in _inside(path, f"measures/{kind}-*", kind)
    ]
    probes = [x | probe_content(path / x["folder"], x["table"]) for x in measures if x["kind"] == "probes"]
    others = [x | {"legality": legality_content(x["table"])} for x in measures if x["kind"] != "probes"]
    return probes, others


def _inside(run: Path, pattern: str, kind: str) -> list[dict[str, Any]]:
    """Finished folders inside a run."""
    found = []
    for path in sorted(p for p in run.glob(pattern) if p.is_dir()):
        folder = RunDir(path)
        content = _read_results(folder, kind)
        if content is None:
            continue
        content |= {"folder": str(path.relative_to(run)), "written": str(folder.read_status().get("written", ""))}
        content["config"] = _read_config(folder) if (path / "config.yaml").exists() else content.get("config") or {}
        try:
            content["table"] = read_tidy(path)
        except ValueError as error:
            log.warning("%s; skipped", error)
            continue
        found.append(content)
    return found
