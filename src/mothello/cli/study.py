"""scripts/study.py: cells x seeds, the measurements on each, then the report; finished parts are skipped.

The parts are jobs: one after the other in this process, or through the launcher that is named (hydra/launcher=joblib,
submitit_slurm). One that fails does not stop the others.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate, pairwise
from pathlib import Path

import torch

from mothello.cli.compose import composed
from mothello.cli.jobs import Job, Launcher, Outcome, run_all, run_here
from mothello.cli.launchers import check_one_process, launcher_of
from mothello.cli.line import command_line
from mothello.cli.main import command, log_to_console, one_line_errors
from mothello.cli.measure import measure
from mothello.cli.stage import stage
from mothello.cli.study_commands import STEPS
from mothello.cli.study_comparisons import comparison_jobs
from mothello.cli.study_config import StudyCommand
from mothello.cli.study_dry_run import study_table
from mothello.cli.study_parts import Part, finished
from mothello.cli.study_plan import depth_of, names_of, part_of, parts_of
from mothello.cli.train import train
from mothello.cli.transfer import transfer
from mothello.errors import UserError
from mothello.own import folder_for
from mothello.report.page import FILES, SIGN, write_report
from mothello.report.runs import find_runs
from mothello.stages.find import listed
from mothello.stages.folders import run_folder
from mothello.training.device import resolve


def study(config: StudyCommand, launcher: Launcher = run_here) -> Path | None:
    """Run every part of the study; returns the report's page. SystemExit when a part failed."""
    runs = len(names_of(config))
    if config.dry_run or runs > 1:
        print(heading(config, runs), flush=True)
    parts = list(parts_of(config))  # all of them, so that a mistake in the last is reported before the first runs
    compared = comparison_jobs(config) if config.measures else []
    page = Path(config.report or ".", FILES[0]).absolute()
    finished_all = not compared and all(done(part, config.measures) for part in parts)
    kept = page.exists() and not os.access(page, os.W_OK) and finished_all
    if config.report and not kept:  # on a medium that is read-only, what is finished is finished
        folder_for(config.report, FILES, SIGN, "report")
    device = present(parts[0])
    if config.dry_run:
        print(study_table(parts, device), flush=True)
        if compared:
            print(f"And at the end {len(compared)} comparisons: {listed([job.label for job in compared])}", flush=True)
        print(f"page: {Path(config.report, FILES[0]) if config.report else 'none'}", flush=True)
        return None
    act = partial(run_part, measures=config.measures)
    waves = [[part for part in parts if depth_of(config, part.cell) == n] for n in range(len(config.cells) + 1)]
    jobs = [[Job(x.name, partial(ready, config, x.cell, x.train.seed), act) for x in wave] for wave in waves]
    jobs = [wave for wave in (*jobs, compared) if wave]
    code = run_all([job for wave in jobs for job in wave], in_waves(launcher, [len(wave) for wave in jobs]))
    made = page_of(config, parts) if config.report and not kept else None
    if code:
        raise SystemExit(code)
    return made


def ready(config: StudyCommand, cell: str, seed: int) -> Part:
    """A part. UserError where it is a fork whose origin is missing."""
    part = part_of(config, cell, seed)
    if part.waits:
        raise UserError(part.waits)
    return part


def in_waves(launcher: Launcher, sizes: Sequence[int]) -> Launcher:
    """The launcher, for jobs each of which needs those of earlier waves. sizes: jobs of every wave."""
    ends = list(accumulate(sizes, initial=0))

    def launch(jobs: Sequence[Job], outcomes: Sequence[Outcome]) -> None:
        for start, end in pairwise(ends):
            launcher(jobs[start:end], outcomes[start:end])

    return launch


def present(part: Part) -> torch.device:
    """The device of a study. UserError where it is absent: reported once, not by every part."""
    try:
        return resolve(part.train.device)
    except UserError as error:
        how = " ".join(f"{script}.choose.device=cpu" for script in STEPS)
        raise UserError(f"{error}; for a study: {how}") from None


def heading(config: StudyCommand, runs: int) -> str:
    """What a study is, before it begins."""
    seeds = len(config.seeds or [0])
    minutes = f", about {config.minutes * seeds:.0f} minutes on two cores" if config.minutes else ""
    what = f"{runs} run{'s' if runs > 1 else ''}{minutes}"
    return f"study {config.name} ({config.scale}): {what}\n{config.question}".rstrip()


def done(part: Part, measures: bool) -> bool:
    """Whether nothing of a part is left to do."""
    steps = finished(part)
    return all(steps.values()) or (steps["train"] and not measures)


def run_part(part: Part, measures: bool = True) -> None:
    """Train, probe, measure, fine-tune, go on: what is finished is skipped, what was begun is resumed."""
    if done(part, measures):  # even where its checkpoints were removed since
        print(f"finished already: {run_folder(part.train)}", flush=True)
        return
    train(part.train)
    if not measures:
        return
    measure(part.probe)
    measure(part.measure)
    for tuning in part.transfers:
        transfer(tuning)
    made = {"": part.probe.run}
    for further in part.stages:
        folder = made[further.name] = stage(replace(further.command, run=made[further.after]))["folder"]
        if further.measure:
            measure(replace(further.measure, run=folder))


def page_of(config: StudyCommand, parts: Sequence[Part]) -> Path | None:
    """The report over the parts that are finished; None where none is."""
    parts = [part_of(config, part.cell, part.train.seed) if part.waits else part for part in parts]
    runs = find_runs([folder for part in parts if Path(folder := run_folder(part.train)).is_dir()])
    if not runs:
        return None
    page = write_report(runs, Path(config.report), f"mothello: {config.name}", config.question)
    print(f"report: {page.resolve()}", flush=True)
    return page


_main = command("study", StudyCommand, study)


def main() -> None:
    """The command: its parts as jobs, then the page."""
    with one_line_errors(StudyCommand):
        line = command_line(sys.argv[1:])
        if not line.sweep and not line.for_hydra:
            log_to_console()
            check_one_process(line.launcher)
            study(composed("study", StudyCommand, line.overrides), launcher_of(line.launcher))
            return
    _main()
