"""Tokens per second of the training loop at the sizes that matter, and where the time of a step goes."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from mothello.data.batch import IGNORE, Batch
from mothello.data.split import Split, corpus
from mothello.data.stream import Stream
from mothello.languages.language_set import LanguagesConfig, build_languages
from mothello.model.build import build_model
from mothello.model.transformer import Activation, ModelConfig, Norm
from mothello.objectives.causal_lm import causal_lm
from mothello.othello.board import Board
from mothello.training.budget import flops_per_token
from mothello.training.device import Precision
from mothello.training.distributed import World
from mothello.training.loop import Plan, train
from mothello.training.optimizer import OptimizerConfig, OptimizerName

TESTS = Path(__file__).parents[4] / "tests"
ROUNDS, WARM, PROFILED = 3, 3, 3


@dataclass(frozen=True)
class Shape:
    """A training to time. games: per step on a CPU and on a GPU; once: what a user waits for, in games."""

    size: int
    model: ModelConfig
    optimizer: OptimizerConfig
    games: dict[str, int]
    steps: dict[str, int]
    """Per round; the best round counts, here and of the published recipe."""
    once: int


_PUBLISHED = OptimizerConfig(
    name=OptimizerName.adamw, lr=5e-4, warmup_fraction=0.01, final_lr_fraction=0.1, decay="cosine", beta_2=0.95
)
SHAPES = {
    "paper": Shape(
        8, ModelConfig(n_layer=8, n_head=8, d_model=512, dropout=0.1), _PUBLISHED,
        {"cpu": 64, "cuda": 1024}, {"cpu": 4, "cuda": 20}, 20_000_000,
    ),
    "small": Shape(
        6, ModelConfig(norm=Norm.rms, activation=Activation.relu2, bias=False, zero_init=True), OptimizerConfig(),
        {"cpu": 128, "cuda": 4096}, {"cpu": 40, "cuda": 40}, 900_000,
    ),
}  # fmt: skip
"""configs/model/paper.yaml and optimizer/published.yaml on 8x8, small.yaml and muon.yaml on 6x6; two languages."""


class Way(NamedTuple):
    """How our step is run."""

    name: str
    compiled: bool
    cuda_graphs: bool = False


WAYS = {
    "cpu": [Way("eager", False), Way("compiled", True)],
    "cuda": [Way("eager", False), Way("compiled", True), Way("compiled, CUDA graphs", True, True)],
}


@dataclass
class Timing:
    """Rounds of steps, with something else between two rounds, then some steps under a profiler."""

    stream: Stream
    steps: int
    between: Callable[[], None]
    rounds: list[float] = field(default_factory=list)
    """Seconds per step."""
    first: float = 0.0
    """Seconds of the first step, compiling included."""
    profiler: Any = None
    _since: float = 0.0

    @property
    def total(self) -> int:
        return WARM + ROUNDS * self.steps + PROFILED + 1

    def batch(self, step: int) -> Batch:
        """The stream's, all from games that are already played: playing is timed apart, in bulk."""
        if step == 1:
            self.first = self._now() - self._since
        done, rest = divmod(step - WARM, self.steps)
        if step >= WARM and rest == 0 and done <= ROUNDS:
            if done:
                self.rounds.append((self._now() - self._since) / self.steps)
            self.between()
            if done == ROUNDS:
                self.profiler.start()
        if step == self.total - 1:
            self._now()
            self.profiler.stop()
        batch = self.stream.batch(step % self.stream.steps_at_once)
        if step == 0 or (step >= WARM and rest == 0):
            self._since = self._now()
        return batch

    def _now(self) -> float:
        if self.stream.device.type == "cuda":
            torch.cuda.synchronize(self.stream.device)
        return perf_counter()


_PRODUCTS = {"cpu": ("mm", "attention"), "cuda": ("gemm", "nvjet", "cutlass", "flash", "fmha")}


def _groups(profiler: Any, device: torch.device) -> dict[str, float]:
    """Shares of the time of the profiled steps: on a GPU of its kernels' time, on a CPU of the operators'."""
    on_gpu = device.type == "cuda"
    products, fused, rest, update = 0.0, 0.0, 0.0, dict[str, float]()
    for event in profiler.key_averages():
        if event.key.startswith("Optimizer.step#"):  # a span around operators; a GPU has a copy of it
            spent = event.device_time_total if on_gpu else event.cpu_time_total
            update[event.key] = max(spent, update.get(event.key, 0.0))
        if on_gpu and (event.device_type != DeviceType.CUDA or event.is_user_annotation):
            continue
        own = event.self_device_time_total if on_gpu else event.self_cpu_time_total
        if any(word in event.key for word in ("Compiled", "triton", "cpp_fused")):  # named after what they fuse
            fused += own
        elif any(word in event.key for word in _PRODUCTS[device.type]):
            products += own
        else:
            rest += own
    total = products + fused + rest
    assert total > 0, "the profiler saw nothing"
    shares = {"products": products, "fused": fused, "rest": rest, "of_it_update": sum(update.values())}
    return {name: spent / total for name, spent in shares.items()}


def time_ours(shape: Shape, way: Way, device: torch.device, between: Callable[[], None]) -> dict[str, Any]:
    """The very loop of scripts/train.py; tokens are positions that carry loss, playing and writing games included."""
    board, games = Board.of(shape.size), shape.games[device.type]
    language_set = build_languages(LanguagesConfig(), board)
    stream = Stream(corpus(board, 0, Split.train, 10**8), language_set, games, 0, device)
    timing = Timing(stream, shape.steps[device.type], between)
    played = min(_play(stream, chunk) for chunk in (1, 2, 3, 0))
    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if device.type == "cuda" else [])
    timing.profiler = profile(activities=activities)
    model = build_model(shape.model, language_set).initialize(0).to(device)
    plan = Plan(
        steps=timing.total, objective=causal_lm, optimizer=shape.optimizer, precision=Precision.auto, seed=0,
        folder=Path(os.devnull), log=lambda *_: None, evaluate=lambda _: {}, evaluate_at=frozenset(),
        checkpoint_every=0, compiled=way.compiled, cuda_graphs=way.cuda_graphs, world=World(rank=1, size=1),
    )  # fmt: skip
    train(model, timing.batch, plan)
    scored = float((stream.batch(0).targets != IGNORE).sum())
    seconds = min(timing.rounds) + played * games
    places = stream.width - 1  # the last one is computed and never scored: no useful work
    flops = flops_per_token(model, places) * games * places
    return {
        "tokens_per_s": round(scored / seconds),
        "flops_per_s": flops / seconds,
        "first_step_s": round(timing.first, 1),
        "games_share": round(played * games / seconds, 4),
        "minutes_once": round(shape.once / games * seconds / 60, 1),
        "time": {name: round(share, 3) for name, share in _groups(timing.profiler, device).items()},
    }


def _play(stream: Stream, chunk: int) -> float:
    """Seconds to play and write one game, in bulk."""
    begun = perf_counter()
    batch = stream.batch(chunk * stream.steps_at_once)
    float(batch.tokens.sum())
    return (perf_counter() - begun) / (stream.steps_at_once * stream.batch_size)
