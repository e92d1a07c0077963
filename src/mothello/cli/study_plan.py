"""A study as a list of parts: cells x seeds, each with the typed configs of its run and its measures."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from functools import cache
from typing import Any, NamedTuple

from omegaconf import DictConfig

from mothello.cli.compose import CHOOSE, built, choices, content, merged
from mothello.cli.measure import MeasureCommand, fitting
from mothello.config import check_name
from mothello.errors import UserError, keyed
from mothello.measures.transfer.measure import TransferConfig
from mothello.rows import measured
from mothello.rundir import RunDir
from mothello.stages.continued import changed
from mothello.stages.finetune import TransferCommand
from mothello.stages.folders import finetune_folder, run_folder
from mothello.stages.measuring import measure_folder
from mothello.stages.pretrain import TrainConfig

STEPS: dict[str, type] = {
    "train": TrainConfig, "probe": MeasureCommand, "measure": MeasureCommand, "transfer": TransferCommand,
}  # fmt: skip
"""The commands that a study calls for every part, with their schemas."""


@dataclass(kw_only=True)
class Fragments:
    """Config fragments, merged over the config of the command of that name. A fragment's key ``choose`` names options
    of config groups: {choose: {languages: atomic_split, model: small}, data: {games: 60000}}."""

    train: dict[str, Any] = field(default_factory=dict)
    probe: dict[str, Any] = field(default_factory=dict)
    measure: dict[str, Any] = field(default_factory=dict)
    transfer: dict[str, Any] = field(default_factory=dict)


@dataclass(kw_only=True)
class CellConfig(Fragments):
    """One cell of a study: a setting, trained from one or several seeds. Its name is the name of its runs, so equal
    cells of several studies share their runs."""

    seeds: list[int] = field(default_factory=list)
    """Its seeds; empty: those of the scale."""


@dataclass(kw_only=True)
class Tuning:
    """A further way of fine-tuning, next to that of ``transfer``."""

    cells: list[str] = field(default_factory=lambda: ["*"])
    """Patterns of cells, among those that are fine-tuned."""
    transfer: dict[str, Any] = field(default_factory=dict)
    """A fragment, merged over the others."""


@dataclass(kw_only=True)
class ScaleConfig(Fragments):
    """What a study adds or changes at one scale."""

    seeds: list[int] = field(default_factory=list)
    """Seeds of cells without seeds of their own; empty: seed 0."""
    cells: dict[str, list[int]] = field(default_factory=dict)
    """Seeds of single cells, by name or pattern; an empty list leaves the cell out."""


@dataclass(kw_only=True)
class StudyCommand(Fragments):
    """scripts/study.py: cells x seeds and the measurements on each, then the report.

    Fragments are merged in this order, the last one wins: ``budget`` (of the scale), ``at.SCALE``, the cell's, and
    ``train``, ``probe``, ``measure`` and ``transfer`` of the study itself, which are left to the command line.
    """

    name: str = "custom"
    question: str = ""
    scale: str = ""
    """Name of the scale, set by scale=NAME (configs/scale)."""
    budget: Fragments = field(default_factory=Fragments)
    """What the scale asks for."""
    at: dict[str, ScaleConfig] = field(default_factory=dict)
    """What this study changes at a scale."""
    cells: dict[str, CellConfig] = field(default_factory=dict)
    """Settings by name."""
    experiments: list[str] = field(default_factory=list)
    """Short for cells of one experiment each."""
    seeds: list[int] = field(default_factory=list)
    """The seeds of every cell; empty: what the files say, else seed 0."""
    transfer_from: list[str] = field(default_factory=list)
    """Cells whose runs are also fine-tuned; patterns such as *_unified name several."""
    tunings: dict[str, Tuning] = field(default_factory=dict)
    """Further ways of fine-tuning, by any name."""
    measures: bool = True
    """False: train only."""
    parts: list[str] = field(default_factory=list)
    """Only parts CELL/SEED that match one of these patterns, such as naive/* or */0; empty: all."""
    runs: str = ""
    """Where run folders go; by default runs/SCALE."""
    threads: int = 0
    """CPU threads of each part, 0 for all cores, shared among the jobs of a joblib launcher."""
    plugins: list[str] = field(default_factory=list)
    """Modules of your own that every part imports first."""
    report: str = "report"
    """Folder of the page; empty: no page. By default report/NAME."""
    minutes: float = 0.0
    """Measured time on 2 cores per seed, printed first."""
    searchpath: list[str] = field(default_factory=list)
    """What --config-dir and hydra.searchpath of the command line ask for: the parts look there, too."""
    dry_run: bool = False

    def __post_init__(self) -> None:
        check_name(self.name, "name")
        if self.scale:
            check_name(self.scale, "scale")


class Part(NamedTuple):
    """One run of a study, and its measures."""

    cell: str
    train: TrainConfig
    probe: MeasureCommand
    measure: MeasureCommand
    transfers: list[TransferCommand]

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
    if any(fnmatch(name, pattern) for pattern in config.transfer_from):
        others = (x.transfer for x in config.tunings.values() if any(fnmatch(name, pattern) for pattern in x.cells))
        commands = (composed("transfer", own, run=folder, seed=seed) for own in ({}, *others))
        tuned = [replace(command, tracking=train.tracking) for command in commands]
        for command in tuned:  # as the stage will name its folder
            command.transfer.objective, _ = changed(command.transfer.objective, train.objective)
    probe = replace(composed("probe", run=folder), tracking=train.tracking)
    measure = fitting(composed("measure", run=folder), train.objective)
    return Part(name, train, probe, measure, tuned)


def parts_of(config: StudyCommand) -> Iterator[Part]:
    """Every part that is asked for."""
    for name, seed in names_of(config):
        yield part_of(config, name, seed)


def finished(part: Part) -> dict[str, bool]:
    """Which steps of a part are done, by the folders that they write."""
    folder = RunDir(part.probe.run)
    return {
        "train": folder.finished,
        "probe": all(measured(measure_folder(folder, config)) for config in part.probe.configs),
        "measure": all(measured(measure_folder(folder, config)) for config in part.measure.configs),
        "transfer": all(_tuned(part, command) for command in part.transfers),
    }


def _tuned(part: Part, command: TransferCommand) -> bool:
    source = command.transfer.source or part.train.languages.language_names()[0]
    child = finetune_folder(RunDir(command.run), command.transfer, command.seed, source)
    return child.finished and measured(measure_folder(child, TransferConfig()))
