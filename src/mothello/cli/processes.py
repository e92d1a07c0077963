"""Calls in processes of their own, which end with the process that waits for them."""

import multiprocessing as mp
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from threading import Thread
from typing import Any

from mothello.signals import held, stoppable

DYING = 30.0
"""Seconds that a process which was asked to stop gets to save what it has."""
GONE = "the process is gone; rerun the command to resume"

Send = Callable[[Any], None]
Running = dict[Connection, tuple[int, mp.process.BaseProcess, int]]
"""By its connection: the index of a call, its process, and which of the n places it has."""


def in_processes(
    n: int, calls: Sequence[Callable[[Send], object]], got: Callable[[int, Any], object],
    places: Sequence[Mapping[str, str]] = (),
) -> None:  # fmt: skip
    """Each call in a process of its own, ``n`` at a time. A call is given a function that sends; ``got(index, sent)``
    is called with all that one sends, and ``got(index, None)`` when its process has ended. places: of each of the n
    places, what its processes find in their environment.

    An error of a call is raised here. Whatever ends this one asks the others to stop, and kills them after DYING.
    """
    context, waiting, running = mp.get_context("spawn"), deque(enumerate(calls)), Running()
    resource_tracker.ensure_running()  # here: it lets signals through
    try:
        while waiting or running:
            while waiting and len(running) < n:
                index, call = waiting.popleft()
                receiver, sender = context.Pipe(duplex=False)
                place = min(set(range(n)) - {place for *_, place in running.values()})
                process = context.Process(target=_call, args=(call, sender, places[place] if places else {}))
                with held():
                    process.start()
                    running[receiver] = index, process, place
                sender.close()
            _collect(running, got)
    finally:
        _end(running, got)


def _collect(running: Running, got: Callable[[int, Any], object], seconds: float | None = None) -> None:
    """Wait for what comes first, and pass it on."""
    for receiver in wait(list(running), seconds):
        assert isinstance(receiver, Connection)
        index, process, _ = running[receiver]
        sent = None
        with suppress(EOFError):
            sent = receiver.recv()
        if sent is None:
            del running[receiver]
            process.join()
        if isinstance(sent, Exception):
            raise sent
        got(index, sent)


def _end(running: Running, got: Callable[[int, Any], object]) -> None:
    for _, process, _ in running.values():
        process.terminate()
    end = time.monotonic() + DYING
    try:
        while running and (left := end - time.monotonic()) > 0:
            with suppress(Exception):  # the first error is the one to report
                _collect(running, got, left)
    finally:
        for _, process, _ in running.values():
            process.kill()


def _call(call: Callable[[Send], object], sender: Connection, place: Mapping[str, str]) -> None:
    """In a process of its own, with signals held back until here."""
    os.environ.update(place)
    Thread(target=_end_with_parent, daemon=True).start()
    with suppress(KeyboardInterrupt, BrokenPipeError), stoppable():  # the other end has gone
        try:
            call(sender.send)
        except Exception as error:
            sender.send(error)


def _end_with_parent() -> None:
    parent = mp.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
