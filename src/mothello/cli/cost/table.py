"""What dry_run=true prints: one fact a line, and the units they are in."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch

from mothello.languages.language_set import LanguageSet
from mothello.rundir import RunDir
from mothello.training import checkpoint


class Costs(NamedTuple):
    """The lines of a table, and the seconds that each part of the work would take."""

    rows: dict[str, str]
    parts: dict[str, float]

    @property
    def seconds(self) -> float:
        return sum(self.parts.values())

    def table(self, **more: str) -> str:
        """The lines, the minutes and what else there is to say."""
        each = ", ".join(f"{name} {minutes(seconds)}" for name, seconds in self.parts.items())
        return table(self.rows | {"minutes": f"{minutes(self.seconds)}: {each}"} | more)


def table(rows: Mapping[str, str]) -> str:
    """One fact a line, aligned."""
    width = max(map(len, rows)) + 2
    return "\n".join(f"{name:<{width}}{value}" for name, value in rows.items())


def short(number: float) -> str:
    """12,345 as it is; from 100,000 on 123 k, 12.3 M, 4.57 G, 8 T; beyond 1.23e+15."""
    if number < 99_999.5:
        return f"{number:,.0f}"
    for unit, name in ((1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T")):
        if number < 999.5 * unit:
            return f"{number / unit:.3g} {name}"
    return f"{number:.2e}"


def size(bytes: float) -> str:
    """850 kB, 12.3 MB, 4.57 GB."""
    for unit, name in ((1e3, "kB"), (1e6, "MB"), (1e9, "GB")):
        if bytes < 999.5 * unit:
            return f"{bytes / unit:.3g} {name}"
    return f"{bytes / 1e12:,.3g} TB"


def minutes(seconds: float) -> str:
    """Minutes, and hours or days where they say more."""
    value = seconds / 60
    shown = f"{value:.2f}" if value < 0.995 else f"{value:.1f}" if value < 9.95 else f"{value:,.0f}"
    if value < 120:
        return shown
    return f"{shown} ({value / 60:.1f} hours)" if value < 2880 else f"{shown} ({value / 1440:,.1f} days)"


def reached(folder: RunDir) -> int:
    """The step of the newest checkpoint, 0 without one; its files are not read."""
    saved = checkpoint.saved(folder.checkpoints)
    return int(saved[-1].name.removeprefix("step-")) if saved else 0


def where(folder: RunDir, steps: int) -> str:
    """The folder of a stage of that many steps, and how far it is."""
    step = reached(folder)
    if folder.finished and step == steps:
        return f"{folder.path} (finished already)"
    return f"{folder.path} (goes on after step {step:,} of {steps:,})" if step else str(folder.path)


def languages(language_set: LanguageSet) -> str:
    names = language_set.names
    return ", ".join(names) if len(names) <= 6 else f"{len(names)} languages, {names[0]} to {names[-1]}"


def threads() -> str:
    """How many torch uses."""
    n = torch.get_num_threads()
    return f"{n} thread{'s' * (n != 1)}"


def free_bytes(device: torch.device) -> float:
    """Memory that is free on the device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    meminfo = Path("/proc/meminfo")
    lines = meminfo.read_text().splitlines() if meminfo.exists() else []
    available = [1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable")]
    return available[0] if available else float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
