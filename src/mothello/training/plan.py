"""What a training is besides its model and its batches."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from mothello.compiling import Compiled
from mothello.model.transformer import GPT
from mothello.objectives.objective import Loss, Objective
from mothello.training.checkpoint import Checkpoint
from mothello.training.device import Precision
from mothello.training.distributed import World
from mothello.training.keeping import KeepConfig
from mothello.training.optimizer import OptimizerConfig


@dataclass(kw_only=True)
class Plan:
    """Settings and callbacks of a training. Without a folder it keeps nothing, without callbacks it is silent."""

    steps: int
    objective: Objective
    optimizer: OptimizerConfig
    precision: Precision
    seed: int
    """Dropout; batches bring their own."""
    folder: Path | None = None
    """Checkpoints."""
    log: Callable[[int, Mapping[str, float]], object] = lambda step, values: None
    evaluate: Callable[[GPT], Mapping[str, float]] = lambda model: {}
    """Numbers to log, in eval mode and without gradients; called in the first process only, as ``log`` is."""
    evaluate_at: frozenset[int] = frozenset()
    """Steps done when it is called; 0 is before the first."""
    log_every: int = 20
    checkpoint_every: float = 120
    """Seconds between checkpoints; 0 for the last only."""
    keep: KeepConfig = field(default_factory=KeepConfig)
    """Steps that are kept besides."""
    origin: Checkpoint | None = None
    """What training begins from, where the folder has none; without a state its optimizer is new."""
    compiled: bool = False
    must_compile: bool = False
    """A compiler that does not work is a UserError, and no warning."""
    turned_eager: Callable[[], object] = lambda: None
    """Called where the compiler does not work."""
    cuda_graphs: bool = False
    """Replay the whole step as one CUDA graph, compiled or not: on one GPU."""
    micro_batches: int = 1
    """Parts that a batch is computed in."""
    world: World = field(default_factory=World)
    """Batches are this process's share; the loss is the mean over all of them."""
    title: str = ""
    """Of the progress bar; none without a title."""

    def bar(self, start: int) -> tqdm:
        """The steps from ``start`` on, with a progress bar in the first process."""
        return tqdm(
            range(start, self.steps), self.title, self.steps, initial=start, unit="step", mininterval=1,
            disable=not (self.title and self.world.main),
        )  # fmt: skip

    def loss_of(self) -> Callable[[GPT, Any], Loss]:
        """The objective's loss, compiled where the plan says so."""
        if not self.compiled:
            return self.objective.loss
        return Compiled(self.objective.loss, "training", self.must_compile, self.turned_eager, dynamic=False)


class Progress(NamedTuple):
    """Where a run stands."""

    step: int
    tokens: int
    """Scored by the main objective so far, in all processes."""
    seconds: float
