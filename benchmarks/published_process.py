"""The published recipe in a process of its own, with torch's own settings of threads and memory.

It trains a few steps per request and sleeps in between. Started by :class:`Published` alone.
"""

import json
import os
import subprocess
import sys

import torch

from benchmarks.reference import published
from benchmarks.steps import Shape
from mothello.data.split import Split, corpus
from mothello.languages.language_set import build_languages
from mothello.othello.board import Board

CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
"""What this process may use before any training: one that makes room for company would pass fewer on."""


class Published:
    """The published recipe on the same games, batch and threads; ``with`` ends its process."""

    def __init__(self, shape: Shape, device: torch.device) -> None:
        own = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
        environment = {name: value for name, value in os.environ.items() if name not in own}
        overrides = shape.overrides if shape.peer is None else shape.peer
        order = [overrides, shape.games[device.type], str(device), torch.get_num_threads(), CORES]
        self.process = subprocess.Popen(
            [sys.executable, "-m", __name__, json.dumps(order)], env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self.best: dict[str, float] = {"tokens_per_s": 0.0}

    def run(self) -> None:
        """Some steps; the fastest round counts."""
        assert self.process.stdin
        assert self.process.stdout
        print("run", file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the published recipe ended with exit code {self.process.wait()}")
        self.best = max(self.best, json.loads(line), key=lambda numbers: numbers["tokens_per_s"])

    def __enter__(self) -> "Published":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()


def _serve(overrides: list[str], batch_size: int, name: str, threads: int, cores: list[int]) -> None:
    """Train a few steps per line of standard input, until it ends."""
    if cores:
        os.sched_setaffinity(0, cores)
    torch.set_num_threads(threads)
    config, device = Shape(tuple(overrides), {}, {}, 0).config, torch.device(name)
    board, size = Board.of(config.board.size), config.model
    language_set = build_languages(config.languages, board)
    moves = corpus(board, 0, Split.train, 10**8).moves(torch.arange(16 * batch_size))
    games = [[move for move in row if move >= 0] for row in moves.tolist()]
    settings = published.PublishedConfig(
        vocabulary_size=language_set.vocabulary_size, n_positions=language_set.max_tokens, n_layer=size.n_layer,
        n_head=size.n_head, d_model=size.d_model, dropout=size.dropout, batch_size=batch_size,
    )  # fmt: skip
    model, words = published.PublishedGPT(settings), published.words_of(language_set)
    steps = 3 if device.type == "cpu" else 10
    for _ in sys.stdin:
        records = published.train_steps(games, words, settings, steps, model, device)
        print(json.dumps(published.summary(records, 1)), flush=True)


if __name__ == "__main__":
    _serve(*json.loads(sys.argv[1]))
