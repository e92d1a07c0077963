"""A training step as one CUDA graph: the hundreds of kernels of a small model's step are launched at once."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from mothello.compiling import reason

log = logging.getLogger(__name__)

WARM_UP = 3
"""Calls before a capture: they make the optimizer's state, compile what is to be compiled, and choose kernels."""


@contextmanager
def capturable_stream(device: torch.device) -> Iterator[None]:
    """Within, kernels are launched on a stream of their own, since the usual one cannot be captured."""
    own = torch.cuda.Stream(device)
    own.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(own):
        yield
    torch.cuda.current_stream(device).wait_stream(own)


def captured(function: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
    """What repeats all that a call launches, and the call's result, whose tensors every repetition writes anew.
    RuntimeError where the function reads a number from the device, or launches what depends on one."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=torch.cuda.current_stream()):
        result = function()
    return graph.replay, result


class Graphed:
    """A function of a batch that is captured after a few calls, and replayed from then on.

    Called like the function, with the same result; its tensors are written over by the next call. The batch is any
    nest of tensors and constants. One that differs from the first in a shape or a constant calls the function itself,
    and all do where it cannot be captured, which is one warning. failed: called then, to clear what the attempt left.
    """

    def __init__(self, function: Callable[[Any], Any], failed: Callable[[], object]) -> None:
        self.function, self.failed = function, failed
        self.calls, self.broken = 0, False
        self._form: list[Any] = []
        self._inputs: list[Tensor] = []
        self._batch: Any = None
        self._replay: Callable[[], None] | None = None
        self._result: Any = None

    def __call__(self, batch: Any) -> Any:
        leaves, spec = tree_flatten(batch)
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        form = [spec, *((x.shape, x.dtype) if isinstance(x, Tensor) else x for x in leaves)]
        if not self._form:
            kept = [leaf.clone() if isinstance(leaf, Tensor) else leaf for leaf in leaves]
            self._form, self._inputs = form, [leaf for leaf in kept if isinstance(leaf, Tensor)]
            self._batch = tree_unflatten(kept, spec)
        if self.broken or form != self._form:
            return self.function(batch)
        for own, new in zip(self._inputs, tensors, strict=True):
            own.copy_(new)
        self.calls += 1
        if self._replay is None and self.calls > WARM_UP:
            self._capture()
        if self._replay is None:
            return self.function(self._batch)
        self._replay()
        return self._result

    def _capture(self) -> None:
        try:
            self._replay, self._result = captured(lambda: self.function(self._batch))
        except RuntimeError as error:
            self.broken = True
            self.failed()
            log.warning("the training step is not replayed as a CUDA graph (slower): %s", reason(error))
