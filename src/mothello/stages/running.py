"""What commands share around their work: log.txt, status.json, and an execution that a resumed run repeats."""

import logging
import os
import resource
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

from mothello.commands import words
from mothello.config import plain
from mothello.errors import UserError
from mothello.files import append
from mothello.model.transformer import GPT
from mothello.reading import parse_json
from mothello.rundir import RunDir
from mothello.signals import Stopped
from mothello.training import checkpoint
from mothello.training.budget import flops_per_token
from mothello.training.device import Compile, DeviceConfig, has_bf16, is_bf16, worth_compiling
from mothello.training.distributed import World

log = logging.getLogger(__name__)

EXECUTION = {"compiled": bool, "threads": range(1, 1025), "processes": range(1, 2**20)}
"""The form of what a resumed run needs of execution.json."""


class _LogFile(logging.Handler):
    """log.txt. On a full disk its lines appear on the console only."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):
            append(self.path, self.format(record) + "\n")


@contextmanager
def running(folder: RunDir, world: World, config: Any = None) -> Iterator[None]:
    """Within: status.json says running, log.txt receives what is logged, and config.yaml holds the config if one is
    given. An error leaves its traceback in status.json, a stop that was asked for its signal. Only rank 0 writes."""
    if not world.main:
        yield
        return
    if config is not None:
        folder.write_config(plain(config))
    handler = _LogFile(folder.path / "log.txt")
    house = logging.getLogger("mothello")
    house.addHandler(handler)
    try:
        folder.write_status("running")
        yield
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt)
        text = str(error) or str(Stopped(signal.SIGINT)) if stopped else f"{type(error).__name__}: {error}"
        handler.emit(logging.makeLogRecord({"levelname": "WARNING", "msg": text}))  # a command tells the console
        try:
            place = RunDir(getattr(error, "now", None) or folder.path)  # it may have been moved
            if place.read_status().get("status") != "ok":
                place.write_status("failed", error=text, **{} if stopped else {"traceback": traceback.format_exc()})
        except OSError as full:  # a full disk: the first error is the one to report
            log.warning("status.json cannot be written (%s)", full)
        raise
    finally:
        house.removeHandler(handler)


def resolve_execution(
    folder: RunDir, config: DeviceConfig, device: torch.device, model: GPT, tokens: int, world: World,
    origin: RunDir | None = None,
) -> bool:  # fmt: skip
    """Whether to compile: decided by the number of planned tokens, and kept in execution.json with threads, versions.

    A resumed run repeats what execution.json records, and a fork what its ``origin`` records, so that its weights are
    the same, bit for bit; a warning names what it cannot or must not repeat. The thread count is set.
    """
    begun = folder if checkpoint.saved(folder.checkpoints) else origin
    recorded = world.broadcast(_recorded(begun) if begun else {})
    flops = flops_per_token(model, model.n_positions) * tokens
    compiled = worth_compiling(config, device, flops)
    if recorded and config.compile is Compile.auto:
        compiled = bool(recorded["compiled"])
    if recorded and not config.threads and recorded["processes"] == world.size:
        torch.set_num_threads(int(recorded["threads"]))
    bf16 = {"bf16": is_bf16(device, config.precision), "muon_bf16": has_bf16(device)}
    now = {"compiled": compiled, **bf16, **_place(device, world)}
    now["micro_batch_size"] = config.micro_batch_size
    if world.main:
        for key, value in recorded.items():
            if now.get(key) != value:
                log.warning("started with %s=%s, resumed with %s: equal up to rounding", key, value, now.get(key))
        folder.write_json("execution.json", now)
    return compiled


def _recorded(folder: RunDir) -> dict[str, Any]:
    """execution.json; empty without one, and with a warning where it is damaged."""
    try:
        return folder.read("execution.json", parse_json, EXECUTION, "")
    except UserError as error:
        if (folder.path / "execution.json").exists():
            log.warning("%s; how to run is decided anew", error)
        return {}


def require_single_process() -> None:
    """UserError under torchrun, for a command that one process runs."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError(f"torchrun: only {words('train')[-1]} runs in several processes")


def describe_device(device: torch.device, world: World) -> dict[str, Any]:
    """Where a command ran, for results.json."""
    return {**_place(device, world), "memory_gb": peak_memory(device)}


def _place(device: torch.device, world: World) -> dict[str, Any]:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    threads, version = torch.get_num_threads(), torch.__version__
    return {"device": name, "threads": threads, "processes": world.size, "torch": version}


def peak_memory(device: torch.device) -> float:
    """The most memory used so far, in GB: allocated on a GPU, else resident in this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e9 if sys.platform == "darwin" else 1e6)
