"""The training loop, read from bottom to top. It knows nothing of Othello: a batch is a function of the step."""

import signal
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mothello.model.transformer import GPT
from mothello.objectives.objective import double
from mothello.seeding import derive
from mothello.signals import Stopped
from mothello.training.device import deterministic
from mothello.training.gradients import backward
from mothello.training.graphs import Graphed, capturable_stream
from mothello.training.optimizer import build_optimizer
from mothello.training.plan import Plan, Progress
from mothello.training.saving import Checkpoints
from mothello.training.schedule import lr_scale
from mothello.training.stopping import AsyncScalars, StepStats, StopRequest, check_finite, stop_signals


class _Run:
    """A training under way."""

    def __init__(self, model: GPT, plan: Plan, request: StopRequest) -> None:
        self.model, self.plan, self.request = model, plan, request
        self.device = model.device
        graphed = plan.cuda_graphs and self.device.type == "cuda" and plan.world.size == 1
        self.optimizer = build_optimizer(model, plan.optimizer, rates_on_device=graphed)
        self.whole_step = Graphed(self.update, self.optimizer.clear) if graphed else None
        self.stop = double(torch.zeros(1, device=self.device))
        self.checkpoints = Checkpoints(model, self.optimizer, plan)
        self.logged, self.tokens, seconds = self.checkpoints.start
        self.started_at = time.monotonic() - seconds
        self.scalars = AsyncScalars(self.device)
        self.loss_of = plan.loss_of()
        self.kept = plan.keep.steps(plan.steps)

    def progress(self, step: int) -> Progress:
        return Progress(step, self.tokens, time.monotonic() - self.started_at)

    def gradients(self, batch: Any) -> tuple[dict[str, float], Float[Tensor, " number"]]:
        """Gradients of the loss over all processes. Returns the weight of every term, and the numbers of this step."""
        world = self.plan.world
        weights, (sums, counts) = backward(self.model, batch, self.loss_of, self.plan)
        sums, stop = world.sum(torch.cat([sums, self.stop])).tensor_split([-1])
        world.sum_gradients(self.model.parameters())
        norm = self.optimizer.clip_gradients()
        return weights, torch.cat([sums, counts, stop, double(norm).view(1)])

    def update(self, batch: Any) -> tuple[dict[str, float], Float[Tensor, " number"]]:
        """All of a step, at the rates that are set."""
        result = self.gradients(batch)
        self.optimizer.update()
        return result

    def step(self, batch: Any, step: int) -> StepStats | None:
        """Train on a batch. Returns the numbers of this step; on a GPU those of the last."""
        plan, rank, scale = self.plan, self.plan.world.rank, lr_scale(step, self.plan.steps, self.plan.optimizer)
        if self.model.config.dropout:
            torch.manual_seed(derive(plan.seed, "dropout", step, *([rank] if rank else [])))
        self.stop.fill_(self.request.number)
        if self.whole_step:
            self.optimizer.set_rates(scale)
        stats = self.scalars.push(step, *(self.whole_step or self.gradients)(batch))
        if stats:
            self.stop_if_not_finite(stats, step)
            self.log(stats)
        if not self.whole_step:
            self.optimizer.step(scale)
        return stats

    def stop_if_not_finite(self, stats: StepStats, step: int) -> None:
        """FloatingPointError, after saving the weights of ``step`` updates if the bad numbers have not moved them."""
        try:
            check_finite(stats)
        except FloatingPointError:
            if stats.step == step and self.checkpoints.finite():
                self.save(step)
                self.plan.world.wait()
            raise

    def log(self, stats: StepStats) -> None:
        """Count and log a step's numbers, once."""
        plan, done = self.plan, stats.step + 1
        if done <= self.logged:
            return
        self.logged, self.tokens = done, self.tokens + int(stats.scored)
        if plan.world.main and (done % plan.log_every == 0 or done == plan.steps):
            scale, seconds = lr_scale(stats.step, plan.steps, plan.optimizer), self.progress(done).seconds
            own = {"loss": stats.loss, "gradient_norm": stats.norm, "lr_scale": scale, "seconds": seconds}
            plan.log(done, {f"train/{name}": value for name, value in {**stats.parts, **own}.items()})

    def evaluate(self, step: int) -> None:
        if step in self.plan.evaluate_at and self.plan.world.main:
            seconds = self.progress(step).seconds
            self.model.eval()
            with torch.no_grad():
                self.plan.log(step, {**self.plan.evaluate(self.model), "train/seconds": seconds})
            self.model.train()

    def logged_progress(self, step: int) -> Progress:
        """The progress after that many steps, their log lines written."""
        for stats in self.scalars.waiting():
            self.stop_if_not_finite(stats, step)
            self.log(stats)
        return self.progress(step)

    def save(self, step: int) -> None:
        """Write a checkpoint, and before it the log lines of its steps."""
        self.checkpoints.save(self.logged_progress(step))


def train(model: GPT, batch_of: Callable[[int], Any], plan: Plan) -> Progress:
    """Train for ``plan.steps`` in all, resuming from the newest good checkpoint in ``plan.folder``.

    Killed at any moment and called again, it ends with the same weights. FloatingPointError when loss or gradient are
    not finite; Stopped when a signal asked for it; CheckpointError when the disk is full: in each case the last good
    checkpoint is there. The model is changed in place and left in eval mode.
    """
    own_stream = capturable_stream if plan.cuda_graphs and model.device.type == "cuda" else nullcontext
    with stop_signals() as request, deterministic(model.device, plan.compiled), own_stream(model.device):
        request.at_once = plan.world.size == 1  # until the first step: it compiles
        run = _Run(model, plan, request)
        model.train()
        start = run.checkpoints.start.step
        if start == 0:
            run.evaluate(0)
        with plan.bar(start) as bar:
            for step in bar:
                stats = run.step(batch_of(step), step)
                if stats:
                    bar.set_postfix(loss=f"{stats.loss:.3f}", refresh=False)
                request.at_once = False
                run.evaluate(step + 1)
                if step + 1 in run.kept:  # before any checkpoint, or a resumed run would pass it by
                    run.checkpoints.keep(run.logged_progress(step + 1))
                if stats and stats.stop:
                    run.save(step + 1)
                    plan.world.wait()  # the process that ends first is taken for the cause
                    raise Stopped(request.number or signal.SIGTERM, step + 1)
                if run.checkpoints.due:
                    run.save(step + 1)
        run.save(plan.steps)
        if request.number:
            raise Stopped(request.number, plan.steps)
    model.eval()
    return run.progress(plan.steps)
