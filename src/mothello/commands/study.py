"""scripts/study.py: runs x seeds, the measurements on each, then the report; finished parts are skipped."""

import time
from pathlib import Path
from typing import TypeVar

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.initialize import initialize_config_dir

from mothello.analysis.report import write_report
from mothello.analysis.runs import find_runs
from mothello.commands.cost_study import Planned, study_table
from mothello.commands.entry import CONFIGS, command
from mothello.commands.measure import measure
from mothello.commands.probe import probe
from mothello.commands.train import resolve_device, train
from mothello.commands.transfer import transfer
from mothello.config import (
    ConfigError,
    MeasureCommand,
    ProbeCommand,
    StudyCommand,
    TrainConfig,
    TransferCommand,
    run_folder,
    typed,
)

T = TypeVar("T")


def composed(name: str, schema: type[T], overrides: list[str]) -> T:
    """The typed config that a script would get from these overrides."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(config_dir=str(CONFIGS), version_base="1.3"):
        return typed(compose(name, overrides), schema)


def _trained(config: StudyCommand, experiment: str, seed: int) -> TrainConfig:
    folder, group = f"runs=runs/{config.name}", f"tracking.group={config.name}"
    overrides = [f"+experiment={experiment}", f"seed={seed}", folder, group, *config.train]
    return composed("train", TrainConfig, overrides)


def study(config: StudyCommand) -> Path | None:
    """Run every part of the study, in order; returns the report's page."""
    if not config.experiments:
        raise ConfigError("experiments: name at least one (or +study=NAME)")
    jobs = [(name, seed, _trained(config, name, seed)) for seed in config.seeds for name in config.experiments]
    minutes = config.minutes * len(config.seeds)
    print(f"study {config.name}: {len(jobs)} runs, about {minutes:.0f} minutes on two cores", flush=True)
    if config.question:
        print(config.question, flush=True)
    if config.dry_run:
        plan = [Planned(job, *_measures(config, name, seed, run_folder(job))) for name, seed, job in jobs]
        print(study_table(plan, resolve_device(plan[0].train)), flush=True)
        print(f"report: {config.report}", flush=True)
        return None
    begun = time.monotonic()
    folders = []
    for name, seed, job in jobs:
        folder = run_folder(job)
        folders.append(folder)
        train(job)
        probes, states, tuning = _measures(config, name, seed, folder)
        probe(probes)
        measure(states)
        if tuning is not None:
            transfer(tuning)
        print(f"--- {name}, seed {seed} done after {(time.monotonic() - begun) / 60:.1f} minutes", flush=True)
    page = write_report(find_runs(folders), Path(config.report), f"mothello: {config.name}", config.question)
    print(f"report: {page.resolve()}   ({(time.monotonic() - begun) / 60:.1f} minutes)", flush=True)
    return page


def _measures(
    config: StudyCommand, name: str, seed: int, folder: str
) -> tuple[ProbeCommand, MeasureCommand, TransferCommand | None]:
    """What is measured on a run."""
    probes = composed("probe", ProbeCommand, [f"run={folder}", *config.probe])
    states = composed("measure", MeasureCommand, [f"run={folder}", *config.measure])
    if name not in config.transfer_from:
        return probes, states, None
    told = [f"run={folder}", f"seed={seed}", f"tracking.group={config.name}"]
    return probes, states, composed("transfer", TransferCommand, [*told, *config.transfer])


main = command("study", StudyCommand, study)
