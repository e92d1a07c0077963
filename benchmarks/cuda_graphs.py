"""Time of a training step on a GPU: as it is, compiled, replayed as one CUDA graph, and both. Needs a CUDA device.

Arms take turns in one process, round by round; each trains the model of configs/model/small.yaml on batches of 64
games, through the loop that trainings use. The first steps of an arm, which compile and capture, are not counted.
"""

from statistics import median
from time import perf_counter

import torch

from benchmarks.common import BenchConfig, Numbers, main
from mothello.cli.compose import composed
from mothello.data.split import Split
from mothello.data.stream import Stream
from mothello.errors import UserError
from mothello.model.build import build_model
from mothello.objectives.combined import build_objective
from mothello.stages.build import language_set_of, training_games
from mothello.stages.pretrain import TrainConfig
from mothello.training.loop import train
from mothello.training.plan import Plan

ARMS = {"eager": (False, False), "compiled": (True, False), "graph": (False, True), "compiled_graph": (True, True)}
"""Compiled, captured."""
GAMES = 64
WARM_UP, STEPS = 20, 220
ROUNDS = 3


def seconds_per_step(board: int, objective: str, compiled: bool, graphs: bool, device: torch.device) -> float:
    """Of one training, without its first steps."""
    choices = [f"board={board}x{board}", "model=small", f"objective={objective}", f"data.batch_size={GAMES}"]
    config = composed("train", TrainConfig, choices)
    languages, made = language_set_of(config), build_objective(config.objective, config.auxiliary)
    stream = Stream(training_games(config, languages, Split.train), languages, config.data, 0, device)
    model, begun = build_model(config.model, languages).initialize(0).to(device), [0.0]

    def batch_of(step: int) -> object:
        if step == WARM_UP:
            torch.cuda.synchronize()
            begun[0] = perf_counter()
        return made.batch(stream, step)

    plan = Plan(
        steps=STEPS, objective=made, optimizer=config.optimizer, precision=config.device.precision, seed=0,
        compiled=compiled, cuda_graphs=graphs, log_every=STEPS,
    )  # fmt: skip
    train(model, batch_of, plan)
    torch.cuda.synchronize()
    return (perf_counter() - begun[0]) / (STEPS - WARM_UP)


def cuda_graphs(config: BenchConfig, device: torch.device) -> Numbers:
    """Keys such as "cuda_graphs.6.masked_lm.graph.ms" (a step, the median round) and ".speed" (times the eager rate).
    boards: their sizes."""
    if device.type != "cuda":
        raise UserError("device: CUDA graphs need a CUDA device")
    numbers: Numbers = {}
    for board in config.boards:
        for objective in ("causal_lm", "masked_lm"):
            times: dict[str, list[float]] = {name: [] for name in ARMS}
            for _ in range(ROUNDS):
                for name, (compiled, graphs) in ARMS.items():
                    times[name].append(seconds_per_step(board, objective, compiled, graphs, device))
            found = {name: 1e3 * median(own) for name, own in times.items()}
            for name, ms in found.items():
                key = f"cuda_graphs.{board}.{objective}.{name}"
                numbers |= {f"{key}.ms": round(ms, 3), f"{key}.speed": round(found["eager"] / ms, 3)}
                print(
                    f"{board}x{board}, {objective}, {name}: {ms:.2f} ms, {found['eager'] / ms:.2f} times the rate",
                    flush=True,
                )
    return numbers


if __name__ == "__main__":
    main("cuda_graphs", cuda_graphs)
