"""The training loop at the sizes that matter: tokens per second, and where the time of a step goes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, NamedTuple

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from mothello.cli.compose import composed
from mothello.data.config import DataConfig
from mothello.data.sources import Sources
from mothello.data.split import Split, corpus
from mothello.data.stream import Stream
from mothello.languages.language_set import build_languages
from mothello.model.build import build_model
from mothello.model.transformer import GPT
from mothello.objectives.combined import build_objective
from mothello.objectives.objective import Objective
from mothello.othello.board import Board
from mothello.stages.pretrain import TrainConfig
from mothello.training.budget import flops_per_token
from mothello.training.loop import train
from mothello.training.plan import Plan

ROUNDS, WARM, PROFILED = 3, 3, 3


@dataclass(frozen=True)
class Shape:
    """A training to time, as overrides of configs/train.yaml. The best round of steps counts."""

    overrides: tuple[str, ...]
    games: dict[str, int]
    """Per step, by type of device."""
    steps: dict[str, int]
    """Per round."""
    once: int
    """What a user waits for, in games."""
    peer: tuple[str, ...] | None = None
    """Overrides of what the published recipe trains beside it, where that is another model."""

    @property
    def config(self) -> TrainConfig:
        return composed("train", TrainConfig, list(self.overrides))


SHAPES = {
    "paper": Shape(
        ("board=8x8", "model=paper", "optimizer=published"),
        {"cpu": 64, "cuda": 1024}, {"cpu": 4, "cuda": 20}, 20_000_000,
    ),
    "small": Shape((), {"cpu": 128, "cuda": 4096}, {"cpu": 40, "cuda": 40}, 900_000),
    "speedrun": Shape(
        ("+experiment=speedrun", "board=6x6"), {"cpu": 128, "cuda": 4096}, {"cpu": 20, "cuda": 40}, 540_000, peer=(),
    ),
}  # fmt: skip


class Execution(NamedTuple):
    """How our step is run."""

    name: str
    compiled: bool
    cuda_graphs: bool = False


EXECUTIONS = {
    "cpu": [Execution("eager", False), Execution("compiled", True)],
    "cuda": [Execution("eager", False), Execution("compiled", True), Execution("compiled, CUDA graphs", True, True)],
}


@dataclass
class Timing:
    """Rounds of steps, with something else between two rounds, then some steps under a profiler."""

    stream: Stream
    objective: Objective
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

    def batch(self, step: int) -> Any:
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
        batch = self.objective.batch(self.stream, step % self.stream.steps_at_once)
        if step == 0 or (step >= WARM and rest == 0):
            self._since = self._now()
        return batch

    def _now(self) -> float:
        if self.stream.device.type == "cuda":
            torch.cuda.synchronize(self.stream.device)
        return perf_counter()


_PRODUCTS = {"cpu": ("mm", "attention"), "cuda": ("gemm", "nvjet", "cutlass", "flash", "fmha")}


def _time_shares(profiler: Any, device: torch.device) -> dict[str, float]:
    """Shares of the profiled steps' time: of the kernels' on a GPU, of the operators' on a CPU."""
    on_gpu = device.type == "cuda"
    spent = dict.fromkeys(("products", "fused", "rest"), 0.0)
    update = dict[str, float]()
    for event in profiler.key_averages():
        if event.key.startswith("Optimizer.step#"):  # a span around operators; a GPU has a copy of it
            whole = event.device_time_total if on_gpu else event.cpu_time_total
            update[event.key] = max(whole, update.get(event.key, 0.0))
        if on_gpu and (event.device_type != DeviceType.CUDA or event.is_user_annotation):
            continue
        fused = any(word in event.key for word in ("Compiled", "triton", "cpp_fused"))  # named after what they fuse
        product = any(word in event.key for word in _PRODUCTS[device.type])
        part = "fused" if fused else "products" if product else "rest"
        spent[part] += event.self_device_time_total if on_gpu else event.self_cpu_time_total
    total = sum(spent.values())
    assert total > 0, "the profiler saw nothing"
    return {name: time / total for name, time in (spent | {"of_it_update": sum(update.values())}).items()}


def prepared(shape: Shape, device: torch.device) -> tuple[TrainConfig, Stream, GPT]:
    """A training of the shape: its config, its games, and a model with fresh weights."""
    config = shape.config
    board = Board.of(config.board.size)
    language_set = build_languages(config.languages, board)
    sources = Sources.shared(corpus(board, 0, Split.train, 10**8), len(language_set.languages))
    stream = Stream(sources, language_set, DataConfig(batch_size=shape.games[device.type]), 0, device)
    return config, stream, build_model(config.model, language_set).initialize(0).to(device)


def plan_of(config: TrainConfig, steps: int, execution: Execution) -> Plan:
    """The plan of scripts/train.py, without checkpoints and evaluation."""
    return Plan(
        steps=steps, objective=build_objective(config.objective), optimizer=config.optimizer,
        precision=config.device.precision, seed=0, compiled=execution.compiled, cuda_graphs=execution.cuda_graphs,
    )  # fmt: skip


def time_ours(shape: Shape, execution: Execution, device: torch.device, between: Callable[[], None]) -> dict[str, Any]:
    """The loop of scripts/train.py. Tokens are positions that carry loss; playing and encoding games is included."""
    config, stream, model = prepared(shape, device)
    objective, games = build_objective(config.objective), stream.batch_size
    timing = Timing(stream, objective, shape.steps[device.type], between)
    played = min(_play(stream, chunk) for chunk in (1, 2, 3, 0))
    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if device.type == "cuda" else [])
    timing.profiler = profile(activities=activities)
    train(model, timing.batch, plan_of(config, timing.total, execution))
    scored = int((objective.batch(stream, 0).targets >= 0).sum())
    seconds = min(timing.rounds) + played * games
    places = stream.width - 1  # the last one is computed and never scored: no useful work
    return {
        "tokens_per_s": round(scored / seconds),
        "flops_per_s": flops_per_token(model, places) * games * places / seconds,
        "first_step_s": round(timing.first, 1),
        "games_share": round(played * games / seconds, 4),
        "minutes_once": round(shape.once / games * seconds / 60, 1),
        "time": {name: round(share, 3) for name, share in _time_shares(timing.profiler, device).items()},
    }


def _play(stream: Stream, chunk: int) -> float:
    """Seconds to play and encode one game, in bulk."""
    start = perf_counter()
    float(stream.batch(chunk * stream.steps_at_once).tokens.sum())
    return (perf_counter() - start) / (stream.steps_at_once * stream.batch_size)
