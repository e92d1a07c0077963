"""Device, precision, threads and compilation, resolved once and on purpose."""

import contextlib
import ctypes
import math
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

import torch

from mothello.config import check, ranged
from mothello.errors import UserError
from mothello.training import company


class Precision(StrEnum):
    """``auto`` is bf16 where the hardware multiplies it (recent GPUs, CPUs with AVX-512 bf16 or AMX), else fp32."""

    auto = "auto"
    bf16 = "bf16"
    fp32 = "fp32"


class Compile(StrEnum):
    """Compile the training step. ``auto``: when the planned training repays it, and a compiler works."""

    auto = "auto"
    always = "always"
    never = "never"


@dataclass(kw_only=True)
class DeviceConfig:
    """Where and how it runs; none of it changes what is learned, beyond rounding."""

    name: str = "auto"
    """auto, cpu, cuda, cuda:N, or mps (the GPU of a Mac). auto: CUDA where it is present, else the CPU. Under torchrun
    each process takes a GPU of its own."""
    precision: Precision = Precision.auto
    threads: int = ranged(0, 0, 1024)
    """CPU threads; 0 for OMP_NUM_THREADS where it is set, else all cores (shared among the processes of torchrun)."""
    compile: Compile = Compile.auto
    cuda_graphs: bool = False
    """Replay the training step, compiled or not, as one CUDA graph: for models too small to keep a GPU busy. Without
    effect elsewhere, and under torchrun."""
    micro_batch_size: int = ranged(0, low=0)
    """Games per forward and backward pass: a batch is computed in equal parts of about as many, whose gradients add up
    to its own, so that it needs less memory. 0 for the whole batch. Under torchrun, of every process's share."""

    def __post_init__(self) -> None:
        if self.name not in ("auto", "cpu", "cuda", "mps") and not self.name.startswith("cuda:"):
            raise ValueError(f"device.name: {self.name!r} is not one of auto, cpu, cuda, cuda:N, mps")
        check(self, "device")

    def micro_batches(self, games: int) -> int:
        """The number of parts that a batch, or a process's share of it, is computed in."""
        return -(-games // self.micro_batch_size) if self.micro_batch_size else 1


@cache
def cores() -> int:
    """CPU cores this process may use, as it started."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT, _RETURNED = 1 << 30, 1 << 28


def keep_memory() -> bool:
    """Have glibc keep what a step frees for the next one, up to a gigabyte; blocks over 256 MB are still returned.

    Else every large tensor is mapped, zeroed and unmapped anew, a fifth to a third of a step on a CPU (docs/LOG.md).
    Before glibc 2.35 no block over 32 MB can be kept. False where the C library is another, or the user has set
    MALLOC_* or GLIBC_TUNABLES.
    """
    if any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    mapped = any(mallopt(_MMAP_THRESHOLD, size) for size in (_RETURNED, 1 << 25))
    return bool(mallopt(_TRIM_THRESHOLD, _KEPT)) and mapped


def resolve(config: DeviceConfig) -> torch.device:
    """The device to use, with thread count and allocator set. UserError when what is asked for is absent."""
    keep_memory()
    torch.set_num_threads(config.threads or _threads_wanted())
    if config.name == "mps":
        if why := _unfit_for_mps(config):
            raise UserError(why)
        return torch.device("mps")
    if config.name == "cpu" or (config.name == "auto" and not torch.cuda.is_available()):
        company.watch()
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise UserError(f"device: {config.name} was asked for, but no CUDA device is present; use auto or cpu")
    _, _, number = config.name.partition(":")
    if number and not (number.isdecimal() and int(number) < torch.cuda.device_count()):
        raise UserError(f"device: {config.name} was asked for; of {torch.cuda.device_count()} GPUs the first is cuda:0")
    torch.set_float32_matmul_precision("high")
    if ":" not in config.name and "LOCAL_RANK" in os.environ:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        return torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    return torch.device("cuda" if config.name == "auto" else config.name)


def _unfit_for_mps(config: DeviceConfig) -> str:
    """Why a command cannot run on MPS; empty where it can."""
    if not torch.backends.mps.is_available():
        return "device: mps was asked for, but no MPS device is present; use auto or cpu"
    if config.precision is Precision.bf16:
        return "device.precision: on MPS it is fp32; leave it out"
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1
    return "device: several processes do not share MPS; use cpu, or leave torchrun out" if several else ""


def exact_device(device: torch.device) -> torch.device:
    """Where all but training steps is computed: the device itself, or the CPU where it has no float64 (MPS)."""
    return torch.device("cpu") if device.type == "mps" else device


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    told = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = map(str, range(torch.cuda.device_count())) if told is None else told.split(",")
    return [name.strip() for name in names if name.strip()]


def _threads_wanted() -> int:
    """OMP_NUM_THREADS is a user's word, but for the processes of torchrun, where it is torchrun's."""
    processes, threads = int(os.environ.get("LOCAL_WORLD_SIZE", "0")), os.environ.get("OMP_NUM_THREADS", "")
    if not processes and threads.isdecimal() and int(threads) > 0:
        return int(threads)
    return max(1, cores() // max(1, processes))


@cache
def cpu_has_bf16() -> bool:
    """True where the CPU multiplies bf16 matrices in hardware."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def has_bf16(device: torch.device) -> bool:
    """True where the device multiplies bf16 matrices in hardware; elsewhere they take many times as long as fp32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and cpu_has_bf16()


def is_bf16(device: torch.device, precision: Precision) -> bool:
    """Whether matrices are multiplied in bf16."""
    return precision is Precision.bf16 or (precision is Precision.auto and has_bf16(device))


def autocast(device: torch.device, precision: Precision) -> contextlib.AbstractContextManager[None]:
    """The precision's context for forward passes."""
    if is_bf16(device, precision):
        return torch.autocast(device.type, torch.bfloat16)
    return contextlib.nullcontext()


def _set_deterministic(mode: int, compiled: bool) -> None:
    """0: off, 1: where kernels allow, 2: everywhere."""
    if compiled:
        torch.use_deterministic_algorithms(mode > 0, warn_only=mode == 1)  # imports the compiler: seconds
    else:
        torch.set_deterministic_debug_mode(mode)


@contextlib.contextmanager
def deterministic(device: torch.device, compiled: bool) -> Iterator[None]:
    """The same step twice gives the same bits: compiled embedding gradients are summed in order, not as threads come.

    On a GPU as far as its kernels allow: some have no such variant and are used as they are, without torch's warning.
    Fused attention is one, so that a training that was resumed there is equal up to rounding.
    """
    settings: Any = torch.utils.deterministic
    before, filled = torch.get_deterministic_debug_mode(), settings.fill_uninitialized_memory
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    _set_deterministic(2 if device.type == "cpu" else 1, compiled)
    settings.fill_uninitialized_memory = False  # costs time, and nothing here reads such memory
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*non-deterministic algorithm.*|.*does not have a deterministic.*")
            yield
    finally:
        _set_deterministic(before, compiled)
        settings.fill_uninitialized_memory = filled


REPAYS = {"cpu": 1e14, "cuda": 1e16}
"""FLOPs of a training above which compiling its step repays the half minute it takes (docs/LOG.md); on others never."""


def worth_compiling(config: DeviceConfig, device: torch.device, flops: float) -> bool:
    """Eager or compiled, from the FLOPs a training plans, so that a resumed run decides as before."""
    if config.compile is Compile.auto:
        return flops > REPAYS.get(device.type, math.inf)
    return config.compile is Compile.always
