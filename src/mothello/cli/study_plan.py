"""A study as a list of parts: cells x seeds, each with the typed configs of its run and its measures."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatch
from typing import Any

from mothello.cli.compose import CHOOSE
from mothello.cli.measure import MeasureCommand, fitting
from mothello.cli.study_commands import command_config
from mothello.cli.study_config import CellConfig, ScaleConfig, StudyCommand
from mothello.cli.study_parts import Further, Part, part_name, stage_folders
from mothello.config import check_name, quoted
from mothello.errors import UserError, keyed
from mothello.objectives.combined import typed_auxiliary
from mothello.rundir import RunDir
from mothello.stages.build import language_set_of
from mothello.stages.continued import changed
from mothello.stages.finetune import TransferCommand
from mothello.stages.folders import run_folder


def settings_of(config: StudyCommand) -> ScaleConfig:
    """What the study changes at its scale."""
    return config.at.get(config.scale, ScaleConfig())


def cells_of(config: StudyCommand) -> dict[str, CellConfig]:
    """Every cell by name, experiments included. UserError where there is none, or a key names an unknown one."""
    short = {name: CellConfig(train={CHOOSE: {"experiment": name}}) for name in config.experiments}
    cells = {**short, **config.cells}
    if not cells:
        raise UserError("experiments: name at least one (or +study=NAME)")
    for name in cells:
        check_name(name, f"cells.{name}")
    settings = settings_of(config)
    patterns = {"transfer_from": config.transfer_from, f"at.{config.scale}.cells": list(settings.cells)}
    patterns |= {f"tunings.{name}.cells": tuning.cells for name, tuning in config.tunings.items()}
    patterns |= {f"stages.{name}.cells": further.cells for name, further in config.stages.items()}
    patterns |= {f"comparisons.{name}.cells": one.cells for name, one in config.comparisons.items()}
    _check_order(config)
    _check_forks(config, list(cells))
    for key, names in patterns.items():
        for name in names:
            if not any(fnmatch(cell, name) for cell in cells):
                raise UserError(f"{key}: no cell {name!r}; there are {', '.join(cells)}")
    return cells


def names_of(config: StudyCommand) -> list[tuple[str, int]]:
    """(cell, seed) of every part that is asked for, the first seed of every cell first. UserError where none is."""
    at = settings_of(config)
    seeds = {name: _seeds(name, cell, at) for name, cell in cells_of(config).items()}
    if config.seeds:
        seeds = {name: config.seeds if own else [] for name, own in seeds.items()}
    seeds = {name: list(dict.fromkeys(own)) for name, own in seeds.items()}
    rounds = range(max(map(len, seeds.values())))
    names = [(name, seeds[name][n]) for n in rounds for name in seeds if n < len(seeds[name])]
    wanted = [x for x in names if not config.parts or any(fnmatch(part_name(*x), text) for text in config.parts)]
    if not wanted:
        every = ", ".join(part_name(*x) for x in names)
        raise UserError(f"parts: none matches {', '.join(config.parts)}; there are {every}")
    return wanted


def _seeds(name: str, cell: CellConfig, at: ScaleConfig) -> list[int]:
    matching = (seeds for pattern, seeds in at.cells.items() if fnmatch(name, pattern))
    return next(matching, cell.seeds or at.seeds or [0])


def part_of(config: StudyCommand, name: str, seed: int) -> Part:
    """Compose one part. UserError as the commands themselves would give it."""
    cell = cells_of(config)[name]
    sources = (config.budget, settings_of(config), cell, config)
    shared: dict[str, Any] = {"device": {"threads": config.threads}} if config.threads else {}
    shared |= {"plugins": config.plugins} if config.plugins else {}

    origin, waits = _origin(config, cell.fork, seed) if cell.fork else ([], "")

    def composed(script: str, more: Mapping[str, Any] = {}, **own: Any) -> Any:
        fragments = [shared, *(getattr(source, script) for source in sources), more]
        with keyed(f"{script}."):
            overrides = [*config.searchpath, *(origin if script == "train" else ())]
            return command_config(script, overrides, fragments, **own)

    runs = config.runs or f"runs/{config.scale or config.name}"
    train = composed("train", {"tracking": {"group": config.name}}, name=name, runs=runs, seed=seed)
    folder, tuned = run_folder(train), list[TransferCommand]()
    if _matches(name, config.transfer_from):
        others = (tuning.transfer for tuning in config.tunings.values() if _matches(name, tuning.cells))
        commands = (composed("transfer", own, run=folder, seed=seed) for own in ({}, *others))
        tuned = [replace(command, tracking=train.tracking) for command in commands]
        for command in tuned:  # as the stage will name its folder
            command.transfer.objective, _ = changed(command.transfer.objective, train.objective)
    probe = replace(composed("probe", run=folder), tracking=train.tracking)

    def measuring(more: Mapping[str, Any]) -> MeasureCommand:
        asked = composed("measure", more, run=folder)
        return fitting(asked, train.objective, language_set_of(train), of_a_scale=True)

    measure = replace(measuring({}), tracking=train.tracking)
    further = list[Further]()
    for key, step in config.stages.items():
        if not _matches(name, step.cells):
            continue
        if step.after and step.after not in {other.name for other in further}:
            raise UserError(f"stages.{key}.after: {step.after} is not a stage of the cell {name}")
        asked = replace(composed("stage", step.stage, run=folder, seed=seed), tracking=train.tracking)
        asked.stage.objective, objective = changed(asked.stage.objective, train.objective)  # as it names its folder
        asked.stage.auxiliary = typed_auxiliary(asked.stage.auxiliary, objective)
        also = replace(measuring(step.measure), tracking=train.tracking) if step.measure else None
        further.append(Further(key, step.after, asked, also))
    return Part(name, train, probe, measure, tuned, further, f"cells.{name}.fork: {waits}" if waits else "")


def _origin(config: StudyCommand, fork: str, seed: int) -> tuple[list[str], str]:
    """The overrides that make a training a fork, or else what is missing."""
    cell, _, stage = fork.partition("/")
    part = part_of(config, cell, seed)
    if not RunDir(part.probe.run).finished:
        return [], f"{part.name} is not trained yet"
    if not stage:
        return [f"fork={quoted(part.probe.run)}", f"at={part.train.data.steps}"], ""
    made = dict(stage_folders(part)).get(stage)
    return ([f"fork={quoted(str(made.path))}"], "") if made else ([], f"{part.name} has not made its stage {stage} yet")


def depth_of(config: StudyCommand, cell: str) -> int:
    """How many cells' runs a cell's goes on from, one after the other."""
    fork = cells_of(config)[cell].fork
    return 1 + depth_of(config, fork.partition("/")[0]) if fork else 0


def _check_forks(config: StudyCommand, names: Sequence[str]) -> None:
    """UserError where a fork's origin is no cell before it, or no stage of that cell."""
    for name, cell in config.cells.items():
        origin, _, stage = cell.fork.partition("/")
        before = names[: names.index(name)]
        if origin and origin not in before:
            raise UserError(f"cells.{name}.fork: no cell {origin!r} before it; there are {', '.join(before) or 'none'}")
        stages = [key for key, step in config.stages.items() if _matches(origin, step.cells)]
        if stage and stage not in stages:
            raise UserError(
                f"cells.{name}.fork: {origin} has no stage {stage!r}; choices: {', '.join(stages) or 'none'}"
            )


def _check_order(config: StudyCommand) -> None:
    names = list(config.stages)
    for index, (name, step) in enumerate(config.stages.items()):
        if step.after and step.after not in names[:index]:
            before = f"before it stand {', '.join(names[:index])}" if index else "it is the first"
            raise UserError(f"stages.{name}.after: no stage {step.after!r} before it; {before}")


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def parts_of(config: StudyCommand) -> Iterator[Part]:
    """Every part that is asked for."""
    for name, seed in names_of(config):
        yield part_of(config, name, seed)
