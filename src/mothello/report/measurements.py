"""Finished measures of a run's folder, read whole: their results, their rows, and boards as probes read them."""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from mothello.errors import UserError, keyed
from mothello.othello.board import Board
from mothello.othello.notation import parse_game
from mothello.reading import COUNT, misfit, parse_json
from mothello.rows import FILE, read_tidy
from mothello.rundir import RunDir

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


def finished_results(folder: RunDir) -> dict[str, Any]:
    """results.json. UserError names the file that says that the folder is not finished, or is damaged."""
    if folder.read_status().get("status") != "ok":
        raise UserError(f"run: {folder.path / 'status.json'}: not finished")
    return folder.read_results()


def measures_of(run: Path, board: Board) -> Iterator[Measurement]:
    """The finished measures of a run; a damaged one is skipped with a warning that names it. Only NAME-HASH is one: a
    copy is not, nor NAME-HASH-stepN, which is not of the model that is reported."""
    for path in sorted(run.glob(f"measures/*/{FILE}")):
        name, _, made = path.parent.name.rpartition("-")
        if not re.fullmatch("[0-9a-f]{8}", made):
            continue
        folder = RunDir(path.parent)
        try:
            results, config, rows = finished_results(folder), folder.read_config(), read_tidy(folder.path)
            if wrong := misfit(config, {f"{name}?": (dict, None)}):
                raise UserError(f"run: {folder.path / 'config.yaml'} is damaged ({wrong})")
            examples = _examples(folder, board)
        except UserError as error:
            log.warning("%s; skipped", error)
            continue
        relative, written = str(folder.path.relative_to(run)), str(folder.read_status().get("written", ""))
        yield Measurement(relative, config, results, rows, written, examples)


def earlier_measures(run: Path, measure: Measurement) -> Iterator[Measurement]:
    """The same measure of earlier steps of the run; a damaged one is skipped with a warning that names it."""
    for path in sorted(run.glob(f"{measure.folder}-step*/{FILE}")):
        folder = RunDir(path.parent)
        try:
            results = finished_results(folder)
            yield Measurement(str(folder.path.relative_to(run)), {}, results, read_tidy(folder.path))
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
