"""The checkpoints of one training: where it begins, when the next one is due, what is kept, and what is never saved."""

import logging
import time

from mothello.model.transformer import GPT
from mothello.training import checkpoint
from mothello.training.optimizer import Optimizers
from mothello.training.plan import Plan, Progress

log = logging.getLogger(__name__)


class Checkpoints:
    """Restores model and optimizer from the newest good checkpoint of the plan's folder, and saves them there.

    Only the first process writes. CheckpointError when processes do not see the same checkpoint.
    """

    def __init__(self, model: GPT, optimizer: Optimizers, plan: Plan) -> None:
        self.model, self.optimizer, self.plan = model, optimizer, plan
        self.start = self._restore()
        self._last, self._saved_at = self.start.step, time.monotonic()

    def _restore(self) -> Progress:
        plan, newest, problems = self.plan, None, list[str]()
        if plan.folder and checkpoint.saved(plan.folder):
            newest, problems = checkpoint.latest(plan.folder)
        elif plan.origin:
            newest = plan.origin
        step = newest.step if newest else 0
        if step != (first := plan.world.broadcast(step)):
            line = f"step {step} here, {first} in the first process"
            raise checkpoint.CheckpointError(f"checkpoint: {plan.folder}: {line}")
        if not newest:
            return Progress(0, 0, 0.0)
        if plan.world.main:
            for problem in problems:
                log.warning("%s; using the one before, step %d", problem, step)
            log.info("going on after step %d of %d", step, plan.steps)
        if not newest.state:
            self.model.load_state_dict(self.model.state_dict() | newest.weights)  # heads of this training stay
            return Progress(step, 0, 0.0)
        self.model.load_state_dict(newest.weights)
        try:
            self.optimizer.load_state_dict(newest.state["optimizer"])
            return Progress(step, int(newest.state["tokens"]), float(newest.state["seconds"]))
        except Exception as error:  # torch and the optimizers each have their own
            line = f"checkpoint: {plan.folder}: step {step} does not fit ({error})"
            raise checkpoint.CheckpointError(line) from error

    @property
    def due(self) -> bool:
        """Whether it is time for the next one."""
        every = self.plan.checkpoint_every
        return bool(every) and time.monotonic() - self._saved_at > every

    def finite(self) -> bool:
        """Whether all weights are."""
        return all(bool(weights.isfinite().all()) for weights in self.model.parameters())

    def _checkpoint(self, progress: Progress) -> checkpoint.Checkpoint:
        """FloatingPointError when a weight is not finite."""
        step = progress.step
        if not self.finite():
            raise FloatingPointError(f"a weight is not finite after step {step}; the last good checkpoint is kept")
        state = {"optimizer": self.optimizer.state_dict(), "tokens": progress.tokens, "seconds": progress.seconds}
        return checkpoint.Checkpoint(step, self.model.state_dict(), state)

    def save(self, progress: Progress) -> None:
        """Write a checkpoint, unless the step has one. FloatingPointError when a weight is not finite."""
        step, folder = progress.step, self.plan.folder
        if step > self._last and self.plan.world.main:
            made = self._checkpoint(progress)
            if folder:
                checkpoint.save(folder, made)
        self._last, self._saved_at = step, time.monotonic()

    def keep(self, progress: Progress) -> None:
        """Keep a step for good. FloatingPointError when a weight is not finite."""
        if self.plan.folder and self.plan.world.main:
            made = self._checkpoint(progress)
            checkpoint.keep(self.plan.folder, made, progress.step in self.plan.keep.full)
