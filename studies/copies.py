"""Copies of finished runs without their weights, for results/."""

import re
import shutil
from collections.abc import Collection
from pathlib import Path

from mothello.files import locked
from mothello.own import refilled
from mothello.report.runs import find_runs
from mothello.rundir import RunDir

LEFT_OUT = shutil.ignore_patterns("checkpoints", "*.safetensors", "wandb", "log.txt", ".part-*", ".*.lock")


def gather(folder: Path, out: Path, names: Collection[str] = ()) -> int:
    """Copy every finished run below runs/SCALE, or those of these names, to OUT/SCALE, without its weights; returns how
    many. A copy is whole or not there."""
    runs, top = find_runs([str(folder)]), folder.resolve()
    runs = [run for run in runs if run.name in names or not names]
    for run in runs:
        inside = run.path.is_relative_to(top)  # else a link leads to it
        place = run.path.relative_to(top) if inside else Path(run.name, run.identity, f"seed{run.seed}")
        target = out / folder.name / place
        copy = RunDir(target)
        copy.check_own(force=True)
        with locked(target, "out"), refilled(target, list(copy.own()), "config.yaml") as part:
            shutil.copytree(run.path, part, ignore=left_out, dirs_exist_ok=True)
            _forget_place(part, str(place), f"runs/{folder.name}")
    return len(runs)


def _forget_place(copy: Path, place: str, usual: str) -> None:
    """Settings of a copy name the usual folder of runs, wherever they were made. place: of the run in that folder."""
    for path in copy.rglob("config.yaml"):
        text = path.read_text()
        made = set(re.findall(rf"(\S+)/{re.escape(place)}", text)) | set(re.findall(r"^runs: (\S+)$", text, re.M))
        for runs in sorted(made - {usual}, key=len, reverse=True):
            text = text.replace(f"{runs}/", f"{usual}/").replace(f"runs: {runs}\n", f"runs: {usual}\n")
        path.write_text(text)  # in a copy that takes its place as a whole


def left_out(folder: str, names: list[str]) -> set[str]:
    """Weights, locks and measurements that are still under way."""
    statuses = (Path(folder) / name / "status.json" for name in names)
    begun = {path.parent.name for path in statuses if path.exists() and not RunDir(path.parent).finished}
    return LEFT_OUT(folder, names) | begun
