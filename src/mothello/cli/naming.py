"""Names a run without a name after the settings that its command line changes: the same command finds its folder."""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

from mothello.config import check_name, flat, in_identity, quoted, typed
from mothello.errors import UserError
from mothello.registry import load_plugins
from mothello.rundir import RunDir

UNNAMED = "custom"
LONGEST = 80


def named(found: DictConfig, schema: type, overrides: Iterable[Override]) -> DictConfig:
    """The settings of a training with a name: what is given or an experiment sets, else one that is made of the
    overrides. A run that is there already keeps its own."""
    given = [override for override in overrides if not override.key_or_group.startswith("hydra")]
    if found.name == UNNAMED and not any(override.key_or_group == "name" for override in given):
        found.name = _kept(found, schema) or name_of(given, schema)
    return found


def _kept(found: DictConfig, schema: type) -> str:
    """The name that the run has already: that in its folder where one is given, else that of earlier runs of the same
    configuration without a name."""
    from mothello.stages.folders import run_folder

    with suppress(UserError):  # a mistake is reported by whoever builds the config
        if found.run:
            return str(RunDir(found.run).read_config().get("name", ""))
        if Path(str(found.runs), UNNAMED).is_dir():
            load_plugins(found.plugins or [])
            return UNNAMED if Path(run_folder(typed(found, schema))).parent.is_dir() else ""
    return ""


def name_of(overrides: Iterable[Override], schema: type) -> str:
    """A name such as d_model-256_lr-0.001 of the overrides that determine a result, in whatever order they are given;
    "custom" where there is none."""
    changed: dict[str, Any] = {}
    for override in overrides:
        key, value = override.key_or_group, None if override.is_delete() else override.value()
        changed |= flat({key: value}) if isinstance(value, Mapping) else {key: value}
    words = [_word(key, changed[key]) for key in sorted(changed) if in_identity(schema, key) is True]
    name = "_".join(words)[:LONGEST].rstrip("-_.")
    with suppress(UserError):
        check_name(name, "name")
        return name
    return UNNAMED


def _word(key: str, value: Any) -> str:
    """KEY-VALUE in the characters of a name, the key without the section that it stands in: optimizer.lr=0.001 is
    lr-0.001, optimizer.name=adamw is optimizer-adamw."""
    short = key.removesuffix(".name")
    number = isinstance(value, int | float)
    text = quoted(value) if number else re.sub(r"[^A-Za-z0-9._-]+", "-", quoted(value)).strip("-_.")
    return f"{re.sub('[^A-Za-z0-9._-]+', '-', short.partition('.')[2] or short)}-{text or 'none'}"
