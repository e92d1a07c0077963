"""mothello: when does a multilingual model align its languages, and when does skill transfer?

import mothello

run = mothello.train({"languages": {"kinds": ["atomic*2"]}, "data": {"games": 20_000}})
run = mothello.load_run("naive/seed3")                  # or the folder of any finished run or fine-tuning
games = run.games(64)
run.show(games[0], ply=12)
run.next_moves("c2 b2 a2", run.languages[0])
run.cache(games, run.languages[0])["blocks.0.resid_post"]
mothello.measure(run, "probes")                         # rows; then run.probe(layer, language) reads boards
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mothello.languages.language_set import LanguageSet
    from mothello.othello.board import Board
    from mothello.stages.library import measure, train
    from mothello.stages.load import load_run
    from mothello.stages.run import Run

__version__ = "0.1.0"
__all__ = ["Board", "LanguageSet", "Run", "load_run", "measure", "train"]

_HOMES = {
    "Board": "othello.board", "LanguageSet": "languages.language_set", "Run": "stages.run",
    "load_run": "stages.load", "measure": "stages.library", "train": "stages.library",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """Names of the API are imported when they are first used: importing mothello alone does nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'mothello' has no attribute {name!r}")
    return getattr(import_module(f"mothello.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])
