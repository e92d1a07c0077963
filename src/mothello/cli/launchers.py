"""Where jobs run: in this process, in processes of their own, or wherever submitit puts them."""

import multiprocessing as mp
import os
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

from mothello.cli.compose import parsed
from mothello.cli.jobs import Job, Launcher, Outcome, attempt, run_here
from mothello.errors import UserError
from mothello.training.device import cores

DYING = 10.0
"""Seconds that interrupted jobs get to write their status."""
GONE = "the process is gone; rerun the command to resume"
SHARED = (
    "name", "timeout_min", "mem_gb", "nodes", "cpus_per_task", "gpus_per_node", "tasks_per_node", "stderr_to_stdout",
)  # fmt: skip
"""Settings that submitit has for every kind of cluster; the others are of one kind."""


def launcher_of(overrides: Sequence[str]) -> Launcher:
    """What hydra/launcher=NAME and hydra.launcher.KEY=VALUE ask for. UserError names what it does not know.

    basic: here. joblib: ``n_jobs`` processes, as many as there are cores by default. submitit_local and submitit_slurm.
    """
    values: dict[str, Any] = {override.key_or_group: override.value() for override in map(parsed, overrides)}
    name = values.pop("hydra/launcher", "basic")
    settings: dict[str, Any] = {}
    for key, value in values.items():
        outer, _, inner = key.removeprefix("hydra.launcher.").partition(".")
        settings[outer] = settings.get(outer, {}) | {inner: value} if inner else value
    if name == "basic":
        if settings:
            raise UserError(f"hydra.launcher.{min(settings)}: has no effect without hydra/launcher=NAME")
        return run_here
    if name == "joblib":
        n_jobs = settings.pop("n_jobs", -1)
        if settings or not isinstance(n_jobs, int) or n_jobs == 0:
            raise UserError("hydra.launcher: joblib takes n_jobs=N alone, the jobs at a time; -1 for one per core")
        return partial(run_in_processes, n_jobs if n_jobs > 0 else cores())
    if name in ("submitit_local", "submitit_slurm"):
        return partial(run_by_submitit, name.removeprefix("submitit_"), settings)
    raise UserError(f"hydra/launcher: unknown {name!r}; choices: basic, joblib, submitit_local, submitit_slurm")


class _Running(NamedTuple):
    process: mp.process.BaseProcess
    outcome: Outcome


def _child(job: Job, threads: int, sender: Connection) -> None:
    """In a process of its own: run the job, send how it ended."""
    from mothello.cli.main import log_to_console

    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    log_to_console()
    outcome = Outcome(job.label)
    with suppress(KeyboardInterrupt):
        try:
            attempt(job, outcome)
        finally:
            sender.send(outcome)


def run_in_processes(n_jobs: int, jobs: Sequence[Job], outcomes: Sequence[Outcome]) -> None:
    """Each job in a process of its own, ``n_jobs`` at a time, which share the cores. A process that is killed is its
    own job's end alone."""
    context, threads = mp.get_context("spawn"), max(1, cores() // n_jobs)
    waiting, running = deque(zip(jobs, outcomes, strict=True)), dict[Connection, _Running]()
    process: mp.process.BaseProcess
    try:
        while waiting or running:
            while waiting and len(running) < n_jobs:
                job, outcome = waiting.popleft()
                receiver, sender = context.Pipe(duplex=False)
                process = context.Process(target=_child, args=(job, threads, sender))
                process.start()
                sender.close()
                outcome.status = "running"
                running[receiver] = _Running(process, outcome)
            _collect(running)
    except KeyboardInterrupt:
        end = time.monotonic() + DYING  # a terminal sends Ctrl-C to every process
        while running and (left := end - time.monotonic()) > 0:
            _collect(running, left)
        for process, outcome in running.values():
            process.terminate()
            outcome.status = "killed"
        raise


def _collect(running: dict[Connection, _Running], seconds: float | None = None) -> None:
    """Wait for jobs to end, and take over how they ended."""
    for receiver in wait(list(running), seconds):
        assert isinstance(receiver, Connection)
        process, outcome = running.pop(receiver)
        try:
            vars(outcome).update(vars(receiver.recv()))
        except EOFError:
            outcome.status, outcome.error = "killed", GONE
        process.join()


class _Submitted:
    """A job as submitit runs it; one that is put back into the queue begins again and resumes from its checkpoint."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def __call__(self) -> Outcome:
        from mothello.cli.main import log_to_console

        log_to_console()
        outcome = Outcome(self.job.label)
        attempt(self.job, outcome)
        return outcome

    def checkpoint(self, *_: Any) -> Any:
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def run_by_submitit(cluster: str, settings: dict[str, Any], jobs: Sequence[Job], outcomes: Sequence[Outcome]) -> None:
    """All jobs at once, by submitit; returns when the last has ended. Logs: runs/.submitit/ID."""
    try:
        import submitit
    except ImportError:
        raise UserError("hydra/launcher: submitit is not installed; pip install -e '.[launchers]' adds it") from None

    own = {"max_num_timeout"}
    first = {f"{cluster}_{key}": settings[key] for key in own & settings.keys()}
    rest = {key if key in SHARED else f"{cluster}_{key}": value for key, value in settings.items() if key not in own}
    try:
        executor = submitit.AutoExecutor(folder="runs/.submitit/%j", cluster=cluster, **first)
        executor.update_parameters(**{"timeout_min": 60, "name": "mothello"} | rest)
        with executor.batch():
            submitted = [executor.submit(_Submitted(job)) for job in jobs]
    except (RuntimeError, NameError, TypeError, ValueError) as error:  # no cluster, no such partition or setting
        raise UserError(f"hydra/launcher: {error}") from None
    for outcome in outcomes:
        outcome.status = "running"
    try:
        for run, outcome in zip(submitted, outcomes, strict=True):
            try:
                vars(outcome).update(vars(run.result()))
            except (submitit.core.utils.UncompletedJobError, submitit.core.utils.FailedJobError) as error:
                outcome.status, outcome.error = "killed", f"{GONE} ({str(error).splitlines()[0]})"
    except KeyboardInterrupt:
        if cluster == "local":  # what a cluster runs goes on; scancel ends it
            _cancel(submitted, outcomes)
        raise


def _cancel(submitted: Sequence[Any], outcomes: Sequence[Outcome]) -> None:
    for run, outcome in zip(submitted, outcomes, strict=True):
        if outcome.status == "running":
            run.cancel()
            outcome.status = "killed"
    end = time.monotonic() + DYING
    while time.monotonic() < end and not all(run.done() for run in submitted):
        time.sleep(0.2)
