"""The training loop, read from top to bottom. It knows nothing of Othello: a batch is a function of the step."""

import logging
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from mothello.data.batch import IGNORE, Batch
from mothello.model.transformer import GPT
from mothello.objectives.objective import Objective
from mothello.seeding import derive
from mothello.training import checkpoint
from mothello.training.device import Precision, autocast, deterministic
from mothello.training.distributed import World
from mothello.training.optimizer import OptimizerConfig, Optimizers, build_optimizer
from mothello.training.schedule import lr_scale
from mothello.training.stopping import AsyncScalars, StepStats, Stopped, StopRequest, check_finite, stop_signals

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Plan:
    """Everything a training needs besides the model and its batches."""

    steps: int
    objective: Objective
    optimizer: OptimizerConfig
    precision: Precision
    seed: int
    """Dropout; batches bring their own."""
    folder: Path
    """Checkpoints."""
    log: Callable[[int, Mapping[str, float]], None]
    evaluate: Callable[[GPT], Mapping[str, float]]
    """Numbers to log, in eval mode and without gradients; called in the first process only, as ``log`` is."""
    evaluate_at: frozenset[int]
    """Steps done when it is called; 0 is before the first."""
    log_every: int = 20
    checkpoint_every: float = 120
    """Seconds between checkpoints; 0 for the last only."""
    compiled: bool = False
    cuda_graphs: bool = False
    world: World = field(default_factory=World)
    """Batches are this process's share; the loss is the mean over all of them."""
    title: str = "train"


class Progress(NamedTuple):
    """Where a run stands."""

    step: int
    tokens: int
    """Scored so far, in all processes."""
    seconds: float


def _resume(model: GPT, optimizer: Optimizers, plan: Plan) -> Progress:
    """Load the newest good checkpoint, if there is one. CheckpointError when processes do not see the same."""
    found, problems = checkpoint.latest(plan.folder) if checkpoint.saved(plan.folder) else (None, [])
    step = found.step if found else 0
    if step != (first := plan.world.broadcast(step)):
        raise checkpoint.CheckpointError(f"checkpoint: {plan.folder}: step {step} here, {first} in the first process")
    if not found:
        return Progress(0, 0, 0.0)
    if plan.world.main:
        for line in problems:
            log.warning("%s; using the one before, step %d", line, step)
        log.info("going on after step %d of %d", step, plan.steps)
    model.load_state_dict(found.weights)
    optimizer.load_state_dict(found.state["optimizer"])
    return Progress(step, found.state["tokens"], found.state["seconds"])


class _Run:
    """A training under way: what its steps share."""

    def __init__(self, model: GPT, plan: Plan, asked: StopRequest) -> None:
        self.model, self.plan, self.asked = model, plan, asked
        self.device = model.head.weight.device
        self.optimizer = build_optimizer(model, plan.optimizer)
        self.start = _resume(model, self.optimizer, plan)
        self.tokens = torch.tensor(self.start.tokens, device=self.device)  # counted on the device: no sync in a step
        self.scored = torch.zeros_like(self.tokens)
        self.begun, self.saved_at = time.monotonic() - self.start.seconds, time.monotonic()
        self.last_saved, self.checked = self.start.step, self.start.step - 1
        self.pulse = AsyncScalars(self.device)
        self.loss_of = plan.objective
        if plan.compiled:
            mode = "reduce-overhead" if plan.cuda_graphs and self.device.type == "cuda" else None
            self.loss_of = torch.compile(plan.objective, dynamic=False, mode=mode)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.begun

    def backward(self, batch: Batch, step: int) -> Tensor:
        """Gradients of the mean loss over the positions scored in all processes; its numbers for the pulse."""
        world = self.plan.world
        torch.manual_seed(derive(self.plan.seed, "dropout", step, *([world.rank] if world.rank else [])))
        with autocast(self.device, self.plan.precision):
            loss = self.loss_of(self.model, batch)
        count = (batch.targets != IGNORE).sum()
        everywhere = world.sum(torch.stack([loss.detach().double() * count, count, count * 0 + self.asked.number]))
        share = loss if world.size == 1 else loss * (count / everywhere[1]).to(loss.dtype)
        share.backward()
        world.sum_gradients(self.model.parameters())
        self.scored = everywhere[1].long()
        norm = self.optimizer.clip_gradients()
        return torch.stack([everywhere[0] / everywhere[1], norm.double(), everywhere[2]])

    def update(self, step: int) -> None:
        """Move the weights along the gradients of :meth:`backward`."""
        self.optimizer.step(lr_scale(step, self.plan.steps, self.plan.optimizer))
        self.tokens += self.scored

    def evaluate(self, step: int) -> None:
        if step in self.plan.evaluate_at and self.plan.world.main:
            seconds = self.seconds
            self.model.eval()
            with torch.no_grad():
                self.plan.log(step, {**self.plan.evaluate(self.model), "train/seconds": seconds})
            self.model.train()

    def finite(self) -> bool:
        return all(bool(weights.isfinite().all()) for weights in self.model.parameters())

    def save(self, step: int) -> None:
        """Write a checkpoint, unless this step's is there. Never one that holds numbers that are not finite."""
        for seen in self.pulse.waiting():  # they will be sent again: all processes must see a stop at the same step
            self.log_and_check(seen, step)
        if step > self.last_saved and self.plan.world.main:
            if not self.finite():
                raise FloatingPointError(f"a weight is not finite after step {step}; the last good checkpoint is kept")
            state = {"optimizer": self.optimizer.state_dict(), "tokens": int(self.tokens), "seconds": self.seconds}
            checkpoint.save(self.plan.folder, checkpoint.Checkpoint(step, self.model.state_dict(), state))
        self.last_saved, self.saved_at = step, time.monotonic()

    def due(self) -> bool:
        every = self.plan.checkpoint_every
        return bool(every) and time.monotonic() - self.saved_at > every

    def log_and_check(self, seen: StepStats, done: int) -> None:
        """Log a step's numbers, and stop at ones that are not finite, keeping what was reached before.

        done: steps that have changed the weights by now.
        """
        if seen.step <= self.checked:
            return
        self.checked, plan = seen.step, self.plan
        try:
            check_finite(seen)
        except FloatingPointError:
            if seen.step == done and self.finite():  # its update has not been made: the weights are still good
                self.save(done)
                plan.world.wait()
            raise
        if plan.world.main and ((seen.step + 1) % plan.log_every == 0 or seen.step + 1 == plan.steps):
            scale = lr_scale(seen.step, plan.steps, plan.optimizer)
            numbers = {"train/loss": seen.loss, "train/gradient_norm": seen.norm, "train/lr_scale": scale}
            plan.log(seen.step + 1, numbers | {"train/seconds": self.seconds})


def _steps(run: _Run) -> "tqdm[int]":
    start, plan = run.start.step, run.plan
    return tqdm(
        range(start, plan.steps), initial=start, total=plan.steps, desc=plan.title, unit="step", mininterval=1,
        disable=not plan.world.main,
    )  # fmt: skip


def train(model: GPT, batch_of: Callable[[int], Batch], plan: Plan) -> Progress:
    """Train for ``plan.steps`` in all, going on from the newest good checkpoint in ``plan.folder``.

    Killed at any moment and called again, it ends with the same weights. FloatingPointError when loss or gradient are
    not finite; Stopped when a signal asked for it; CheckpointError when the disk is full: in each case the last good
    checkpoint is there. The model is changed in place and left in eval mode.
    """
    with stop_signals() as asked, deterministic(model.head.weight.device, plan.compiled):
        run = _Run(model, plan, asked)
        model.train()
        if run.start.step == 0:
            run.evaluate(0)
        with _steps(run) as bar:
            for step in bar:
                seen = run.pulse.push(step, run.backward(batch_of(step), step))
                if seen:
                    run.log_and_check(seen, step)
                    bar.set_postfix(loss=f"{seen.loss:.3f}", refresh=False)
                run.update(step)
                run.evaluate(step + 1)
                if seen and seen.stop:
                    run.save(step + 1)
                    plan.world.wait()  # who ends first is taken for the cause
                    raise Stopped(asked.number or signal.SIGTERM, step + 1)
                if run.due():
                    run.save(step + 1)
        run.save(plan.steps)
        if asked.number:
            raise Stopped(asked.number, plan.steps)
    model.eval()
    return Progress(plan.steps, int(run.tokens), run.seconds)
