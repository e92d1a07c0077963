"""Games from pickles, without running anything that is in them."""

import pickle
import re
from collections.abc import Iterator
from io import BufferedReader
from typing import Any

import numpy as np

from mothello.othello.notation import quoted
from mothello.othello.packed import RecordError

_DEEPEST = 8


class _Array:
    """Takes the place of everything that a pickled array of numpy is made with, and keeps what it is given."""

    def __init__(self, *parts: Any) -> None:
        self.parts, self.state = parts, ()

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def values(self) -> Any:
        """The array as lists of integers, or of objects; a number when it is one. RecordError for other types."""
        if self.state:
            _, shape, dtype, by_column, content = self.state
        elif len(self.parts) == 4:
            content, dtype, shape, order = self.parts
            by_column = order == "F"
        else:
            (dtype, content), shape, by_column = self.parts, (), False
        kind = dtype.parts[0]
        if kind[0] == "O" and type(content) is list and len(shape) == 1:
            return content
        if not re.fullmatch("[iu][1248]", kind):
            raise RecordError(f"it holds an array of type {quoted(kind)}")
        flat = np.frombuffer(content, np.dtype(dtype.state[1].replace("|", "=") + kind))
        return flat.reshape(shape, order="F" if by_column else "C").tolist()


class _Unpickler(pickle.Unpickler):
    """Refuses every class and function before it could run; arrays of numpy are kept as they are written."""

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] == "numpy" and name in ("_reconstruct", "_frombuffer", "scalar", "ndarray", "dtype"):
            return _Array
        raise RecordError(f"it asks for {quoted(f'{module}.{name}')}")

    def persistent_load(self, pid: Any) -> Any:
        raise RecordError("it asks for a persistent object")


def _games_in(content: Any, depth: int = 0, padded: bool = False) -> Iterator[list[int] | str]:
    """The games in nested lists, tuples, arrays and values of dicts. RecordError for anything else."""
    if isinstance(content, _Array):
        content, padded = content.values(), True
    if isinstance(content, dict):
        for value in content.values():
            yield from _games_in(value, depth + 1, padded)
        return
    if isinstance(content, str):
        yield content
        return
    if not isinstance(content, list | tuple) or depth > _DEEPEST:
        raise RecordError(f"it holds a {type(content).__name__} where a list of squares is expected")
    parts = [part.values() if isinstance(part, _Array) and not part.state else part for part in content]
    names = [part for part in parts if type(part) is str]
    if (parts and all(type(part) is int for part in parts)) or (depth and not parts):
        while padded and parts and parts[-1] in (-1, 255):
            parts.pop()
        yield parts
    elif names == parts and 2 * sum(len(name) <= 4 for name in names) > len(names):
        yield " ".join(names)  # a list of squares
    else:
        for part in parts:
            yield from _games_in(part, depth + 1, padded)


def pickled_games(file: BufferedReader) -> Iterator[list[int] | str]:
    """The games of every pickle in a file, as squares counted row by row or as text. RecordError unless the file holds
    only lists, tuples, dicts, integers, texts and arrays of integers; nothing in it is executed."""
    dumps = 0
    while file.peek(1) or not dumps:
        dumps += 1
        try:
            games = list(_games_in(_Unpickler(file).load()))
        except RecordError as error:
            raise RecordError(f"is refused: {error}; only lists and arrays of integers, and texts, are read") from None
        except Exception as error:  # a damaged pickle raises whatever its bytes lead to
            raise RecordError(f"is not a readable pickle: {type(error).__name__}") from None
        yield from games
