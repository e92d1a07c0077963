"""Fine-tuning on one language: the same loop on games that are all written in it."""

from dataclasses import dataclass, field

from omegaconf import MISSING

from mothello.config import NOT_IDENTITY
from mothello.data.stream import DataConfig, Stream
from mothello.measures.probes.config import ProbeConfig
from mothello.model.transformer import GPT
from mothello.stages.stage import EvaluationConfig
from mothello.tracking import TrackingConfig
from mothello.training.device import DeviceConfig
from mothello.training.loop import Plan, Progress, train
from mothello.training.optimizer import OptimizerConfig


@dataclass(kw_only=True)
class TransferSettings:
    """Fine-tuning on one language."""

    source: str = ""
    """Language to fine-tune on; by default the first."""
    data: DataConfig = field(default_factory=lambda: DataConfig(games=12_800))
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    probe_before_and_after: bool = True
    """Probe the model before and after."""
    track_retrieval: bool = True
    """At every evaluation, compare the source's states with the other languages', without probes."""
    scratch: bool = True
    """Control: the same fine-tuning of a model with random weights."""
    openings: list[list[str]] = field(default_factory=list)
    """Also judge every language on games that begin so; always on the opening that the run was pretrained on."""


@dataclass(kw_only=True)
class TransferCommand:
    """scripts/transfer.py: fine-tune a run on one language and measure all of them."""

    run: str = field(default=MISSING, metadata=NOT_IDENTITY)
    transfer: TransferSettings = field(default_factory=TransferSettings)
    probe: ProbeConfig = field(default_factory=ProbeConfig)
    device: DeviceConfig = field(default_factory=DeviceConfig, metadata=NOT_IDENTITY)
    tracking: TrackingConfig = field(default_factory=TrackingConfig, metadata=NOT_IDENTITY)
    seed: int = 0
    checkpoint_every: float = field(default=120, metadata=NOT_IDENTITY)
    force: bool = field(default=False, metadata=NOT_IDENTITY)
    dry_run: bool = field(default=False, metadata=NOT_IDENTITY)


def finetune(model: GPT, stream: Stream, language: int, plan: Plan) -> Progress:
    """Train on the stream's games in one language; the plan's evaluation watches every language."""
    return train(model, stream.speaking(language).batch, plan)
