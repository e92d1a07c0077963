"""A study as a list of parts: cells x seeds, each with the typed configs of its run and of what is measured on it."""

from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatch
from functools import cache
from typing import Any, NamedTuple, TypeVar

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.initialize import initialize_config_dir

from mothello.analysis.results.cells import Expected
from mothello.commands.entry import CONFIGS
from mothello.config import (
    SCHEMAS,
    CellConfig,
    ConfigError,
    MeasureCommand,
    ProbeCommand,
    ScaleConfig,
    StudyCommand,
    TrainConfig,
    TransferCommand,
    identity,
    plain,
    run_folder,
    transfer_identity,
    typed,
)
from mothello.rundir import RunDir

T = TypeVar("T")


class Part(NamedTuple):
    """One run of a study, and what is measured on it."""

    cell: str
    train: TrainConfig
    probe: ProbeCommand
    measure: MeasureCommand
    transfer: TransferCommand | None

    @property
    def name(self) -> str:
        return part_name(self.cell, self.train.seed)


def part_name(cell: str, seed: int) -> str:
    """How ``parts`` calls it."""
    return f"{cell}/{seed}"


def composed(name: str, schema: type[T], overrides: list[str]) -> T:
    """The typed config that a script would get from these overrides."""
    outer = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(config_dir=str(CONFIGS), version_base="1.3"):
            return typed(compose(name, overrides), schema)
    finally:
        GlobalHydra.instance().hydra = outer


@cache
def _alike(name: str, overrides: tuple[str, ...]) -> Any:
    """The same, composed once: the parts of a study are measured alike. Not to be changed in place."""
    return composed(name, SCHEMAS[name], list(overrides))


def settings_of(config: StudyCommand) -> ScaleConfig:
    """What the study changes at its scale."""
    return config.at.get(config.like or config.scale, ScaleConfig())


def cells_of(config: StudyCommand) -> dict[str, CellConfig]:
    """Every cell by name, experiments included. ConfigError where there is none, or transfer_from names none."""
    short = {name: CellConfig(train=[f"+experiment={name}"]) for name in config.experiments}
    cells = {**short, **config.cells}
    if not cells:
        raise ConfigError("experiments: name at least one (or +study=NAME)")
    settings = settings_of(config)
    for key, names in (
        ("transfer_from", config.transfer_from),
        (f"at.{config.like or config.scale}.cells", list(settings.cells)),
    ):
        for name in names:
            if name not in cells:
                raise ConfigError(f"{key}: no cell {name!r}; there are {', '.join(cells)}")
    return cells


def names_of(config: StudyCommand) -> list[tuple[str, int]]:
    """(cell, seed) of every part that is asked for, the first seed of every cell first. ConfigError where none is."""
    at = settings_of(config)
    seeds = {name: at.cells.get(name, cell.seeds or at.seeds or [0]) for name, cell in cells_of(config).items()}
    if config.seeds:
        seeds = {name: config.seeds if own else [] for name, own in seeds.items()}
    rounds = range(max(map(len, seeds.values())))
    found = [(name, seeds[name][n]) for n in rounds for name in seeds if n < len(seeds[name])]
    wanted = [x for x in found if not config.parts or any(fnmatch(part_name(*x), text) for text in config.parts)]
    if not wanted:
        names = ", ".join(part_name(*x) for x in found)
        raise ConfigError(f"parts: none matches {', '.join(config.parts)}; there are {names}")
    return wanted


def part_of(config: StudyCommand, name: str, seed: int) -> Part:
    """Compose one part. ConfigError as the scripts themselves would give it."""
    cell = cells_of(config)[name]
    sources = (config.recipe, settings_of(config), cell, config)

    def told(script: str) -> list[str]:
        device = [f"device.threads={config.threads}"] * bool(config.threads)
        return [*device, *(text for source in sources for text in getattr(source, script))]

    def measured(script: str, **own: Any) -> Any:
        return replace(_alike(script, (*told(script), "run=-")), run=folder, **own)

    where = config.runs or f"runs/{config.scale or config.name}"
    group = f"tracking.group={config.name}"
    try:
        train = replace(_alike("train", (*told("train"), f"name={name}", f"runs={where}", group)), seed=seed)
    except ValueError as error:  # a seed out of range
        raise ConfigError(str(error)) from None
    tracking, tuned, folder = train.tracking, None, run_folder(train)
    if name in config.transfer_from:
        tuned = measured("transfer", seed=seed, tracking=tracking)
    return Part(name, train, measured("probe", tracking=tracking), measured("measure"), tuned)


def finished(part: Part) -> dict[str, bool]:
    """Which stages of a part stand already, by the folders that they would write."""
    folder = RunDir(part.probe.run)
    done = {
        "train": folder.finished,
        "probe": folder.measure("probe", identity(part.probe)).finished,
        "measure": folder.measure("states", identity(part.measure)).finished,
        "transfer": True,
    }
    if part.transfer is not None:
        source = part.transfer.transfer.source or part.train.languages.language_names()[0]
        done["transfer"] = folder.transfer(source, transfer_identity(part.transfer)).finished
    return done


def expected(config: StudyCommand) -> dict[str, Expected]:
    """What the study asks of every cell, as the names of the folders that it would write."""
    found = {}
    for cell in cells_of(config):
        part = part_of(config, cell, 0)
        run = RunDir(part.probe.run)
        probe, states = run.measure("probe", identity(part.probe)), run.measure("states", identity(part.measure))
        names = [str(folder.path.relative_to(run.path)) for folder in (probe, states)]
        tuned = None if part.transfer is None else plain(part.transfer.transfer)
        found[cell] = Expected(run.path.parent.name, names[0], names[1], tuned)
    return found


def parts_of(config: StudyCommand) -> Iterator[Part]:
    """Every part that is asked for."""
    for name, seed in names_of(config):
        yield part_of(config, name, seed)
