"""scripts/measure.py: numbers of one run, a folder for each measure; by default exact legality, and alignment without
probes. scripts/probe.py is the same command with other defaults."""

from dataclasses import dataclass, field, is_dataclass, make_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import MISSING
from tqdm import tqdm

from mothello.cli.dry_run import measure_estimate
from mothello.cli.main import command
from mothello.config import NOT_IDENTITY, identity, shown
from mothello.errors import UserError, keyed, renamed
from mothello.languages.language_set import LanguageSet
from mothello.measures.builtin import BUILTIN
from mothello.measures.measure import MEASURES, takes_other
from mothello.measures.probes.headline import headline, preferred
from mothello.objectives.combined import build_objective
from mothello.objectives.objective import Evaluation, evaluation
from mothello.registry import load_plugins
from mothello.rows import FILE, read_tidy
from mothello.rundir import RunDir, checkpoints_in, step_of
from mothello.stages.find import find_run
from mothello.stages.load import earlier, load_run
from mothello.stages.measuring import measure_folder, measure_run, measured_subject
from mothello.stages.run import Run
from mothello.stages.running import require_single_process
from mothello.tracking import TrackingConfig
from mothello.training.checkpoint import of_step
from mothello.training.device import DeviceConfig, resolve

USUAL = ("legality", "alignment")


@dataclass(kw_only=True)
class MeasureCommand:
    """scripts/measure.py: measures of one run. Every measure has a key of its own name with its settings."""

    run: str = field(default=MISSING, metadata=NOT_IDENTITY)
    """The run's folder."""
    other: str = field(default="", metadata=NOT_IDENTITY)
    """The folder of another run on the same board, with which measures compare it: posthoc, stitch, facts."""
    measures: list[str] = field(default_factory=lambda: list(USUAL))
    """Which, in this order; of a masked model by default hidden moves instead of legality, where they are defined."""
    steps: Any = field(default_factory=list, metadata=NOT_IDENTITY)
    """Measure earlier steps that were kept: a list of them, or all (those kept for good, then the newest)."""
    plugins: list[str] = field(default_factory=list, metadata=NOT_IDENTITY)
    """Modules to import first, which may register measures."""
    device: DeviceConfig = field(default_factory=DeviceConfig, metadata=NOT_IDENTITY)
    tracking: TrackingConfig = field(default_factory=TrackingConfig, metadata=NOT_IDENTITY)
    force: bool = field(default=False, metadata=NOT_IDENTITY)
    dry_run: bool = field(default=False, metadata=NOT_IDENTITY)

    def __post_init__(self) -> None:
        listed = isinstance(self.steps, list) and all(type(step) is int and step > 0 for step in self.steps)
        if self.steps != "all" and not listed:
            raise UserError(f"steps: {self.steps!r} is neither all nor a list of steps")
        settings = {name: getattr(self, name) for name in MEASURES if hasattr(self, name)}
        chosen = [settings.get(name) for name in self.measures if MEASURES.get(name, "measures")]
        for name, config in settings.items():
            unused = name not in self.measures and not any(hasattr(other, name) for other in chosen)
            for key in set(identity(config)) - set(MEASURES) if unused else ():
                raise UserError(f"{name}.{key}: has no effect without {name} in measures=[{','.join(self.measures)}]")
        if self.other and not any(map(takes_other, self.measures)):
            raise UserError(f"other: has no effect on measures=[{','.join(self.measures)}]; leave it out")
        for name, config in settings.items():  # a measure that builds on another one, by default with its settings
            asked = [key for key in settings if hasattr(config, key)]
            inner = {key: settings[key] for key in asked if getattr(config, key) == type(settings[key])()}
            setattr(self, name, replace(config, **inner))

    @classmethod
    def extended(cls, content: Any) -> type["MeasureCommand"]:
        """The schema with a key for every registered measure, a user's own included."""
        load_plugins(content.get("plugins") or [])
        return schema()

    @property
    def configs(self) -> list[Any]:
        """Settings of the measures asked for."""
        return [getattr(self, name) for name in self.measures]


def fitting(config: MeasureCommand, objective: Any, languages: LanguageSet, of_a_scale: bool = False) -> MeasureCommand:
    """The same with what is usual for a model of that objective in these languages, where the usual measures are asked
    for. of_a_scale: settings of the one that is left out are meant for other models."""
    known = is_dataclass(objective)  # else its plugin is missing
    masked = known and evaluation(build_objective(objective, {})) is Evaluation.masked
    if not masked or config.measures != list(USUAL):
        return config
    unused = {USUAL[0]: MEASURES.get(USUAL[0]).Config()} if of_a_scale else {}
    hidden = ["masked"] * languages.one_spelling  # else there is no exact posterior to compare with
    return replace(config, measures=[*hidden, *USUAL[1:]], **unused)


def schema() -> type[MeasureCommand]:
    """MeasureCommand with a key for every registered measure."""
    return _with_keys(tuple((name, MEASURES.get(name).Config) for name in MEASURES))


@cache
def _with_keys(configs: tuple[tuple[str, Any], ...]) -> type[MeasureCommand]:
    """One class for the same keys, so that configs can be compared."""
    extra = [(name, config, field(default_factory=config)) for name, config in configs]
    return make_dataclass("MeasureCommand", extra, bases=(MeasureCommand,), kw_only=True)


def steps_of(config: MeasureCommand, folder: RunDir) -> list[int | None]:
    """The steps of a run that are measured; None: the newest."""
    if config.steps == "all":
        return [*(earlier(folder, step_of(path)) for path in checkpoints_in(folder.kept)), None]
    return [earlier(folder, step) for step in config.steps] or [None]


def folders_of(config: MeasureCommand, folder: RunDir, other: Run | None = None) -> list[RunDir]:
    """Where the numbers of every step and measure go."""
    return [measure_folder(folder, x, step, other) for step in steps_of(config, folder) for x in config.configs]


def measure(config: MeasureCommand) -> dict[str, Any]:
    """Measure a run; returns what a sweep's table shows: the folder, and the headline of probes."""
    require_single_process()
    device = resolve(config.device)
    run = load_run(config.run, device)
    with renamed("run", "other"):
        place = find_run(config.other) if config.other else None
    with keyed("other: "):
        other = load_run(place, device) if place else None
    config, steps = fitting(config, run.config.objective, run.language_set), steps_of(config, run.folder)
    if config.steps == "all" and steps == [None]:
        raise UserError(f"steps: {run.folder.path} keeps none; train with checkpoints.keep.log_spaced=40")
    for step in steps:
        with renamed("step", "steps"):
            _ = step and of_step(run.folder, step)  # one that is missing ends it here
    subjects = [measured_subject(run, settings, config.device, other) for settings in config.configs]
    if config.dry_run:
        folders = folders_of(config, run.folder, other)
        shown = [f"{x.path}{' (finished already)' if x.finished else ''}" for x in folders]
        compared = next((one for one in subjects if one.other is not None), run.subject(config.device))
        estimate = measure_estimate(compared, config.configs).times(len(steps))
        print("\n".join([estimate.text(), *(f"folder  {folder}" for folder in shown)]), flush=True)
        return {"seconds": estimate.seconds}
    for step in tqdm(steps[:-1], desc="steps", unit="step", disable=len(steps) == 1):
        model = load_run(run.folder.path, device, step)
        for settings in config.configs:
            measure_run(model, settings, config.device, config.force, plugins=config.plugins, other=other)
    run = run if steps[-1] is None else load_run(run.folder.path, device, steps[-1])
    results: dict[str, Any] = {}
    for settings in config.configs:
        folder = measure_run(run, settings, config.device, config.force, config.tracking, config.plugins, other)
        results |= {"folder": str(folder.path), "numbers": results.get("numbers", {}) | shown_numbers(folder)}
        summary = summary_of(settings, folder)
        print(f"{summary}\n" * bool(summary) + f"every number: {folder.path / FILE}", flush=True)
    return results


def following(config: MeasureCommand, _: Any) -> str:
    """The command after a measure: probes, and after probes the page."""
    folder = str(find_run(config.run))
    return shown("report", runs=[folder]) if "probes" in config.measures else shown("probe", run=folder)


def summary_of(settings: Any, folder: RunDir) -> str:
    """The text that a measure makes of its rows."""
    made = MEASURES.build(settings)
    return made.summary(read_tidy(folder.path)) if hasattr(made, "summary") else ""


def shown_numbers(folder: RunDir) -> dict[str, float | None]:
    """Numbers of a measure that stand in a sweep's table."""
    if not folder.path.name.startswith("probes-"):
        return {}
    rows = read_tidy(Path(folder.path))
    head = headline(rows, *preferred(rows))
    return {"own": head.own, "across": head.across}


assert all(MEASURES.get(measure.Config.name) is measure for measure in BUILTIN)
main = command("measure", MeasureCommand, measure, following)
