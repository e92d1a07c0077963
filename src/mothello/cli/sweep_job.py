"""One job of a sweep, in whatever process a launcher runs it: it ends with a record, and the other jobs go on."""

import gc
import os
import platform
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from mothello.config import typed
from mothello.errors import UserError
from mothello.rundir import RunDir, Work, watch
from mothello.stages.folders import run_folder
from mothello.stages.pretrain import TrainConfig
from mothello.training.checkpoint import CheckpointError

T = TypeVar("T")
REQUEUED = (-1, 144)
"""Exit codes of submitit's handler, in the middle of a job that it then starts again: on SLURM, on this machine."""


@dataclass(kw_only=True)
class Record:
    """What the sweep's table says of a job: NUMBER.json in the sweep's folder of records."""

    number: int
    overrides: list[str]
    status: str = "running"
    """running, ok, skipped, dry run, failed, interrupted or requeued."""
    folder: str = ""
    error: str = ""
    traceback: str = ""
    minutes: float = 0.0
    numbers: dict[str, float | None] = field(default_factory=dict)
    machine: str = field(default_factory=platform.node)
    process: int = field(default_factory=os.getpid)

    def write(self, records: Path) -> None:
        RunDir(records).write_json(f"{self.number}.json", asdict(self))


def headline(results: Any) -> dict[str, float | None]:
    """The few numbers of a results.json that stand in a sweep's table."""
    if not isinstance(results, Mapping):
        return {}
    if results.get("kind") == "train":
        return {"top-1": results["final"].get("val/top1"), "loss": results["final"].get("val/loss")}
    if results.get("kind") == "probe":
        rows = results["headline"]
        row = rows.get("mlp/absolute") or next(iter(rows.values()))
        return {key: row.get(key) for key in ("own", "cross")}
    if results.get("kind") == "transfer":
        own = results["summary"][results["source"]]
        return {"source before": own["before"], "source after": own["after"]}
    return {}


@contextmanager
def isolated() -> Iterator[None]:
    """Within: what a job sets for the whole process does not reach the next job of the same process."""
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    hydra = GlobalHydra.instance().hydra
    try:
        with warnings.catch_warnings():
            yield
    finally:
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(precision)
        GlobalHydra.instance().hydra = hydra
        if "torch._dynamo" in sys.modules:
            torch._dynamo.reset()  # else the ninth model of another shape would silently run uncompiled
        gc.collect()
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()


def recorded(
    schema: type[T], action: Callable[[T], Any], records: Path, leave_out: Collection[int] = ()
) -> Callable[[DictConfig], None]:
    """``action`` as a sweep's job. Only what must stop the whole process is raised: Ctrl-C, and a requeuing cluster."""

    def job(content: DictConfig) -> None:
        hydra = HydraConfig.get()
        if hydra.job.num in leave_out:
            return
        record = Record(number=hydra.job.num, overrides=list(hydra.overrides.task))
        record.write(records)
        begun = time.monotonic()
        try:
            with isolated(), watch() as work:
                _attempt(record, content, schema, action, work)
        finally:
            record.minutes = (time.monotonic() - begun) / 60
            record.write(records)

    return job


def _attempt(record: Record, content: DictConfig, schema: type[T], action: Callable[[T], Any], work: Work) -> None:
    config: T | None = None
    try:
        config = typed(content, schema)
        results = action(config)
        dry = getattr(config, "dry_run", False)
        record.status = "dry run" if dry else "ok" if work.begun or work.folder is None else "skipped"
        record.numbers = headline(results)
    except (Exception, SystemExit) as error:
        if isinstance(error, SystemExit) and error.code in REQUEUED and "SUBMITIT_EXECUTOR" in os.environ:
            record.status = "requeued"
            raise
        _fail(record, error, config, work)
    except KeyboardInterrupt:
        record.status = "interrupted"
        raise
    finally:
        record.folder = str(work.folder.path) if work.folder else ""


def _fail(record: Record, error: BaseException, config: object, work: Work) -> None:
    mistake = isinstance(error, UserError | CheckpointError)
    record.status, record.traceback = "failed", traceback.format_exc()
    record.error = " ".join((str(error) if mistake else f"{type(error).__name__}: {error}").split())
    if work.folder is None and isinstance(config, TrainConfig):
        work.folder = RunDir(run_folder(config))
    print(f"job #{record.number} failed: {record.error}", file=sys.stderr, flush=True)
    if work.folder is not None and os.environ.get("RANK", "0") == "0" and (work.begun or _may_write(work.folder)):
        try:
            work.folder.write_status("failed", error=record.error, traceback=record.traceback)
        except OSError as problem:
            print(f"{work.folder.path}: status.json cannot be written ({problem})", file=sys.stderr)


def _may_write(folder: RunDir) -> bool:
    """Whether a folder that the job did not begin is its own for sure: empty, or only ever failed before it began."""
    if not folder.path.exists():
        return True
    return folder.path.is_dir() and {path.name for path in folder.path.iterdir()} <= {"status.json"}
