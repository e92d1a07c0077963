"""dry_run=true of measures: minutes from running the real measures on a sixteenth of their games."""

from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import replace
from io import StringIO
from time import perf_counter
from typing import Any

import torch

from mothello.cli.cost.table import Costs, languages
from mothello.cli.cost.training import finetuning, training_costs
from mothello.measures.measure import MEASURES, Subject
from mothello.othello.lazy_compile import Engine, using
from mothello.stages.finetune import TransferCommand
from mothello.stages.measuring import subject_of
from mothello.stages.run import Run

SHARE = 1 / 16
BUDGET = 8.0
"""Seconds for measuring the steps of a fine-tuning."""


def seconds_of(subject: Subject, config: Any, share: float = SHARE) -> float:
    """Seconds of a measure, from a share of its games; of one whose config cannot be shrunk, nan."""
    if not hasattr(config, "shrunk"):
        return float("nan")
    devices = [subject.device] if subject.device.type == "cuda" else []
    begun = perf_counter()
    with using(Engine.eager), torch.random.fork_rng(devices), redirect_stderr(StringIO()):  # its progress bars
        for _ in MEASURES.build(config.shrunk(share))(replace(subject, folder=None)):
            pass
    return (perf_counter() - begun) / share


def measures_costs(subject: Subject, configs: Sequence[Any], share: float = SHARE) -> Costs:
    """Everything but the folders."""
    rows = {"languages": languages(subject.language_set)}
    sizes = ("games", "pool", "held_out", "test_games", "cases")
    for config in configs:
        counts = [f"{getattr(config, size):,} {size.replace('_', ' ')}" for size in sizes if hasattr(config, size)]
        rows[config.name] = ", ".join(counts)
    return Costs(rows, {config.name: seconds_of(subject, config, share) for config in configs})


def transfer_costs(config: TransferCommand, run: Run, source: int, budget: float, share: float = SHARE) -> Costs:
    """Fine-tuning, and the probes before and after it."""
    costs = training_costs(finetuning(config, run, source), budget)
    if config.transfer.scratch:
        costs = Costs(costs.rows, costs.parts | {"from scratch": costs.seconds})
    if not config.transfer.probe_before_and_after:
        return costs
    probes = measures_costs(subject_of(run, config.device), [config.brief_probes], share)
    return Costs(
        costs.rows | {"probes": f"{probes.rows['probes']}, before and after"},
        costs.parts | {"probes": 2 * probes.seconds},
    )
