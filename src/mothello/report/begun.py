"""Trainings that are not finished, as runs that a report can show: their configs, and what was logged so far."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mothello.errors import UserError
from mothello.report.listing import read_listed
from mothello.report.runs import Run
from mothello.rundir import RunDir
from mothello.stages.find import candidates

log = logging.getLogger(__name__)


def begun_runs(paths: Sequence[str]) -> list[Run]:
    """Runs at or below the paths that train, or were stopped, with an evaluation at least; sorted by folder. A warning
    names a damaged file."""
    folders = {folder.resolve() for text in paths if Path(text).is_dir() for folder in candidates(Path(text))}
    return [run for folder in sorted(folders) for run in _begun(folder)]


def _begun(path: Path) -> Iterator[Run]:
    """One, or none where the folder is of a finished run, of something else, or of a run without an evaluation."""
    folder = RunDir(path)
    if folder.read_status().get("status") not in ("running", "failed"):
        return
    try:
        config, metrics = folder.read_config(), folder.read_metrics()
    except UserError as error:
        log.warning("%s; left out", error)
        return
    spoken = {
        key.split("/")[1]: None for line in metrics for key in line if key.count("/") == 2 and key.startswith("val/")
    }
    if "languages" not in config or not spoken:
        return
    size, step = int(config["board"].get("size") or 6), int(metrics[-1]["step"])
    batch = int((config.get("data") or {}).get("batch_size") or 0)
    results: dict[str, Any] = {
        "board": f"{size}x{size}", "steps": step, "games": step * batch,
        "seconds": max((line["train/seconds"] for line in metrics if "train/seconds" in line), default=None),
        "languages": [{"name": name, "kind": name.rpartition("_")[0] or name} for name in spoken], "environment": {},
    }  # fmt: skip
    yield Run(path, config, results, metrics, [], [], status=read_listed(path).status)
