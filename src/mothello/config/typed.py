"""Plain settings -> typed objects, and a run's identity.

Hydra composes plain YAML; :func:`typed` merges it into the schema, which rejects unknown keys and wrong types,
and builds the dataclasses, whose ``__post_init__`` checks ranges. Whatever a user got wrong ends as one line.
"""

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mothello.config.corpora import BenchCommand, CorpusCommand, ExportCommand, GenerateCommand, ImportCommand
from mothello.config.schemas import (
    MeasureCommand,
    ProbeCommand,
    ReportCommand,
    ResultsCommand,
    StudyCommand,
    TrainConfig,
    TransferCommand,
)
from mothello.data.stored import read_index
from mothello.othello.rollout import GENERATOR_VERSION
from mothello.rundir import fingerprint

T = TypeVar("T")


class ConfigError(ValueError):
    """A user's mistake, in one line that names the key or the file."""


SCHEMAS: dict[str, type] = {
    "train": TrainConfig,
    "probe": ProbeCommand,
    "measure": MeasureCommand,
    "transfer": TransferCommand,
    "report": ReportCommand,
    "study": StudyCommand,
    "results": ResultsCommand,
    "generate": GenerateCommand,
    "import_games": ImportCommand,
    "export_games": ExportCommand,
    "corpus": CorpusCommand,
    "bench": BenchCommand,
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
    if "is not a ListConfig, list or tuple" in text:
        return f"{key}: is a list; write {key}=[...]"
    if "is not in struct" in text:
        return f"{key}: not there yet; write +{key}=... to add it"
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
    """What determines a result: no device, tracking, paths or cadences, but the generator's version, and of stored
    games what they are instead of where."""
    content = {k: v for k, v in plain(config).items() if k not in (*_NOT_IDENTITY, *leave_out)}
    for domain in content.get("data", {}).get("domains", {}).values():
        if domain["folder"] and (Path(domain["folder"]) / "corpus.json").exists():
            domain["folder"] = fingerprint(read_index(Path(domain["folder"])))
    return content | {"generator_version": GENERATOR_VERSION}


def transfer_identity(config: TransferCommand) -> dict[str, Any]:
    """What determines a fine-tuning: the probes only where it is probed."""
    return identity(config, *([] if config.transfer.alignment else ["probe"])) | {"seed": config.seed}


def run_folder(config: TrainConfig) -> str:
    """The folder of a run: runs/NAME/HASH/seedN, the same for the same result."""
    return config.run or f"{config.runs}/{config.name}/{fingerprint(identity(config))}/seed{config.seed}"
