"""The typed tree of settings: one root per script, composed of the parts' own dataclasses.

Hydra composes plain YAML; :func:`typed` merges it into the schema, which rejects unknown keys and wrong types,
and builds the dataclasses, whose ``__post_init__`` checks ranges. Whatever a user got wrong ends as one line.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, TypeVar, get_type_hints

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mothello.data.stream import DataConfig
from mothello.languages.family import FamilyConfig
from mothello.model.transformer import ModelConfig
from mothello.objectives.objective import objective
from mothello.othello.board import board
from mothello.othello.rollout import GENERATOR_VERSION
from mothello.probing.train import ProbeConfig
from mothello.rundir import fingerprint
from mothello.stages.stage import EvaluationConfig
from mothello.tracking import TrackingConfig
from mothello.training.device import DeviceConfig
from mothello.training.optimizer import OptimizerConfig

T = TypeVar("T")


class ConfigError(ValueError):
    """A user's mistake, in one line that names the key or the file."""


@dataclass(kw_only=True)
class BoardConfig:
    """The board, and the opening that prefix-restricted pretraining uses on it."""

    size: int = 6
    prefix: list[str] = field(default_factory=list)
    """Opening for experiments that restrict pretraining to a prefix."""

    def __post_init__(self) -> None:
        board(self.size)


@dataclass(kw_only=True)
class TrainConfig:
    """scripts/train.py: one pretraining run."""

    name: str = "custom"
    """Folder and wandb group; experiments set it."""
    board: BoardConfig = field(default_factory=BoardConfig)
    languages: FamilyConfig = field(default_factory=FamilyConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    objective: str = "causal_lm"
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    device: DeviceConfig = field(default_factory=DeviceConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    seed: int = 0
    """Initialisation and data order, nothing else."""
    checkpoint_every: int = 120
    """Seconds between checkpoints, 0 for the last only."""
    runs: str = "runs"
    """Where run folders go."""
    run: str = ""
    """This run's folder; by default runs/NAME/HASH/seedN."""
    force: bool = False
    """Start again even if the run is finished or begun; the old folder's content is replaced."""
    dry_run: bool = False
    """Say what would be done, and stop."""

    def __post_init__(self) -> None:
        objective(self.objective)
        if self.seed < 0:
            raise ValueError(f"seed: {self.seed} is negative")
        if self.checkpoint_every < 0:
            raise ValueError(f"checkpoint_every: {self.checkpoint_every} is negative")


@dataclass(kw_only=True)
class ProbeCommand:
    """scripts/probe.py: probes and alignment of one run."""

    run: str = MISSING
    """The run's folder."""
    probe: ProbeConfig = field(default_factory=ProbeConfig)
    device: DeviceConfig = field(default_factory=DeviceConfig)
    force: bool = False
    dry_run: bool = False


@dataclass(kw_only=True)
class TransferSettings:
    """Fine-tuning on one language."""

    source: str = ""
    """Language to fine-tune on; by default the first."""
    data: DataConfig = field(default_factory=lambda: DataConfig(games=12_800))
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    alignment: bool = True
    """Probe the model before and after."""


@dataclass(kw_only=True)
class TransferCommand:
    """scripts/transfer.py: fine-tune a run on one language and measure all of them."""

    run: str = MISSING
    transfer: TransferSettings = field(default_factory=TransferSettings)
    probe: ProbeConfig = field(default_factory=ProbeConfig)
    device: DeviceConfig = field(default_factory=DeviceConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    seed: int = 0
    checkpoint_every: int = 120
    force: bool = False
    dry_run: bool = False


@dataclass(kw_only=True)
class ReportCommand:
    """scripts/report.py: one page over any set of run folders."""

    runs: list[str] = field(default_factory=lambda: ["runs"])
    """Run folders, or folders that hold some at any depth."""
    out: str = "report"
    """Folder of index.html and the tables."""
    title: str = "mothello"


@dataclass(kw_only=True)
class StudyCommand:
    """scripts/study.py: runs x seeds and the measurements on each, then the report."""

    name: str = "custom"
    question: str = ""
    experiments: list[str] = field(default_factory=list)
    """Experiments to run, each for every seed."""
    seeds: list[int] = field(default_factory=lambda: [0])
    train: list[str] = field(default_factory=list)
    """Overrides for every training run."""
    probe: list[str] = field(default_factory=list)
    """Overrides for the probes of every run."""
    transfer_from: list[str] = field(default_factory=list)
    """Experiments whose runs are also fine-tuned."""
    transfer: list[str] = field(default_factory=list)
    """Overrides for the fine-tuning."""
    report: str = "report"
    minutes: float = 0.0
    """Measured time on 2 cores per seed, printed first."""
    dry_run: bool = False


SCHEMAS: dict[str, type] = {
    "train": TrainConfig,
    "probe": ProbeCommand,
    "transfer": TransferCommand,
    "report": ReportCommand,
    "study": StudyCommand,
}
"""One root per script; Hydra finds them as NAME_schema, the first entry of each defaults list."""

for _name, _schema in SCHEMAS.items():
    ConfigStore.instance().store(name=f"{_name}_schema", node=_schema)


def _fields(schema: type) -> dict[str, list[str]]:
    """Keys of a schema and of all schemas in it, by class name."""
    found = {schema.__name__: [f.name for f in fields(schema)]}
    for hint in get_type_hints(schema).values():
        if is_dataclass(hint):
            found |= _fields(hint)  # type: ignore[arg-type]
    return found


def one_line(error: BaseException) -> str:
    """What a user needs of an OmegaConf message: the key, what is wrong, and the choices."""
    text = str(error).strip()
    key = getattr(error, "full_key", None)
    first = text.splitlines()[0] if text else type(error).__name__
    unknown = re.search(r"Key '(\w+)' (?:is )?not in '(\w+)'", text)
    if unknown:
        known = [keys for schema in SCHEMAS.values() for name, keys in _fields(schema).items() if name == unknown[2]]
        return f"{key or unknown[1]}: unknown key" + (f"; choices: {', '.join(known[0])}" if known else "")
    if "missing mandatory value" in text:
        return f"{first.rpartition(' ')[2]}: must be given"
    return f"{key}: {first}" if key and not first.startswith(key) else first


def typed(content: DictConfig | Mapping[str, Any], schema: type[T]) -> T:
    """Plain settings -> the schema's dataclasses. ConfigError names the key: unknown, wrong type, out of range."""
    try:
        if isinstance(content, DictConfig):  # as plain values: a typed config would carry keys added with + along
            content = OmegaConf.to_container(content, resolve=True, enum_to_str=True)  # type: ignore[assignment]
        merged = OmegaConf.merge(OmegaConf.structured(schema), content)
        return OmegaConf.to_object(merged)  # type: ignore[return-value]
    except OmegaConfBaseException as error:
        cause = error.__cause__
        if isinstance(cause, ValueError) and not isinstance(cause, OmegaConfBaseException):
            raise ConfigError(str(cause)) from None
        raise ConfigError(one_line(error)) from None
    except ValueError as error:
        raise ConfigError(str(error)) from None


def plain(config: Any) -> dict[str, Any]:
    """Dataclasses -> nested dicts of plain values, as YAML and JSON want them."""
    content = OmegaConf.to_container(OmegaConf.structured(config), resolve=True, enum_to_str=True)
    assert isinstance(content, dict)
    return content  # type: ignore[return-value]


_NOT_IDENTITY = (
    "name",
    "seed",
    "device",
    "tracking",
    "checkpoint_every",
    "runs",
    "run",
    "force",
    "dry_run",
    "evaluation",
)


def identity(config: Any, *leave_out: str) -> dict[str, Any]:
    """What determines a result: no device, tracking, paths or cadences, but the generator's version."""
    content = {k: v for k, v in plain(config).items() if k not in (*_NOT_IDENTITY, *leave_out)}
    return content | {"generator_version": GENERATOR_VERSION}


def run_folder(config: TrainConfig) -> str:
    """The folder of a run: runs/NAME/HASH/seedN, the same for the same result."""
    return config.run or f"{config.runs}/{config.name}/{fingerprint(identity(config))}/seed{config.seed}"
