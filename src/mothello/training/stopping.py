"""What may end a training before its time: a signal, or numbers that are not finite. Neither loses work."""

import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor


class Stopped(KeyboardInterrupt):
    """A training that was asked to stop by a signal, after its checkpoint was written."""

    def __init__(self, number: int, step: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name} after step {step}; the same command goes on")
        self.number = number


class StopRequest:
    """Whether a signal asked this process to stop."""

    number = 0


@contextmanager
def stop_signals() -> Iterator[StopRequest]:
    """Within: SIGTERM or SIGINT is noted, to be obeyed after the step. From then on Ctrl-C acts as usual, at once;
    another SIGTERM is only noted, because a scheduler and torchrun may both pass it on.

    Signals reach the main thread only; elsewhere nothing is changed.
    """
    asked = StopRequest()
    numbers = (signal.SIGTERM, signal.SIGINT) if threading.current_thread() is threading.main_thread() else ()
    before = {number: signal.getsignal(number) or signal.SIG_DFL for number in numbers}

    def note(number: int, _: object) -> None:
        asked.number = number
        signal.signal(signal.SIGINT, before[signal.SIGINT])

    for number in numbers:
        signal.signal(number, note)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class StepStats(NamedTuple):
    """A step's numbers, as the host sees them."""

    step: int
    loss: float
    norm: float
    """Of the gradient, before clipping."""
    stop: float
    """Sum over processes of the signals that asked for a stop, 0 for none."""
    scored: float = 0
    """Number that the main objective's loss is a mean of."""
    parts: Mapping[str, float] = {}
    """Means by name."""


class AsyncScalars:
    """A step's numbers, read without making the device wait: on a GPU those of the step before, on a CPU its own."""

    def __init__(self, device: torch.device) -> None:
        self.lag = int(device.type == "cuda")
        self._sent: deque[tuple[int, list[str], Tensor, torch.cuda.Event | None]] = deque()

    def push(self, step: int, numbers: Sequence[Tensor], parts: Iterable[str] = ()) -> StepStats | None:
        """Send scalars off: loss, norm, stop, scored, and the named parts. Returns the step that can be read by now."""
        self._send(step, list(parts), torch.stack(list(numbers)))
        return self._read(*self._sent.popleft()) if len(self._sent) > self.lag else None

    def _send(self, step: int, parts: list[str], numbers: Tensor) -> None:
        event = None
        if numbers.is_cuda:
            host = torch.empty(numbers.shape, dtype=numbers.dtype, pin_memory=True)
            event = torch.cuda.Event()
            numbers = host.copy_(numbers, non_blocking=True)
            event.record()
        self._sent.append((step, parts, numbers, event))

    def _read(self, step: int, parts: list[str], numbers: Tensor, event: torch.cuda.Event | None) -> StepStats:
        if event is not None:
            event.synchronize()
        loss, norm, stop, scored, *means = numbers.tolist()
        return StepStats(step, loss, norm, stop, scored, dict(zip(parts, means, strict=True)))

    def waiting(self) -> list[StepStats]:
        """What was sent and is still to come from ``push``; the host waits for it."""
        return [self._read(*sent) for sent in self._sent]


def check_finite(seen: StepStats) -> None:
    """FloatingPointError when the loss or the gradient is not finite; it names the step."""
    for name, value in (("loss", seen.loss), ("gradient norm", seen.norm)):
        if value != value or abs(value) == float("inf"):
            raise FloatingPointError(f"the {name} is {value} at step {seen.step}; the last good checkpoint is kept")
