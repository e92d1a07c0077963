"""Training as the published mOthello code does it (protocol section 2), for comparison in speed and in numbers.

fp32 with torch's defaults, games encoded one by one in Python, a DataLoader in the training process, and a trainer that
reads the loss at every step. Nothing is slowed down and nothing tuned; no line is shared with ``mothello.training``.
"""

import itertools
import math
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from benchmarks.reference.published_model import PAD, CausalSelfAttention, PublishedConfig, PublishedGPT, load_from
from mothello.languages.language_set import LanguageSet

__all__ = [
    "CausalSelfAttention", "GameDataset", "PublishedConfig", "PublishedGPT", "encode", "load_from", "summary",
    "train_steps", "words_of",
]  # fmt: skip

Words = dict[int, list[int]]
"""A language: move index -> token ids."""


def words_of(language_set: LanguageSet) -> list[Words]:
    """Every language of a family as a dict."""
    return [{move: list(word) for move, word in enumerate(language.words)} for language in language_set.languages]


def encode(game: Sequence[int], words: Words) -> list[int]:
    """Token ids of a game, one look-up a move."""
    tokens: list[int] = []
    for move in game:
        tokens += words[move]
    return tokens


class GameDataset(Dataset[tuple[Tensor, Tensor]]):
    """Games (lists of move indices) as rows of one width, encoded whenever they are visited.

    spoken: the language of every game; by default it is drawn uniformly at every visit (the published regime).
    """

    def __init__(
        self, games: Sequence[Sequence[int]], languages: Sequence[Words], seed: int, spoken: Sequence[int] | None = None
    ) -> None:
        self.games, self.languages, self.spoken = games, languages, spoken
        self.width = max(sum(map(len, words.values())) for words in languages)
        self.random = random.Random(seed)

    def __len__(self) -> int:
        return len(self.games)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """(tokens, targets): the row without its last place, and without its first."""
        language = self.random.randrange(len(self.languages)) if self.spoken is None else self.spoken[index]
        row = encode(self.games[index], self.languages[language])
        row += [PAD] * (self.width - len(row))
        return torch.tensor(row[:-1], dtype=torch.long), torch.tensor(row[1:], dtype=torch.long)


def learning_rate(done: int, steps: int, config: PublishedConfig) -> float:
    """After that many updates: a linear rise, then a cosine to zero that stays at a share of the peak in the end.
    The published rise is by tokens; games of random play have nearly the same number."""
    warmup = max(1, round(config.warmup_fraction * steps))
    if done < warmup:
        return config.lr * done / warmup
    progress = (done - warmup) / max(1, steps - warmup)
    return config.lr * max(config.final_lr_fraction, 0.5 * (1.0 + math.cos(math.pi * progress)))


class Record(NamedTuple):
    """One step. tokens: positions that carried loss; the rest in seconds."""

    loss: float
    tokens: int
    data: float
    forward: float
    backward: float
    optimizer: float

    @property
    def seconds(self) -> float:
        return self.data + self.forward + self.backward + self.optimizer


@contextmanager
def plain_fp32() -> Iterator[None]:
    """fp32 products as torch gives them by default (no TF32 on a GPU), whatever the process has chosen."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _forever(loader: DataLoader[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    while True:
        yield from loader


@plain_fp32()
def train_steps(
    games: Sequence[Sequence[int]],
    languages: Sequence[Words],
    config: PublishedConfig,
    steps: int,
    model: PublishedGPT | None = None,
    device: torch.device | str = "cpu",
    spoken: Sequence[int] | None = None,
    shuffle: bool = True,
) -> list[Record]:
    """Train for that many steps (the schedule spans them all), epoch after epoch over the games; one record a step.

    model: trained in place, with its own size and dropout; by default a new one. spoken: see GameDataset. On a GPU
    only the loss waits for the device, so the sum of all seconds is right there and the parts are not.
    """
    torch.manual_seed(config.seed)
    device = torch.device(device)
    model = (model or PublishedGPT(config)).to(device).train()
    optimizer = model.optimizer(config)
    loader = DataLoader(
        GameDataset(games, languages, config.seed, spoken), config.batch_size,
        shuffle=shuffle, num_workers=0, pin_memory=device.type == "cuda", drop_last=True,
    )  # fmt: skip
    if not len(loader):
        raise ValueError(f"{len(games)} games are less than a batch of {config.batch_size}")
    batches, records = _forever(loader), []
    for step in range(steps):
        times = [perf_counter()]
        x, y = next(batches)
        tokens = int((y != PAD).sum())
        x, y = x.to(device), y.to(device)
        times.append(perf_counter())
        _, loss = model(x, y)
        assert loss is not None
        value = loss.item()
        times.append(perf_counter())
        model.zero_grad()
        loss.backward()
        times.append(perf_counter())
        nn.utils.clip_grad_norm_(model.parameters(), config.max_grad_norm)
        optimizer.step()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step + 1, steps, config)
        times.append(perf_counter())
        records.append(Record(value, tokens, *(end - start for start, end in itertools.pairwise(times))))
    return records


def summary(records: Sequence[Record], skip: int = 2) -> dict[str, float]:
    """Tokens a second after the first few steps, and the share of the time in each part of a step."""
    timed = records[skip:]
    seconds = sum(record.seconds for record in timed)
    parts = {part: sum(getattr(record, part) for record in timed) / seconds for part in Record._fields[2:]}
    return {"tokens_per_s": sum(record.tokens for record in timed) / seconds} | parts
