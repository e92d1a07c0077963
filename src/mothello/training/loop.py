"""The training loop, read from top to bottom. It knows nothing of Othello: a batch is a function of the step."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
from mothello.training.device import Precision, autocast
from mothello.training.optimizer import OptimizerConfig, Optimizers, build_optimizer
from mothello.training.schedule import lr_scale


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
    """Numbers to log, in eval mode and without gradients."""
    evaluate_at: frozenset[int]
    """Steps done when it is called; 0 is before the first."""
    log_every: int = 20
    checkpoint_every: int = 120
    """Seconds between checkpoints; 0 for the last only."""
    compiled: bool = False
    title: str = "train"


class Progress(NamedTuple):
    """Where a run stands."""

    step: int
    tokens: int
    seconds: float


def _loss_is_finite(loss: Tensor, step: int) -> float:
    value = float(loss)
    if value != value or value in (float("inf"), float("-inf")):
        raise FloatingPointError(f"the loss is {value} at step {step}; the last checkpoint is kept")
    return value


def _resume(model: GPT, optimizer: Optimizers, folder: Path) -> Progress:
    """Load the newest good checkpoint, if there is one."""
    if not checkpoint.saved(folder):
        return Progress(0, 0, 0.0)
    found, problems = checkpoint.latest(folder)
    for line in problems:
        tqdm.write(f"{line}; using the one before, step {found.step}")
    model.load_state_dict(found.weights)
    optimizer.load_state_dict(found.state["optimizer"])
    return Progress(found.step, found.state["tokens"], found.state["seconds"])


def _evaluate(model: GPT, plan: Plan, step: int) -> None:
    model.eval()
    with torch.no_grad():
        plan.log(step, plan.evaluate(model))
    model.train()


def train(model: GPT, batch_of: Callable[[int], Batch], plan: Plan) -> Progress:
    """Train for ``plan.steps`` in all, going on from the newest good checkpoint in ``plan.folder``.

    FloatingPointError when the loss is not finite. The model is changed in place and left in eval mode.
    """
    device = model.head.weight.device
    optimizer = build_optimizer(model, plan.optimizer)
    start = _resume(model, optimizer, plan.folder)
    loss_of = torch.compile(plan.objective) if plan.compiled else plan.objective
    tokens = torch.tensor(start.tokens, device=device)  # counted on the device: no sync in a step
    begun, saved_at = time.monotonic() - start.seconds, time.monotonic()

    def save(step: int) -> None:
        state = {"optimizer": optimizer.state_dict(), "tokens": int(tokens), "seconds": time.monotonic() - begun}
        checkpoint.save(plan.folder, checkpoint.Checkpoint(step, model.state_dict(), state))

    model.train()
    if start.step == 0 and 0 in plan.evaluate_at:
        _evaluate(model, plan, 0)
    steps = range(start.step, plan.steps)
    bar = tqdm(steps, initial=start.step, total=plan.steps, desc=plan.title, unit="step", mininterval=1)
    for step in bar:
        batch, scale = batch_of(step), lr_scale(step, plan.steps, plan.optimizer)
        torch.manual_seed(derive(plan.seed, "dropout", step))
        with autocast(device, plan.precision):
            loss = loss_of(model, batch)
        loss.backward()
        if (step + 1) % plan.log_every == 0 or step + 1 == plan.steps:
            value = _loss_is_finite(loss.detach(), step)
            bar.set_postfix(loss=f"{value:.3f}", refresh=False)
            seconds = time.monotonic() - begun
            plan.log(step + 1, {"train/loss": value, "train/lr_scale": scale, "train/seconds": seconds})
        optimizer.step(scale)
        tokens += (batch.targets != IGNORE).sum()
        if step + 1 in plan.evaluate_at:
            _evaluate(model, plan, step + 1)
        if plan.checkpoint_every and time.monotonic() - saved_at > plan.checkpoint_every and step + 1 < plan.steps:
            save(step + 1)
            saved_at = time.monotonic()
    model.eval()
    if start.step < plan.steps:
        save(plan.steps)
    return Progress(plan.steps, int(tokens), time.monotonic() - begun)
