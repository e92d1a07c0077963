"""Files: written whole or not at all, locked while a process works in a folder, named by their content.

What is not whole yet has a name of the form ``.part-HEX``, which only its writer has, in the folder where it will be.
A kill leaves it; the next writer in the folder removes it.
"""

import fcntl
import hashlib
import json
import math
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

LOCK = ".mothello.lock"
"""A file in a folder that a process works in."""
_PART = re.compile(r"\.part-[0-9a-f]{16}")
_held: dict[Path, int] = {}
"""The folders that this process works in, opened."""


class MovedError(OSError):
    """A folder that this process works in is not where it was."""

    now: Path | None = None
    """Where it is, if the system says so."""


def fingerprint(content: Mapping[str, Any]) -> str:
    """Eight hex digits that identify a nested dict of plain values, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]


def json_text(content: Any, **more: Any) -> str:
    """Strict JSON: a number that is not known (nan) is null."""

    def known(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: known(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [known(inner) for inner in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return json.dumps(known(content), allow_nan=False, **more)


def checksum(path: Path) -> str:
    """BLAKE2b of a file, 32 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def is_trace(path: Path) -> bool:
    """Whether a kill may have left it: a lock, or what is not whole."""
    return path.name == LOCK or bool(_PART.fullmatch(path.name))


def part_of(folder: Path) -> Path:
    """A name in the folder that nobody else has."""
    return folder / f".part-{secrets.token_hex(8)}"


def check_place(path: Path) -> None:
    """MovedError when the path is in a folder that this process works in and that was moved or deleted since."""
    for folder, inside in _held.items():
        if path.absolute().is_relative_to(folder) and not _is(folder, inside):
            link = Path(f"/proc/self/fd/{inside}")
            now = link.readlink() if link.is_symlink() else folder
            error = MovedError(f"run: {folder} was moved or deleted while a process worked in it, which ends")
            error.now = now if _is(now, inside) else None
            raise error


def _is(path: Path, opened: int) -> bool:
    return path.exists() and os.path.samestat(path.stat(), os.fstat(opened))


def _alone(file: IO[bytes]) -> bool | None:
    """Whether this process holds the file now and no other does; None where the file system knows no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if isinstance(error, BlockingIOError) else None
    return True


def _opened(path: Path, mode: str) -> IO[bytes] | None:
    """The file, held until it is closed; None when another process holds it."""
    while True:
        file = path.open(mode)
        if _alone(file) is False:
            file.close()
            return None
        if path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno())):
            return file
        file.close()  # its last owner removed it between our two calls


def tidy(folder: Path, whole: bool = False) -> None:
    """Remove what writers left in a folder when they were killed. whole: folders too; the caller has locked it."""
    for path in [path for path in folder.iterdir() if _PART.fullmatch(path.name)]:
        if path.is_dir() and not path.is_symlink():
            if whole:
                shutil.rmtree(path, ignore_errors=True)
            continue
        with suppress(OSError), path.open("r+b") as file:
            if _alone(file):
                path.unlink()


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that takes the place of ``path`` (of a link: of its target) at the end, or not at all."""
    check_place(path)
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):
        tidy(target.parent)
    part = part_of(target.parent)
    try:
        while (file := _opened(part, "xb")) is None:  # it was taken for one that a kill left
            part = part_of(target.parent)
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            part.replace(target)
    except BaseException as error:
        with suppress(OSError):
            part.unlink()
        if isinstance(error, OSError):
            check_place(path)
            if error.errno and error.filename in (None, str(part)):
                raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def write_whole(path: Path, content: str | bytes) -> None:
    """The file, whole or not at all."""
    with whole_file(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def append(path: Path, text: str) -> None:
    """Write at the end of a file."""
    check_place(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(text)


def flush(path: Path) -> None:
    """Put a file, or the names in a folder, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder to fill that has the name ``path`` at the end, on the disk, or not at all. Nothing has the name yet, and
    a folder around it is locked."""
    check_place(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    tidy(path.parent, whole=True)
    part = part_of(path.parent)
    part.mkdir()
    try:
        yield part
        for inner in (*part.iterdir(), part):
            flush(inner)
        part.rename(path)
        flush(path.parent)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        check_place(path)
        raise


def remove_folder(path: Path) -> None:
    """Remove a folder; a kill leaves nothing of it under its name. Of a link, the link."""
    part = part_of(path.parent)
    path.rename(part)
    if part.is_symlink():
        part.unlink()
    else:
        shutil.rmtree(part)


@contextmanager
def placed(folder: Path) -> Iterator[int]:
    """Within: what this process writes in the folder raises MovedError when the folder was moved or deleted."""
    name, inside = folder.absolute(), os.open(folder, os.O_RDONLY)  # open, so no other folder gets its number
    _held[name] = inside
    try:
        yield inside
    finally:
        del _held[name]
        os.close(inside)


def _lock(folder: Path) -> IO[bytes] | None:
    """The lock of a folder, which is made where it is missing; None on a medium that is read-only or full."""
    path = folder / LOCK
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            file = _opened(path, "rb" if path.exists() and not os.access(path, os.W_OK) else "ab")
        except FileNotFoundError:  # its last owner removed the folder between our two calls
            continue
        except OSError:
            return None
        if file is None:
            raise BlockingIOError
        return file


@contextmanager
def locked(folder: Path, key: str = "run") -> Iterator[None]:
    """Within: no other process works in the folder, by whatever name and on whatever machine, where the file system
    knows locks. OSError in one line when one does already. The lock ends with its process; what a kill left is removed.
    A medium that cannot be written to is not locked."""
    real = Path(os.path.realpath(folder))
    new = not real.exists()
    try:
        file = _lock(real)
    except BlockingIOError:
        raise OSError(f"{key}: another process is at work in {folder}") from None
    with placed(folder) as inside:
        try:
            if file:
                tidy(real, whole=True)
            yield
        finally:
            with suppress(OSError):
                if file:
                    os.unlink(LOCK, dir_fd=inside)
                if new and _is(real, inside):
                    real.rmdir()  # if nothing was written
            if file:
                file.close()
