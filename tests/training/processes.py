"""Real runs in processes of their own, which tests may signal, kill, starve of disk, or start as one of several.

They are forked from a process that has imported everything, so that one starts in a fraction of a second. A child runs
``scripts/SCRIPT.py ARGUMENTS``, or any function.
"""

import itertools
import multiprocessing
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mothello.rundir import RunDir
from mothello.signals import run
from mothello.training import checkpoint

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["mothello.cli.train", "torch._dynamo"])
SCRIPTS = Path(__file__).parents[2] / "scripts"
PATIENCE = 240.0
"""Seconds after which something hangs; no test is about time."""


class Child:
    """A process and what it prints."""

    def __init__(self, target: Callable[..., object], *arguments: Any, env: Mapping[str, str] | None = None) -> None:
        self._out, out = _CONTEXT.Pipe(duplex=False)
        self._process = _CONTEXT.Process(target=_child, args=(out, dict(env or {}), target, arguments))
        self._process.start()
        out.close()
        self._text = b""

    def signal(self, number: int) -> None:
        assert self._process.pid is not None
        if self.alive:  # else its number may be another's by now
            os.kill(self._process.pid, number)

    def wait(self) -> int:
        """The exit code; -N for signal N."""
        while self._out.poll(PATIENCE):
            data = os.read(self._out.fileno(), 65536)
            if not data:
                break
            self._text += data
        self._process.join(PATIENCE)
        assert self._process.exitcode is not None, "it hangs"
        return self._process.exitcode

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    @property
    def text(self) -> str:
        return self._text.decode()

    @property
    def errors(self) -> list[str]:
        """The lines that say what went wrong; progress bars left out."""
        lines = self.text.replace("\r", "\n").splitlines()
        return [line for line in lines if line.startswith("error:") or "Traceback" in line or "Logging error" in line]


def _child(out: Any, env: Mapping[str, str], target: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    for stream in (1, 2):
        os.dup2(out.fileno(), stream)
    out.close()
    os.environ.update(env)
    target(*arguments)


def script(name: str, folder: Path, *arguments: str, hook: Callable[[], object] | None = None) -> None:
    """``cd FOLDER; python scripts/NAME.py ARGUMENTS``; hook: called before."""
    os.chdir(folder)
    sys.argv = [f"scripts/{name}.py", *arguments]
    if hook:
        hook()
    run(f"mothello.cli.{name}")


def train(folder: Path, *arguments: str, hook: Callable[[], object] | None = None, **env: str) -> Child:
    """Begin ``python scripts/train.py ARGUMENTS run=run`` in the folder."""
    return Child(partial(script, hook=hook), "train", folder, *arguments, "run=run", env=env)


class Command:
    """``cd FOLDER; python scripts/NAME.py ARGUMENTS`` as a user starts it, or behind ``launcher``, such as torchrun."""

    def __init__(self, name: str, folder: Path, *arguments: str, launcher: Sequence[str] = (), **env: str) -> None:
        self._output = folder / f"output-{time.monotonic_ns()}.txt"
        with self._output.open("w") as output:
            self._process = subprocess.Popen(
                [*(launcher or [sys.executable]), str(SCRIPTS / f"{name}.py"), *arguments],
                cwd=folder, env=dict(os.environ) | env, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def kill_all(self) -> None:
        """It, and what it started, at once."""
        started = subprocess.run(["pgrep", "-P", str(self._process.pid)], capture_output=True, text=True).stdout.split()
        for number in (self._process.pid, *map(int, started)):
            os.kill(number, signal.SIGKILL)
        self._process.wait()

    def wait(self) -> int:
        return self._process.wait()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def text(self) -> str:
        return self._output.read_text()


def until(true: Callable[[], object], child: Child | Command) -> bool:
    """Wait until it is true, or the child has ended. Whether it is true."""
    end = time.monotonic() + PATIENCE
    while not true():
        if not child.alive:
            return bool(true())
        assert time.monotonic() < end, "it hangs"
        time.sleep(0.001)
    return True


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def group(size: int, target: Callable[..., object], *arguments: Any) -> list[Child]:
    """The processes that torchrun would start, each calling ``target(*arguments)``."""
    shared = {"WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    ranks = [{key: str(value) for key, value in (shared | {"RANK": r, "LOCAL_RANK": r}).items()} for r in range(size)]
    return [Child(target, *arguments, env=env) for env in ranks]


def full_disk(where: str, call: int, left: int) -> None:
    """From that call on, no file of this process may grow beyond ``left`` bytes."""
    places: dict[str, tuple[Any, str]] = {
        "checkpoint": (checkpoint, "_write"),
        "metrics.jsonl": (RunDir, "append_metrics"),
        "status.json": (RunDir, "write_status"),
    }
    owner, name = places[where]
    whole, calls = getattr(owner, name), itertools.count(1)

    def limited(*arguments: Any, **more: Any) -> Any:
        if next(calls) == call:
            resource.setrlimit(resource.RLIMIT_FSIZE, (left, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        return whole(*arguments, **more)

    setattr(owner, name, limited)
