"""scripts/runs.py: the runs below folders, one a line, finished or not; or how the settings of two differ."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from textwrap import fill
from typing import Any

from omegaconf import OmegaConf

from mothello.cli.main import command
from mothello.cli.units import aligned, counted
from mothello.config import flat, in_identity, quoted, shown, structured
from mothello.data.domain import DomainConfig
from mothello.errors import UserError, renamed
from mothello.objectives.objective import OBJECTIVES
from mothello.report.listing import Listed, differing, exceptions, read_listed
from mothello.stages.find import find_run, listed, run_folders, written
from mothello.stages.pretrain import TrainConfig

WIDTH = 120
FIRST = f"{shown('train')} +experiment=naive trains a first run"
SAID = {"name", "seed", "stage", "origin"}
"""Settings with columns of their own, and what a fork found out."""
FORK = {"fork", "at"}


@dataclass(kw_only=True)
class RunsCommand:
    """scripts/runs.py: the runs below folders, or how two differ."""

    runs: list[str] = field(default_factory=lambda: ["runs"])
    """Folders that hold runs at any depth."""
    only: str = ""
    """Runs whose name fits this pattern, such as naive*."""
    compare: list[str] = field(default_factory=list)
    """Two runs: print the settings in which they differ, and nothing else."""

    def __post_init__(self) -> None:
        if self.compare and len(self.compare) != 2:
            raise UserError(f"compare: give two runs, not {len(self.compare)}")
        if self.compare and (self.only or self.runs != ["runs"]):
            raise UserError(f"{'only' if self.only else 'runs'}: has no effect with compare; leave it out")


def runs(config: RunsCommand) -> None:
    """Print a line per run, or a line per setting in which two differ."""
    print(_compared(*map(_asked, config.compare)) if config.compare else _list(config), flush=True)


def _asked(path: str) -> Listed:
    with renamed("run", "compare"):
        run = read_listed(find_run(path))
        if not run.config:
            raise UserError(f"run: {path} is no run folder")
    return run


def _list(config: RunsCommand) -> str:
    """The table, what most runs have, and which was written last."""
    where = ", ".join(config.runs)
    for path in config.runs:
        if not Path(path).is_dir():
            raise UserError(f"runs: {path} is no folder; {FIRST}")
    folders = dict.fromkeys(folder for path in config.runs for folder in run_folders(Path(path)))
    found = [read_listed(folder) for folder in folders]
    chosen = [run for run in found if not config.only or fnmatchcase(run.name, config.only)]
    if not found:
        return f"no run in {where}; {FIRST}"
    if not chosen:
        names = list(dict.fromkeys(run.name for run in found))
        raise UserError(f"only: no run is called {config.only}; names: {listed(names)}")
    usual, own = differences(chosen)
    head = ["name", "seed", "legality", "chance", "status", "measured", "folder", "differs in"]
    lines = [[*_cells(run), _settings(other)] for run, other in zip(chosen, own, strict=True)]
    kept = [i for i in range(len(head)) if any(line[i] for line in lines)]
    text = [aligned([[line[i] for i in kept] for line in (head, *lines)])]
    if usual:
        text.append(fill(f"most have: {_settings(usual)}", WIDTH, break_long_words=False, break_on_hyphens=False))
    last = max(chosen, key=lambda run: (written(run.path), str(run.path)))
    return "\n".join([*text, f"{counted(len(chosen), 'run')}; written last: {last.path}"])


def _cells(run: Listed) -> list[str]:
    numbers = [run.final.get(key) for key in ("val/top1", "val/chance")]
    skill = [f"{value:.3f}" if isinstance(value, float | int) else "" for value in numbers]
    return [run.name, run.seed, *skill, run.status, ", ".join(run.done), str(run.path)]


def _settings(values: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={quoted(value)}" for key, value in values.items())


def differences(found: Sequence[Listed]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Of the settings that determine a result and differ: what most runs have, and what each has instead."""
    settings = [_set(run.config) for run in found if run.config]
    usual, own = exceptions(settings, [key for key in differing(settings) if _told(key)])
    each = iter(own)
    return usual, [next(each) if run.config else {} for run in found]  # nothing is known of a damaged config


def _told(key: str) -> bool:
    """Whether a list says it: what determines a result, and where a fork began."""
    part = key.partition(".")[0]
    return part in FORK or (part not in SAID and in_identity(TrainConfig, key) is not False)


@cache
def _defaults(schema: type) -> dict[str, Any]:
    """Of a dataclass, flat."""
    return flat(OmegaConf.to_container(structured(schema), enum_to_str=True))  # type: ignore[arg-type]


def _entries(config: Mapping[str, Any]) -> Iterator[tuple[str, type]]:
    """The settings of a config that have a schema of their own: where they stand, and the schema."""
    named = {"objective": config.get("objective")}
    named |= {f"auxiliary.{name}": entry for name, entry in (config.get("auxiliary") or {}).items()}
    for key, entry in named.items():
        name = entry.get("name", key.partition(".")[2]) if isinstance(entry, Mapping) else entry
        with suppress(UserError):  # of a plugin
            objective: Any = OBJECTIVES.get(str(name), key)
            yield key, objective.Config
    yield from ((f"data.domains.{name}", DomainConfig) for name in (config.get("data") or {}).get("domains") or {})


def _set(config: Mapping[str, Any]) -> dict[str, Any]:
    """Every setting of a run by its whole key. A key that is younger than the run has its default, which is the old
    behavior. Of what not every run has, such as a domain, those that are not the default."""
    found = flat(config)
    for place, schema in _entries(config):
        usual = {f"{place}.{key}": value for key, value in _defaults(schema).items()}
        found = {key: x for key, x in found.items() if usual.get(key) != x or key.endswith((".name", ".weight"))}
    return {key: found.pop(key, value) for key, value in _defaults(TrainConfig).items()} | found


def _compared(one: Listed, other: Listed) -> str:
    """A line for every setting in which two runs differ."""
    both = [{key: x for key, x in _set(run.config).items() if key not in ("stage", "origin")} for run in (one, other)]
    keys = differing(both)
    if not keys:
        return f"{one.path} and {other.path} have the same settings"
    value = lambda settings, key: quoted(settings[key]) if key in settings else "-"  # noqa: E731
    return aligned([["", str(one.path), str(other.path)], *([key, *(value(x, key) for x in both)] for key in keys)])


main = command("runs", RunsCommand, runs)
