"""Ours and theirs: what a command may replace in a folder, and what it keeps. A leaf."""

import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from mothello.errors import UserError
from mothello.files import check_place, flush, is_trace, part_of


def folder_for(path: str | Path, names: Sequence[str] = (), sign: str = "", key: str = "out") -> Path:
    """A folder to write to. names: of the files that are written there; the first holds the sign. UserError where a
    file stands in the way, where nothing can be written, or where another's file has one of the names."""
    folder = Path(path)
    real = Path(os.path.realpath(folder))
    there = next(part for part in (real, *real.parents) if part.exists())
    if real.is_symlink():
        raise UserError(f"{key}: {folder} is a link to itself")
    if not there.is_dir():
        raise UserError(f"{key}: {there} is a file")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"{key}: {there} cannot be written to")
    if names and not _signed(folder / names[0], sign):
        for name in names:
            if os.path.lexists(folder / name):
                raise UserError(f"{key}: {folder / name} is not of this command; remove it, or choose another folder")
    return folder


def _signed(path: Path, sign: str) -> bool:
    return path.is_file() and sign in path.read_text(errors="replace")


def remove(folder: Path, files: Collection[Path]) -> None:
    """Remove files below a folder, in order, and the folders that are empty then."""
    for path in files:
        path.unlink(missing_ok=True)
    around = {parent for path in files for parent in path.parents if folder in parent.parents}
    for parent in sorted(around, reverse=True):
        with suppress(OSError):
            parent.rmdir()


def replaced(folder: Path, own: Collection[Path]) -> str:
    """What force=true does to a folder, as one line: what it replaces and what it keeps."""
    files = [path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]
    others = {path.relative_to(folder) for path in {*files} - {*own} if not is_trace(path)}
    ours = {Path(path.relative_to(folder).parts[0]) for path in own}
    return f"force=true: replaces {_few(ours)} of {folder}" + (f"; keeps {_few(others)}" if others else "")


def _few(paths: Collection[Path]) -> str:
    names = sorted(map(str, paths))
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


@contextmanager
def refilled(folder: Path, own: Collection[Path], last: str) -> Iterator[Path]:
    """A folder to fill, whose files take the place of the ``own`` files of ``folder`` at the end, or nothing changes.
    last: the file that says that the folder is whole; it goes first and comes last. The caller has locked it."""
    part = part_of(folder)
    part.mkdir()
    try:
        yield part
        check_place(folder)
        files = {folder / path.relative_to(part): path for path in part.rglob("*") if not path.is_dir()}
        whole = folder / last
        remove(folder, [path for path in own if path == whole])
        for target in sorted({*files} - {whole}, reverse=True):
            _move(files[target], target)
        remove(folder, sorted({*own} - {*files}))
        if whole in files:
            _move(files[whole], whole)
        flush(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _move(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    flush(path)
    path.replace(target)
