"""Memory and time of a training step whose batch is computed in parts, compared with the whole batch. Eager steps.

Arms take turns in one process, round by round, so that what else the machine does hits all of them. On a CPU, seconds
are of the processor. Memory is the most that torch holds in a step: weights, gradients, optimizer and activations.
"""

from collections.abc import Callable
from functools import partial
from statistics import median
from time import perf_counter, process_time
from typing import Any

import torch
from torch.distributed._tools.mem_tracker import MemTracker

from benchmarks.common import BenchConfig, Numbers, main
from mothello.cli.compose import composed
from mothello.data.split import Split
from mothello.data.stream import Stream
from mothello.model.build import build_model
from mothello.model.transformer import GPT
from mothello.objectives.combined import build_objective
from mothello.objectives.objective import Loss
from mothello.stages.build import language_set_of, training_games
from mothello.stages.pretrain import TrainConfig
from mothello.training.gradients import backward
from mothello.training.optimizer import build_optimizer
from mothello.training.plan import Plan

GAMES = 256
PARTS = (1, 4, 16)
ROUNDS = 3


class Arm:
    """A training whose batches are computed in parts."""

    def __init__(self, board: int, parts: int, device: torch.device) -> None:
        config = composed("train", TrainConfig, [f"board={board}x{board}", f"data.batch_size={GAMES}"])
        languages = language_set_of(config)
        self.stream = Stream(training_games(config, languages, Split.train), languages, config.data, 0, device)
        self.model = build_model(config.model, languages).initialize(0).to(device).train()
        objective = build_objective(config.objective, config.auxiliary)
        self.optimizer = build_optimizer(self.model, config.optimizer)
        self.plan = Plan(
            steps=1, objective=objective, optimizer=config.optimizer, precision=config.device.precision, seed=0,
            micro_batches=parts,
        )  # fmt: skip
        self.batch = partial(objective.batch, self.stream)
        self.done, self.times = 0, list[float]()

    def step(self, before: Callable[[], object] = lambda: None) -> None:
        """One update. before: called before each part."""

        def loss(model: GPT, part: Any) -> Loss:
            before()
            return self.plan.objective.loss(model, part)

        backward(self.model, self.batch(self.done), loss, self.plan)
        self.optimizer.clip_gradients()
        self.optimizer.step(1.0)
        self.done += 1

    def timed(self, gpu: bool) -> None:
        """One update, and its seconds."""
        clock = perf_counter if gpu else process_time
        start = clock()
        self.step()
        if gpu:
            torch.cuda.synchronize()
        self.times.append(clock() - start)

    def peak(self, device: torch.device) -> int:
        """Bytes of one update."""
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            self.step()
            return torch.cuda.max_memory_allocated(device)
        tracker = MemTracker()
        tracker.track_external(self.model, *self.optimizer.parts)
        with tracker:
            self.step(tracker.reset_mod_stats)
        return int(tracker.get_tracker_snapshot("peak")[device]["Total"])


def micro_batches(config: BenchConfig, device: torch.device) -> Numbers:
    """Keys such as "micro_batches.6.4.mb" (the peak, of 4 parts), ".ms" (a step, the median round), and their ratios to
    one part, ".memory" and ".time". boards: their sizes."""
    numbers: Numbers = {}
    for board in config.boards:
        arms = {parts: Arm(board, parts, device) for parts in PARTS}
        for _ in range(ROUNDS + 1):
            for arm in arms.values():
                arm.timed(device.type == "cuda")
        found = {parts: (arm.peak(device) / 1e6, 1e3 * median(arm.times[1:])) for parts, arm in arms.items()}
        for parts, (peak, ms) in found.items():
            own = {"mb": peak, "ms": ms, "memory": peak / found[1][0], "time": ms / found[1][1]}
            numbers |= {f"micro_batches.{board}.{parts}.{name}": round(value, 3) for name, value in own.items()}
            print(f"{board}x{board}, {parts} parts: {peak:.0f} MB, {ms:.0f} ms", flush=True)
    return numbers


if __name__ == "__main__":
    main("micro_batches", micro_batches)
