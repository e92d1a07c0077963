"""Eager or compiled, chosen by the amount of work.

A ply is some seven hundred elementwise operations on int64. Eager, each is a pass over memory; compiled, they are one
kernel that keeps a game in registers. Compiling takes seconds, so short jobs never pay for it: work starts eagerly and
is compiled as soon as all that was played eagerly, and what is still asked for, would take longer than a compiler does.
The games are the same either way.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from time import perf_counter
from typing import Any

import torch
from torch.fx import symbolic_trace

log = logging.getLogger(__name__)

Step = Callable[..., Any]

COMPILE_SECONDS = 20.0
"""What compiling takes, roughly, on a machine with one or two cores (docs/LOG.md). Only decides when it pays."""

_TELLING = 1024
"""Games before which the time spent says little about a game: it is nearly all fixed cost."""

_OPTIONS: dict[str, Any] = {"max_fusion_size": 10_000, "realize_opcount_threshold": 4}
"""One kernel, whatever its length; and each value computed once instead of being inlined into all its users, which is
what makes compiling slow. Neither changes a result (docs/LOG.md)."""


class Engine(StrEnum):
    """``auto``: by the amount of work. The results are identical."""

    auto = "auto"
    eager = "eager"
    compiled = "compiled"


_default = Engine.auto


@contextmanager
def using(engine: Engine) -> Iterator[None]:
    """Within the context, ``auto`` means this engine."""
    global _default
    before, _default = _default, engine
    try:
        yield
    finally:
        _default = before


class LazyCompiled:
    """An elementwise function on a batch of games that is compiled once the work pays for it.

    Its positional arguments are tensors; everything else it uses is constant.
    """

    def __init__(self, function: Step, name: str) -> None:
        self.function, self.name = function, name
        self.compiled: Step | None = None
        self.broken = False
        self.compile_seconds = 0.0
        self._games, self._seconds = 0, 0.0

    def _pays(self, games: int) -> bool:
        rate = self._seconds / self._games if self._games >= _TELLING else 0.0
        return self._seconds + rate * games > COMPILE_SECONDS

    def step(self, games: int, engine: Engine = Engine.auto) -> Step:
        """The function to use when that many games are still to be played."""
        engine = _default if engine is Engine.auto else engine
        ready = self.compiled is not None
        wanted = ready or self._pays(games) if engine is Engine.auto else engine is Engine.compiled
        return self._compiled if wanted and not self.broken else self.function

    def spent(self, games: int, seconds: float) -> None:
        """Tell how long that many games took eagerly."""
        self._games, self._seconds = self._games + games, self._seconds + seconds

    def _compiled(self, *arguments: Any) -> Any:
        """The first call compiles; where that fails, one line says so and everything stays eager."""
        if self.compiled is not None or self.broken:
            return (self.function if self.compiled is None else self.compiled)(*arguments)
        start = perf_counter()
        # Traced first, so that the board's masks are constants: torch.compile would turn them into arguments.
        try:
            compiled = torch.compile(symbolic_trace(self.function), dynamic=True, fullgraph=True, options=_OPTIONS)
            result = compiled(*arguments)
        except Exception as error:  # no compiler, no headers, no room for its cache: these share no type
            self.broken = True
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            log.warning("%s stays eager (slower, same games): no working compiler: %s", self.name, reason)
            return self.function(*arguments)
        self.compile_seconds, self.compiled = perf_counter() - start, compiled
        return result
