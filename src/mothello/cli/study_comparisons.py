"""Comparisons of a study: measures that need several of its runs, as jobs that begin when all parts have ended."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatch
from functools import partial
from typing import Any, NamedTuple

from mothello.cli.compose import CHOOSE
from mothello.cli.jobs import Job
from mothello.cli.measure import MeasureCommand, measure
from mothello.cli.study_commands import command_config
from mothello.cli.study_config import Comparison, StudyCommand
from mothello.cli.study_parts import part_name
from mothello.cli.study_plan import cells_of, names_of, part_of, settings_of
from mothello.config import check_name
from mothello.errors import UserError, keyed
from mothello.rundir import RunDir

MACHINE = (CHOOSE, "device", "tracking")
"""Keys of the fragments for ``measure`` that comparisons share with it."""


class Compared(NamedTuple):
    """One measurement of a comparison."""

    key: str
    comparison: Comparison
    part: tuple[str, int]
    """The cell and the seed of the run that is measured."""
    other: tuple[str, int] | None

    @property
    def label(self) -> str:
        beside = f" beside {part_name(*self.other)}" if self.other else ""
        return f"{self.key}: {part_name(*self.part)}{beside}"


def comparisons_of(config: StudyCommand) -> list[Compared]:
    """All that are asked for, of the parts that are asked for; a run is not compared with itself. UserError names a
    mistake in their settings."""
    found = [one for key, comparison in config.comparisons.items() for one in _compared(config, key, comparison)]
    for one in found:
        command_of(config, one, run="RUN", other="OTHER" if one.other else "")
    return found


def _compared(config: StudyCommand, key: str, comparison: Comparison) -> Iterator[Compared]:
    check_name(key, f"comparisons.{key}")
    cell, _, seed = comparison.other.partition("/")
    if cell and (cell not in cells_of(config) or (seed and not seed.isdecimal())):
        choices = ", ".join(cells_of(config))
        raise UserError(f"comparisons.{key}.other: {comparison.other!r} is no CELL or CELL/SEED; cells: {choices}")
    for name, own in names_of(config):
        other = (cell, int(seed or own)) if cell else None
        if any(fnmatch(name, pattern) for pattern in comparison.cells) and other != (name, own):
            yield Compared(key, comparison, (name, own), other)


def command_of(config: StudyCommand, one: Compared, **own: Any) -> MeasureCommand:
    """The command of a measurement."""
    sources = (config.budget, settings_of(config), config)
    shared = [{key: x for key, x in source.measure.items() if key in MACHINE} for source in sources]
    common: dict[str, Any] = {"device": {"threads": config.threads}} if config.threads else {}
    common |= {"plugins": config.plugins} if config.plugins else {}
    fragments: list[Mapping[str, Any]] = [common, *shared, one.comparison.measure]
    with keyed(f"comparisons.{one.key}.measure."):
        return command_config("measure", config.searchpath, fragments, **own)


def _ready(config: StudyCommand, one: Compared) -> MeasureCommand:
    """The command, once its runs are there. UserError names one that is missing."""
    folders = []
    for place in filter(None, (one.part, one.other)):
        part = part_of(config, *place)
        if part.waits or not RunDir(part.probe.run).finished:
            raise UserError(f"comparisons.{one.key}: {part.name} is not finished; run it first")
        folders.append((part.probe.run, part.train.tracking))
    command = command_of(config, one, run=folders[0][0], other=folders[1][0] if one.other else "")
    return replace(command, tracking=folders[0][1])


def comparison_jobs(config: StudyCommand) -> list[Job]:
    """A job for each; what is finished is skipped."""
    return [Job(one.label, partial(_ready, config, one), measure) for one in comparisons_of(config)]
