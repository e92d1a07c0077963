"""The typed tree of settings: one root per script."""

from mothello.config.schemas import (
    BoardConfig,
    CellConfig,
    MeasureCommand,
    ProbeCommand,
    ReportCommand,
    ResultsCommand,
    ScaleConfig,
    StudyCommand,
    TrainConfig,
    TransferCommand,
    TransferSettings,
)
from mothello.config.typed import SCHEMAS, ConfigError, identity, one_line, plain, run_folder, transfer_identity, typed

__all__ = [
    "SCHEMAS",
    "BoardConfig",
    "CellConfig",
    "ConfigError",
    "MeasureCommand",
    "ProbeCommand",
    "ReportCommand",
    "ResultsCommand",
    "ScaleConfig",
    "StudyCommand",
    "TrainConfig",
    "TransferCommand",
    "TransferSettings",
    "identity",
    "one_line",
    "plain",
    "run_folder",
    "transfer_identity",
    "typed",
]
