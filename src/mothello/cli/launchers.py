"""Where jobs run: in this process, in processes of their own, or wherever submitit puts them."""

import os
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from mothello.cli.jobs import Job, Launcher, Outcome, attempt, run_here
from mothello.cli.line import parsed
from mothello.cli.processes import DYING, GONE, Send, in_processes
from mothello.commands import words
from mothello.errors import UserError
from mothello.signals import stoppable
from mothello.training.device import cores, visible_gpus
from mothello.training.distributed import leave

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


def _child(job: Job, threads: int, send: Send) -> None:
    """In a process of its own: run the job, send how it ended."""
    from mothello.cli.main import log_to_console

    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    log_to_console()
    outcome = Outcome(job.label)
    try:
        attempt(job, outcome)
    finally:
        send(outcome)


def run_in_processes(n_jobs: int, jobs: Sequence[Job], outcomes: Sequence[Outcome]) -> None:
    """Each job in a process of its own, ``n_jobs`` at a time, which share the cores; each sees one GPU, in turn. A
    process that is killed is its own job's end alone."""
    threads, gpus = max(1, cores() // n_jobs), visible_gpus()
    places = [{"CUDA_VISIBLE_DEVICES": gpus[place % len(gpus)]} for place in range(n_jobs)] if len(gpus) > 1 else []

    def got(index: int, sent: Outcome | None) -> None:
        if sent is not None:
            vars(outcomes[index]).update(vars(sent))
        elif outcomes[index].status == "not begun":
            outcomes[index].status, outcomes[index].error = "killed", GONE

    in_processes(n_jobs, [partial(_child, job, threads) for job in jobs], got, places)


class _Submitted:
    """A job as submitit runs it; one that is put back into the queue begins again and resumes from its checkpoint."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def __call__(self) -> Outcome:
        from mothello.cli.main import log_to_console

        log_to_console()
        outcome = Outcome(self.job.label)
        tell_ranks()
        try:
            with stoppable():
                attempt(self.job, outcome)
        finally:
            leave()
        return outcome

    def checkpoint(self, *_: Any) -> Any:
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def tell_ranks() -> None:
    """Where submitit gives a job several tasks, they are the processes of one training, as torchrun's would be."""
    from submitit import JobEnvironment
    from submitit.helpers import TorchDistributedEnvironment

    if JobEnvironment().num_tasks > 1:
        TorchDistributedEnvironment().export(set_cuda_visible_devices=False, overwrite=True)


def check_one_process(overrides: Sequence[str]) -> None:
    """UserError where a launcher is asked for several tasks per job by a command that one process runs."""
    for override in map(parsed, overrides):
        if override.key_or_group in ("hydra.launcher.tasks_per_node", "hydra.launcher.nodes") and override.value() != 1:
            raise UserError(f"{override.key_or_group}: only {words('train')[-1]} -m runs a job in several processes")


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
                vars(outcome).update(vars(run.results()[0]))  # of its first task
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
