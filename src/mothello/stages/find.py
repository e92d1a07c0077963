"""Where runs lie, and which one is meant: by its folder, a beginning or parts of it, or as the last. Without torch."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from mothello.commands import CHECKOUT, words
from mothello.errors import UserError
from mothello.reading import walk
from mothello.rundir import RunDir

TOPS = ("runs", "results")
"""Where a run is looked for by parts of its folder's name."""
ZOO = CHECKOUT / "results" / "zoo"
"""Trained models that come with a checkout."""
IN_ZOO = "zoo:"
"""Begins the name of one of them."""
LAST = "last"
"""Stands for the run below runs/ that was written last."""
TUNED = ("finetune", "task")
"""Stages whose models a report shows with the run that they go on from."""
REALIGNED = ("realign",)
"""Stages whose models a report shows as models of their own."""
LISTED = 8
"""Runs that a message names at most."""
_WITHIN = ("measures", "checkpoints", "wandb")


def candidates(top: Path) -> Iterator[Path]:
    """What may be a run folder at or below ``top``; what lies inside a run is not a run of its own."""
    for folder, inside, files in walk(top):
        if "config.yaml" in files or "status.json" in files:
            with suppress(UserError):
                if RunDir(folder).known or RunDir(folder).read_config():
                    inside.clear()
            yield folder


def run_folders(top: Path) -> list[Path]:
    """The folders at or below ``top`` that are surely of runs or their stages, whether finished or not; of links to one
    folder the first, and no run inside of another one."""
    found: dict[Path, Path] = {}
    for folder in candidates(top):
        run = RunDir(folder)
        with suppress(UserError):
            if "measures" in run.read_config():
                continue
            found.setdefault(folder.resolve(), folder)
        if run.known:
            found.setdefault(folder.resolve(), folder)
    return list(found.values())


def written(folder: Path) -> str:
    """When a run last said how it is, in ISO format (UTC)."""
    told = str(RunDir(folder).read_status().get("written") or "")
    path = next((folder / name for name in ("status.json", "config.yaml") if (folder / name).exists()), folder)
    return told or datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds")


def last_run(top: str = TOPS[0]) -> Path:
    """The run below a folder that was written last. UserError where there is none."""
    folders = run_folders(Path(top))
    if not folders:
        raise UserError(f"run: {LAST}: there is no run below {top}")
    return max(folders, key=lambda folder: (written(folder), str(folder)))


def _stage_folders() -> Iterator[Path]:
    """Folders of stages below runs/ and results/, as relative paths."""
    for top in TOPS:
        for folder, inside, files in walk(Path(top)):
            inside[:] = [name for name in inside if name not in _WITHIN]
            if "config.yaml" in files:
                yield folder


def _matches(asked: tuple[str, ...], path: Path, exact: bool, whole: bool) -> bool:
    """Whether the parts asked for are parts of the path (or begin them), in order. whole: and the last its last."""
    same, parts = str.__eq__ if exact else str.startswith, iter(path.parts)
    inside = all(any(same(part, word) for part in parts) for word in asked)
    return inside and (not whole or same(path.parts[-1], asked[-1]))


def find_run(path: str | Path) -> Path:
    """The folder of a run: the path itself, the only run below it or below the folders that begin like it, the one that
    has its parts below runs/ or results/, the last, or zoo:NAME. UserError lists the runs that fit."""
    place = Path(path)
    if str(path).startswith(IN_ZOO) and not place.exists():
        return _in_zoo(str(path).removeprefix(IN_ZOO))
    if (place / "config.yaml").exists() or place.is_file():
        return place
    if str(path) == LAST and not place.exists():
        return last_run()
    if place.is_dir():
        return _only(run_folders(place), f"{path} holds") or place
    begun = sorted(x for x in place.parent.glob("*") if x.name.startswith(place.name)) if place.parent.is_dir() else []
    fitting = [folder for top in begun if top.is_dir() for folder in run_folders(top)]
    if found := _only(fitting, f"{path} fits"):
        return found
    if place.is_absolute():
        return place
    folders = list(_stage_folders())
    for exact, whole in ((True, True), (True, False), (False, True), (False, False)):
        fitting = [folder for folder in folders if _matches(place.parts, folder, exact, whole)]
        if not whole:  # of a run with its stages, the run
            fitting = [folder for folder in fitting if not {*folder.parents} & {*folders}]
        trained = [folder for folder in fitting if (folder / "checkpoints").exists()]
        fitting = list({folder.resolve(): folder for folder in reversed(trained or fitting)}.values())[::-1]
        if found := _only(fitting, f"{path} fits"):
            return found
    known = f"; runs: {listed(folders)}" if folders else ""
    known += f" ({' '.join(words('runs'))} lists all)" * (len(folders) > LISTED)
    raise UserError(f"run: {place / 'config.yaml'} does not exist{known}")


def _in_zoo(name: str) -> Path:
    names = [folder.parent.name for folder in sorted(ZOO.glob("*/config.yaml"))]
    if name not in names:
        known = f"choices: {', '.join(names)}" if names else "its models come with a checkout of the project"
        raise UserError(f"run: no model {name!r} in the zoo; {known}")
    return ZOO / name


def _only(folders: list[Path], what: str) -> Path | None:
    if len(folders) > 1:
        raise UserError(f"run: {what} several runs: {listed(folders)}")
    return folders[0] if folders else None


def listed(folders: Sequence[object]) -> str:
    """A few of them."""
    return ", ".join(map(str, folders[:LISTED])) + (", ..." if len(folders) > LISTED else "")
