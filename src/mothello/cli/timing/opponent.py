"""The published recipe in a process of its own, as it would run by itself: none of our settings of threads and memory.

It trains a few steps whenever it is asked, and sleeps in between. Started by :class:`Opponent` alone.
"""

import importlib
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import torch

from mothello.cli.timing.steps import Shape
from mothello.data.split import Split, corpus
from mothello.errors import UserError
from mothello.languages.language_set import LanguagesConfig, build_languages
from mothello.othello.board import Board

TESTS = Path(__file__).parents[4] / "tests"


class Order(NamedTuple):
    """What the process is started for."""

    shape: Shape
    device: str
    threads: int


class Opponent:
    """The published recipe on the same games, batch and threads, a few steps at a time; ``with`` ends its process.

    UserError outside of a checkout: it is tests/reference/published.py.
    """

    def __init__(self, shape: Shape, device: torch.device) -> None:
        path = TESTS / "reference" / "published.py"
        if not path.is_file():
            raise UserError(f"target: train is held against {path}, which is not there; run from a checkout")
        environment = dict(os.environ)
        if environment.get("MOTHELLO_SPINS"):  # then we chose the spins, not the user
            environment.pop("GOMP_SPINCOUNT", None)
        environment["MOTHELLO_SPINS"] = "system"
        self.process = subprocess.Popen(
            [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
        self.best: dict[str, float] = {"tokens_per_s": 0.0}
        self._send(pickle.dumps(Order(shape, str(device), torch.get_num_threads())))

    def _send(self, content: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(len(content).to_bytes(8, "little") + content)
        self.process.stdin.flush()

    def run(self) -> None:
        """Some steps; the fastest round counts."""
        assert self.process.stdout is not None
        self._send(b"run")
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the published recipe ended with exit code {self.process.wait()}")
        self.best = max(self.best, json.loads(line), key=lambda numbers: numbers["tokens_per_s"])

    def __enter__(self) -> "Opponent":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()


def _serve(order: Order) -> None:
    """Train whenever asked, until the other side is gone."""
    sys.path.insert(0, str(TESTS))
    module: Any = importlib.import_module("reference.published")
    torch.set_num_threads(order.threads)
    shape, device, board = order.shape, torch.device(order.device), Board.of(order.shape.size)
    language_set, batch = build_languages(LanguagesConfig(), board), shape.games[device.type]
    moves = corpus(board, 0, Split.train, 10**8).moves(torch.arange(16 * batch))
    games = [[move for move in row if move >= 0] for row in moves.tolist()]
    config = module.PublishedConfig(
        vocabulary_size=language_set.vocabulary_size, n_positions=language_set.max_tokens, n_layer=shape.model.n_layer,
        n_head=shape.model.n_head, d_model=shape.model.d_model, dropout=shape.model.dropout, batch_size=batch,
    )  # fmt: skip
    model, words, steps = module.PublishedGPT(config), module.words_of(language_set), 3 if device.type == "cpu" else 10
    while _receive():
        records = module.train_steps(games, words, config, steps, model, device)
        print(json.dumps(module.summary(records, 1)), flush=True)


def _receive() -> bytes:
    size = sys.stdin.buffer.read(8)
    return sys.stdin.buffer.read(int.from_bytes(size, "little"))


if __name__ == "__main__":
    _serve(pickle.loads(_receive()))
