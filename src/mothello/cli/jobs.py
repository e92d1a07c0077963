"""Jobs of a sweep or a study: each one ends by itself, whatever happens to the others; then a table says how."""

import gc
import os
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from textwrap import shorten
from typing import Any, TypeVar

import torch
from omegaconf import DictConfig, OmegaConf

from mothello.cli.compose import built, content, grid
from mothello.cli.units import aligned, counted, minutes
from mothello.errors import UserError
from mothello.files import MovedError
from mothello.rundir import RunDir
from mothello.signals import speaks
from mothello.stages.find import find_run
from mothello.stages.folders import run_folder
from mothello.stages.pretrain import TrainConfig

T = TypeVar("T")
GOOD = ("ok", "skipped", "dry run")
REQUEUED = (-1, 144)
"""Exit codes of submitit's handler, in the middle of a job that it then starts again: on SLURM, on this machine."""


@dataclass(frozen=True)
class Job:
    """A config and what is done with it. Both are made where the job runs, so a job's mistake ends that job alone."""

    label: str
    config: Callable[[], Any]
    action: Callable[[Any], Any]


@dataclass
class Outcome:
    """How a job ended."""

    label: str
    status: str = "not begun"
    """not begun, running, ok, skipped, dry run, failed, interrupted or killed."""
    folder: str = ""
    error: str = ""
    minutes: float = 0.0
    predicted: float | None = None
    """Minutes that a dry run says the job would take."""
    numbers: dict[str, float | None] = field(default_factory=dict)


Launcher = Callable[[Sequence[Job], Sequence[Outcome]], None]


def sweep_jobs(name: str, schema: type[T], action: Callable[[T], Any], overrides: list[str]) -> list[Job]:
    """A job for every combination of values. Raises where one cannot be composed, before any begins."""
    plan = grid(overrides)
    common = set.intersection(*map(set, plan)) if len(plan) > 1 else set()
    labels = [" ".join(x.lstrip("+") for x in words if x not in common) for words in plan]
    typeless = partial(OmegaConf.to_container, enum_to_str=True)  # types of plugins cannot be sent to other processes
    composed = [DictConfig(typeless(content(name, schema, words))) for words in plan]
    return [
        Job(shorten(label, 80, placeholder=" ..."), partial(built, schema, settings), action)
        for label, settings in zip(labels, composed, strict=True)
    ]


def run_all(jobs: Sequence[Job], launcher: Launcher) -> int:
    """Run the jobs and print the table, also when a signal stops them. Returns the exit code: 0 when every job is done,
    else 1."""
    outcomes, begun, stopped = [Outcome(job.label) for job in jobs], time.monotonic(), None
    try:
        launcher(jobs, outcomes)
    except KeyboardInterrupt as stop:
        stopped = stop
    if speaks():  # under torchrun every process sweeps
        print(f"\n{table(outcomes)}\n{summary(outcomes, (time.monotonic() - begun) / 60)}", flush=True)
    if stopped is not None:
        raise stopped
    return int(any(outcome.status not in GOOD for outcome in outcomes))


def run_here(jobs: Sequence[Job], outcomes: Sequence[Outcome]) -> None:
    """The jobs one after the other in this process."""
    for number, (job, outcome) in enumerate(zip(jobs, outcomes, strict=True), 1):
        if len(jobs) > 1 and speaks():
            print(f"--- {job.label}, {number} of {len(jobs)}", flush=True)
        attempt(job, outcome)


def attempt(job: Job, outcome: Outcome) -> None:
    """Run a job and note how it ended. What must stop the whole process is raised: a signal, an output that was closed,
    and a cluster that puts the job back into its queue."""
    config, begun, before = None, time.monotonic(), {}
    outcome.status = "running"
    try:
        with isolated():
            config = job.config()
            outcome.folder = folder_of(config)
            before = _statuses(outcome.folder)
            results = job.action(config)
        done = before and before == _statuses(outcome.folder)
        outcome.status = "dry run" if getattr(config, "dry_run", False) else "skipped" if done else "ok"
        outcome.numbers = headline(results)
        if outcome.status == "dry run" and isinstance(results, Mapping) and "seconds" in results:
            outcome.predicted = results["seconds"] / 60
    except (KeyboardInterrupt, BrokenPipeError):
        outcome.status = "interrupted"
        raise
    except (Exception, SystemExit) as error:
        if isinstance(error, SystemExit) and error.code in REQUEUED and "SUBMITIT_EXECUTOR" in os.environ:
            raise
        _fail(outcome, error, config)
    finally:
        outcome.minutes = (time.monotonic() - begun) / 60


@contextmanager
def isolated() -> Iterator[None]:
    """Within: what a job sets for the whole process does not reach the next job of the same process."""
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    try:
        with warnings.catch_warnings():
            yield
    finally:
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(precision)
        if "torch._dynamo" in sys.modules:
            torch._dynamo.reset()  # else the ninth model of another shape would silently run uncompiled
        gc.collect()
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()


def folder_of(config: Any) -> str:
    """The run's folder that a config trains or measures; empty when it has none."""
    train = getattr(config, "train", config)  # of a part of a study
    if isinstance(train, TrainConfig):
        return run_folder(train)
    with suppress(UserError):
        return str(find_run(config.run)) if getattr(config, "run", "") else ""
    return str(config.run)


def _statuses(folder: str) -> dict[Path, int]:
    """When each status.json in a folder was written: a job that changes none had nothing to do."""
    return {path: path.stat().st_mtime_ns for path in Path(folder).rglob("status.json")} if folder else {}


def _fail(outcome: Outcome, error: BaseException, config: Any) -> None:
    mistake = isinstance(error, UserError)
    outcome.status, trace = "failed", traceback.format_exc()
    outcome.error = " ".join((str(error) if mistake else f"{type(error).__name__}: {error}").split())
    print(f"{outcome.label} failed: {outcome.error}", file=sys.stderr, flush=True)
    folder = RunDir(outcome.folder)
    trained = isinstance(getattr(config, "train", config), TrainConfig) and not isinstance(error, MovedError)
    if outcome.folder and trained and _may_write(folder):
        if speaks():
            with suppress(OSError):
                folder.write_status("failed", error=outcome.error, traceback=trace)
    elif not mistake and folder.read_status().get("status") != "failed":
        print(trace, file=sys.stderr, flush=True)


def _may_write(folder: RunDir) -> bool:
    """Whether a folder that a run did not begin is surely its own: absent, or with no more than an earlier failure."""
    with suppress(UserError):
        folder.check_own()
        return not (folder.path / "config.yaml").exists()
    return False


def headline(results: Any) -> dict[str, float | None]:
    """The few numbers of a command's result that a table of jobs shows."""
    if not isinstance(results, Mapping):
        return {}
    if "final" in results:
        names = {"top-1": "top1", "guessed": "masked_accuracy", "of at most": "best_accuracy", "loss": "loss"}
        found = {name: results["final"].get(f"val/{key}") for name, key in names.items()}
        return {name: value for name, value in found.items() if name in ("top-1", "loss") or value is not None}
    return results.get("numbers", {})


def table(outcomes: Sequence[Outcome]) -> str:
    """One line per job: what it is, how it ended, its numbers, its time, and its folder or what went wrong."""
    rows = []
    for outcome in outcomes:
        error, folder = shorten(outcome.error, 160), outcome.folder
        numbers = {key: "" if value is None else f"{value:.3f}" for key, value in outcome.numbers.items()}
        place = f"{error} ({folder})" if error and folder else error or folder
        rows.append({"job": outcome.label, "status": outcome.status} | numbers | {"minutes": _minutes(outcome)})
        rows[-1]["folder or error"] = place
    columns = list(dict.fromkeys(key for row in rows for key in row if key not in ("minutes", "folder or error")))
    lines = [[*columns, "minutes", "folder or error"]]
    lines += [[row.get(key, "") for key in lines[0]] for row in rows]
    return aligned(lines)


def _minutes(outcome: Outcome) -> str:
    """What a job took, or would take."""
    return f"{outcome.minutes:.1f}" if outcome.predicted is None else minutes(60 * outcome.predicted)


def summary(outcomes: Sequence[Outcome], took: float) -> str:
    """All jobs in one line."""
    states = dict.fromkeys([*GOOD, *(outcome.status for outcome in outcomes)])
    counts = [f"{n} {state}" for state in states if (n := sum(outcome.status == state for outcome in outcomes))]
    predicted = [outcome.predicted for outcome in outcomes if outcome.predicted is not None]
    whole = f"; minutes in all, one after the other: {minutes(60 * sum(predicted))}" * bool(predicted)
    return f"{counted(len(outcomes), 'job')} in {took:.1f} min: {', '.join(counts)}{whole}"
