"""What may end a training before its time: a signal, or numbers that are not finite. Neither loses work."""

import signal
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from mothello.signals import Stopped, handled_by, listened


class StopRequest:
    """Whether a signal asked this process to stop."""

    number = 0
    at_once = False
    """Nothing would be lost: a signal raises Stopped."""


@contextmanager
def stop_signals() -> Iterator[StopRequest]:
    """Within: what asks this process to stop is noted, to be obeyed after the step. From then on Ctrl-C acts as usual,
    at once; others are only noted, because a scheduler and torchrun may both pass one on."""
    asked, before = StopRequest(), listened()

    def note(number: int, _: object) -> None:
        asked.number = number
        if asked.at_once:
            raise Stopped(number)
        if signal.SIGINT in before:
            signal.signal(signal.SIGINT, before[signal.SIGINT])

    with handled_by(note, before):
        yield asked


class StepStats(NamedTuple):
    """A step's numbers, as the host sees them."""

    step: int
    loss: float
    norm: float
    """Of the gradient, before clipping."""
    stop: float
    """Sum over processes of the signals that asked for a stop, 0 for none."""
    scored: float = 0
    """Positions that the main objective's loss is a mean over."""
    parts: Mapping[str, float] = {}
    """Means by name."""


class AsyncScalars:
    """A step's numbers, read without making the device wait: on a GPU those of the step before, on a CPU its own."""

    def __init__(self, device: torch.device) -> None:
        self.lag = int(device.type == "cuda")
        self._sent: deque[tuple[int, dict[str, float], Tensor, torch.cuda.Event | None]] = deque()

    def push(self, step: int, weights: dict[str, float], numbers: Float[Tensor, " number"]) -> StepStats | None:
        """Send numbers off: the sums of the loss's terms, their counts, the stop, the norm. Returns the step that can
        be read by now. weights: of the terms."""
        event = None
        if numbers.is_cuda:
            host = torch.empty(numbers.shape, dtype=numbers.dtype, pin_memory=True)
            event = torch.cuda.Event()
            numbers = host.copy_(numbers, non_blocking=True)
            event.record()
        self._sent.append((step, weights, numbers, event))
        return self._read(*self._sent.popleft()) if len(self._sent) > self.lag else None

    def _read(self, step: int, weights: dict[str, float], numbers: Tensor, event: torch.cuda.Event | None) -> StepStats:
        if event is not None:
            event.synchronize()
        *totals, stop, norm = numbers.tolist()
        sums, counts = totals[: len(weights)], totals[len(weights) :]
        means = [total / max(1.0, count) for total, count in zip(sums, counts, strict=True)]
        loss = sum(weight * mean for weight, mean in zip(weights.values(), means, strict=True))
        return StepStats(step, loss, norm, stop, counts[0], dict(zip(list(weights)[1:], means[1:], strict=True)))

    def waiting(self) -> list[StepStats]:
        """What was sent and is still to come from ``push``; the host waits for it."""
        return [self._read(*sent) for sent in self._sent]


def check_finite(seen: StepStats) -> None:
    """FloatingPointError when the loss or the gradient is not finite; it names the step."""
    for name, value in (("loss", seen.loss), ("gradient norm", seen.norm)):
        if value != value or abs(value) == float("inf"):
            raise FloatingPointError(f"the {name} is {value} at step {seen.step}; the last good checkpoint is kept")
