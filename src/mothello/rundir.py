"""A run's folder: the interface between what is computed and what is read later. A leaf without torch.

config.yaml    the resolved config, written before anything runs; a later stage adds ``stage`` and ``parent``
status.json    {"status": "running" | "ok" | "failed", "error", "started", "ended"}
metrics.jsonl  one JSON object per line, with "step"
results.json   {"version", "kind", ..., "environment"}: how it ended, and where it was computed
execution.json compiled or not, threads, versions: a resumed run repeats it
log.txt        warnings, and the steps at which the run was resumed
checkpoints/   see training/checkpoint.py
measures/NAME-HASH/, finetune/SOURCE-HASH/: folders of the same form inside
"""

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from mothello.errors import UserError
from mothello.files import PART, json_text, write_whole

RESULTS_VERSION = 1
"""Version of the form of results.json."""


@cache
def commit() -> str:
    """The commit of this checkout, as of the first call in this process: a later commit is not the code that runs."""
    words = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        text = subprocess.run(words, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=5).stdout
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return text.strip() or "unknown"


def _version(name: str) -> str:
    """Of an installed package; unknown where only its sources are on the path."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "unknown"


def environment() -> dict[str, Any]:
    """Commit, versions and machine: what a reader needs to repeat a number."""
    machine = {"python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count()}
    versions = {name: _version(name) for name in ("mothello", "torch", "numpy", "hydra-core")}
    return {"commit": commit(), **machine, "versions": versions}


class RunDir:
    """One folder. Nothing is created before the first write."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def empty(self) -> bool:
        """Whether it holds nothing but what a kill left of a first write."""
        return not self.path.exists() or all(path.name.startswith(PART) for path in self.path.iterdir())

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Write config.yaml, a command's first file; half-written files of a killed process are removed."""
        for left in self.path.glob(f"{PART}*"):
            left.unlink(missing_ok=True)
        write_whole(self.path / "config.yaml", yaml.safe_dump(dict(config), sort_keys=False))

    def read_config(self) -> dict[str, Any]:
        """UserError names the file when it is missing or no config."""
        path = self.path / "config.yaml"
        try:
            content = yaml.safe_load(path.read_text())
        except FileNotFoundError:
            raise UserError(f"run: {path} does not exist; {self.path} is not a run folder") from None
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise UserError(f"run: {path} cannot be read ({type(error).__name__})") from None
        if not isinstance(content, dict):
            raise UserError(f"run: {path} holds no config")
        return content

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        write_whole(self.path / name, json_text(content, indent=1))

    def read_json(self, name: str) -> dict[str, Any]:
        """The content of a JSON file; empty if the file is missing or cut off."""
        try:
            return json.loads((self.path / name).read_text())
        except (OSError, ValueError):
            return {}

    def write_status(self, status: str, **more: Any) -> None:
        """Write status.json: running, ok or failed. The time of the start is kept."""
        commit()
        now = datetime.now(UTC).isoformat(timespec="seconds")
        old = self.read_status()
        content = {"status": status, "started": now if status == "running" else old.get("started", now)}
        self.write_json("status.json", content | {"written": now} | more)

    def read_status(self) -> dict[str, Any]:
        return self.read_json("status.json")

    @property
    def finished(self) -> bool:
        return self.read_status().get("status") == "ok"

    def write_results(self, kind: str, content: Mapping[str, Any]) -> None:
        whole = {"version": RESULTS_VERSION, "kind": kind, "environment": environment(), **content}
        self.write_json("results.json", whole)

    def read_results(self) -> dict[str, Any]:
        """UserError names the file when it is missing or damaged."""
        path = self.path / "results.json"
        try:
            return json.loads(path.read_text())
        except FileNotFoundError:
            raise UserError(f"run: {path} does not exist; the run has not finished") from None
        except ValueError as error:
            raise UserError(f"run: {path} is damaged ({error})") from None

    def append_metrics(self, step: int, numbers: Mapping[str, Any]) -> None:
        """Write a line of metrics.jsonl."""
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / "metrics.jsonl").open("a") as file:
            file.write(json_text({"step": step, **numbers}) + "\n")

    def cut_metrics(self, after: int) -> None:
        """Drop the lines of steps beyond ``after`` and a line cut off by a kill: a resumed run writes them again."""
        path = self.path / "metrics.jsonl"
        if path.exists():
            write_whole(path, "".join(json.dumps(line) + "\n" for line in self.read_metrics() if line["step"] <= after))

    def read_metrics(self) -> list[dict[str, Any]]:
        path, lines = self.path / "metrics.jsonl", []
        for text in path.read_text().splitlines() if path.exists() else []:
            try:
                lines.append(json.loads(text))
            except ValueError:
                continue  # the line that a kill cut off
        return lines
