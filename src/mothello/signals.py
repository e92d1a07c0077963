"""Signals that ask a command to stop, from its first line to its last. Without torch, whose import takes seconds."""

import gc
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from mothello.stand_ins import stand_in

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AGAIN = 1.0
"""Seconds in which further signals are the same request: a terminal, a scheduler and torchrun may all pass it on."""


class Stopped(KeyboardInterrupt):
    """Work that was asked to stop by a signal. step: after which its checkpoint was written."""

    def __init__(self, number: int, step: int | None = None) -> None:
        after = "" if step is None else f" after step {step}; rerun the command to resume"
        super().__init__(f"stopped by {signal.Signals(number).name}{after}")
        self.number = number


def speaks() -> bool:
    """Whether this process tells how it ended: under torchrun the first one does, for all."""
    return os.environ.get("RANK", "0") == "0"


def listened() -> dict[signal.Signals, Any]:
    """The signals in STOPS that reach this thread, with their handlers: none outside the main thread, and none that
    were ignored from the start (nohup, a background job of a shell)."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    handlers = {number: signal.getsignal(number) or signal.SIG_DFL for number in STOPS}
    return {number: handler for number, handler in handlers.items() if handler != signal.SIG_IGN}


@contextmanager
def handled_by(handler: Callable[[int, Any], None], before: dict[signal.Signals, Any]) -> Iterator[None]:
    """Within: these signals call ``handler``; afterwards what they called before."""
    for number in before:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, own in before.items():
            if signal.getsignal(number) is handler:
                signal.signal(number, own)


def _own() -> dict[signal.Signals, Any]:
    """The signals that nobody else handles."""
    usual = (signal.SIG_DFL, signal.default_int_handler)
    return {number: handler for number, handler in listened().items() if handler in usual and speaks()}


@contextmanager
def stoppable() -> Iterator[None]:
    """Within: what asks this process to stop raises Stopped at once. A handler of somebody else stays, and so do those
    of torchrun's other processes."""
    last = -AGAIN

    def stop(number: int, _: Any) -> None:
        nonlocal last
        if time.monotonic() - last > AGAIN:
            last = time.monotonic()
            raise Stopped(number)

    with handled_by(stop, _own()):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
        yield


@contextmanager
def held() -> Iterator[None]:
    """Within: signals wait; also those of a process that is started here, until it calls ``stoppable``."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def told(stop: KeyboardInterrupt) -> int:
    """Say in one line what stopped a command. Returns its exit code, 128 + N for signal N."""
    if speaks():
        print(f"error: {str(stop) or Stopped(signal.SIGINT)}", file=sys.stderr, flush=True)
    return 128 + int(getattr(stop, "number", signal.SIGINT))


def run(module: str, computes: bool = True) -> None:
    """A script: import a command's module and call its ``main``. What stops it anywhere on the way is one line; it
    ends without a word where its output was closed (| head). computes: whether the command does more than show."""
    with handled_by(lambda number, _: os._exit(told(Stopped(number))), _own()):  # an import may swallow an exception
        stand_in(sys.argv[1:] if computes else ["--help"])
        gc.disable()  # what a library makes when it is imported stays: looking through it takes a third of a second
        try:
            main = import_module(module).main
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] in ("mothello", "studies"):
                raise
            how = "in a checkout: make setup, then source .venv/bin/activate"
            print(f"error: {error.name} is not installed for {sys.executable}; {how}", file=sys.stderr)
            raise SystemExit(2) from None
        finally:
            gc.freeze()
            gc.enable()
    with stoppable():
        try:
            main()
            print(end="", flush=True)
        except KeyboardInterrupt as stop:
            traceback.clear_frames(stop.__traceback__)  # progress bars end their lines
            raise SystemExit(told(stop)) from None
        except BrokenPipeError:
            raise SystemExit(128 + signal.SIGPIPE) from None
        except OSError as error:  # such as a full disk below standard output
            raise SystemExit(f"error: {error}") from None
        finally:
            _leave()


def _leave() -> None:
    """Python ends without tracebacks, and with the exit code that it has now; what is left goes with the process."""
    gc.freeze()
    for number in listened() if speaks() else ():
        signal.signal(number, signal.SIG_IGN)
    try:
        print(end="", flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
