"""Files as they are or packed by gzip, bzip2, xz or zip."""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

from mothello.errors import UserError


class RecordError(UserError):
    """A file that cannot be read at all. The message is one line that names it."""


def _only_member(file: BufferedReader) -> Any:
    archive = ZipFile(file)
    names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
    if len(names) != 1:
        raise RecordError(f"holds {len(names)} files; unpack it and name the folder")
    return archive.open(names[0])


PACKED = {".gz", ".bz2", ".xz", ".zip"}
_OPENED_BY: dict[bytes, Callable[[BufferedReader], Any]] = {
    b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open, b"PK\x03\x04": _only_member
}  # fmt: skip
"""What opens a packed file, by its first bytes."""


@contextmanager
def unpacked(path: Path) -> Iterator[BufferedReader]:
    """The content of a file. RecordError when it is damaged. A RecordError from within gets the file's name."""
    try:
        with path.open("rb") as file:
            head = file.peek(5)
            unpack = next((unpack for first, unpack in _OPENED_BY.items() if head.startswith(first)), None)
            if unpack is None:
                yield file
                return
            try:
                with unpack(file) as content:
                    yield content
            except (OSError, EOFError, RuntimeError, zlib.error, lzma.LZMAError, BadZipFile) as error:
                raise RecordError(f"cannot be unpacked: {' '.join(str(error).split())}") from None
    except RecordError as error:
        raise RecordError(f"files: {path} {error}") from None
