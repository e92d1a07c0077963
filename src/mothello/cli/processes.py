"""Calls in processes of their own, which end with the process that waits for them."""

import multiprocessing as mp
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
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
Running = dict[Connection, tuple[int, mp.process.BaseProcess]]


def in_processes(n: int, calls: Sequence[Callable[[Send], object]], got: Callable[[int, Any], object]) -> None:
    """Each call in a process of its own, ``n`` at a time. A call is given a function that sends; ``got(index, sent)``
    is called with all that one sends, and ``got(index, None)`` when its process has ended.

    An error of a call is raised here. Whatever ends this one asks the others to stop, and kills them after DYING.
    """
    context, waiting, running = mp.get_context("spawn"), deque(enumerate(calls)), Running()
    resource_tracker.ensure_running()  # here: it lets signals through
    try:
        while waiting or running:
            while waiting and len(running) < n:
                index, call = waiting.popleft()
                receiver, sender = context.Pipe(duplex=False)
                process = context.Process(target=_call, args=(call, sender))
                with held():
                    process.start()
                    running[receiver] = index, process
                sender.close()
            _collect(running, got)
    finally:
        _end(running, got)


def _collect(running: Running, got: Callable[[int, Any], object], seconds: float | None = None) -> None:
    """Wait for what comes first, and pass it on."""
    for receiver in wait(list(running), seconds):
        assert isinstance(receiver, Connection)
        index, process = running[receiver]
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
    for _, process in running.values():
        process.terminate()
    end = time.monotonic() + DYING
    try:
        while running and (left := end - time.monotonic()) > 0:
            with suppress(Exception):  # the first error is the one to report
                _collect(running, got, left)
    finally:
        for _, process in running.values():
            process.kill()


def _call(call: Callable[[Send], object], sender: Connection) -> None:
    """In a process of its own, with signals held back until here."""
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
