"""The machine of a dry run: its name, and the memory that is free on it."""

import os
from pathlib import Path

import torch

from mothello.cli.units import counted


def where(device: torch.device) -> str:
    """The device, as a reader wants it named."""
    n, kind = torch.get_num_threads(), device.type
    return torch.cuda.get_device_name(device) if kind == "cuda" else f"{kind}, {counted(n, 'thread')}"


def free_bytes(device: torch.device) -> float:
    """Memory that is free on the device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    meminfo = Path("/proc/meminfo")
    lines = meminfo.read_text().splitlines() if meminfo.exists() else []
    available = [1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable")]
    return available[0] if available else float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
