"""Proves that games are read as people write them: a small writer for every notation, encoding and packing, and random
legal games come back identical, with their passes and scores. Control: one damaged character of a move sets aside its
game, and no other.
"""

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from time import process_time

import pytest
import torch
from games import random_games
from hypothesis import given
from hypothesis import strategies as st

from mothello.data.game_import import Imported, checked
from mothello.othello.bits import popcount
from mothello.othello.board import SIZES, Board
from mothello.othello.game_files import Record, RecordError, format_of, read_text
from mothello.othello.notation import move_name
from mothello.othello.replay import replay
from mothello.othello.transcripts import games, transcript

EIGHT = Board.of(8)


@cache
def pool(size: int) -> tuple[list[list[int]], list[list[bool]], list[str]]:
    """Random games, whether a pass is before each of their moves, and their scores."""
    moves = random_games(3, torch.arange(24), Board.of(size))
    played = replay(moves, Board.of(size))
    again = (played.black_to_move[:, 1:] == played.black_to_move[:, :-1]).roll(1, 1).tolist()
    discs = zip(popcount(played.black[:, -1]).tolist(), popcount(played.white[:, -1]).tolist(), strict=True)
    games = [[move for move in row if move >= 0] for row in moves.tolist()]
    return games, again, [f"{black}-{white}" for black, white in discs]


def plies(moves: list[int], board: Board, sign: str = "--") -> list[str]:
    """The game with its passes."""
    games, again, _ = pool(board.size)
    passed = again[games.index(moves)]
    return [
        name for ply, move in enumerate(moves) for name in [sign] * (ply > 0 and passed[ply]) + [move_name(board, move)]
    ]


def score(moves: list[int], board: Board) -> str:
    games, _, scores = pool(board.size)
    return scores[games.index(moves)]


def pairs(names: list[str], form: str = "{}. {}") -> list[str]:
    return [form.format(i // 2 + 1, " ".join(names[i : i + 2])) for i in range(0, len(names), 2)]


def wrapped(words: list[str], width: int = 60) -> str:
    lines = [""]
    for word in " ".join(words).split():
        lines = [*lines[:-1], f"{lines[-1]} {word}".strip()] if len(lines[-1]) + len(word) < width else [*lines, word]
    return "\n".join(lines)


def pgn(moves: list[int], board: Board) -> str:
    body = pairs(plies(moves, board))
    body[1] += " {a good\nreply; [%clk 0:10]} $3"
    body[2] += "! (2. c4 (2. a1) e3)"
    tags = f'[Event "c4, d3 (open)"]\n[White "A \\"b\\" c"]\n[Result "{score(moves, board)}"]\n\n'
    return f"{tags}{wrapped(body)} ; the last a1\n{score(moves, board)}\n\n"


def ggf(moves: list[int], board: Board) -> str:
    written = plies(moves, board, "PA")
    body = "".join(f"{'BW'[i % 2]}[{name.upper()}/{i}.5/0.01]" for i, name in enumerate(written))
    cells = "".join("-*O"[(board.start[0] >> s & 1) + 2 * (board.start[1] >> s & 1)] for s in board.squares)
    return f"(;GM[Othello]PC[GGS/os]PB[b2]PW[w]RE[+2.000]TY[{board.size}]BO[{board.size} {cells} *]{body};)\n"


WRITERS: dict[str, Callable[[list[int], Board], str]] = {
    "plain": lambda moves, board: "".join(plies(moves, board, "")) + "\n",
    "upper": lambda moves, board: " ".join(plies(moves, board, "PA")).upper() + "  \t\n\n# c4\n",
    "compact passes": lambda moves, board: "".join(plies(moves, board, "--")) + "\n",
    "pass": lambda moves, board: " ".join([*plies(moves, board, "pass"), "pass"]) + "\n",
    "one dash": lambda moves, board: " ".join(plies(moves, board, "-")) + "\n",
    "at": lambda moves, board: "\t".join(plies(moves, board, "@@")) + "\n",
    "p": lambda moves, board: ", ".join(plies(moves, board, "P")) + ",\n",
    "semicolons": lambda moves, board: ";".join(plies(moves, board, "--")) + "; no, a draw\n",
    "hyphens": lambda moves, board: "-".join(filter(None, plies(moves, board, ""))) + "\n",
    "list": lambda moves, board: str(plies(moves, board, "pa")) + ",\n",
    "json": lambda moves, board: str(plies(moves, board, "pa")).replace("'", '"') + "\n",
    "tuple": lambda moves, board: f"({', '.join(plies(moves, board, 'pa'))}),\n",
    "score": lambda moves, board: f"{''.join(plies(moves, board, ''))} {score(moves, board)}\n",
    "margin": lambda moves, board: f"{''.join(plies(moves, board, ''))}, B+2 # a comment, b2\n",
    "sign": lambda moves, board: f"{' '.join(plies(moves, board))} (+2)\n",
    "numbered": lambda moves, board: " ".join(pairs(plies(moves, board))) + " 1/2-1/2\n",
    "glued": lambda moves, board: "".join(pairs(plies(moves, board), "{}.{}")) + "\n",
    "bare": lambda moves, board: " ".join(pairs(plies(moves, board), "{} {}")) + "\n",
    "colons": lambda moves, board: " ".join(f"{i}: {x}" for i, x in enumerate(plies(moves, board), 1)) + "\n",
    "number of a game": lambda moves, board: f"17. {' '.join(plies(moves, board))}\n",
    "a pair a line": lambda moves, board: "\n".join(pairs(plies(moves, board))) + "\n",
    "wrapped": lambda moves, board: wrapped(pairs(plies(moves, board))) + "\n0-1\n",
    "pgn": pgn,
    "ggf": ggf,
}
SEVERAL_LINES = {"a pair a line", "wrapped"}
"""Without a mark between games: what follows a damaged line may be set aside apart."""


def records(text: str, board: Board) -> list[Record]:
    path = io.StringIO(text)
    result = []
    for number, game in games(enumerate(path, 1)):
        try:
            moves, passes, discs = transcript(game, board)
            result.append(Record(number, moves, game, "", discs, passes))
        except ValueError as error:
            result.append(Record(number, [], game, str(error)))
    return result


def kept(found: list[Record], board: Board) -> tuple[list[list[int]], list[str]]:
    moves, reasons = checked(found, board, Imported())
    return [[m for m in row if m >= 0] for row in moves.tolist()], [reason for reason in reasons if reason]


@given(size=st.sampled_from(SIZES), data=st.data())
def test_every_notation_is_read_back(size: int, data: st.DataObject):
    """Notations mixed in one text, a blank line between them."""
    board, (played, again, scores) = Board.of(size), pool(size)
    chosen = data.draw(
        st.lists(st.tuples(st.integers(0, 23), st.sampled_from(sorted(WRITERS))), min_size=1, max_size=8)
    )
    text = "\n".join(WRITERS[name](played[game], board) for game, name in chosen)
    for record, (game, name) in zip(records(text, board), chosen, strict=True):
        assert (record.moves, record.error) == (played[game], ""), name
        if name == "at":
            assert len(record.passes) == sum(again[game][1 : len(played[game])])
        if name in ("pgn", "score"):
            assert record.score == transcript(scores[game], board).score


@pytest.mark.parametrize("size", SIZES)
def test_true_passes_are_kept(size: int):
    board, (played, _, _) = Board.of(size), pool(size)
    texts = "".join(write(moves, board) for write in WRITERS.values() for moves in played[:4])
    assert kept(records(texts, board), board) == (played[:4] * len(WRITERS), [])


def damaged(text: str, name: str, moves: list[int], board: Board, draw: Random) -> str:
    """The text with another character in one of its moves."""
    at, low = 0, text.lower()
    for move in moves[: draw.randrange(len(moves)) + 1]:
        at = low.index(move_name(board, move), max(at, low.find("\n\n") if name == "pgn" else low.find("*]")))
    at += draw.randrange(2)
    return text[:at] + draw.choice("xyz09%&~. ,_\xe9\u2603") + text[at + 1 :]


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("size", SIZES)
def test_a_damaged_move_sets_aside_its_game_only(size: int, name: str):
    board, (played, _, _), draw = Board.of(size), pool(size), Random(size)
    texts = [WRITERS[name](moves, board) for moves in played]
    texts[1::2] = [
        damaged(text, name, moves, board, draw) for text, moves in zip(texts[1::2], played[1::2], strict=True)
    ]
    good, reasons = kept(records("".join(texts), board), board)
    assert good == played[::2]
    assert len(reasons) == 12 or (name in SEVERAL_LINES and len(reasons) > 12)


def table(delimiter: str, rows: list[str]) -> str:
    return "\n".join(row.replace(",", delimiter) for row in ["eOthello_game_id,winner,game_moves", *rows]) + "\n"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_column_of_moves_is_read(delimiter: str):
    played = pool(8)[0][:6]
    rows = [f'{i},-1,"{"".join(plies(moves, EIGHT, ""))}"' for i, moves in enumerate(played)]
    found = records(table(delimiter, [rows[0], "", rows[1], "7,1,f5d6x3", *rows[2:], "9,1"]), EIGHT)
    assert [record.moves for record in found] == [*played[:2], [], *played[2:], []]
    assert [record.line for record in found] == [2, 4, 5, 6, 7, 8, 9, 10]
    assert [bool(record.error) for record in found] == [False, False, True, False, False, False, False, True]


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "latin-1"]
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_encoding_and_line_end_is_read(encoding: str, end: str, tmp_path: Path):
    played, path = pool(8)[0][:8], tmp_path / "a.txt"
    lines = ["# \xe9t\xe9", *("".join(plies(moves, EIGHT, "")) for moves in played), "", "\x1a"]
    path.write_bytes(end.join(lines).encode(encoding))
    found = list(read_text(path, EIGHT))
    assert [record.moves for record in found] == played
    assert [record.line for record in found] == list(range(2, 10))


def test_marks_within_a_text_are_dropped(tmp_path: Path):
    (path := tmp_path / "a.txt").write_text("\ufefff5d6\n\ufefff5f6 \x1a\n", encoding="utf-8")  # two files, joined
    assert [record.moves for record in read_text(path, EIGHT)] == [transcript(x, EIGHT).moves for x in ("f5d6", "f5f6")]


@pytest.mark.parametrize("ending", PACKERS)
def test_packed_files_are_read(ending: str, tmp_path: Path):
    played, path = pool(6)[0], tmp_path / f"a.txt{ending}"
    text = "".join(WRITERS["numbered"](moves, Board.of(6)) for moves in played).encode("utf-16")
    path.write_bytes(PACKERS[ending](text))
    assert format_of(path) == "text"
    assert [record.moves for record in read_text(path, Board.of(6))] == played
    if ending:
        path.write_bytes(PACKERS[ending](text)[:-9])
        with pytest.raises(RecordError, match=r"a\.txt\.\w+ cannot be unpacked"):
            list(read_text(path, Board.of(6)))


def test_a_zip_of_one_file_is_read(tmp_path: Path):
    path = tmp_path / "a.txt.zip"
    for names, expected in ((["x/"], None), (["x/", "x/a.txt", "__MACOSX/a"], 1), (["a.txt", "b.txt"], None)):
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, "" if name.endswith("/") else "f5d6")
        if expected:
            assert len(list(read_text(path, EIGHT))) == expected
        else:
            with pytest.raises(RecordError, match=r"a\.txt\.zip holds \d files"):
                list(read_text(path, EIGHT))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1. f5 d6 3. c3", "move number 3 follows 1"),
        ("2. f5 d6", "first move number is 2"),
        ("1. f5 d6 c3 2. d3", "move number 1 has 3 moves"),
        ("f5 d6 2. c3", "first move number is 2, after 2 moves"),
        ("1. f5 d6 2.", "move number 2 has 0 moves"),
        ("f5d6 Smith - Jones", "'smith' is not a square"),
        ("f5d6 {c3", "'{c3' is not a square"),
        ("f5 (d6 c3", "'(d6' is not a square"),
        ("19 18 26", "first move number is 19"),
        ("f5 d6" + " c3" * 400 + "x" * 400, "'" + "x" * 37 + "...' is not a square"),
        ('[FEN "8/8"]\n1. f5', "another position"),
        ("(;GM[Othello]B[F5]B[D6];)", "take turns"),
        ("(;GM[Othello]B[F5]w[D6];)", "take turns"),
        ("(;GM[Othello]BO[8 *O*]B[F5];)", "another position"),
    ],
)
def test_what_is_not_understood_is_said(text: str, reason: str):
    (record,) = records(text, EIGHT)
    assert reason in record.error
    assert len(record.error) < 120


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("33-31", 33), ("(33\u201331)", 33), ("30-30", 32), ("40-20", 44), ("20-40", 20), ("B+2", 33), ("w+64", 0), ("+2", None),
        ("1-0", None), ("1/2-1/2", None), ("*", None), ("W+R", None), ("60-60", None), ("33-31 1-0", 33),
    ],
)  # fmt: skip
def test_scores_are_read(text: str, expected: int | None):
    assert transcript(f"f5d6 {text}", EIGHT) == (transcript("f5d6", EIGHT).moves, (), expected)


def test_a_long_line_is_one_record(tmp_path: Path):
    (path := tmp_path / "a.txt").write_text("f5d6\n" + "f5d6" * 100_000 + "\nf5f6\n")
    assert [(record.line, len(record.moves) > 60) for record in read_text(path, EIGHT)] == [
        (1, False),
        (2, True),
        (3, False),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "f5d6" + " " * 19_000 + "x",
        "(" * 9_000 + ")" * 9_000,
        ";" * 19_000,
        "(;" + "A" * 19_000,
        "+1 " * 6_000,
        "1" * 19_000,
    ],
)
def test_no_line_takes_long(line: str):
    begun = process_time()
    assert all(record.error or not record.moves for record in records(line, EIGHT))
    assert process_time() - begun < 20
