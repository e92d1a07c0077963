"""Time of a training step by objective, and with separate parts, compared with the causal LM: the same games and model.

Arms take turns in one process, round by round, so that what else the machine does hits all of them; seconds are the
processor's on a CPU, where a step runs compiled.
"""

from collections.abc import Callable
from statistics import median
from time import perf_counter, process_time

import torch

from benchmarks.common import BenchConfig, Numbers, main
from mothello.cli.compose import composed
from mothello.data.split import Split
from mothello.data.stream import Stream
from mothello.model.build import build_model
from mothello.objectives.combined import build_objective
from mothello.stages.build import language_set_of, training_games
from mothello.stages.pretrain import TrainConfig
from mothello.training.budget import sorts_of, tokens_per_game
from mothello.training.device import Compile, autocast
from mothello.training.optimizer import build_optimizer

ARMS: dict[str, list[str]] = {
    "naive": [], "expected": ["objective.targets=expected"], "code_switch": ["+experiment=code_switch"],
    "masked": ["+experiment=masked"], "tlm": ["+experiment=tlm"],
    "tlm_causal": ["+experiment=tlm", "objective.attention=causal"], "dict_mlm": ["+experiment=dict_mlm"],
    "align_mlm": ["+experiment=align_mlm"],
    "grouped": ["data.language_sampling.grouped=true"], "separate": ["+experiment=separate"],
}  # fmt: skip
"""Overrides of configs/train.yaml. grouped: games sorted by language, as separate parts need them."""
WARM, ROUNDS = 3, 6


class Arm:
    """A training under way."""

    def __init__(self, overrides: list[str], board: int, device: torch.device, compiled: bool) -> None:
        self.config = composed("train", TrainConfig, [f"board={board}x{board}", *overrides])
        languages = language_set_of(self.config)
        games = training_games(self.config, languages, Split.train)
        self.stream = Stream(games, languages, self.config.data, 0, device)
        self.model = build_model(self.config.model, languages).initialize(0).to(device).train()
        self.objective = build_objective(self.config.objective, self.config.auxiliary)
        self.optimizer = build_optimizer(self.model, self.config.optimizer)
        loss = self.objective.loss
        self.loss: Callable[..., object] = torch.compile(loss, dynamic=False) if compiled else loss
        self.done, self.times = 0, list[float]()

    def steps(self, n: int, clock: Callable[[], float]) -> None:
        """Take n steps and note the time of one."""
        start = clock()
        for _ in range(n):
            batch = self.objective.batch(self.stream, self.done)
            with autocast(self.stream.device, self.config.device.precision):
                loss = self.loss(self.model, batch)
            loss.mean(loss.numbers()[1]).backward()  # type: ignore[attr-defined]
            self.optimizer.clip_gradients()
            self.optimizer.step(1.0)
            self.done += 1
        if self.stream.device.type == "cuda":
            torch.cuda.synchronize()
        self.times.append((clock() - start) / n)

    def tokens(self) -> float:
        """Read in a step."""
        batch = self.objective.batch(self.stream, 0)
        main_one = batch[""] if isinstance(batch, dict) else batch
        return tokens_per_game(sorts_of(main_one)).read * self.stream.batch_size


def objectives(config: BenchConfig, device: torch.device) -> Numbers:
    """Keys such as "objectives.6.masked.ms" (a step, the median round), ".ratio" (of naive's rate in steps) and
    ".tokens_per_s" (read). boards: their sizes; seconds: of a round of one arm."""
    numbers: Numbers = {}
    clock = perf_counter if device.type == "cuda" else process_time
    for board in config.boards:
        compiled = config.device.compile is not Compile.never
        arms = {name: Arm(overrides, board, device, compiled) for name, overrides in ARMS.items()}
        for arm in arms.values():
            arm.steps(WARM, clock)
            arm.steps(1, clock)
        n = max(1, round(config.seconds / arms["naive"].times[-1]))
        for arm in arms.values():
            arm.times.clear()
        for _ in range(ROUNDS):
            for arm in arms.values():
                arm.steps(n, clock)
        print(f"{board}x{board}         ms a step   rate, of naive   tokens/s")
        for name, arm in arms.items():
            seconds = median(arm.times)
            ratio, rate = median(arms["naive"].times) / seconds, arm.tokens() / seconds
            row = {"ms": round(1e3 * seconds, 1), "ratio": round(ratio, 3), "tokens_per_s": round(rate)}
            print(f"{name:12} {row['ms']:>8} {row['ratio']:>14} {row['tokens_per_s']:>12}", flush=True)
            numbers |= {f"objectives.{board}.{name}.{key}": value for key, value in row.items()}
    return numbers


if __name__ == "__main__":
    main("objectives", objectives)
