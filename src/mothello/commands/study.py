"""scripts/study.py: cells x seeds, the measurements on each, then the report; finished parts are skipped.

With a Hydra launcher (hydra/launcher=joblib, submitit_slurm) the parts are its jobs, otherwise they run one after the
other in this process.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from mothello.analysis.report import write_report
from mothello.analysis.runs import find_runs
from mothello.commands import sweep
from mothello.commands.cost_study import study_table
from mothello.commands.entry import command
from mothello.commands.measure import measure
from mothello.commands.probe import probe
from mothello.commands.study_plan import Part, composed, names_of, part_of, parts_of
from mothello.commands.train import resolve_device, train
from mothello.commands.transfer import transfer
from mothello.config import ConfigError, StudyCommand, run_folder
from mothello.training.device import cores


def study(config: StudyCommand) -> Path | None:
    """Run every part of the study, in order; returns the report's page."""
    wanted = names_of(config)
    minutes = f", about {config.minutes * len(config.seeds or [0]):.0f} minutes on two cores" if config.minutes else ""
    print(f"study {config.name} ({config.scale}): {len(wanted)} runs{minutes}", flush=True)
    if config.question:
        print(config.question, flush=True)
    parts = [part_of(config, *name) for name in wanted]  # all of them, so that a mistake in the last is told now
    if config.dry_run:
        print(study_table(parts, resolve_device(parts[0].train)), flush=True)
        print(f"report: {config.report or 'none'}", flush=True)
        return None
    begun = time.monotonic()
    for number, part in enumerate(parts, 1):
        run_part(part, config.measures)
        spent = (time.monotonic() - begun) / 60
        print(f"--- {part.name} done, {number} of {len(parts)}, after {spent:.1f} minutes", flush=True)
    return page_of(config, parts) if config.report else None


def run_part(part: Part, measures: bool = True) -> None:
    """Train, probe, measure, fine-tune: what is finished is skipped, what was begun goes on."""
    train(part.train)
    if not measures:
        return
    probe(part.probe)
    measure(part.measure)
    if part.transfer is not None:
        transfer(part.transfer)


def page_of(config: StudyCommand, parts: Sequence[Part]) -> Path:
    """The report over the parts that are finished."""
    folders = [run_folder(part.train) for part in parts]
    page = write_report(find_runs(folders), Path(config.report), f"mothello: {config.name}", config.question)
    print(f"report: {page.resolve()}", flush=True)
    return page


def as_sweep(arguments: Sequence[str]) -> list[str] | None:
    """The command line of the sweep whose jobs are the parts of a study; None where none is asked for: no launcher
    named, or already a sweep (of studies), or a dry run."""
    launched = [text for text in arguments if text.startswith("hydra/launcher=")]
    if not launched or sweep.asked_for(arguments):
        return None
    config = composed("study", StudyCommand, [text for text in arguments if not text.startswith("hydra")])
    if config.dry_run:
        return None
    names = [part.name for part in parts_of(config)]  # all of them, so that a mistake in the last is told now
    told = [*arguments, "report=", "parts=" + ",".join(f"[{name}]" for name in names)]
    if launched[0].endswith("=joblib") and not config.threads:
        jobs = next((int(x.partition("=")[2]) for x in arguments if x.startswith("hydra.launcher.n_jobs=")), -1)
        told.append(f"threads={max(1, cores() // jobs) if jobs > 0 else 1}")
    return ["-m", *told]


_main = command("study", StudyCommand, study)


def main() -> None:
    """The command: as jobs of a launcher where one is named, then the page."""
    arguments = sys.argv[1:]
    try:
        told = as_sweep(arguments)
    except (ConfigError, HydraException, OmegaConfBaseException):
        told = None  # a mistake, which the command itself tells in one line
    if told is None:
        return _main()
    script = sys.argv[0]
    sys.argv = [script, *told]
    code = 0
    try:
        _main()
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        sys.argv = [script, *arguments]
    config = composed("study", StudyCommand, [text for text in arguments if not text.startswith("hydra")])
    if config.report and code < 2:
        page_of(config, list(parts_of(config)))
    raise SystemExit(code)
