"""mothello: when does a multilingual model align its languages, and when does skill transfer?

import mothello

run = mothello.train({"languages": {"kinds": ["atomic*2"]}, "data": {"games": 20_000}})
run = mothello.load_run("naive/seed3")                  # or the folder of any finished run or fine-tuning
games = run.games(64)
run.show(games[0], ply=12)
run.next_moves("c2 b2 a2", run.languages[0])
run.cache(games, run.languages[0])["blocks.0.resid_post"]
"""

import os
import time
from collections.abc import MutableMapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mothello.languages.language_set import LanguageSet
    from mothello.othello.board import Board
    from mothello.stages.load import load_run
    from mothello.stages.run import Run
    from mothello.stages.train import train

__version__ = "0.1.0"
__all__ = ["Board", "LanguageSet", "Run", "load_run", "train"]

_HOMES = {
    "Board": "othello.board", "LanguageSet": "languages.language_set", "Run": "stages.run",
    "load_run": "stages.load", "train": "stages.train",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """Names of the API are imported when they are first used: importing mothello alone does nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'mothello' has no attribute {name!r}")
    return getattr(import_module(f"mothello.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


def _spins() -> str:
    """How long OpenMP's idle threads spin for their next task before they sleep. Longer is a fifth faster on a machine
    that is free, and many times slower where anything else runs (docs/LOG.md); so look, a few milliseconds."""
    try:
        running = []
        for _ in range(5):
            running.append(int(Path("/proc/loadavg").read_text().split()[3].split("/")[0]))  # this process included
            time.sleep(0.001)
    except (OSError, IndexError, ValueError):
        return "1000"
    return "100000" if min(running) == 1 else "1000"


def _settle_spins(environment: MutableMapping[str, str]) -> None:
    """Read once by OpenMP, when torch is first imported. A process started by one of ours has company: short there.
    MOTHELLO_SPINS=system leaves OpenMP as it is."""
    chosen = environment.get("MOTHELLO_SPINS")
    if chosen == "system":
        return
    if chosen and environment.get("GOMP_SPINCOUNT") == chosen:
        environment["GOMP_SPINCOUNT"] = "1000"
    elif "GOMP_SPINCOUNT" not in environment and "OMP_WAIT_POLICY" not in environment:
        environment["MOTHELLO_SPINS"] = environment["GOMP_SPINCOUNT"] = _spins()


_settle_spins(os.environ)
