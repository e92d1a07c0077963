"""The training loop, read from top to bottom. It knows nothing of Othello: a batch is a function of the step."""

import time
from collections.abc import Callable, Mapping
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
from mothello.training.optimizer import OptimizerConfig, build_optimizer
from mothello.training.schedule import lr_scale


class Hooks(NamedTuple):
    """What happens along the way. evaluate(step) -> numbers to log, called before step 0 and after the last one too."""

    log: Callable[[int, Mapping[str, float]], None]
    evaluate: Callable[[int], Mapping[str, float]]
    log_every: int
    evaluate_at: frozenset[int]
    checkpoint_every: int
    """Seconds between checkpoints; 0 for none."""


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


def _resume(model: GPT, optimizer: object, folder: Path) -> Progress:
    if not checkpoint.saved(folder):
        return Progress(0, 0, 0.0)
    found, problems = checkpoint.latest(folder)
    for line in problems:
        tqdm.write(f"{line}; using the one before, step {found.step}")
    model.load_state_dict(found.weights, strict=not model.config.tied)
    optimizer.load_state_dict(found.state["optimizer"])  # type: ignore[attr-defined]
    return Progress(found.step, found.state["tokens"], found.state["seconds"])


def train(
    model: GPT,
    batch_of: Callable[[int], Batch],
    steps: int,
    objective: Objective,
    config: OptimizerConfig,
    precision: Precision,
    seed: int,
    folder: Path,
    hooks: Hooks,
    compiled: bool = False,
    title: str = "train",
) -> Progress:
    """Train for ``steps`` in all, going on from the newest good checkpoint in ``folder``.

    FloatingPointError when the loss is not finite. The model is changed in place and left in eval mode.
    """
    device = model.head.weight.device
    optimizer = build_optimizer(model, config)
    start = _resume(model, optimizer, folder)
    loss_of = torch.compile(objective) if compiled else objective
    tokens = torch.tensor(start.tokens, device=device)  # counted on the device: no sync in a step
    begun, saved_at = time.monotonic() - start.seconds, time.monotonic()

    def save(step: int) -> None:
        state = {
            "optimizer": optimizer.state_dict(),
            "tokens": int(tokens),
            "seconds": time.monotonic() - begun,
        }
        checkpoint.save(folder, checkpoint.Checkpoint(step, model.state_dict(), state))

    def evaluate(step: int) -> None:
        model.eval()
        with torch.no_grad():
            hooks.log(step, hooks.evaluate(step))
        model.train()

    model.train()
    if start.step == 0 and 0 in hooks.evaluate_at and steps > 0:
        evaluate(0)
    bar = tqdm(range(start.step, steps), initial=start.step, total=steps, desc=title, unit="step", mininterval=1)
    for step in bar:
        batch = batch_of(step)
        torch.manual_seed(derive(seed, "dropout", step))
        with autocast(device, precision):
            loss = loss_of(model, batch)
        loss.backward()
        scale = lr_scale(step, steps, config)
        if (step + 1) % hooks.log_every == 0 or step + 1 == steps:
            value = _loss_is_finite(loss.detach(), step)
            seconds = time.monotonic() - begun
            bar.set_postfix(loss=f"{value:.3f}", refresh=False)
            hooks.log(step + 1, {"train/loss": value, "train/lr_scale": scale, "train/seconds": seconds})
        optimizer.step(scale)
        tokens += (batch.targets != IGNORE).sum()
        if step + 1 in hooks.evaluate_at:
            evaluate(step + 1)
        due = hooks.checkpoint_every and time.monotonic() - saved_at > hooks.checkpoint_every
        if due and step + 1 < steps:
            save(step + 1)
            saved_at = time.monotonic()
    model.eval()
    if start.step < steps:
        save(steps)
    return Progress(steps, int(tokens), time.monotonic() - begun)
