"""How fast things are here: real steps of the training loop itself, and anything else that works through items.

Nothing is kept: the model is a copy, and torch's random state is afterwards what it was.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from dataclasses import dataclass, replace
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, NamedTuple

import torch

from mothello.data.batch import rows
from mothello.data.stream import Stream
from mothello.model.transformer import GPT
from mothello.objectives.objective import Objective
from mothello.othello.lazy_compile import Engine, using
from mothello.training.device import Precision
from mothello.training.loop import train
from mothello.training.optimizer import OptimizerConfig, OptimizerName
from mothello.training.plan import Plan

Clock = Callable[[], float]

_CACHE = "TORCHINDUCTOR_CACHE_DIR"


class Pace(NamedTuple):
    """Items that were worked through, and the time they took."""

    items: int
    seconds: float

    @property
    def each(self) -> float:
        """Seconds per item."""
        return self.seconds / self.items


def pace(work: Callable[[int], object], most: int, budget: float, clock: Clock = perf_counter, start: int = 8) -> Pace:
    """Time ``work(n)``, n growing until it is ``most`` or takes long enough to tell; some ``budget`` seconds in all.

    What takes the same time for any n counts in full for the n reached, so fewer than ``most`` items say too much
    rather than too little.
    """
    n = min(start, most)
    work(n)  # the first time anything is used, it is slow
    while True:
        begun = clock()
        work(n)
        seconds = clock() - begun
        if n == most or seconds > budget / 8:
            return Pace(n, seconds)
        n = min(4 * n, most)


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a step of a training is, besides model and batch."""

    objective: Objective
    optimizer: OptimizerConfig
    precision: Precision
    compiled: bool = False
    cuda_graphs: bool = False


class Rate(NamedTuple):
    """Training as it was measured."""

    games: int
    """In a step."""
    steps: int
    step_seconds: float
    """Forward, backward and update."""
    game_seconds: float
    """To play one game and write it, eagerly and in bulk."""
    first_seconds: float
    """The first step, compiling included."""

    def seconds(self, games: int) -> float:
        """To train on that many games."""
        return games * (self.step_seconds / self.games + self.game_seconds)


def _timed(model: GPT, batch_of: Callable[[int], Any], step: Step, steps: int, clock: Clock) -> tuple[float, float]:
    """Seconds of the first step, and of each of ``steps`` more when all is warm, by the loop that trains."""
    device = model.head.weight.device
    warm = 3 if device.type == "cuda" else 1
    ticks: list[float] = []

    def tick() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        ticks.append(clock())

    def next_batch(at: int) -> Any:
        if at in (0, 1, warm):
            tick()
        return batch_of(at)

    rates: dict[str, Any] = {"lr": 1e-9} | ({"muon_lr": 1e-9} if step.optimizer.name is OptimizerName.muon else {})
    still = replace(step.optimizer, **rates)  # no slower, and nothing can diverge
    plan = Plan(
        steps=warm + steps, objective=step.objective, optimizer=still, precision=step.precision, seed=0,
        compiled=step.compiled, cuda_graphs=step.cuda_graphs,
    )  # fmt: skip
    train(model, next_batch, plan)
    tick()
    return ticks[1] - ticks[0], (ticks[-1] - ticks[-2]) / steps


def _games_a_step(seconds_of: Callable[[int], float], most: int, budget: float) -> tuple[int, float]:
    """As many games as a step of a quarter of the budget holds, at most ``most``, and the seconds of such a step."""
    n = min(8, most)
    while True:
        seconds = seconds_of(n)
        if n == most or seconds > budget / 16:
            chosen = min(most, max(n, int(n * budget / 4 / seconds)))
            return chosen, seconds * chosen / n
        n = min(4 * n, most)


@contextmanager
def no_cache_left() -> Iterator[None]:
    """Within: what torch compiles is cached in a folder that does not outlive it."""
    before = os.environ.get(_CACHE)
    with TemporaryDirectory() as folder:
        os.environ[_CACHE] = folder
        try:
            yield
        finally:
            del os.environ[_CACHE]
            if before is not None:
                os.environ[_CACHE] = before


def measure(
    model: GPT, stream: Stream, step: Step, most_games: int, budget: float = 8.0, clock: Clock = perf_counter
) -> Rate:
    """Train a copy of the model for some ``budget`` seconds (compiling not counted) at the stream's batch shape.

    Steps hold fewer games where a whole batch would take longer than a quarter of the budget, or where only
    ``most_games`` fit into memory.
    """
    device, at_once = model.head.weight.device, stream.steps_at_once
    eager = replace(step, compiled=False)

    def batches(n: int) -> Callable[[int], Any]:
        return lambda at: rows(step.objective.batch(stream, at_once + at % at_once), slice(n))

    def trial(n: int) -> float:
        return _timed(deepcopy(model), batches(n), eager, 1, clock)[1]

    kept = no_cache_left() if step.compiled else nullcontext()
    with kept, using(Engine.eager), torch.random.fork_rng([device] if device.type == "cuda" else []):
        stream.batch(0)
        begun = clock()
        games = len(stream.batch(at_once).tokens)
        played = Pace(at_once * games, clock() - begun)
        n, expected = _games_a_step(trial, max(1, min(games, most_games)), budget)
        steps = min(20, max(1, int(budget / 2 / expected)))
        first, each = _timed(deepcopy(model), batches(n), step, steps, clock)
    return Rate(n, steps, each, played.each, first)
