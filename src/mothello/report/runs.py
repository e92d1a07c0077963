"""Finished run folders, read whole, with the models that go on from them; measurements.py reads their measures."""

import logging
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from mothello.errors import UserError
from mothello.files import fingerprint
from mothello.othello.board import Board
from mothello.report.measurements import Measurement, finished_results, measures_of
from mothello.rows import COLUMNS, WORDS, main_objective, training_rows
from mothello.rundir import RunDir
from mothello.stages.find import REALIGNED, TUNED, candidates

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """A finished stage with the finished measures on its model: a pretraining, or what goes on from one."""

    path: Path
    config: dict[str, Any]
    results: dict[str, Any]
    metrics: list[dict[str, Any]]
    measures: list[Measurement]
    finetunings: list["Run"]
    """Models fine-tuned from this one, on games or on a task, without their controls from random weights."""
    alike: Mapping[str, int] = field(default_factory=dict)
    """Folder of a measure -> how many runs of the same label have it."""
    status: str = ""
    """How far a run is that is not finished, such as "running, 120 of 400 steps"."""
    realigned: list["Run"] = field(default_factory=list)
    """Models realigned from this one, and their controls: each a model of its own, with measures and fine-tunings."""
    origin: "Run | None" = None
    """The run that a fine-tuned or realigned model goes on from, without what was realigned from it."""

    @property
    def name(self) -> str:
        """That of the config, and how the model goes on from its origin: "naive, realigned by gold links"."""
        if self.origin is None:
            return str(self.config.get("name") or self.path.parent.name)
        return f"{self.origin.name}, {_how(self)}"

    @property
    def settings(self) -> dict[str, Any]:
        """What determines a stage's result: of a pretraining nothing."""
        return {key: x for key, x in (self.config.get("settings") or {}).items() if key not in ("name", "controls")}

    @property
    def identity(self) -> str:
        """Hash of the configuration: seeds of one configuration share it."""
        if self.origin is not None and self.config.get("stage") in REALIGNED:
            step = (self.config.get("from") or {}).get("step")
            own = {"stage": self.config.get("stage"), "settings": self.settings, "step": step}
            return fingerprint({"origin": self.origin.identity} | own)
        return str(self.results.get("identity") or self.path.parent.name)

    @property
    def games(self) -> list[int]:
        """Games seen by the run's origin, that one's, and so on, and by the run itself."""
        return [*(self.origin.games if self.origin else []), int(self.results["games"])]

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
        trained = [*training_rows(self.metrics, main_objective(self.config)), *self._ply_rows()]
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


def _how(run: Run) -> str:
    """How a stage went on from its origin."""
    settings, made = run.settings, run.path.name.rpartition("-")[0]
    if run.config.get("stage") not in REALIGNED:
        return f"{'taught' if 'task' in settings else 'fine-tuned on'} {made}"
    if settings.get("plain"):
        return "trained on the same games"
    return f"realigned by {'shuffled ' * bool(settings.get('shuffled'))}{settings['aligner']['name']} links"


def with_realigned(runs: Iterable[Run]) -> Iterator[Run]:
    """The runs, each with the models that were realigned from it or from what was fine-tuned from it, at any depth."""
    for run in runs:
        yield run
        yield from with_realigned(run.realigned)
        for child in run.finetunings:
            yield from with_realigned(child.realigned)


def find_runs(paths: Sequence[str], without: Collection[Path] = ()) -> list[Run]:
    """Finished runs at or below the paths, sorted by folder, each once: of copies that with the most measures, then the
    first. A warning names what is left out: copies, and with the file what is missing, unfinished or damaged. without:
    folders that are known and passed over."""
    folders: set[Path] = set()
    for text in paths:
        path = Path(text)
        if path.is_dir():
            folders.update({folder.resolve() for folder in candidates(path)}.difference(without))
        else:
            log.warning("%s is no folder; skipped", path)
    found = [_read_run(folder) for folder in tqdm(sorted(folders), desc="read runs", unit="run", delay=1, leave=False)]
    return _once([run for run in found if run is not None])


def _once(runs: Sequence[Run]) -> list[Run]:
    """Each (name, identity, source, seed) once."""
    kept: dict[Any, Run] = {}
    for run in sorted(runs, key=lambda run: -len(run.measures) - len(run.finetunings)):
        first = kept.setdefault((run.name, run.identity, run.source, run.seed), run)
        if first is not run:
            log.warning("%s is a copy of %s; left out", run.path, first.path)
    return [run for run in runs if run in kept.values()]


def _read_run(path: Path, origin: Run | None = None) -> Run | None:
    folder = RunDir(path)
    try:
        results, config = finished_results(folder), folder.read_config()
        if results["kind"] != "train":
            raise UserError(f"run: {path / 'results.json'} is not of a training")
    except UserError as error:
        log.warning("%s; skipped", error)
        return None
    try:
        metrics = folder.read_metrics()
    except UserError as error:
        log.warning("%s; left out", error)
        metrics = []
    board = Board.of(int(results["board"][0]))
    run = Run(path, config, results, metrics, list(measures_of(path, board)), [], origin=origin)
    run = replace(run, finetunings=_inside(run, TUNED))
    return replace(run, realigned=_inside(run, REALIGNED))


def _inside(run: Run, stages: Sequence[str]) -> list[Run]:
    """Finished models of these stages that go on from the run; not the controls from random weights."""
    inside = [path for stage in stages for path in sorted(run.path.glob(f"{stage}/*"))]
    paths = [path for path in inside if re.fullmatch(".+-[0-9a-f]{8}", path.name)]
    return _once([child for path in paths if path.is_dir() and (child := _read_run(path, run)) is not None])
