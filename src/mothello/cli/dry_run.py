"""dry_run=true: what a command would do, by arithmetic, and how long, by the real code on a share of the work.

A stage trains for 20 steps; a measure reads a sixteenth of its games. All is written to a temporary folder and removed.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from copy import copy
from dataclasses import replace
from io import StringIO
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, NamedTuple

import torch

from mothello.cli.machine import free_bytes, where
from mothello.cli.units import counted, minutes, short, size, table
from mothello.data.batch import moved
from mothello.errors import UserError
from mothello.measures.measure import MEASURES, Row, Subject
from mothello.model.build import outline
from mothello.objectives.combined import Combined
from mothello.objectives.micro_batches import check_micro_batches
from mothello.othello.lazy_compile import Engine, using
from mothello.rundir import RunDir, step_of
from mothello.stages.continued import Continued
from mothello.stages.finetune import Finetune, TransferCommand
from mothello.stages.pretrain import TrainConfig
from mothello.stages.stage import Stage, run_stage
from mothello.tracking import TrackingConfig
from mothello.training import checkpoint
from mothello.training.budget import (
    Memory,
    activation_bytes,
    flops_per_token,
    memory,
    parameters,
    sorts_of,
    tokens_per_game,
)
from mothello.training.device import Compile, exact_device
from mothello.training.distributed import World
from mothello.training.keeping import CheckpointsConfig

STEPS = 20
SHARE = 1 / 16
FLOPS = {"cpu": 4e11, "cuda": 2e15, "mps": 2e13}
"""Floating-point operations that a dry run spends on the steps of a stage, by type of device: some ten seconds."""
_CACHE = "TORCHINDUCTOR_CACHE_DIR"


class Estimate(NamedTuple):
    """Facts, and the seconds of each part of the work."""

    rows: dict[str, str]
    parts: dict[str, float]
    tokens: float = 0.0
    flops: float = 0.0

    def left(self, folder: RunDir, config: TrainConfig, begun: int = 0) -> "Estimate":
        """Of a stage that begins at a step, what its folder does not have yet."""
        done, steps = 0 if config.force else reached(folder), config.data.steps
        share = 1 - max(0, done - begun) / max(1, steps - begun)
        own = {name: self.parts[name] * share for name in ("training", "evaluation")}
        return self._replace(parts=self.parts | own | ({} if share else {"once": 0.0}))

    @property
    def seconds(self) -> float:
        return sum(self.parts.values())

    def times(self, n: int) -> "Estimate":
        """The same work n times."""
        return self._replace(parts={name: n * seconds for name, seconds in self.parts.items()})

    def text(self, **more: str) -> str:
        """What a dry run prints: the facts, the minutes and what else there is to say."""
        each = ", ".join(f"{name} {minutes(seconds)}" for name, seconds in self.parts.items())
        return table(self.rows | {"minutes": f"{minutes(self.seconds)}: {each}"} | more)


@contextmanager
def rehearsal() -> Iterator[Path]:
    """Within: a folder that does not outlive it, and nothing is printed."""
    before = os.environ.get(_CACHE)
    with TemporaryDirectory() as folder, redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        os.environ[_CACHE] = str(Path(folder) / "compiled")
        try:
            yield Path(folder)
        finally:
            del os.environ[_CACHE]
            if before is not None:
                os.environ[_CACHE] = before


def place_of(folder: RunDir, steps: int) -> str:
    """The folder of a stage of that many steps, and how far it is."""
    step = reached(folder)
    if folder.finished and step == steps:
        return f"{folder.path} (finished already)"
    return f"{folder.path} (resumes after step {step:,} of {steps:,})" if step else str(folder.path)


def reached(folder: RunDir) -> int:
    """The step of a stage's newest checkpoint, 0 without one."""
    saved = checkpoint.saved(folder.checkpoints)
    return step_of(saved[-1]) if saved else 0


def shrunk(stage: Stage, games: int, folder: Path) -> Stage:
    """The same stage with 20 steps of ``games`` games, evaluated before and after, in another folder."""
    config, small = stage.config, copy(stage)
    steps = min(STEPS, config.data.steps)
    data = replace(config.data, games=ceil(steps * games / config.data.epochs), batch_size=games)
    device = config.device
    if device.compile is Compile.auto:
        device = replace(device, compile=Compile.never)  # compiling takes minutes: only where it is asked for
    small.config = replace(
        config, data=data, evaluation=replace(config.evaluation, times=1, log_every=1), device=device,
        tracking=TrackingConfig(), checkpoint_every=0, checkpoints=CheckpointsConfig(), force=False,
        fork="", at=0, origin={},
    )  # fmt: skip
    small.folder, small.origin = RunDir(folder), None
    return small


def stage_estimate(stage: Stage, device: torch.device) -> Estimate:
    """What a stage takes. UserError under torchrun: the processes would disturb one another."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError("dry_run: one process is measured; leave torchrun out")
    config, data, objective = stage.config, stage.config.data, stage.objective()
    micro_batches = config.device.micro_batches(data.batch_size)
    at_once = -(-data.batch_size // micro_batches)
    check_micro_batches(objective, config.device.micro_batch_size)
    objective = objective.main if isinstance(objective, Combined) else objective
    model, stream = stage.initial().to(device), stage.stream(exact_device(device), World())
    batch, free = moved(objective.batch(stream, 0), device), free_bytes(device)
    games, kept = data.steps * data.batch_size, 0
    read = scored = width = float(stage.language_set.max_tokens)
    if sorts := sorts_of(batch):
        read, scored, width = tokens_per_game(sorts)
        kept = activation_bytes(model, objective, sorts, config.device.precision, at_once)
    flops, held = width * flops_per_token(model, int(width)), memory(model, config.optimizer, kept, micro_batches)
    fitting = (int(free / 2) - held.stored - held.gradients) * at_once // max(1, kept)
    most = fitting if fitting < at_once else data.batch_size
    tried = max(min(8, data.batch_size), min(most, int(FLOPS[device.type] / STEPS / flops)))
    with rehearsal() as folder:
        parts = _timed(shrunk(stage, tried, folder / "run"), device)
    step = parts["training"]
    left = data.steps - (stage.origin.step if stage.origin else 0)
    parts["training"] = step * left * data.batch_size / tried
    parts["evaluation"] *= len(config.evaluation.steps(data.steps))
    counts, enough = parameters(outline(config.model, stage.language_set)), held.peak < free
    fewer = f", not {data.batch_size:,}: more take too long to try" if tried < data.batch_size else ""
    how = f"{where(device)}, {'compiled' if config.device.compile is Compile.always else 'eager'}"
    rows = {
        "parameters": f"{counts.total:,} ({counts.without_embeddings:,} without embeddings)",
        "games": f"{games:,} in {counted(data.steps, 'step')} of {data.batch_size:,}",
        "tokens": f"{short(games * read)} read, {short(games * scored)} scored",
        "FLOPs": f"{games * flops:.3g} in training, padding included",
        "memory": f"{size(held.peak)} at the peak, {'of' if enough else 'MORE THAN the'} {size(free)} free: weights "
        f"{size(held.weights)}, optimizer {size(held.optimizer)}, activations {size(held.activations)}"
        f"{f' of {at_once:,} games at once' * (micro_batches > 1)}",
        "disk": f"{size(checkpoint.KEEP * held.stored)} for {checkpoint.KEEP} checkpoints{kept_disk(config, held)}",
        "rate": f"{short(read * tried / step)} tokens/s, {short(tried / step)} games/s, {short(flops * tried / step)}"
        f"FLOP/s ({counted(min(STEPS, data.steps), 'step')} of {tried:,} games{fewer}; {how})",
    }  # fmt: skip
    return Estimate(rows, parts, games * read, games * flops)


def kept_disk(config: TrainConfig, held: Memory) -> str:
    """What the kept steps take: whole ones all that a checkpoint holds, the others half of the weights' bytes."""
    keep = config.checkpoints.keep
    whole, steps = len({*keep.full}), len(keep.steps(config.data.steps))
    bytes_ = whole * held.stored + (steps - whole) * held.weights // 2
    return f", {size(bytes_)} for {steps} kept steps" if steps else ""


def _timed(small: Stage, device: torch.device) -> dict[str, float]:
    """Run a stage; seconds per step and per evaluation, and of all else that happens once."""
    begun = perf_counter()
    results = run_stage(small, device)
    whole, last = perf_counter() - begun, float(results["seconds"])
    lines = small.folder.read_metrics()
    at = [float(line["train/seconds"]) for line in lines if "train/loss" in line]  # after each step
    step = (at[-1] - at[0]) / (len(at) - 1) if len(at) > 1 else at[0]
    evaluation = last - at[-1]
    once = max(0.0, whole - (at[-1] - at[0]) - step - 2 * evaluation)
    return {"training": step, "evaluation": evaluation, "once": once}


def measure_estimate(subject: Subject, configs: Sequence[Any]) -> Estimate:
    """What measures take: the real ones, on a sixteenth of their games; of one that cannot be shrunk, on all."""
    rows, parts = {"languages": ", ".join(subject.names)}, dict[str, float]()
    for config in configs:
        share = SHARE if hasattr(config, "shrunk") else 1.0
        begun = perf_counter()
        with rehearsal() as folder, using(Engine.eager):
            measure = MEASURES.build(config.shrunk(share) if share < 1 else config)
            numbers = list(measure(replace(subject, folder=folder, compiled=False)))
        parts[config.name] = (perf_counter() - begun) / share
        rows[config.name] = facts(config, numbers)
    place = f"{where(subject.device)}, on a sixteenth of the games; what is done once counts sixteen times"
    return Estimate(rows | {"rate": f"measured on {place}"}, parts)


def facts(config: Any, rows: Sequence[Row]) -> str:
    """The size of a measure; how many probes it fits is counted in the rows of the rehearsed one."""
    sizes = ("games", "pool", "held_out", "test_games", "cases")
    counts = [f"{getattr(config, name):,} {name.replace('_', ' ')}" for name in sizes if hasattr(config, name)]
    probes = fitted(rows)
    return ", ".join([*counts, *[f"{probes:,} fitted probes"] * bool(probes)])


def fitted(rows: Sequence[Row]) -> int:
    """Probes that were fitted to make these rows: of every model, kind, target, layer and language."""
    keys = ("control", "probe", "target", "layer", "source")
    probed = [row for row in rows if row["measure"] == "probe" and row.keys() >= set(keys)]
    return len({tuple(row[key] for key in keys) for row in probed})


def finetune_estimate(command: TransferCommand, stage: Finetune, device: torch.device) -> Estimate:
    """What scripts/transfer.py takes: the stage, its control, and the probes before and after."""
    estimate = stage_estimate(stage, device)
    rows, parts = estimate.rows, estimate.left(stage.folder, stage.config).parts
    if command.transfer.scratch:
        parts = parts | {"from scratch": estimate.seconds}
    if command.transfer.probe_before_and_after:
        probes = measure_estimate(stage.run.subject(command.device), [command.probes])
        rows = rows | {"probes": f"{probes.rows['probes']}, before and after"}
        parts = parts | {"probes": 2 * probes.seconds}
    return estimate._replace(rows=rows, parts=parts)


def company_estimate(stage: Continued, device: torch.device) -> Estimate:
    """What scripts/stage.py takes: the stage, and what is trained besides, each as long as the first of its kind."""
    estimate = stage_estimate(stage, device).left(stage.folder, stage.config)
    more = {kind: len(parts) * stage_estimate(parts[0], device).seconds for kind, parts in stage.company().items()}
    return estimate._replace(parts=estimate.parts | more)
