"""Functions that are compiled where a compiler works, and eager where it does not: the results are the same."""

import logging
import re
from collections.abc import Callable
from time import perf_counter
from typing import Any

import torch

from mothello.errors import UserError
from mothello.signals import speaks

log = logging.getLogger(__name__)


def reason(error: BaseException) -> str:
    """Why a compilation failed, in one line: a compiler's own first error, else the first line of the innermost one."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if re.search(r"\berror: ", line)]
    return (told or lines or [type(error).__name__])[0]


class Compiled:
    """A function that is compiled when it is first called, and eager from the first failure of the compiler on.

    A failure is one warning and a call of ``failed``; with ``must`` it is a UserError. options: of torch.compile.
    """

    def __init__(
        self, function: Callable[..., Any], name: str, must: bool = False,
        failed: Callable[[], object] = lambda: None, **options: Any,
    ) -> None:  # fmt: skip
        self.function, self.name, self.must, self.failed, self.options = function, name, must, failed, options
        self.compiled: Callable[..., Any] | None = None
        self.broken = False
        self.compile_seconds = 0.0

    def __getattr__(self, name: str) -> Any:
        """Of the function, which may be a model."""
        return getattr(self.__dict__["function"], name)

    def compile(self) -> Callable[..., Any]:
        """What torch compiles when it is called; its gradient as well, so that a failure shows at once."""
        from torch._functorch import config

        config.force_non_lazy_backward_lowering = True
        return torch.compile(self.function, **self.options)

    def __call__(self, *arguments: Any, **more: Any) -> Any:
        if self.broken:
            return self.function(*arguments, **more)
        begun = perf_counter()
        try:
            compiled = self.compile() if self.compiled is None else self.compiled
            result = compiled(*arguments, **more)
        except Exception as error:  # no compiler, no headers or no room for its cache: these errors share no type
            why = reason(error)
        else:
            if self.compiled is None:
                self.compiled, self.compile_seconds = compiled, perf_counter() - begun
            return result
        result = self.function(*arguments, **more)  # where the function itself is at fault, this raises as well
        if self.must:
            line = f"device.compile: {self.name} cannot be compiled ({why}); auto runs it eagerly"
            raise UserError(line) if speaks() else SystemExit(2)
        self.broken = True
        if speaks():
            log.warning("%s stays eager (slower): no working compiler: %s", self.name, why)
        self.failed()
        return result
