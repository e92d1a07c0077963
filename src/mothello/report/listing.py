"""Runs in a list, finished or not, read lightly: how far they are, skill, what was measured, how configs differ."""

import fcntl
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mothello.errors import UserError
from mothello.files import LOCK
from mothello.reading import metrics_line
from mothello.rows import FILE
from mothello.rundir import RunDir

_TAIL = 1 << 16
"""Bytes at the end of metrics.jsonl that are read: the last evaluation of a run is in them."""
_MADE = re.compile("(.+-)?[0-9a-f]{8}")
"""The folder of a measure or a stage; not of one of its controls, nor of a measure at an earlier step."""


@dataclass(frozen=True)
class Listed:
    """A run folder as a list shows it. config: empty where it cannot be read."""

    path: Path
    config: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.config.get("name") or self.path.parent.name)

    @property
    def seed(self) -> str:
        return str(self.config.get("seed", ""))

    @cached_property
    def _told(self) -> dict[str, Any]:
        return RunDir(self.path).read_status()

    @cached_property
    def _lines(self) -> list[dict[str, Any]]:
        """The last lines of metrics.jsonl, oldest first."""
        with suppress(OSError), (self.path / "metrics.jsonl").open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _TAIL))
            return [line for text in file.read().split(b"\n") if (line := metrics_line(text)) is not None]
        return []

    @cached_property
    def final(self) -> Mapping[str, Any]:
        """The last evaluation, such as val/top1; empty before the first."""
        if self._told.get("status") == "ok":
            with suppress(UserError):
                return dict(RunDir(self.path).read_results().get("final") or {})
        return next((line for line in reversed(self._lines) if "val/top1" in line), {})

    @property
    def status(self) -> str:
        """finished, or running, interrupted or failed and how far: "running, 120 of 400 steps"."""
        status, error = self._told.get("status"), str(self._told.get("error") or "")
        if status == "ok":
            return "finished" if not RunDir(self.path).damage else "damaged"
        state = "failed" if status == "failed" else "interrupted"
        if error.startswith("stopped by"):
            state = "interrupted"
        elif status == "running" and at_work(self.path):
            state = "running"
        step, steps = self._lines[-1]["step"] if self._lines else 0, steps_of(self.config)
        return f"{state}, {step:,} of {steps:,} steps" if steps else state

    @property
    def done(self) -> list[str]:
        """What was measured, and the stages that went on from the run: "probes", "finetune 2", the number above one."""
        tables = Counter(x.parent.name.rpartition("-")[0] for x in self.path.glob(f"measures/*/{FILE}") if _made(x))
        inside = (x for x in self.path.glob("*/*/results.json") if x.parents[1].name != "measures" and _made(x))
        stages = Counter(x.parents[1].name for x in inside)
        return [f"{name} {n}" if n > 1 else name for part in (tables, stages) for name, n in sorted(part.items())]


def _made(file: Path) -> bool:
    return _MADE.fullmatch(file.parent.name) is not None


def read_listed(folder: Path) -> Listed:
    """A run folder with what can be read of its config."""
    try:
        return Listed(folder, RunDir(folder).read_config())
    except UserError:
        return Listed(folder, {})


def at_work(folder: Path) -> bool:
    """Whether a process holds the lock of the folder now."""
    try:
        with (folder / LOCK).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def steps_of(config: Mapping[str, Any]) -> int:
    """How many steps a config trains for; 0 where it does not say."""
    data = config.get("data") or {}
    games, batch = data.get("games") or 0, data.get("batch_size") or 0
    return int(round(games * (data.get("epochs") or 1), 6)) // batch if batch else 0


Settings = Mapping[str, Any]


def differing(configs: Sequence[Settings]) -> list[str]:
    """The keys in which flat configs differ, in the order in which they are written."""
    keys = list(dict.fromkeys(key for config in configs for key in config))
    return [key for key in keys if len({repr(config.get(key)) for config in configs}) > 1]


def exceptions(configs: Sequence[Settings], keys: Sequence[str]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Of these keys, the value that more than half of the configs have, and what each config has instead; where no
    value has a majority, what each has."""
    usual: dict[str, Any] = {}
    for key in keys:
        (text, n), *_ = Counter(repr(config.get(key)) for config in configs).most_common(1)
        if 2 * n > len(configs):
            usual[key] = next(config.get(key) for config in configs if repr(config.get(key)) == text)
    rare = [[key for key in keys if key not in usual or repr(one.get(key)) != repr(usual[key])] for one in configs]
    own = [{key: one[key] for key in some if key in one} for one, some in zip(configs, rare, strict=True)]
    return {key: value for key, value in usual.items() if value is not None}, own
