"""A study as a list of parts: cells x seeds, each with the typed configs of its run and its measures."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig

from mothello.cli.compose import CHOOSE, built, choices, content, merged
from mothello.cli.measure import MeasureCommand, fitting, folders_of
from mothello.cli.stage import StageCommand
from mothello.cli.study_config import CellConfig, ScaleConfig, StudyCommand
from mothello.config import check_name
from mothello.errors import UserError, keyed
from mothello.files import fingerprint
from mothello.measures.transfer.measure import TransferConfig
from mothello.objectives.combined import typed_auxiliary
from mothello.rows import measured
from mothello.rundir import RunDir
from mothello.stages.build import language_set_of
from mothello.stages.continued import STAGES, Continued, changed
from mothello.stages.finetune import TransferCommand
from mothello.stages.folders import finetune_folder, run_folder, stage_identity
from mothello.stages.measuring import measure_folder
from mothello.stages.pretrain import TrainConfig

STEPS: dict[str, type] = {
    "train": TrainConfig, "probe": MeasureCommand, "measure": MeasureCommand, "transfer": TransferCommand,
    "stage": StageCommand,
}  # fmt: skip
"""The commands that a study calls for every part, with their schemas."""


class Further(NamedTuple):
    """A stage of a part."""

    name: str
    after: str
    """The stage whose model it goes on from; empty: the run."""
    command: StageCommand
    measure: MeasureCommand | None
    """Of its model, besides what the stage measures."""


class Part(NamedTuple):
    """One run of a study, and its measures."""

    cell: str
    train: TrainConfig
    probe: MeasureCommand
    measure: MeasureCommand
    transfers: list[TransferCommand]
    stages: list[Further]

    @property
    def name(self) -> str:
        return part_name(self.cell, self.train.seed)


def part_name(cell: str, seed: int) -> str:
    """The name that ``parts`` matches."""
    return f"{cell}/{seed}"


@cache
def _base(script: str, overrides: tuple[str, ...]) -> DictConfig:
    return content(script, STEPS[script], list(overrides))


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
    _check_order(config)
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

    def composed(script: str, more: Mapping[str, Any] = {}, **own: Any) -> Any:
        fragments = [shared, *(getattr(source, script) for source in sources), more, own]
        with keyed(f"{script}."):
            base = _base(script, (*config.searchpath, *choices(fragments)))
            return built(STEPS[script], merged(base, fragments, STEPS[script]))

    runs = config.runs or f"runs/{config.scale or config.name}"
    train = composed("train", name=name, runs=runs, seed=seed, tracking={"group": config.name})
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
    return Part(name, train, probe, measure, tuned, further)


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


def finished(part: Part) -> dict[str, bool]:
    """Which steps of a part are done, by the folders that they write."""
    folder = RunDir(part.probe.run)
    return {
        "train": folder.finished,
        "probe": all(map(measured, folders_of(part.probe, folder))),
        "measure": all(map(measured, folders_of(part.measure, folder))),
        "transfer": all(_tuned(part, command) for command in part.transfers),
        "stage": _all_staged(part),
    }


def _tuned(part: Part, command: TransferCommand) -> bool:
    source = command.transfer.source or part.train.languages.language_names()[0]
    child = finetune_folder(RunDir(command.run), command.transfer, command.seed, source, at=command.at)
    return child.finished and measured(measure_folder(child, TransferConfig()))


def _all_staged(part: Part) -> bool:
    """Whether every stage of a part and its measures are there."""
    made = {"": part.probe.run}
    for further in part.stages:
        folder = _made(made[further.after], further.command)
        if folder is None or (further.measure and not all(map(measured, folders_of(further.measure, folder)))):
            return False
        made[further.name] = str(folder.path)
    return True


def _made(run: str, command: StageCommand) -> RunDir | None:
    """The folder that a stage has written below a run, with what the stage measures; None where it is not finished."""
    made = fingerprint(stage_identity(command.stage, command.seed, command.at))
    measures = STAGES.get(command.stage.name).measures is not Continued.measures
    for folder in map(RunDir, Path(run, command.stage.name).glob(f"*{made}")):
        if folder.finished and (not measures or any(measured(RunDir(x)) for x in folder.path.glob("measures/*"))):
            return folder
    return None
