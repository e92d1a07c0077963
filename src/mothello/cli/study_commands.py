"""The typed config of a command that a study calls: composed once, whichever run and seed it is for."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import cache
from typing import Any

from omegaconf import DictConfig

from mothello.cli.compose import built, choices, content, merged
from mothello.cli.measure import MeasureCommand
from mothello.cli.stage import StageCommand
from mothello.config import check
from mothello.stages.finetune import TransferCommand
from mothello.stages.pretrain import TrainConfig

STEPS: dict[str, type] = {
    "train": TrainConfig, "probe": MeasureCommand, "measure": MeasureCommand, "transfer": TransferCommand,
    "stage": StageCommand,
}  # fmt: skip
"""The commands that a study calls for every part, with their schemas."""
_COMPOSED: dict[str, Any] = {}


@cache
def _base(script: str, overrides: tuple[str, ...]) -> DictConfig:
    return content(script, STEPS[script], list(overrides))


def command_config(script: str, overrides: Sequence[str], fragments: list[Mapping[str, Any]], **own: Any) -> Any:
    """The config of a command: its file and overrides, fragments over them, and over these its own fields, such as run
    and seed, by which parts of a study that are composed alike differ. UserError as the command would give it."""
    key = repr((script, overrides, fragments))
    if key not in _COMPOSED:
        base = _base(script, (*overrides, *choices(fragments)))
        _COMPOSED[key] = built(STEPS[script], merged(base, [*fragments, own], STEPS[script]))
    made = replace(deepcopy(_COMPOSED[key]), **own)
    check(made, "")
    return made
