"""Eager or compiled execution, chosen by the amount of work. The results are identical.

A ply is about seven hundred elementwise operations on int64. Eager, each is a pass over memory; compiled, they are one
kernel that keeps a game in registers. Compiling takes seconds, so work starts eagerly. It is compiled as soon as the
eager work so far, and the work still asked for, take longer than the compiler.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

import torch
from torch.fx import symbolic_trace

from mothello.compiling import Compiled

Step = Callable[..., Any]

COMPILE_SECONDS = 20.0
"""Rough time of a compilation on one or two cores (docs/LOG.md); it only decides when to compile."""

_MIN_GAMES = 1024
"""With fewer games than this the time is nearly all fixed cost, so it does not measure a rate."""

_OPTIONS: dict[str, Any] = {"max_fusion_size": 10_000, "realize_opcount_threshold": 4}
"""One kernel of any length, in which each value is computed once: inlining values into all their users makes compiling
slow. Neither option changes a result (docs/LOG.md)."""


class Engine(StrEnum):
    """How a function is executed; ``auto`` decides by the amount of work."""

    auto = "auto"
    eager = "eager"
    compiled = "compiled"


_default = Engine.auto


@contextmanager
def using(engine: Engine) -> Iterator[None]:
    """Within the context, ``auto`` is this engine, in the whole process."""
    global _default
    before, _default = _default, engine
    try:
        yield
    finally:
        _default = before


class LazyCompiled(Compiled):
    """An elementwise function on a batch of games, compiled as soon as that saves time.

    Its positional arguments are tensors; everything else it uses is constant.
    """

    def __init__(self, function: Step, name: str) -> None:
        super().__init__(function, name, dynamic=True, fullgraph=True, options=_OPTIONS)
        self._games, self._seconds = 0, 0.0

    def _saves_time(self, games: int) -> bool:
        rate = self._seconds / self._games if self._games >= _MIN_GAMES else 0.0
        return self._seconds + rate * games > COMPILE_SECONDS

    def step(self, games: int, engine: Engine = Engine.auto) -> Step:
        """The function to use when this many games are still to be played."""
        engine = _default if engine is Engine.auto else engine
        ready = self.compiled is not None
        wanted = ready or self._saves_time(games) if engine is Engine.auto else engine is Engine.compiled
        return self if wanted and not self.broken else self.function

    def record(self, games: int, seconds: float) -> None:
        """Record the time that this many games took eagerly."""
        self._games, self._seconds = self._games + games, self._seconds + seconds

    def compile(self) -> Step:
        """Tracing first makes the board's masks constants; torch.compile would turn them into arguments."""
        return torch.compile(symbolic_trace(self.function), **self.options)
