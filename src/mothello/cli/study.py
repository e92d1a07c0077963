"""scripts/study.py: cells x seeds, the measurements on each, then the report; finished parts are skipped.

The parts are the jobs of a sweep: one after the other in this process, or through the launcher that is named
(hydra/launcher=joblib, submitit_slurm). One that fails does not stop the others.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from mothello.cli import sweep
from mothello.cli.cost.study import study_table
from mothello.cli.main import command
from mothello.cli.measure import measure
from mothello.cli.probe import probe
from mothello.cli.study_plan import Part, StudyCommand, composed, finished, names_of, part_name, part_of, parts_of
from mothello.cli.sweep_job import isolated
from mothello.cli.train import resolve_device, train
from mothello.cli.transfer import transfer
from mothello.errors import UserError
from mothello.report.report import write_report
from mothello.report.runs import find_runs
from mothello.stages.folders import run_folder
from mothello.training.device import cores


def study(config: StudyCommand) -> Path | None:
    """Run every part of the study, in order; returns the report's page."""
    wanted = names_of(config)
    if config.dry_run or len(wanted) > 1:
        print(heading(config, len(wanted)), flush=True)
    parts = [part_of(config, *name) for name in wanted]  # all of them, so that a mistake in the last is told now
    device = present(parts[0])
    if config.dry_run:
        print(study_table(parts, device), flush=True)
        print(f"report: {config.report or 'none'}", flush=True)
        return None
    begun = time.monotonic()
    for number, part in enumerate(parts, 1):
        with isolated():
            run_part(part, config.measures)
        spent = (time.monotonic() - begun) / 60
        print(f"--- {part.name} done, {number} of {len(parts)}, after {spent:.1f} minutes", flush=True)
    return page_of(config, parts) if config.report else None


def present(part: Part) -> torch.device:
    """The device of a study. UserError where it is absent: told once, not by every part."""
    try:
        return resolve_device(part.train)
    except UserError as error:
        told = " ".join(f"""'{script}=["device=cpu"]'""" for script in ("train", "probe", "measure", "transfer"))
        raise UserError(f"{error}; of a study: {told}") from None


def heading(config: StudyCommand, runs: int) -> str:
    """What a study is, before it begins."""
    seeds = len(config.seeds or [0])
    minutes = f", about {config.minutes * seeds:.0f} minutes on two cores" if config.minutes else ""
    what = f"{runs} run{'s' if runs > 1 else ''}{minutes}"
    return f"study {config.name} ({config.scale}): {what}\n{config.question}".rstrip()


def run_part(part: Part, measures: bool = True) -> None:
    """Train, probe, measure, fine-tune: what is finished is skipped, what was begun goes on."""
    done = finished(part)
    if all(done.values()) or (done["train"] and not measures):  # even where its checkpoints were removed since
        print(f"finished already: {run_folder(part.train)}", flush=True)
        return
    train(part.train)
    if not measures:
        return
    probe(part.probe)
    measure(part.measure)
    if part.transfer is not None:
        transfer(part.transfer)


def page_of(config: StudyCommand, parts: Sequence[Part]) -> Path | None:
    """The report over the parts that are finished; None where none is."""
    runs = find_runs([folder for part in parts if Path(folder := run_folder(part.train)).is_dir()])
    if not runs:
        return None
    page = write_report(runs, Path(config.report), f"mothello: {config.name}", config.question)
    print(f"report: {page.resolve()}", flush=True)
    return page


def as_sweep(arguments: Sequence[str]) -> list[str] | None:
    """The command line of the sweep whose jobs are the parts of a study; None for one part, a dry run, a sweep of
    studies, and whatever asks for help."""
    if sweep.asked_for(arguments) or any(text.startswith("-") for text in arguments):
        return None
    config = composed("study", StudyCommand, _without_hydra(arguments))
    launcher = next((text.partition("=")[2] for text in arguments if text.startswith("hydra/launcher=")), "")
    names = [part_name(*name) for name in names_of(config)]
    if config.dry_run or (len(names) == 1 and not launcher):
        return None
    parts = list(parts_of(config))  # so that a mistake in the last part is told now
    if launcher in ("", "basic", "joblib"):  # others run elsewhere
        present(parts[0])
    told = [*arguments, "report=", "parts=" + ",".join(f"[{name}]" for name in names)]
    if launcher == "joblib" and not config.threads:
        said = next((text.partition("=")[2] for text in arguments if text.startswith("hydra.launcher.n_jobs=")), "-1")
        jobs = int(said) if said.isdecimal() else 0  # joblib itself judges what is no number
        told.append(f"threads={max(1, cores() // jobs) if jobs > 0 else 1}")
    return ["-m", *told]


def _without_hydra(arguments: Sequence[str]) -> list[str]:
    return [text for text in arguments if not text.startswith("hydra")]


_main = command("study", StudyCommand, study)


def main() -> None:
    """The command: its parts as the jobs of a sweep, then the page."""
    arguments = sys.argv[1:]
    try:
        told = as_sweep(arguments)
    except (UserError, HydraException, OmegaConfBaseException):
        told = None  # a mistake, which the command itself tells in one line
    if told is None:
        return _main()
    config = composed("study", StudyCommand, _without_hydra(arguments))
    print(heading(config, len(names_of(config))), flush=True)
    script, code = sys.argv[0], 0
    sys.argv = [script, *told]
    try:
        _main()
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        sys.argv = [script, *arguments]
    if config.report and code < 2:
        page_of(config, list(parts_of(config)))
    raise SystemExit(code)
