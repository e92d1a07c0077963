"""dry_run=true of a study: what each run and its measures would take, and all of them together."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from tqdm import tqdm

from mothello.cli.cost.measures import measures_costs, transfer_costs
from mothello.cli.cost.table import minutes, short, where
from mothello.cli.cost.training import mean_tokens, pretraining, training_costs, training_flops
from mothello.cli.study_plan import Part, finished
from mothello.data.split import Split
from mothello.files import fingerprint
from mothello.rundir import RunDir
from mothello.stages.build import games_of, language_set_of
from mothello.stages.folders import identity, run_folder
from mothello.stages.measuring import subject_of
from mothello.stages.run import Run
from mothello.training.device import Compile

_BUDGET = 2.0
"""Seconds for measuring the steps of one kind of run."""
_SHARE = 1 / 64
"""Share of the games that measures are timed on."""


class Price(NamedTuple):
    """What one run takes: seconds of its parts; tokens read and FLOPs of its training."""

    train: float = 0.0
    probe: float = 0.0
    measure: float = 0.0
    transfer: float = 0.0
    tokens: float = 0.0
    flops: float = 0.0

    def left(self, done: dict[str, bool]) -> dict[str, float]:
        """Seconds of the parts that are not finished."""
        return {name: 0.0 if done[name] else getattr(self, name) for name in done}


def price_of(planned: Part, device: torch.device, budget: float = _BUDGET) -> Price:
    """Measured on a model with random weights, eagerly: compiling every run would take longer than it tells."""
    config = replace(planned.train, device=replace(planned.train.device, compile=Compile.never))
    language_set = language_set_of(config)
    job = pretraining(config, language_set, games_of(config.data, language_set, Split.train, config.data.games), device)
    trained, tokens = training_costs(job, budget).seconds, mean_tokens(job)
    run = Run(RunDir(""), config, language_set.board, language_set, job.model.eval(), config.data.steps)

    probing, states = (
        measures_costs(subject_of(run, command.device), command.configs, _SHARE).seconds
        for command in (planned.probe, planned.measure)
    )
    tuned = 0.0
    if planned.transfer is not None:
        told = replace(planned.transfer, device=replace(planned.transfer.device, compile=Compile.never))
        source = language_set.index(told.transfer.source or language_set.names[0])
        tuned = transfer_costs(told, run, source, budget, _SHARE).seconds
    return Price(trained, probing, states, tuned, job.games * tokens.read, training_flops(job, tokens))


def study_table(plan: Sequence[Part], device: torch.device) -> str:
    """A line for each run, with the minutes of its parts, tokens and FLOPs, and the sum. Runs that differ by their seed
    cost the same."""
    known: dict[str, Price] = {}
    keys = [fingerprint(identity(planned.train)) for planned in plan]
    done = [finished(planned) for planned in plan]
    open_ = {key: planned for key, planned, of in zip(keys, plan, done, strict=True) if not all(of.values())}
    for key, planned in tqdm(open_.items(), desc="measuring", unit="cell", disable=len(open_) < 2, leave=False):
        known[key] = price_of(planned, device)
    head = ["minutes", "train", "probe", "measure", "transfer", "tokens", "FLOPs"]
    rows, folders, whole = [head], ["folder"], Price()
    for planned, key, of in zip(plan, keys, done, strict=True):
        price = known.get(key, Price())
        left = price.left(of)
        parts = ["done" if of[name] else minutes(value) for name, value in left.items()]
        if planned.transfer is None:
            parts[-1] = ""
        sizes = ["", ""] if of["train"] else [short(price.tokens), f"{price.flops:.2g}"]
        if not of["train"]:
            whole = whole._replace(tokens=whole.tokens + price.tokens, flops=whole.flops + price.flops)
        whole = whole._replace(train=whole.train + sum(left.values()))
        rows.append([minutes(sum(left.values())), *parts, *sizes])
        folders.append(where(RunDir(run_folder(planned.train)), planned.train.data.steps))
    rows.append([minutes(whole.train), *[""] * 4, short(whole.tokens), f"{whole.flops:.2g}"])
    folders.append("in all, one after the other")
    widths = [max(map(len, column)) + 2 for column in zip(*rows, strict=True)]
    lines = [
        "".join(f"{text:>{width}}" for text, width in zip(row, widths, strict=True)) + f"   {folder}"
        for row, folder in zip(rows, folders, strict=True)
    ]
    place = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"a CPU, {torch.get_num_threads()} thread{'s' * (torch.get_num_threads() > 1)}"
    )
    note = f"Steps measured eagerly on {place}, beside whatever else this machine does; compiled runs are faster."
    return "\n".join([*lines, note])
