"""dry_run=true of a study: what each run and its measures take, and all of them together."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from tqdm import tqdm

from mothello.cli.dry_run import (
    Estimate,
    company_estimate,
    finetune_estimate,
    measure_estimate,
    place_of,
    stage_estimate,
)
from mothello.cli.machine import where
from mothello.cli.study_commands import STEPS
from mothello.cli.study_parts import Part, finished
from mothello.cli.units import minutes, short
from mothello.config import plain
from mothello.files import fingerprint
from mothello.rundir import RunDir
from mothello.stages.continued import STAGES
from mothello.stages.finetune import Finetune
from mothello.stages.folders import identity, run_folder
from mothello.stages.pretrain import Pretrain
from mothello.stages.run import Run
from mothello.training.device import Compile

Estimates = dict[str, Estimate]
"""By step of a part (STEPS)."""


def shape(part: Part) -> str:
    """Parts of one shape take the same time: they differ in their seed, their name and their anchors."""
    languages = {key: getattr(part.train.languages, key) for key in ("kinds", "options", "output")}
    more = {"tuned": len(part.transfers), "stages": [plain(further.command.stage) for further in part.stages]}
    return fingerprint(identity(part.train) | {"languages": languages} | more)


def estimates(part: Part, device: torch.device) -> Estimates:
    """Of every step of a part, with random weights and eagerly: compiling each takes longer than it tells."""
    eager = {"device": replace(part.train.device, compile=Compile.never)}
    stage = Pretrain(replace(part.train, **eager))  # type: ignore[arg-type]
    result = {"train": stage_estimate(stage, device)}
    model, config = stage.initial().to(device).eval(), stage.config
    run = Run(RunDir(""), config, stage.language_set.board, stage.language_set, model, config.data.steps)
    kept = 1 + len(config.checkpoints.keep.steps(config.data.steps))
    for name, command in (("probe", part.probe), ("measure", part.measure)):
        steps = kept if command.steps == "all" else len(command.steps) or 1
        result[name] = measure_estimate(run.subject(command.device), command.configs).times(steps)
    tuned = [replace(tuning, device=replace(tuning.device, compile=Compile.never)) for tuning in part.transfers]
    each = [finetune_estimate(tuning, Finetune(tuning.transfer, tuning, run), device) for tuning in tuned]
    if each:
        result["transfer"] = Estimate({}, {"transfer": sum(estimate.seconds for estimate in each)})
    commands = [further.command for further in part.stages]
    commands = [replace(command, device=replace(command.device, compile=Compile.never)) for command in commands]
    more = [company_estimate(STAGES.get(x.stage.name)(x.stage, x, run), device) for x in commands]
    asked = [further.measure for further in part.stages if further.measure]
    more += [measure_estimate(run.subject(command.device), command.configs) for command in asked]
    if more:
        result["stage"] = Estimate({}, {"stage": sum(estimate.seconds for estimate in more)})
    return result


def study_table(parts: Sequence[Part], device: torch.device) -> str:
    """One line per run: minutes in all and of each step, tokens, FLOPs, the folder; then their sum."""
    known: dict[str, Estimates] = {}
    head = ["minutes", *STEPS, "tokens", "FLOPs"]
    lines, folders, whole, tokens, flops = [head], ["folder"], 0.0, 0.0, 0.0
    for part in tqdm(parts, desc="dry run", unit="run"):
        done, key = finished(part), shape(part)
        if not all(done.values()) and key not in known:
            known[key] = estimates(part, device)
        steps = {name: estimate for name, estimate in known.get(key, {}).items() if not done[name]}
        seconds = {name: steps[name].seconds if name in steps else 0.0 for name in done}
        shown = ["done" if done[n] else minutes(seconds[n]) for n in done]
        shown[-2:] = [x if asked else "" for x, asked in zip(shown[-2:], (part.transfers, part.stages), strict=True)]
        train = steps.get("train", Estimate({}, {}))
        sizes = ["", ""] if done["train"] else [short(train.tokens), f"{train.flops:.2g}"]
        whole, tokens, flops = whole + sum(seconds.values()), tokens + train.tokens, flops + train.flops
        lines.append([minutes(sum(seconds.values())), *shown, *sizes])
        folders.append(place_of(RunDir(run_folder(part.train)), part.train.data.steps))
    lines.append([minutes(whole), *[""] * len(STEPS), short(tokens), f"{flops:.2g}"])
    folders.append("in all, one after the other")
    widths = [max(map(len, column)) + 2 for column in zip(*lines, strict=True)]
    rows = ["".join(map(str.rjust, line, widths)) + f"   {folder}" for line, folder in zip(lines, folders, strict=True)]
    return "\n".join([*rows, f"Steps measured eagerly on {where(device)}; compiled runs are faster."])
