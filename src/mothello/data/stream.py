"""The training stream: batch = f(seed, step), so resuming is arithmetic and workers are a stride."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Int8, Int64
from torch import Tensor

from mothello.data.batch import Batch, make_batch
from mothello.data.corpus import Corpus
from mothello.languages.family import Family
from mothello.othello.counter import random_bits
from mothello.seeding import derive


@dataclass(kw_only=True)
class DataConfig:
    """What a model is trained on."""

    games: int = 100_000
    """Games in the training corpus."""
    epochs: float = 1.0
    """Visits of each game."""
    batch_size: int = 128
    """Games per step."""
    corpus_seed: int = 0
    """Decides the games; the training seed never does."""
    prefix: list[str] = field(default_factory=list)
    """Opening moves every training game starts with, such as [c2, b2, a2]."""

    def __post_init__(self) -> None:
        for name, value, low in (("games", self.games, 1), ("batch_size", self.batch_size, 1)):
            if value < low:
                raise ValueError(f"data.{name}: {value} is below {low}")
        if self.epochs <= 0:
            raise ValueError(f"data.epochs: {self.epochs} is not positive")
        if self.steps < 1:
            raise ValueError("data.games: games x epochs is less than one batch")

    @property
    def steps(self) -> int:
        """Optimizer steps: whole batches only."""
        return int(round(self.games * self.epochs, 6)) // self.batch_size


def permute(position: Int64[Tensor, " n"], size: int, seed: int) -> Int64[Tensor, " n"]:
    """A seeded permutation of 0 .. size - 1, computed place by place: a Feistel network with cycle walking."""
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    mask = (1 << half) - 1
    value, todo = position.clone(), torch.ones_like(position, dtype=torch.bool)
    while bool(todo.any()):
        left, right = value >> half, value & mask
        for r in range(4):
            left, right = right, left ^ (random_bits(seed, right, r) & mask)
        value = torch.where(todo, left << half | right, value)
        todo = value >= size
    return value


class Stream:
    """Batches of a corpus in a family's languages. Games are drawn without replacement within an epoch, in an order
    that depends on the seed; the language of a game is drawn uniformly at every visit."""

    def __init__(
        self, corpus: Corpus, family: Family, batch_size: int, seed: int, device: torch.device | str = "cpu"
    ) -> None:
        self.corpus, self.family, self.batch_size, self.device = (
            corpus,
            family,
            batch_size,
            torch.device(device),
        )
        self.seed = seed
        self.steps_at_once = max(1, 4096 // batch_size)  # bulk play is faster; the games stay the same
        self._chunk: tuple[int, Int8[Tensor, "game ply"]] | None = None

    def _rows(self, step: int, n_steps: int = 1) -> Int64[Tensor, " game"]:
        start = step * self.batch_size
        return torch.arange(start, start + n_steps * self.batch_size, device=self.device)

    def indices(self, rows: Int64[Tensor, " game"]) -> Int64[Tensor, " game"]:
        """Corpus index of each row of the endless stream."""
        size, result = len(self.corpus), torch.empty_like(rows)
        epochs = rows // size
        for epoch in range(int(epochs[0]), int(epochs[-1]) + 1):
            here = epochs == epoch
            result[here] = permute(rows[here] % size, size, derive(self.seed, "order", epoch))
        return result

    def languages(self, rows: Int64[Tensor, " game"]) -> Int64[Tensor, " game"]:
        """Language of each row, uniform."""
        bits = random_bits(derive(self.seed, "language"), rows, 0)
        return bits * len(self.family.languages) >> 32

    def batch(self, step: int) -> Batch:
        """The batch of that step; the same whatever was asked before."""
        first = step - step % self.steps_at_once
        if self._chunk is None or self._chunk[0] != first:
            self._chunk = first, self.corpus.moves(self.indices(self._rows(first, self.steps_at_once)))
        at = (step - first) * self.batch_size
        moves = self._chunk[1][at : at + self.batch_size]
        return make_batch(moves, self.languages(self._rows(step)), self.family)
