"""scripts/study.py: runs x seeds, the measurements on each, then the report; finished parts are skipped."""

import time
from pathlib import Path
from typing import Any, TypeVar

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.initialize import initialize_config_dir

from mothello.analysis.report import write_report
from mothello.analysis.runs import find_runs
from mothello.commands.entry import CONFIGS, command
from mothello.commands.probe import probe
from mothello.commands.train import train
from mothello.commands.transfer import transfer
from mothello.config import (
    ConfigError,
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
    overrides = [f"+experiment={experiment}", f"seed={seed}", f"runs=runs/{config.name}", *config.train]
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
    begun = time.monotonic()
    folders = []
    for name, seed, job in jobs:
        folder = run_folder(job)
        folders.append(folder)
        if config.dry_run:
            print(f"would run {folder}")
            continue
        train(job)
        _measure(config, name, seed, folder)
        print(f"--- {name}, seed {seed} done after {(time.monotonic() - begun) / 60:.1f} minutes", flush=True)
    if config.dry_run:
        return None
    page = write_report(find_runs(folders), Path(config.report), f"mothello: {config.name}", config.question)
    print(f"report: {page.resolve()}   ({(time.monotonic() - begun) / 60:.1f} minutes)", flush=True)
    return page


def _measure(config: StudyCommand, name: str, seed: int, folder: str) -> Any:
    probe(composed("probe", ProbeCommand, [f"run={folder}", *config.probe]))
    if name in config.transfer_from:
        transfer(composed("transfer", TransferCommand, [f"run={folder}", f"seed={seed}", *config.transfer]))


main = command("study", StudyCommand, study)
