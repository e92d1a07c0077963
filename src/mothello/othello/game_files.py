"""Readers of recorded games: WTHOR files, plain text, and the pickles of the Othello-GPT papers. No torch here.

A reader yields every game of a file. A game that it cannot read has an error in its record; the import sets such games
aside. Readers do not check the rules of Othello: ``replay`` does.
"""

import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from mothello.errors import UserError
from mothello.othello.board import Board
from mothello.othello.notation import parse_game, square_name


class Record(NamedTuple):
    """One game of a file."""

    line: int
    """Line of a text file, or number of the game, counted from 1."""
    moves: list[int]
    """Move indices, empty with an error."""
    text: str
    """The game as written in the file."""
    error: str = ""
    score: int | None = None
    """Black's discs at the end in the file's score, which gives empty squares to the winner; None without a score."""


class RecordError(UserError):
    """A file that cannot be read at all. The message is one line that names it."""


def read_text(path: Path, board: Board) -> Iterator[Record]:
    """One game per line, such as "f5d6c3" or "f5 d6 c3"; empty lines and lines that begin with # are skipped."""
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, raw in enumerate(file, 1):
            line = raw.strip()
            if not line or line.startswith("#"):
                continue
            try:
                yield Record(number, parse_game(line, board), line)
            except UserError as error:
                yield Record(number, [], line, str(error))


_HEADER, _GAME = 16, 68


def _wthor_game(number: int, game: bytes, board: Board) -> Record:
    """Bytes 0-5 name event and players, 6 is black's score, 7 the best possible one, then moves 10 * row + column."""
    codes = list(game[8:])
    end = codes.index(0) if 0 in codes else len(codes)
    text = " ".join(map(str, codes[:end]))
    if any(codes[end:]):
        return Record(number, [], " ".join(map(str, codes)), "a move follows the end")
    moves = []
    for code in codes[:end]:
        row, column = divmod(code, 10)
        if not (1 <= row <= 8 and 1 <= column <= 8):
            return Record(number, [], text, f"{code} is not a square")
        square = 8 * (row - 1) + column - 1
        if board.move_of_square[square] < 0:
            return Record(number, [], text, f"{square_name(square)} is a start square: it is never played")
        moves.append(board.move_of_square[square])
    return Record(number, moves, text, score=game[6])


def read_wthor(path: Path, board: Board) -> Iterator[Record]:
    """A WTHOR file: a header of 16 bytes, then 68 bytes per game. RecordError for another format or board."""
    content = path.read_bytes()
    if len(content) < _HEADER:
        raise RecordError(f"files: {path} is not a WTHOR file: it has {len(content)} bytes, its header alone 16")
    if content[12] not in (0, 8) or board.size != 8:
        raise RecordError(f"files: {path}: WTHOR games are read for the 8x8 board only")
    announced = int.from_bytes(content[4:8], "little")
    whole, rest = divmod(len(content) - _HEADER, _GAME)
    for number in range(whole):
        start = _HEADER + number * _GAME
        yield _wthor_game(number + 1, content[start : start + _GAME], board)
    if rest:
        yield Record(whole + 1, [], content[-rest:].hex(), f"the file ends within this game, after {rest} bytes of 68")
    elif announced != whole:
        yield Record(whole + 1, [], "", f"the header announces {announced} games, the file holds {whole}")


class _ListsOfIntegers(pickle.Unpickler):
    """Unpickler that refuses every class and function before it could run."""

    def find_class(self, module: str, name: str) -> Any:
        raise RecordError(f"it asks for {module}.{name}")

    def persistent_load(self, pid: Any) -> Any:
        raise RecordError("it asks for a persistent object")


def read_pickle(path: Path, board: Board) -> Iterator[Record]:
    """A pickled list of games, each a list of squares counted row by row (0 .. 63 on 8x8).

    RecordError unless it holds only lists and integers; nothing in the file is executed.
    """
    try:
        with path.open("rb") as file:
            games = _ListsOfIntegers(file).load()
    except RecordError as error:
        raise RecordError(f"files: {path} is refused: {error}; only lists of lists of integers are read") from None
    except Exception as error:  # a damaged pickle raises whatever its bytes lead to
        raise RecordError(f"files: {path} is not a readable pickle: {type(error).__name__}") from None
    if type(games) is not list:
        raise RecordError(f"files: {path} is refused: it holds a {type(games).__name__}, not a list of lists")
    for number, game in enumerate(games, 1):
        if type(game) is not list or any(type(cell) is not int for cell in game):
            raise RecordError(f"files: {path} is refused: game {number} is not a list of integers")
    for number, game in enumerate(games, 1):
        yield _cells(number, game, board)


def _cells(number: int, game: list[int], board: Board) -> Record:
    text = " ".join(map(str, game))
    moves = []
    for cell in game:
        if not 0 <= cell < board.n_cells:
            return Record(number, [], text, f"{cell} is not a square of the {board.name} board")
        square = board.squares[cell]
        if board.move_of_square[square] < 0:
            return Record(number, [], text, f"{square_name(square)} is a start square: it is never played")
        moves.append(board.move_of_square[square])
    return Record(number, moves, text)


Reader = Callable[[Path, Board], Iterator[Record]]
READERS: dict[str, Reader] = {"wthor": read_wthor, "text": read_text, "pickle": read_pickle}
ENDINGS = {".wtb": "wthor", ".txt": "text", ".pickle": "pickle", ".pkl": "pickle"}


def reader(path: Path, format: str) -> Reader:
    """The reader of a file. RecordError when its ending is unknown and no format is given."""
    kind = ENDINGS.get(path.suffix.lower(), "") if format == "auto" else format
    if kind not in READERS:
        raise RecordError(f"files: {path}: unknown ending; choices: format=wthor, text, pickle")
    return READERS[kind]
