"""A study as a list of parts: cells x seeds, each with the typed configs of its run and of what is measured on it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from functools import cache
from typing import Any, NamedTuple, TypeVar

from hydra import compose
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.initialize import initialize_config_dir

from mothello.cli.main import CONFIGS
from mothello.cli.measure import MeasureCommand
from mothello.cli.probe import ProbeCommand
from mothello.cli.transfer import measure_folder
from mothello.config import plain, typed
from mothello.errors import UserError
from mothello.rundir import RunDir
from mothello.stages.finetune import TransferCommand
from mothello.stages.folders import finetune_folder, identity, run_folder
from mothello.stages.pretrain import TrainConfig


@dataclass(kw_only=True)
class Overrides:
    """Command-line overrides for each of the scripts that a study calls."""

    train: list[str] = field(default_factory=list)
    probe: list[str] = field(default_factory=list)
    measure: list[str] = field(default_factory=list)
    transfer: list[str] = field(default_factory=list)


@dataclass(kw_only=True)
class CellConfig(Overrides):
    """One cell of a study: a setting, trained from one or several seeds. Its name is the name of its runs, so cells of
    several studies that are alike share their runs."""

    seeds: list[int] = field(default_factory=list)
    """Its seeds; empty: those of the scale."""


@dataclass(kw_only=True)
class ScaleConfig(Overrides):
    """What a study adds or changes at one scale."""

    seeds: list[int] = field(default_factory=list)
    """Seeds of cells that do not say otherwise; empty: seed 0."""
    cells: dict[str, list[int]] = field(default_factory=dict)
    """Seeds of single cells; an empty list leaves the cell out."""


@dataclass(kw_only=True)
class StudyCommand(Overrides):
    """scripts/study.py: cells x seeds and the measurements on each, then the report.

    Overrides are taken in this order, the last one wins: ``recipe`` (of the scale), those of ``at.SCALE``, the cell's,
    and ``train``, ``probe``, ``measure`` and ``transfer`` of the study itself, which are left to the command line.
    """

    name: str = "custom"
    question: str = ""
    scale: str = ""
    """Name of the scale, set by scale=NAME (configs/scale)."""
    like: str = ""
    """The scale whose settings in ``at`` apply; empty: its own. Set by scales that differ in their budget alone."""
    recipe: Overrides = field(default_factory=Overrides)
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
    """Cells whose runs are also fine-tuned."""
    measures: bool = True
    """False: train only."""
    parts: list[str] = field(default_factory=list)
    """Only parts CELL/SEED that match one of these patterns, such as naive/* or */0; empty: all."""
    runs: str = ""
    """Where run folders go; by default runs/SCALE."""
    threads: int = 0
    """CPU threads of each part, 0 for all cores, shared among the jobs of a joblib launcher."""
    report: str = "report"
    """Folder of the page; empty: no page. By default report/NAME."""
    minutes: float = 0.0
    """Measured time on 2 cores per seed, printed first."""
    dry_run: bool = False


@dataclass(frozen=True)
class Expected:
    """What a study asks of a cell, as the names of the folders that hold it."""

    train: str
    """Hash of the run."""
    probe: str
    """measures/probe-HASH."""
    states: str
    """measures/states-HASH."""
    transfer: Mapping[str, Any] | None = None
    """Settings of the fine-tuning."""


T = TypeVar("T")


STEPS: dict[str, type] = {
    "train": TrainConfig, "probe": ProbeCommand, "measure": MeasureCommand, "transfer": TransferCommand,
}  # fmt: skip
"""What is done to every part, with its schema."""


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
    ConfigStore.instance().store(name=f"{name}_schema", node=schema)
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
    return composed(name, STEPS[name], list(overrides))


def settings_of(config: StudyCommand) -> ScaleConfig:
    """What the study changes at its scale."""
    return config.at.get(config.like or config.scale, ScaleConfig())


def cells_of(config: StudyCommand) -> dict[str, CellConfig]:
    """Every cell by name, experiments included. UserError where there is none, or transfer_from names none."""
    short = {name: CellConfig(train=[f"+experiment={name}"]) for name in config.experiments}
    cells = {**short, **config.cells}
    if not cells:
        raise UserError("experiments: name at least one (or +study=NAME)")
    settings = settings_of(config)
    for key, names in (
        ("transfer_from", config.transfer_from),
        (f"at.{config.like or config.scale}.cells", list(settings.cells)),
    ):
        for name in names:
            if name not in cells:
                raise UserError(f"{key}: no cell {name!r}; there are {', '.join(cells)}")
    return cells


def names_of(config: StudyCommand) -> list[tuple[str, int]]:
    """(cell, seed) of every part that is asked for, the first seed of every cell first. UserError where none is."""
    at = settings_of(config)
    seeds = {name: at.cells.get(name, cell.seeds or at.seeds or [0]) for name, cell in cells_of(config).items()}
    if config.seeds:
        seeds = {name: config.seeds if own else [] for name, own in seeds.items()}
    rounds = range(max(map(len, seeds.values())))
    found = [(name, seeds[name][n]) for n in rounds for name in seeds if n < len(seeds[name])]
    wanted = [x for x in found if not config.parts or any(fnmatch(part_name(*x), text) for text in config.parts)]
    if not wanted:
        names = ", ".join(part_name(*x) for x in found)
        raise UserError(f"parts: none matches {', '.join(config.parts)}; there are {names}")
    return wanted


def part_of(config: StudyCommand, name: str, seed: int) -> Part:
    """Compose one part. UserError as the scripts themselves would give it."""
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
        raise UserError(str(error)) from None
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
        done["transfer"] = measure_folder(finetune_folder(folder, part.transfer, source)).finished
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
