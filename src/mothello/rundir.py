"""A run's folder: the interface between what is computed and what is read later. A leaf without torch.

config.yaml    the resolved config, written before anything runs; a later stage adds ``stage`` and ``parent``
status.json    {"status": "running" | "ok" | "failed", "error", "started", "ended"}
metrics.jsonl  one JSON object per line, with "step"
results.json   {"version", "kind", ..., "environment"}: how it ended, and where it was computed
execution.json compiled or not, threads, versions: a resumed run repeats it
log.txt        warnings, and the steps at which the run was resumed
checkpoints/   see training/checkpoint.py; kept/ in it: steps that are never dropped
measures/NAME-HASH/, finetune/SOURCE-HASH/, task/TASK-SOURCE-HASH/: folders of the same form inside
"""

import logging
import os
import platform
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

import mothello
from mothello.errors import UserError
from mothello.files import append, is_trace, json_text, write_whole
from mothello.own import folder_for
from mothello.reading import CONFIG, RESULTS, TRAINED, metrics_line, misfit, parse_json, parse_yaml

log = logging.getLogger(__name__)

RESULTS_VERSION = 1
"""Version of the form of results.json."""
FILES = (
    "metrics.jsonl", "results.json", "execution.json", "log.txt", "table.csv.gz", "examples.json", "probes.safetensors",
    "config.yaml", "status.json",
)  # fmt: skip
"""What the house writes in a folder of this form; in this order it is removed."""
CHECKPOINT_FILES = ("manifest.json", "weights.safetensors", "state.pt")
KEPT = "kept"
_MEASURE = re.compile(r".+-[0-9a-f]{8}(-step\d+)?")


def checkpoints_in(folder: Path) -> list[Path]:
    """Checkpoints of a folder, oldest first: folders step-NNNNNNNNN that hold a manifest; all else is not ours."""
    named = [path for path in folder.glob("step-*") if re.fullmatch(r"step-\d{9}", path.name)]
    return sorted(path for path in named if (path / CHECKPOINT_FILES[0]).is_file())


def step_of(checkpoint: Path) -> int:
    """The step of a checkpoint's folder."""
    return int(checkpoint.name.removeprefix("step-"))


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
    versions = {"mothello": mothello.__version__} | {name: _version(name) for name in ("torch", "numpy", "hydra-core")}
    return {"commit": commit(), **machine, "versions": versions}


class RunDir:
    """One folder. Nothing is created before the first write."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def kept(self) -> Path:
        """Steps that are kept for good."""
        return self.checkpoints / KEPT

    def own(self) -> Iterator[Path]:
        """The files that the house wrote here: known names, in their places, also in the measures and stages inside."""
        for path in sorted(self.path.iterdir()) if self.path.is_dir() else ():
            if path.name == "wandb" and (path / "mirror.log").exists():
                yield from (file for file in path.rglob("*") if file.is_symlink() or not file.is_dir())
            elif path.name == "checkpoints":
                steps = checkpoints_in(path) + checkpoints_in(path / KEPT)
                yield from (step / name for step in steps for name in CHECKPOINT_FILES)
            elif path.is_dir():
                for inner in sorted(path.iterdir()):
                    if inner.is_dir() and not inner.is_symlink() and RunDir(inner)._lies_in(path.name):
                        yield from RunDir(inner).own()
        yield from (self.path / name for name in FILES if (self.path / name).is_file())

    def _lies_in(self, kind: str) -> bool:
        """Whether this is RUN/measures/NAME-HASH, or RUN/STAGE/HASH of that stage."""
        if kind == "measures":
            return bool(_MEASURE.fullmatch(self.path.name))
        with suppress(UserError):
            return self.read_config().get("stage") == kind
        return False

    def check_own(self, force: bool = False) -> None:
        """UserError when the folder is neither empty nor one of the house, as its status.json and config.yaml say.
        force: all that the house wrote there will be replaced."""
        if force or not self.path.is_dir():
            folder_for(self.path, key="run")
        if not self.path.is_dir():
            return
        try:
            self.read_config()
            return
        except UserError as error:
            line, missing = str(error), not (self.path / "config.yaml").exists()
        names = {path.name for path in self.path.iterdir() if not is_trace(path)}
        if names and not self.known:
            raise UserError(f"run: {self.path} is not empty and no run folder")
        if names - {"status.json"} and not force:
            if missing:
                line = f"run: {self.path / 'config.yaml'} is missing, so nothing says what made the rest"
            raise UserError(f"{line}; put it back, or force=true to begin again")

    @property
    def known(self) -> bool:
        """Whether it is surely a folder of the house: by the form of its status.json."""
        status = self.read_status()
        return status.get("status") in ("running", "ok", "failed") and "started" in status

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Write config.yaml, a command's first file."""
        write_whole(self.path / "config.yaml", yaml.safe_dump(dict(config), sort_keys=False))

    def read(self, name: str, parse: Callable[[bytes], Any], form: Any, absent: str) -> Any:
        """A file of that form. UserError names it: absent, no file, or damaged."""
        path = self.path / name
        try:
            content = parse(path.read_bytes())
            wrong = misfit(content, form)
        except FileNotFoundError:
            raise UserError(f"run: {path} does not exist; {absent}") from None
        except (OSError, ValueError, TypeError, RecursionError, yaml.YAMLError) as error:
            wrong = str(error).strip().partition("\n")[0] or type(error).__name__
        if wrong:
            raise UserError(f"run: {path} is damaged ({wrong})")
        return content

    def read_config(self) -> dict[str, Any]:
        """UserError names the file when it is missing or no config."""
        return self.read("config.yaml", parse_yaml, CONFIG, f"{self.path} is not a run folder")

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        write_whole(self.path / name, json_text(content, indent=1))

    def read_json(self, name: str, form: Any = dict) -> dict[str, Any]:
        """The content of a JSON file; empty if the file is missing or damaged."""
        try:
            return self.read(name, parse_json, form, "")
        except UserError:
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
        """Whether its work is done and can be read."""
        return self.read_status().get("status") == "ok" and not self.damage

    @property
    def damage(self) -> str:
        """What is wrong with its config or its results; empty when they can be read."""
        try:
            self.read_config()
            self.read_results()
        except UserError as error:
            return str(error)
        return ""

    def write_results(self, kind: str, content: Mapping[str, Any]) -> None:
        whole = {"version": RESULTS_VERSION, "kind": kind, "environment": environment(), **content}
        self.write_json("results.json", whole)

    def read_results(self) -> dict[str, Any]:
        """UserError names the file when it is missing, damaged or of another version."""
        content = self.read("results.json", parse_json, RESULTS, "the run has not finished")
        if (version := content["version"]) != RESULTS_VERSION:
            raise UserError(f"run: {self.path / 'results.json'} has version {version}, not {RESULTS_VERSION}")
        return self.read("results.json", parse_json, TRAINED, "") if content["kind"] == "train" else content

    def append_metrics(self, step: int, numbers: Mapping[str, Any]) -> None:
        """Write a line of metrics.jsonl."""
        append(self.path / "metrics.jsonl", json_text({"step": step, **numbers}) + "\n")

    def cut_metrics(self, after: int) -> list[int]:
        """Drop the lines of steps beyond ``after`` and damaged ones: a resumed run writes them again. Returns the steps
        of the others."""
        lines = [line for line in self.read_metrics() if line["step"] <= after]
        if (self.path / "metrics.jsonl").exists():
            write_whole(self.path / "metrics.jsonl", "".join(json_text(line) + "\n" for line in lines))
        return [line["step"] for line in lines]

    def read_metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl. A warning counts damaged ones, but for a last one that a kill cut off."""
        path = self.path / "metrics.jsonl"
        try:
            *whole, last = path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise UserError(f"run: {path} cannot be read ({error.strerror})") from None
        lines = [metrics_line(text) for text in whole]
        if damaged := lines.count(None):
            log.warning("%s: damaged lines, left out: %d", path, damaged)
        return [line for line in (*lines, metrics_line(last)) if line is not None]
