"""Device, precision, threads and compilation, resolved once and on purpose."""

import contextlib
import os
import shutil
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import torch


class Precision(StrEnum):
    """``auto`` is bf16 where the hardware multiplies it (recent GPUs, CPUs with AVX-512 bf16 or AMX), else fp32."""

    auto = "auto"
    bf16 = "bf16"
    fp32 = "fp32"


@dataclass(kw_only=True)
class DeviceConfig:
    """Where and how it runs; none of it changes what is learned, beyond rounding."""

    name: str = "auto"
    """auto, cpu, cuda, or cuda:N."""
    precision: Precision = Precision.auto
    threads: int = 0
    """CPU threads, 0 for all cores."""
    compile: bool = False
    """Compile the training step: worth it for long runs on a GPU; on small CPU models eager is as fast."""

    def __post_init__(self) -> None:
        if self.name not in ("auto", "cpu", "cuda") and not self.name.startswith("cuda:"):
            raise ValueError(f"device.name: {self.name!r} is not one of auto, cpu, cuda, cuda:N")
        if self.threads < 0:
            raise ValueError(f"device.threads: {self.threads} is negative")


def cores() -> int:
    """CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def resolve(config: DeviceConfig) -> torch.device:
    """The device to use, with the thread count set. ValueError when CUDA is asked for and absent."""
    torch.set_num_threads(config.threads or cores())
    if config.name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if config.name != "cpu" and not torch.cuda.is_available():
        raise ValueError(f"device: {config.name} was asked for, but no CUDA device is present; use auto or cpu")
    return torch.device(config.name)


def cpu_has_bf16() -> bool:
    """True where the CPU multiplies bf16 matrices in hardware."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def autocast(device: torch.device, precision: Precision) -> contextlib.AbstractContextManager[None]:
    """The precision's context for forward passes."""
    hardware = torch.cuda.is_bf16_supported() if device.type == "cuda" else cpu_has_bf16()
    if precision is Precision.bf16 or (precision is Precision.auto and hardware):
        return torch.autocast(device.type, torch.bfloat16)
    return contextlib.nullcontext()


def has_compiler(device: torch.device) -> bool:
    """Whether torch.compile can work: CPU code needs a C++ compiler."""
    return device.type == "cuda" or any(shutil.which(name) for name in ("g++", "clang++", "c++"))
