"""wandb's settings, and the start of the process that copies a run's folder to wandb. The run itself never asks it."""

import logging
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from mothello.errors import UserError
from mothello.rundir import RunDir

log = logging.getLogger(__name__)

_started: list["subprocess.Popen[bytes]"] = []
"""Kept, so that Python does not warn that they still run."""


@dataclass(kw_only=True)
class TrackingConfig:
    """Where numbers go besides the run's folder."""

    wandb: bool = False
    """Copy the folder to wandb while it is written."""
    mode: str = "offline"
    """wandb's mode: offline (no account needed; ``wandb sync`` later), online or disabled."""
    project: str = "mothello"
    """wandb's project."""
    group: str = ""
    """wandb's group; by default the run's name. A study sets its own name."""
    tags: list[str] = field(default_factory=list)
    """wandb's tags."""

    def __post_init__(self) -> None:
        if self.mode not in ("offline", "online", "disabled"):
            raise UserError(f"tracking.mode: {self.mode!r} is not one of offline, online, disabled")
        if len(self.project) > 128 or {*self.project} & {*"/\\#?%:"}:
            raise UserError(f"tracking.project: {self.project!r} has more than 128 characters, or one of /\\#?%:")


def start_mirror(folder: RunDir, config: TrackingConfig) -> None:
    """Start a process that follows a folder to the end of its run and copies it to wandb.

    Call it once status.json says "running". The process writes FOLDER/wandb/mirror.log; it may fail, hang or be killed
    without any effect on the run. Ctrl-C does not reach it: it sees in status.json how the run ended.
    """
    if not config.wandb or config.mode == "disabled":
        return
    path = folder.path.resolve()
    order = [str(path), f"--follow={os.getpid()}", f"--mode={config.mode}"]
    try:
        (path / "wandb").mkdir(exist_ok=True)
        with (path / "wandb" / "mirror.log").open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "mothello.cli.wandb", *order],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            if not _started:
                print(f"wandb: {_where(folder.path / 'wandb', config)}; none with tracking=jsonl", flush=True)
            _started.append(process)
    except OSError as error:
        log.warning("wandb: cannot be started (%s); numbers go to %s only", error, folder.path)


def _where(folder: Path, config: TrackingConfig) -> str:
    """Where the copy goes, and what uploads it."""
    if config.mode == "offline":
        return f"offline copy in {folder}; wandb sync uploads its offline-run-*"
    return f"copied to the project {config.project}; its log is {folder}/mirror.log"
