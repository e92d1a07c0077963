"""Readers of recorded games: WTHOR files, texts, and pickles of the Othello-GPT papers, packed or not. No torch here.

A reader yields every game of a file. A game that it cannot read has an error in its record; the import sets such games
aside. Readers do not check the rules of Othello: ``replay`` does.
"""

import codecs
from collections.abc import Callable, Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import NamedTuple, TextIO

from mothello.errors import UserError
from mothello.othello.board import Board
from mothello.othello.notation import square_name
from mothello.othello.packed import PACKED, RecordError, unpacked
from mothello.othello.pickles import pickled_games
from mothello.othello.transcripts import games, transcript


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
    passes: tuple[int, ...] = ()
    """For every pass that is written down, the number of moves before it."""


_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip
"""Encodings by byte order mark; the mark of UTF-32 begins with one of UTF-16."""
_ZEROS: dict[tuple[int, ...], str] = {
    (0, 1, 1, 1): "utf-32-le",
    (1, 1, 1, 0): "utf-32-be",
    (0, 1, 0, 1): "utf-16-le",
    (1, 0, 1, 0): "utf-16-be",
}
"""Encodings by which of four bytes are often zero in a text of Latin letters."""


def encoding_of(head: bytes) -> str:
    """The encoding of a text by its first bytes: by the byte order mark, else by the zeros of UTF-16 and UTF-32."""
    zeros = tuple(int(3 * head[i::4].count(0) > len(head[i::4])) for i in range(4))
    return next((name for mark, name in _MARKS.items() if head.startswith(mark)), _ZEROS.get(zeros, "utf-8"))


_LINE = 1_000_000
"""Characters of a line that are read; the rest is no game."""


def _lines(text: TextIO) -> Iterator[tuple[int, str]]:
    number = 0
    while line := text.readline(_LINE):
        number += 1
        rest = line
        while len(rest) == _LINE and rest[-1] != "\n":
            rest = text.readline(_LINE)
        yield number, line


def _written(number: int, game: str, board: Board) -> Record:
    try:
        moves, passes, score = transcript(game, board)
        return Record(number, moves, game, "", score, passes)
    except UserError as error:
        return Record(number, [], game, str(error))


def read_text(path: Path, board: Board) -> Iterator[Record]:
    """The games of a text (``transcripts.games``) in UTF-8, UTF-16 or UTF-32."""
    with unpacked(path) as file:
        encoding = encoding_of(file.read(4096))
        file.seek(0)
        for number, game in games(_lines(TextIOWrapper(file, encoding, errors="replace"))):
            yield _written(number, game, board)


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
    with unpacked(path) as file:
        header = file.read(_HEADER)
        if len(header) < _HEADER:
            raise RecordError(f"is not a WTHOR file: it has {len(header)} bytes, its header alone 16")
        if header[12] not in (0, 8) or board.size != 8:
            raise RecordError("is not read: WTHOR games are read for the 8x8 board only")
        announced, number = int.from_bytes(header[4:8], "little"), 0
        while len(game := file.read(_GAME)) == _GAME:
            number += 1
            yield _wthor_game(number, game, board)
    if game:
        yield Record(number + 1, [], game.hex(), f"the file ends within this game, after {len(game)} bytes of 68")
    elif announced != number:
        yield Record(number + 1, [], "", f"the header announces {announced} games, the file holds {number}")


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


def read_pickle(path: Path, board: Board) -> Iterator[Record]:
    """Pickled games (``pickles``): lists of squares counted row by row (0 .. 63 on 8x8), or texts. RecordError for any
    other content."""
    with unpacked(path) as file:
        for number, game in enumerate(pickled_games(file), 1):
            yield _written(number, game, board) if isinstance(game, str) else _cells(number, game, board)


Reader = Callable[[Path, Board], Iterator[Record]]
READERS: dict[str, Reader] = {"wthor": read_wthor, "text": read_text, "pickle": read_pickle}
ENDINGS = {".wtb": "wthor", ".pickle": "pickle", ".pkl": "pickle"}
ENDINGS |= dict.fromkeys((".txt", ".pgn", ".ggf", ".csv", ".tsv"), "text")


def format_of(path: Path) -> str | None:
    """The format that the ending of a file, packed or not, stands for; None for another ending."""
    return ENDINGS.get((path.with_suffix("") if path.suffix.lower() in PACKED else path).suffix.lower())


def reader(path: Path, format: str) -> Reader:
    """The reader of a file. RecordError when its ending is unknown and no format is given."""
    kind = format_of(path) if format == "auto" else format
    if kind not in READERS:
        raise RecordError(f"files: {path}: unknown ending; choices: format=wthor, text, pickle")
    return READERS[kind]
