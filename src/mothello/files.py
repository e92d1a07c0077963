"""Files: written whole or not at all, locked while a process works in a folder, named by their content."""

import fcntl
import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

PART = ".part-"
"""Beginning of the names of files that are not whole yet; a kill leaves them."""


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


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write that takes the place of ``path`` at the end, on the disk, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.parent / f"{PART}{path.name}-{os.getpid()}"
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_whole(path: Path, content: str | bytes) -> None:
    """The file, whole or not at all."""
    with whole_file(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def checksum(path: Path) -> str:
    """BLAKE2b of a file, 32 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Within: no other process works in the folder, on whatever machine, where the file system knows locks. OSError in
    one line when one does already. The lock ends with its process."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    path = folder.parent / f".{folder.name}.lock"
    while True:
        file = path.open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:  # of any other kind: a file system without locks
            if isinstance(error, BlockingIOError):
                raise OSError(f"run: another process is at work in {folder}") from None
        if path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno())):
            break  # else its last owner removed it between our two calls
        file.close()
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        file.close()
