"""Finished run folders, read whole: the only place of this room that touches run files."""

import logging
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from mothello.errors import UserError, keyed
from mothello.othello.board import Board
from mothello.othello.notation import parse_game
from mothello.reading import COUNT, misfit, parse_json
from mothello.rows import COLUMNS, FILE, WORDS, main_objective, read_tidy, training_rows
from mothello.rundir import RunDir
from mothello.stages.find import TUNED, candidates

log = logging.getLogger(__name__)

EXAMPLES = "examples.json"
EXAMPLE = {
    "game": re.compile("([a-h][1-8] ?)+"), "ply": COUNT, "layer": COUNT, "probe": str, "source": str,
    "truth": [range(3)], "readings": {str: [range(3)]},
}  # fmt: skip


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
    """Models fine-tuned from this one, on games or on a task, without their controls from random weights."""
    alike: Mapping[str, int] = field(default_factory=dict)
    """Folder of a measure -> how many runs of the same label have it."""
    status: str = ""
    """How far a run is that is not finished, such as "running, 120 of 400 steps"."""

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


def _results(folder: RunDir) -> dict[str, Any]:
    """results.json. UserError names the file that says that the folder is not finished, or is damaged."""
    if folder.read_status().get("status") != "ok":
        raise UserError(f"run: {folder.path / 'status.json'}: not finished")
    return folder.read_results()


def _read_run(path: Path) -> Run | None:
    folder = RunDir(path)
    try:
        results, config = _results(folder), folder.read_config()
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
    return Run(path, config, results, metrics, list(_measures(path, board)), _finetunings(path))


def _measures(run: Path, board: Board) -> Iterator[Measurement]:
    """The finished measures of a run; a damaged one is skipped with a warning that names it. Only NAME-HASH is one: a
    copy is not, nor NAME-HASH-stepN, which is not of the model that is reported."""
    for path in sorted(run.glob(f"measures/*/{FILE}")):
        name, _, made = path.parent.name.rpartition("-")
        if not re.fullmatch("[0-9a-f]{8}", made):
            continue
        folder = RunDir(path.parent)
        try:
            results, config, rows = _results(folder), folder.read_config(), read_tidy(folder.path)
            if wrong := misfit(config, {f"{name}?": (dict, None)}):
                raise UserError(f"run: {folder.path / 'config.yaml'} is damaged ({wrong})")
            examples = _examples(folder, board)
        except UserError as error:
            log.warning("%s; skipped", error)
            continue
        relative, written = str(folder.path.relative_to(run)), str(folder.read_status().get("written", ""))
        yield Measurement(relative, config, results, rows, written, examples)


def earlier_measures(run: Run, measure: Measurement) -> Iterator[Measurement]:
    """The same measure of earlier steps of the run; a damaged one is skipped with a warning that names it."""
    for path in sorted(run.path.glob(f"{measure.folder}-step*/{FILE}")):
        folder = RunDir(path.parent)
        try:
            results = _results(folder)
            yield Measurement(str(folder.path.relative_to(run.path)), {}, results, read_tidy(folder.path))
        except UserError as error:
            log.warning("%s; skipped", error)


def _examples(folder: RunDir, board: Board) -> list[dict[str, Any]]:
    """Boards as probes read them. UserError names a file that holds something else."""
    if not (folder.path / EXAMPLES).exists():
        return []
    content = folder.read(EXAMPLES, parse_json, ([EXAMPLE], []), "")
    with keyed(f"run: {folder.path / EXAMPLES} is damaged: "):
        for example in content:
            parse_game(example["game"], board)
            for cells in (example["truth"], *example["readings"].values()):
                if len(cells) != board.n_cells:
                    raise UserError(f"{len(cells)} cells, the board has {board.n_cells}")
    return content


def _finetunings(run: Path) -> list[Run]:
    inside = [path for stage in TUNED for path in sorted(run.glob(f"{stage}/*"))]
    paths = [path for path in inside if re.fullmatch(".+-[0-9a-f]{8}", path.name)]
    return _once([child for path in paths if path.is_dir() and (child := _read_run(path)) is not None])
