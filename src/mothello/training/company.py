"""Threads that survive company: while other processes want cores, ours share the cores that are left.

Idle OpenMP threads spin for milliseconds before they sleep. That is fastest alone, and several times slower as soon as
another process takes one of their cores. The number of threads must not change: it decides how sums are rounded. So a
thread looks at the machine once a second. With company it confines the process to the free cores and holds OpenMP teams
of its own: with more OpenMP threads than cores, libgomp's idle threads sleep at once (its manual, GOMP_SPINCOUNT).
When the company has gone, both are undone. docs/LOG.md, 2026-11-25, measures it; benchmarks/company.py repeats that.
"""

import os
import random
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import torch

EVERY = 1.0
"""Seconds between two looks."""
IDLE = 0.05
"""Cores used by a process that need not be confined: one that waits for its children, which inherit where it runs."""
SHORT_SPINS = 10_000
"""Threads that spin less than this need no watcher."""


class Reading(NamedTuple):
    """Seconds, so far."""

    clock: float
    own: float
    """CPU time of this process."""
    every: float
    """CPU time of every process, on the cores that this one may use."""


def read(cores: Iterable[int]) -> Reading:
    """The clocks of the process and of the machine. OSError where there is no /proc/stat."""
    names = {f"cpu{core}" for core in cores}
    rows = [line.split() for line in Path("/proc/stat").read_text().splitlines()]
    ticks = sum(int(row[i]) for row in rows if row[0] in names for i in (1, 2, 3, 6, 7))  # not idle, iowait, stolen
    return Reading(time.monotonic(), time.process_time(), ticks / os.sysconf("SC_CLK_TCK"))


def cores_left(before: Reading, now: Reading, cores: int, confined: bool) -> int:
    """Cores that others left to this process between two readings, at least one. Others count as a core when they use
    half of one; once confined, the process stays so until they use less than a quarter."""
    others = ((now.every - before.every) - (now.own - before.own)) / (now.clock - before.clock)
    return max(1, cores - round(max(0.0, others) + 0.25 * confined))


class Teams:
    """OpenMP teams that do nothing but be more threads than there are cores."""

    def __init__(self, threads: int, cores: int) -> None:
        self._end = threading.Event()
        self._threads = []
        for _ in range(-(-(cores + 1 - threads) // (threads - 1))):
            ready = threading.Event()
            self._threads.append(threading.Thread(target=self._hold, args=(threads, ready), daemon=True))
            self._threads[-1].start()
            ready.wait()

    def _hold(self, threads: int, ready: threading.Event) -> None:
        torch.set_num_threads(threads)
        torch.ones(1 << 20).add_(1)  # a team stays with the thread that made it
        ready.set()
        self._end.wait()

    def end(self) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()


class Watcher:
    """Confines this process while it has company. threads: of OpenMP, as torch.set_num_threads was told."""

    def __init__(self, threads: int, cores: Iterable[int]) -> None:
        self.threads, self.cores = threads, sorted(cores)
        self.chosen: list[int] = []
        """The cores that the process is confined to; none while it is free."""
        self.teams: Teams | None = None
        self.last = read(self.cores)

    def look(self) -> None:
        """Compare the machine with what it was at the last look, and act."""
        before, self.last = self.last, read(self.cores)
        left = cores_left(before, self.last, len(self.cores), bool(self.chosen))
        used = (self.last.own - before.own) / (self.last.clock - before.clock)
        if left >= self.threads or used < IDLE:
            self.free()
        elif len(self.chosen) != left or 0.3 * left < used < 0.7 * left:  # another process is on a chosen core
            self.confine(left)

    def confine(self, n: int) -> None:
        """Run on n of the cores."""
        self.teams = self.teams or Teams(self.threads, len(self.cores))
        self.chosen = random.sample(self.cores, n)
        self._run_on(self.chosen)

    def free(self) -> None:
        """Run on all cores, with long spins."""
        if self.chosen:
            self.chosen = []
            self._run_on(self.cores)
        if self.teams:
            self.teams.end()
            self.teams = None

    def _run_on(self, cores: Iterable[int]) -> None:
        for thread in os.listdir("/proc/self/task"):
            with suppress(ProcessLookupError):  # it has just ended
                os.sched_setaffinity(int(thread), cores)

    def run(self) -> None:
        """Look for as long as the process lives."""
        while True:
            time.sleep(EVERY)
            self.look()


def wanted(threads: int, environment: Mapping[str, str]) -> bool:
    """Whether threads spin long, and nobody else says where they run."""
    spins = environment.get("GOMP_SPINCOUNT", "")
    others = {"OMP_WAIT_POLICY", "OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY", "LOCAL_WORLD_SIZE"}
    return threads > 1 and not others & environment.keys() and spins.isdecimal() and int(spins) >= SHORT_SPINS


_watching = threading.Lock()


def watch() -> None:
    """Start to watch, once per process, with the number of threads that torch has now. Nothing happens where threads
    do not spin long (SHORT_SPINS), or where the system is not Linux."""
    threads = torch.get_num_threads()
    if not wanted(threads, os.environ) or not hasattr(os, "sched_setaffinity") or not _watching.acquire(blocking=False):
        return
    try:
        watcher = Watcher(threads, os.sched_getaffinity(0))
    except OSError:
        return
    if threads <= len(watcher.cores):
        threading.Thread(target=watcher.run, name="company", daemon=True).start()
