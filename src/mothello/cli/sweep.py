"""A sweep as a whole: start the jobs, whatever the launcher; then a table of how each ended, and an exit code."""

import os
import platform
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import suppress
from pathlib import Path
from textwrap import shorten
from typing import Any, TypeVar

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from mothello.cli.sweep_job import Record, recorded
from mothello.rundir import RunDir

T = TypeVar("T")
FOLDER = Path("runs") / ".sweep"
GOOD = ("ok", "skipped", "dry run")
DYING = 10.0
"""Seconds that jobs on this machine get to write how they were interrupted."""


def asked_for(arguments: Sequence[str]) -> bool:
    """Whether a command line asks for a sweep."""
    told = get_args_parser().parse_args(list(arguments))
    other = told.help or told.hydra_help or told.cfg or told.info or told.shell_completion
    return not other and bool(told.multirun or "hydra.mode=MULTIRUN" in told.overrides)


def planned(arguments: Sequence[str]) -> list[list[str]]:
    """The overrides of every job, as far as the command line alone tells; for the names of those that never began."""
    words = [x for x in get_args_parser().parse_args(list(arguments)).overrides if not x.startswith("hydra")]
    try:
        return BasicSweeper.split_arguments(OverridesParser.create().parse_overrides(words), None)[0]
    except (HydraException, AssertionError):
        return []  # glob(...) or another sweeper's syntax


def sweep(start: Callable[[Any], None], schema: type[T], action: Callable[[T], Any]) -> int:
    """Run a sweep; ``start`` hands a job to Hydra. Returns the exit code: 0 when every job is done, 1 when not, 128 + N
    for signal N. An error before the first job began is raised as it is.
    """
    begun, plan, broken, code = time.monotonic(), planned(sys.argv[1:]), "", 0
    records = FOLDER.resolve() / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    try:
        broken = _launch(start, schema, action, records, len(plan))
        _wait(records)
    except KeyboardInterrupt as stop:
        code = 128 + int(getattr(stop, "number", signal.SIGINT))
        _wait(records, DYING)
    jobs = ended(records, plan)
    dry = all(job.status == "dry run" for job in jobs)
    if os.environ.get("RANK", "0") == "0":  # under torchrun every process sweeps; one of them speaks
        where = "" if dry else f"; records in {FOLDER / records.name}"
        print(f"\n{table(jobs)}\n{summary(jobs, (time.monotonic() - begun) / 60)}{where}")
        if broken:
            print(f"the launcher gave up ({broken}); say it again: what is done is skipped", file=sys.stderr)
    if dry:
        _tidy(records)
    return code or int(bool(broken) or any(job.status not in GOOD for job in jobs))


def _launch(start: Callable[[Any], None], schema: type[T], action: Callable[[T], Any], records: Path, jobs: int) -> str:
    """Hand the jobs to Hydra's launcher; why it gave up, or nothing."""
    done: set[int] = set()
    while True:
        try:
            start(recorded(schema, action, records, frozenset(done)))
            return ""
        except Exception as error:
            if not records.exists():
                _tidy(records)
                if isinstance(error, RuntimeError):  # how submitit says that there is no cluster, or no such partition
                    raise HydraException(f"hydra/launcher: {error}") from None
                raise
            before, done = done, {record.number for record in _read(records)}
            if not isinstance(error, BrokenExecutor) or len(done) in (len(before), jobs):
                return shorten(f"{type(error).__name__}: {error}", 200)
            _wait(records)  # one killed worker takes joblib's pool with it: a new one for the jobs that had not begun


def _read(records: Path) -> list[Record]:
    found = [RunDir(records).read_json(path.name) for path in records.glob("*.json")]
    return sorted((Record(**content) for content in found if content), key=lambda record: record.number)


def _lives(record: Record) -> bool:
    """Whether a job that has not ended runs on this machine. Another machine's cannot be asked."""
    if record.status != "running" or record.machine != platform.node() or record.process == os.getpid():
        return False
    state = Path(f"/proc/{record.process}/stat")
    try:
        os.kill(record.process, 0)
        return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"  # a zombie does not live
    except OSError:
        return False


def _wait(records: Path, seconds: float = float("inf")) -> None:
    """Until no job of the sweep runs on this machine: launchers give up at the first job that is killed."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and any(_lives(record) for record in _read(records)):
        time.sleep(0.2)


def ended(records: Path, plan: list[list[str]]) -> list[Record]:
    """Every job, also those that were killed or never began."""
    jobs = {record.number: record for record in _read(records)}
    for number, overrides in enumerate(plan):
        jobs.setdefault(number, Record(number=number, overrides=overrides, status="not begun"))
    for job in jobs.values():
        if job.status == "running" and not _lives(job):
            here = job.machine == platform.node()
            job.status = "killed" if here else "unknown"
            job.error = job.error or ("the process is gone" if here else f"no word from {job.machine}")
    return [jobs[number] for number in sorted(jobs)]


def labels(jobs: Sequence[Record]) -> list[str]:
    """What tells the jobs apart: the overrides that not all of them have."""
    if len(jobs) == 1:
        return [shorten(" ".join(jobs[0].overrides), 60, placeholder=" ...")]
    common = set.intersection(*(set(job.overrides) for job in jobs)) if jobs else set()
    return [" ".join(x.lstrip("+") for x in job.overrides if x not in common) or f"#{job.number}" for job in jobs]


def table(jobs: Sequence[Record]) -> str:
    """One line a job: what it is, how it ended, its numbers, its time, and its folder or what went wrong."""
    columns = list(dict.fromkeys(key for job in jobs for key in job.numbers))
    rows = [["job", "status", *columns, "minutes", "folder or error"]]
    for job, label in zip(jobs, labels(jobs), strict=True):
        values = [job.numbers.get(key) for key in columns]
        numbers = ["" if value is None else f"{value:.3f}" for value in values]
        where = f"{shorten(job.error, 160)} ({job.folder})" if job.error and job.folder else job.error or job.folder
        rows.append([label, job.status, *numbers, f"{job.minutes:.1f}", where])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    left = 2  # then numbers, which stand right
    return "\n".join(
        "  ".join(
            [cell.ljust(n) if i < left else cell.rjust(n) for i, (cell, n) in enumerate(zip(row, widths, strict=False))]
            + [row[-1]]
        ).rstrip()
        for row in rows
    )


def summary(jobs: Sequence[Record], minutes: float) -> str:
    """The sweep in one line."""
    states = list(dict.fromkeys([*(x for x in GOOD), *(job.status for job in jobs)]))
    counts = [f"{n} {state}" for state in states if (n := sum(job.status == state for job in jobs))]
    return f"sweep: {len(jobs)} job{'s' * (len(jobs) != 1)} in {minutes:.1f} min: {', '.join(counts)}"


def _tidy(records: Path) -> None:
    """Nothing was done: leave nothing behind."""
    shutil.rmtree(records, ignore_errors=True)
    (records.parent / "multirun.yaml").unlink(missing_ok=True)
    with suppress(OSError):  # not empty
        records.parent.rmdir()
        records.parent.parent.rmdir()
