"""Training next to a busy process: steps per second alone, and with a busy single-thread process that starts later, or
earlier. Targets: with company at least half of the rate alone; alone at least 85% of the rate with long spins.

Compared are our way (mothello.training.company), long spins without it (fastest on an idle machine), and short spins.

    python -m benchmarks.company seconds=2
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from time import perf_counter, sleep
from typing import Any

import torch

from benchmarks.common import BenchConfig, Numbers, main
from benchmarks.steps import SHAPES, Execution, plan_of, prepared
from mothello.cli import SPINS
from mothello.objectives.causal_lm import CausalLM
from mothello.training.device import DeviceConfig, resolve
from mothello.training.loop import train

WAYS = {
    "ours": {"GOMP_SPINCOUNT": SPINS},
    "long": {"GOMP_SPINCOUNT": SPINS, "OMP_PROC_BIND": "false"},
    "short": {"GOMP_SPINCOUNT": "2000"},
}
"""Environments of the worker. One that says OMP_PROC_BIND is not watched."""
ROUNDS, SETTLE = 5, 2.5
"""Rounds, whose medians are taken; seconds until a change of company has been noticed."""


class Worker:
    """A training in a process of its own, which runs while it is asked for a rate."""

    def __init__(self, way: str, compiled: bool, threads: int) -> None:
        environment = os.environ | WAYS[way]
        line = [sys.executable, "-m", "benchmarks.company", "worker", str(int(compiled)), str(threads)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(line, env=environment, text=True, stdin=pipe, stdout=pipe)
        self.rate(0.1)  # after the first steps, compiling included

    def rate(self, seconds: float) -> float:
        """Steps per second."""
        assert self.process.stdin
        assert self.process.stdout
        print(seconds, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def serve(compiled: bool, threads: int) -> None:
    """The worker's process: train for as many seconds as each line of standard input says, and print the rate."""
    resolve(DeviceConfig(name="cpu", threads=threads))
    config, stream, model = prepared(SHAPES["small"], torch.device("cpu"))
    batches = [CausalLM().batch(stream, step) for step in range(8)]
    asked, start, first = 0.0, perf_counter(), 0

    def batch(step: int) -> Any:
        nonlocal asked, start, first
        seconds = perf_counter() - start
        if step == 4 or (step > 4 and seconds >= asked):
            if step > 4:
                print((step - first) / seconds, flush=True)
            line = sys.stdin.readline()
            if not line:
                raise SystemExit
            asked, start, first = float(line), perf_counter(), step
        return batches[step % len(batches)]

    train(model, batch, plan_of(config, 10**9, Execution("", compiled)))


@contextmanager
def _busy() -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"])
    try:
        sleep(0.2)
        yield
    finally:
        process.kill()
        process.wait()


def _rates(way: str, compiled: bool, seconds: float) -> dict[str, float]:
    """Steps per second: alone, with a busy process that starts later, and with one that is there before."""

    def settled(worker: Worker) -> float:
        worker.rate(SETTLE)
        return worker.rate(seconds)

    later = Worker(way, compiled, torch.get_num_threads())
    alone = settled(later)
    with _busy():
        after = settled(later)
        later.end()
        early = Worker(way, compiled, torch.get_num_threads())
        before = settled(early)
    early.end()
    return {"alone": alone, "after": after, "before": before}


def company(config: BenchConfig, device: torch.device) -> Numbers:
    """Medians over alternating rounds of every way, and the ratios of the targets, eager and compiled."""
    numbers: Numbers = {}
    print("step      threads     alone   company later, earlier   of the rate alone   alone, of long spins")
    for name, compiled in (("eager", False), ("compiled", True)):
        rounds: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
        for _ in range(ROUNDS):
            for way, rows in rounds.items():
                rows.append(_rates(way, compiled, config.seconds))
        medians = {way: {key: median(row[key] for row in rows) for key in rows[0]} for way, rows in rounds.items()}
        for way, row in medians.items():
            share, of_long = min(row["after"], row["before"]) / row["alone"], row["alone"] / medians["long"]["alone"]
            print(f"{name:8}  {way:8} {row['alone']:>8.2f} {row['after']:>15.2f} {row['before']:>8.2f} "
                  f"{share:>19.2f} {of_long:>22.2f}", flush=True)  # fmt: skip
            row |= {"with_company": share, "alone_of_long": of_long}
            numbers |= {f"company.{name}.{way}.{key}": round(value, 3) for key, value in row.items()}
    return numbers


if __name__ == "__main__":
    if sys.argv[1:2] == ["worker"]:
        serve(sys.argv[2] == "1", int(sys.argv[3]))
    else:
        main("company", company)
