"""dry_run=true of a study: what each run and its measures would take, and all of them together."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch

from mothello.commands.cost_measure import measure_costs
from mothello.commands.cost_probing import Paces, measure_probes, probing_costs, transfer_costs
from mothello.commands.cost_table import minutes, where
from mothello.commands.cost_training import pretraining, training_costs
from mothello.commands.loading import LoadedRun, family_of, games_of
from mothello.commands.study_plan import Part, finished
from mothello.config import (
    ProbeCommand,
    TransferCommand,
    identity,
    run_folder,
)
from mothello.data.split import Split
from mothello.rundir import RunDir, fingerprint
from mothello.training.device import Compile

_BUDGET = 2.0
"""Seconds for measuring the steps of one kind of run."""


class Seconds(NamedTuple):
    """What one run takes."""

    train: float = 0.0
    probe: float = 0.0
    measure: float = 0.0
    transfer: float = 0.0

    def but(self, done: dict[str, bool]) -> "Seconds":
        """Without what is finished."""
        return Seconds(*(0.0 if done[name] else value for name, value in self._asdict().items()))


def measure_run(planned: Part, device: torch.device, budget: float = _BUDGET) -> Seconds:
    """Measured on a model with random weights, eagerly: compiling every run would take longer than it tells."""
    config = replace(planned.train, device=replace(planned.train.device, compile=Compile.never))
    family = family_of(config)
    job = pretraining(config, family, games_of(config.data, family, Split.train, config.data.games), device)
    trained = training_costs(job, budget).seconds
    run = LoadedRun(RunDir(""), config, family.board, family, job.model.eval(), config.data.steps)

    def probed(command: ProbeCommand | TransferCommand) -> Paces:
        precision = command.device.precision
        return measure_probes(run.model, family, config.data.corpus_seed, command.probe, precision, budget)

    paces, precision = probed(planned.probe), planned.probe.device.precision
    probing = probing_costs(run, planned.probe.probe, precision, planned.probe.causal, paces).seconds
    states = measure_costs(run, planned.measure, budget).seconds
    if planned.transfer is None:
        return Seconds(trained, probing, states)
    told = replace(planned.transfer, device=replace(planned.transfer.device, compile=Compile.never))
    source = family.index(told.transfer.source or family.names[0])
    aligned = probed(told) if told.transfer.alignment else None
    return Seconds(trained, probing, states, transfer_costs(told, run, source, budget, aligned).seconds)


def study_table(plan: Sequence[Part], device: torch.device) -> str:
    """A line for each run, with the minutes of its parts, and the sum. Runs that differ by their seed cost the same."""
    known: dict[str, Seconds] = {}
    lines, total = ["minutes   train   probe   measure   transfer   folder"], 0.0
    for planned in plan:
        done, key = finished(planned), fingerprint(identity(planned.train))
        if not all(done.values()) and key not in known:
            known[key] = measure_run(planned, device)
        left = known.get(key, Seconds()).but(done)
        total += sum(left)
        train, probe, states, transfer = (
            "done" if done[name] else minutes(value) for name, value in left._asdict().items()
        )
        if planned.transfer is None:
            transfer = ""
        folder = where(RunDir(run_folder(planned.train)), planned.train.data.steps)
        lines.append(f"{minutes(sum(left)):>7}{train:>8}{probe:>8}{states:>10}{transfer:>11}   {folder}")
    return "\n".join([*lines, f"{minutes(total):>7}   in all"])
