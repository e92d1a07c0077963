"""Tracker: JSON lines always, wandb as a mirror. It runs in a process of its own: no failure of it reaches the run."""

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mothello.mirror import OURS, STARTED
from mothello.rundir import RunDir

log = logging.getLogger(__name__)

PATIENCE = 60.0
"""Seconds that wandb gets to answer: at the start (while the run goes on) and at the end (while it waits)."""


@dataclass(kw_only=True)
class TrackingConfig:
    """Where numbers go besides the run's folder."""

    wandb: bool = False
    mode: str = "offline"
    """wandb's mode: offline (no account needed; ``wandb sync`` later), online or disabled."""
    project: str = "mothello"
    group: str = ""
    """wandb's group; by default the experiment. A study sets its own name."""
    tags: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.mode not in ("offline", "online", "disabled"):
            raise ValueError(f"tracking.mode: {self.mode!r} is not one of offline, online, disabled")


class Mirror:
    """A process that copies a run's metrics to wandb."""

    def __init__(self, run: RunDir, init: Mapping[str, Any], games_per_step: int) -> None:
        metrics = run.path.resolve() / "metrics.jsonl"
        offset = metrics.stat().st_size if metrics.exists() else 0
        self._log = run.path / "wandb" / "mirror.log"
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._begun, self._answered = time.monotonic(), False
        with self._log.open("w") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "mothello.mirror"],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,  # Ctrl-C is for the run, which then says how it ended
            )
        order: dict[str, Any] = {
            "metrics": str(metrics),
            "offset": offset,
            "argv": sys.argv,
            "pid": os.getpid(),
            "init": init,
        }
        order["games_per_step"] = games_per_step
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()

    def problem(self) -> str:
        """What is wrong with it by now, in one line; empty when nothing is."""
        if self._process.poll() is not None:
            said = [line for line in self._said() if line != STARTED]
            return said[-1] if said else f"exit code {self._process.returncode}"
        if not self._answered and time.monotonic() - self._begun > PATIENCE:
            self._answered = STARTED in self._said()
            if not self._answered:
                return self._given_up()
        return ""

    def finish(self, exit_code: int, pictures: Mapping[str, str], summary: Mapping[str, Any]) -> str:
        """Tell it how the run ended and wait for it, not for ever; what went wrong, or nothing."""
        last = {"exit_code": exit_code, "pictures": dict(pictures), "summary": dict(summary)}
        try:
            self._process.communicate(json.dumps(last) + "\n", timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            return self._given_up()
        return self.problem() if self._process.returncode else ""

    def _given_up(self) -> str:
        self._process.kill()
        self._process.wait()
        return f"no answer in {PATIENCE:g} s"

    def _said(self) -> list[str]:
        lines = self._log.read_text(errors="replace").splitlines()
        return [line.removeprefix(OURS) for line in lines if line.startswith(OURS)]


class Tracker:
    """Logs numbers by step. Use as a context manager, so that wandb is told how the run ended.

    labels: what runs are compared by (cell, regime): tags, and keys of wandb's config. games_per_step: where given,
    numbers are drawn against games seen.
    """

    def __init__(
        self,
        config: TrackingConfig,
        run: RunDir,
        settings: Mapping[str, Any],
        group: str,
        job_type: str,
        name: str,
        labels: Mapping[str, str] | None = None,
        games_per_step: int = 0,
    ) -> None:
        self.run = run
        self._pictures: dict[str, str] = {}
        self._summary: dict[str, Any] = {}
        self._mirror: Mirror | None = None
        if not config.wandb or config.mode == "disabled":
            return
        init = {
            "project": config.project,
            "mode": config.mode,
            "dir": str(run.path.resolve()),
            "config": dict(settings) | dict(labels or {}),
            "group": config.group or group,
            "job_type": job_type,
            "name": name,
            "tags": list(dict.fromkeys([*config.tags, *(labels or {}).values()])),
        }
        self._unless_it_fails(lambda: self._begin(init, games_per_step))

    def __enter__(self) -> "Tracker":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if (mirror := self._mirror) is not None:
            self._unless_it_fails(lambda: mirror.finish(0 if kind is None else 1, self._pictures, self._summary))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers of one step; keys such as "train/loss"."""
        self.run.append_metrics({"step": step, **values})
        if self._mirror is not None:
            self._unless_it_fails(self._mirror.problem)

    def show(self, draw: Callable[[], Mapping[str, Path]], summary: Mapping[str, Any]) -> None:
        """What wandb gets at the end: PNG files by name, and numbers for the table of runs. ``draw`` is called only
        where wandb listens; when it fails, a line is logged."""
        if self._mirror is None:
            return
        self._summary |= dict(summary)
        try:
            self._pictures |= {name: str(path.resolve()) for name, path in draw().items()}
        except Exception as error:
            log.warning("no pictures for wandb (%s: %s)", type(error).__name__, error)

    def _begin(self, init: Mapping[str, Any], games_per_step: int) -> str:
        self._mirror = Mirror(self.run, init, games_per_step)
        return ""

    def _unless_it_fails(self, ask: Callable[[], str]) -> None:
        """Go on without wandb when ``ask`` tells of a problem, or is one."""
        try:
            problem = ask()
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
        if problem:
            log.warning("wandb failed (%s); numbers go to %s only", problem, self.run.path)
            self._mirror = None
