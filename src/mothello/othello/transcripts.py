"""Games as people write them: with move numbers, passes, comments and scores, as PGN, GGF or a column of a table.

Nothing is guessed: what is not understood is a UserError with its reason. The rules of Othello are not checked here.
"""

import csv
import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

from mothello.errors import UserError
from mothello.othello.board import Board
from mothello.othello.notation import parse_move, plain_moves, quoted


class Transcript(NamedTuple):
    """What one game says."""

    moves: list[int]
    passes: tuple[int, ...] = ()
    """For every pass that is written down, the number of moves before it."""
    score: int | None = None
    """Black's discs at the end, empty squares given to the winner; None without a score of discs."""


_LINES, _LENGTH = 500, 20_000
"""Lines of a game, and characters of a line: what is longer is not read as one game."""
_SPACE = " \t\r\n\v\f\xa0\ufeff\u200b\x1a"
_TAG = re.compile(r'^\s*\[\s*(\w+)\s+"(.*)"\s*\]\s*$', re.M)
_GGF = re.compile(r"\d*\s*\(;")
_COLUMN = re.compile(r"(?:game[_ ]?)?(?:moves?|transcript|sequence|notation|record)|game", re.I)
_SQUARE = re.compile(r"[a-h][1-8]", re.I)
_NUMBERED = re.compile(r"(?<!\w)(\d{1,3})\s*(?:[.:)]+|(?=[a-h][1-8]|pa|--|@@))", re.I)
_COMMENT = re.compile(r"[#%]|(?:;|//)(?!.*[a-h][1-8])", re.I)
_RESULT = re.compile(
    r"(?:^|(?<=[\s,;:\"'\])]))[(\[]?\s*(?:(\d{1,2})\s*-\s*(\d{1,2})|([bw])\s*\+\s*(\d{1,2}|r|t|resign|time)"
    r"|[+-]\d{1,2}|1/2-1/2|[=*])[\])\"'\s.,;]*$",
    re.I,
)
_TOKEN = re.compile(
    r"(?P<move>[a-h][1-8])[!?]*|(?P<pass>pass|pa|ps|p|--?|@@)|(?P<number>\d{1,9})\s*(?:\.+|[:)])?|[\s,;|\"'\[\]]+"
)
_PLAIN = str.maketrans(
    dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-")
    | dict.fromkeys("\u2018\u2019\u201c\u201d\u201e\xab\xbb\ufeff\u200b\x1a", " ")
    | {"\u2044": "/"}
)


def _goes_on(text: str, line: str) -> bool:
    """Whether the line continues a numbered game: it begins with a later number, or one or two moves are left over."""
    before, numbers = list(_NUMBERED.finditer(text)), list(_NUMBERED.finditer(line))
    for string, found in ((text, before), (line, numbers)):
        if found and len(_SQUARE.findall(string, found[-1].end())) > 2:  # a whole game that has a number of its own
            return False
    if not before:
        return False
    if numbers:  # 2 and 3 after the first one: a game whose 1 is damaged
        first, *rest = [int(number[1]) for number in numbers]
        return first > int(before[-1][1]) and rest[:2] != [2, 3]
    return 0 < len(_SQUARE.findall(line)) <= 2 or len(line) <= 2 or bool(_RESULT.match(line))


def _continues(held: list[str], line: str, gap: bool) -> bool:
    """Whether the line belongs to the same game as the lines before it. gap: a blank line is between them."""
    if len(held) == _LINES:
        return False
    if held[0][0] == "[":
        in_tags = held[-1][0] == "["
        if _TAG.match(line):
            return in_tags and line.split()[0] not in [tag.split()[0] for tag in held]
        if in_tags or not gap:
            return True
    return _goes_on("\n".join(held), line)


def _columns(line: str) -> tuple[str, list[str], int] | None:
    """(delimiter, names, index of the moves) when the line is the header of a table with a column of moves."""
    for delimiter in ",;\t|":
        names = next(csv.reader([line[:_LENGTH]], delimiter=delimiter))
        for index, name in enumerate(names):
            if _COLUMN.fullmatch(name.strip()):
                return delimiter, names, index
    return None


def _rows(lines: Iterable[tuple[int, str]], delimiter: str, names: list[str], index: int) -> Iterator[tuple[int, str]]:
    for number, raw in lines:
        if line := raw.strip(_SPACE):
            row = next(csv.reader([line[:_LENGTH]], delimiter=delimiter))
            yield number, row[index] if len(row) == len(names) and len(line) <= _LENGTH else line


def games(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """The games of a text, each with the number of its first line: a line each, or several lines of PGN or of a
    numbered transcript. Empty lines and comments are skipped."""
    lines = iter(lines)
    begun, held, gap, at_top = 0, list[str](), False, True
    for number, raw in lines:
        line = raw.strip(_SPACE)
        if not line or _COMMENT.match(line):
            gap = gap or not line
            continue
        if at_top and (columns := _columns(line)):
            yield from _rows(lines, *columns)
            return
        if held and _continues(held, line, gap):
            held.append(line)
        else:
            if held:
                yield begun, "\n".join(held)
            held = []
            if _TAG.match(line) or ((first := _NUMBERED.match(line)) and first[1] == "1"):
                begun, held = number, [line]
            elif _GGF.match(line):
                yield from ((number, game) for game in re.split(r"(?<=;\))\s*(?=\(;)", line))
            else:
                yield number, line
        gap = at_top = False
    if held:
        yield begun, "\n".join(held)


def _discs(black: int, white: int, board: Board) -> int | None:
    """Black's discs, empty squares given to the winner; None when the numbers are no discs (1-0)."""
    empty = board.n_cells - black - white
    if empty < 0 or black + white < 4:
        return None
    return black + (empty if black > white else 0 if black < white else empty // 2)


def _without_result(text: str, board: Board) -> tuple[str, int | None]:
    """The text before the results at its end, and the score in discs if one of them is."""
    score = None
    for _ in range(3):  # such as 33-31 B+2 1-0
        result = _RESULT.search(text)
        if not result:
            break
        text = text[: result.start()]
        if result[1]:
            score = _discs(int(result[1]), int(result[2]), board)
        elif result[4] and result[4].isdigit():
            score = (board.n_cells + int(result[4]) * (1 if result[3].lower() == "b" else -1)) // 2
    return text, score


def _without_comments(text: str, pgn: bool) -> str:
    text = re.sub(r"\{[^}]*\}|\$\d+|[^\S\n]+", " ", text)
    text = re.sub(r"(?m)(?:^|(?<=\s))(?:#|//)(?!\d).*$", " ", text)
    if pgn:
        return re.sub(r"(?m)(?:^|(?<=\s));.*$", " ", text)
    # elsewhere a comment after ; holds a word and no square: the sign may be between moves
    return re.sub(r"(?m);(?!\s*pass)(?=[^;\n]*[a-z]{3})(?![^;\n]*[a-h][1-8])[^;\n]*$", " ", text)


def _without_variations(text: str) -> str:
    """The text without what is in parentheses, unless all of it is."""
    text = re.sub(r"^\s*\(([^()]*)\)[\s,;]*$", r"\1", text)
    removed = 1
    while removed:
        text, removed = re.subn(r"\([^()]*\)", " ", text)
    return text


def _check_numbers(numbers: list[tuple[int, int]], plies: int) -> None:
    """UserError unless the move numbers count up from 1, each before one or two plies. A single number before a game
    may be the number of the game. numbers: (number, plies before it)."""
    if numbers[1:2] == [(1, 0)]:
        numbers = numbers[1:]
    if not numbers or (len(numbers) == 1 and numbers[0][1] == 0 and plies > 2):
        return
    if numbers[0] != (1, 0):
        raise UserError(f"its first move number is {numbers[0][0]}, after {numbers[0][1]} moves")
    for (last, begun), (number, reached) in pairwise([*numbers, (numbers[-1][0] + 1, plies)]):
        if number != last + 1 and (number, reached) != (last, begun + 1):
            raise UserError(f"move number {number} follows {last}")
        if not 0 < reached - begun <= 2:
            raise UserError(f"move number {last} has {reached - begun} moves")


def _read(text: str, board: Board) -> tuple[list[int], tuple[int, ...]]:
    """Moves, and the places of the passes."""
    moves, passes, numbers, at = list[int](), list[int](), list[tuple[int, int]](), 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if not token:
            raise UserError(f"{quoted(text[at:].split()[0])} is not a square such as c2, a pass, or a comment after #")
        at = token.end()
        if token["move"]:
            moves.append(parse_move(token["move"], board))
        elif token["pass"]:
            passes.append(len(moves))
        elif token["number"]:
            numbers.append((int(token["number"]), len(moves) + len(passes)))
    _check_numbers(numbers, len(moves) + len(passes))
    return moves, tuple(passes)


def _ggf(text: str, board: Board) -> Transcript:
    """A game of the Generic Game Server's format: (;GM[Othello] ... B[F5]W[D6//1.2] ... ;)."""
    properties = re.findall(r"(?<![A-Z])([A-Z]+)\[([^\]]*)\]", text)
    tags = {name: value for name, value in properties if len(name) > 1}
    plies = [(name, value.split("/")[0]) for name, value in properties if len(name) == 1]
    colors = "".join(name for name, _ in plies)
    rest = re.sub(r"^\d*\s*|(?<![A-Z])[A-Z]+\[[^\]]*\]|[\s;()]", "", text)
    if rest or colors != ("BW" * len(colors))[: len(colors)]:
        raise UserError(f"{quoted(rest or colors)} is not a GGF game in which black and white take turns")
    start = "".join("-*O"[(board.start[0] >> s & 1) + 2 * (board.start[1] >> s & 1)] for s in board.squares)
    place = "".join(tags.get("BO", "").split())
    if place not in ("", *(f"{board.size}{discs}*" for discs in (start, start.translate({42: 79, 79: 42})))):
        raise UserError("it begins with another position or board")
    margin = re.fullmatch(r"([+-]?\d+)(?:\.0*)?", tags.get("RE", ""))
    moves, passes = _read(" ".join(move for _, move in plies).lower(), board)
    return Transcript(moves, passes, (board.n_cells + int(margin[1])) // 2 if margin else None)


def transcript(text: str, board: Board) -> Transcript:
    """A game as moves, passes and score. UserError says what cannot be read; the rules are not checked (``replay``)."""
    try:
        return Transcript(plain_moves(text, board))
    except KeyError:
        if max(map(len, text.split("\n"))) > _LENGTH:
            raise UserError(f"no game has {len(text):,} characters") from None
    if _GGF.match(text):
        return _ggf(text, board)
    tags = dict(_TAG.findall(text))
    if "FEN" in tags:
        raise UserError("it begins with another position (FEN)")
    text = unicodedata.normalize("NFKC", _TAG.sub("", text)).translate(_PLAIN).lower()
    text, score = _without_result(_without_comments(text, bool(tags)), board)
    if re.fullmatch(r"\W*[a-h][1-8](?:-[a-h][1-8])+\W*", text):
        text = text.replace("-", " ")
    moves, passes = _read(_without_variations(text), board)
    _, result = _without_result(tags.get("Result", ""), board)
    return Transcript(moves, passes, score if result is None else result)
