"""How to repeat the runs of a page, and what each quantity on it means."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from mothello.config import quoted, shown
from mothello.report.measurements import Measurement
from mothello.report.runs import Run
from mothello.rows import QUANTITIES

WITH_STAGE = ("transfer", "task_transfer")
"""Measures that the command of their stage takes."""
_TRAINED = (
    "board", "languages", "model", "data", "objective", "auxiliary", "optimizer", "evaluation", "seed",
)  # fmt: skip
"""Parts of a run's config that determine its numbers, and the seed."""


def quantities(rows: pd.DataFrame) -> dict[str, str]:
    """Quantity -> meaning, of those on the page."""
    present = set(rows.quantity)
    return {name: meaning for name, meaning in QUANTITIES.items() if name in present}


def _overrides(content: Mapping[str, Any], prefix: str = "") -> list[str]:
    """A line's settings, every key of nested ones with its path where the keys can stand in one."""
    lines = []
    for key, value in content.items():
        nested = isinstance(value, Mapping) and value and all(re.fullmatch(r"[A-Za-z_]\w*", str(x)) for x in value)
        lines += _overrides(value, f"{prefix}{key}.") if nested else [f"++{prefix}{key}={quoted(value)}"]
    return lines


def _folder(run: Run) -> str:
    """Where the run lies, seen from here."""
    path = os.path.relpath(run.path)
    return str(run.path) if path.startswith("..") else path


def _common(config: Mapping[str, Any]) -> list[str]:
    """What determines the numbers of whatever command."""
    precision = (config.get("device") or {}).get("precision")
    plugins = [f"plugins={quoted(config['plugins'])}"] if config.get("plugins") else []
    return [*plugins, *([f"device.precision={precision}"] if precision else [])]


def train_command(run: Run) -> str:
    """The line that trains the run again, every setting that determines its numbers spelled out."""
    chosen = {key: run.config[key] for key in _TRAINED if run.config.get(key) not in (None, {}, [])}
    folder = Path(_folder(run))
    usual = folder.parts[-3:] == (run.name, run.identity, f"seed{run.seed}")
    place = {"runs": str(folder.parents[2])} if usual else {"run": str(folder)}
    place |= {key: run.config[key] for key in ("fork", "at") if run.config.get(key)}
    return shown("train", *_common(run.config), *_overrides(chosen), name=run.name, **place)


def stage_command(run: Run) -> str:
    """The line that makes the model of a later stage again."""
    config, settings = run.config, dict(run.config.get("settings") or {})
    parent = _folder(replace(run, path=Path(os.path.normpath(run.path / config["parent"]))))
    script, key = ("transfer", "transfer.") if run.measure("transfer") else ("stage", "stage.")
    if script == "transfer":  # what is measured before and after has lines of its own
        settings["probe_before_and_after"] = False
    own = [*_common(config), *_overrides(settings, key)]
    return shown(script, *own, run=parent, seed=run.seed)


def _imported(run: Run) -> bool:
    return run.config.get("stage") == "import"


def import_command(run: Run) -> str:
    """The line that imports the model again, from its file in the folder where the line is run."""
    settings = {key: value for key, value in (run.config.get("settings") or {}).items() if key != "content" and value}
    board = [f"++board.size={run.results['board'][0]}"]
    return shown("import_model", *board, **settings, name=run.name, run=_folder(run))


def measure_command(measure: Measurement, run: Run) -> str:
    """The line that measures the run again."""
    settings = {key: value for key, value in (measure.config.get(measure.name) or {}).items() if key != "name"}
    common = _common({"plugins": run.config.get("plugins"), **measure.config})
    own = [*common, *_overrides(settings, f"{measure.name}.")]
    return shown("measure", *own, run=_folder(run), measures=[measure.name])


def commands(run: Run) -> list[str]:
    """How to repeat a run with its measures and fine-tunings."""
    made = stage_command if "parent" in run.config else import_command if _imported(run) else train_command
    lines = [made(run)]
    lines += [measure_command(measure, run) for measure in run.measures if measure.name not in WITH_STAGE]
    return [*lines, *(line for child in run.finetunings for line in commands(child))]


def repeat(groups: Mapping[str, Sequence[Run]]) -> dict[str, Any]:
    """Where every run came from, and the commands."""
    origins = [(label, run) for label, runs in groups.items() for run in runs]
    return {"origins": origins, "commands": {x: "\n\n".join(commands(runs[0])) for x, runs in groups.items()}}
