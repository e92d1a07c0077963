"""How to repeat the runs of a page, and what each quantity on it means."""

import os
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from mothello.config import quoted
from mothello.report.runs import Measurement, Run
from mothello.rows import QUANTITIES

_TRAINED = (
    "board", "languages", "model", "data", "objective", "auxiliary", "optimizer", "evaluation", "plugins", "seed",
)  # fmt: skip
"""Parts of a run's config that determine its numbers, and the seed."""


def quantities(rows: pd.DataFrame) -> dict[str, str]:
    """Quantity -> meaning, of those on the page."""
    present = set(rows.quantity)
    return {name: meaning for name, meaning in QUANTITIES.items() if name in present}


def _overrides(content: Mapping[str, Any], prefix: str = "") -> list[str]:
    """A line's settings, every key of nested ones with its path."""
    lines = []
    for key, value in content.items():
        nested = isinstance(value, Mapping) and value
        lines += _overrides(value, f"{prefix}{key}.") if nested else [f"++{prefix}{key}={quoted(value)}"]
    return lines


def train_command(run: Run) -> str:
    """The line that trains the run again, every setting that determines its numbers spelled out."""
    chosen = {key: run.config[key] for key in _TRAINED if run.config.get(key) not in (None, {}, [])}
    return shlex.join(["python", "scripts/train.py", f"name={quoted(run.name)}", *_overrides(chosen)])


def measure_command(measure: Measurement, folder: str) -> str:
    """The line that measures the run in a folder again."""
    settings = {key: value for key, value in (measure.config.get(measure.name) or {}).items() if key != "name"}
    parts = [f"run={quoted(folder)}", f"measures=[{measure.name}]", *_overrides(settings, f"{measure.name}.")]
    return shlex.join(["python", "scripts/measure.py", *parts])


def finetune_command(child: Run, folder: str) -> str:
    """The line that fine-tunes the run in a folder again."""
    own = _overrides({**(child.config.get("settings") or {}), "source": child.source}, "transfer.")
    return shlex.join(["python", "scripts/transfer.py", f"run={quoted(folder)}", *own, f"seed={child.seed}"])


def commands(run: Run) -> list[str]:
    """How to repeat a run with its measures and fine-tunings."""
    path = os.path.relpath(run.path)
    folder = str(run.path) if path.startswith("..") else path
    lines = [train_command(run), *(measure_command(measure, folder) for measure in run.measures)]
    return list(dict.fromkeys([*lines, *(finetune_command(child, folder) for child in run.finetunings)]))


def repeat(groups: Mapping[str, Sequence[Run]]) -> dict[str, Any]:
    """Where every run came from, and the commands."""
    origins = [(label, run) for label, runs in groups.items() for run in runs]
    return {"origins": origins, "commands": {x: "\n\n".join(commands(runs[0])) for x, runs in groups.items()}}
