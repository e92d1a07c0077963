"""Proves that recorded games are read as they were written (WTHOR, text, pickles, against writers of a few lines here),
that every record which makes no sense is told with its place, and that a pickle which asks for anything but games
is refused without being run. Control: the same pickle, loaded as Python does, does run.
"""

import gzip
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from games import random_games
from hypothesis import given
from hypothesis import strategies as st

from mothello.othello.board import SIZES, Board
from mothello.othello.game_files import ENDINGS, RecordError, read_pickle, read_text, read_wthor, reader
from mothello.othello.notation import game_text

EIGHT = Board.of(8)
RAN: list[str] = []
SELF: list[object] = []
SELF.append(SELF)


def games(size: int, n: int = 20) -> list[list[int]]:
    return [[m for m in row if m >= 0] for row in random_games(3, torch.arange(n), Board.of(size)).tolist()]


def wthor(
    played: list[list[int]], scores: list[int] | None = None, announced: int | None = None, size: int = 0
) -> bytes:
    """A WTHOR file by its description: little-endian header, 68 bytes a game."""
    header = bytes([20, 24, 1, 2]) + (len(played) if announced is None else announced).to_bytes(4, "little")
    header += bytes([0, 0, 0xE8, 7, size, 0, 24, 0])
    body = b""
    for number, moves in enumerate(played):
        codes = [10 * (EIGHT.moves[m] // 8 + 1) + EIGHT.moves[m] % 8 + 1 for m in moves]
        score = 32 if scores is None else scores[number]
        body += bytes([1, 0, 2, 0, 3, 0, score, score, *codes, *[0] * (60 - len(codes))])
    assert len(header) == 16
    return header + body


def test_wthor_files_are_read(tmp_path: Path):
    played, path = games(8), tmp_path / "a.wtb"
    path.write_bytes(wthor(played, scores=list(range(20))))
    found = list(read_wthor(path, EIGHT))
    assert [record.moves for record in found] == played
    assert [record.line for record in found] == list(range(1, 21))
    assert [record.score for record in found] == list(range(20))
    assert not any(record.error for record in found)


def test_a_known_wthor_game(tmp_path: Path):
    """f5 d6 c3 is 56 (row 5, column f), 64, 33."""
    path = tmp_path / "a.wtb"
    path.write_bytes(wthor([[]])[:-60] + bytes([56, 64, 33] + [0] * 57))
    (record,) = read_wthor(path, EIGHT)
    assert game_text(record.moves, EIGHT) == "f5 d6 c3"
    assert record.text == "56 64 33"


@pytest.mark.parametrize(
    ("codes", "said"),
    [
        ([56, 0, 64], "follows the end"),
        ([56, 99], "99 is not a square"),
        ([44], "d4 is a start square"),
        ([8], "8 is not"),
    ],
)
def test_bad_wthor_games_are_told(codes: list[int], said: str, tmp_path: Path):
    path = tmp_path / "a.wtb"
    path.write_bytes(wthor([games(8)[0], []])[:-60] + bytes(codes + [0] * (60 - len(codes))))
    good, bad = read_wthor(path, EIGHT)
    assert not good.error
    assert said in bad.error
    assert bad.line == 2
    assert bad.text.startswith(str(codes[0]))


def test_a_cut_wthor_file_keeps_its_whole_games(tmp_path: Path):
    path = tmp_path / "a.wtb"
    path.write_bytes(wthor(games(8))[:-10])
    found = list(read_wthor(path, EIGHT))
    assert [record.moves for record in found[:19]] == games(8)[:19]
    assert (found[19].line, "ends within" in found[19].error) == (20, True)
    path.write_bytes(wthor(games(8), announced=25))
    assert "announces 25 games, the file holds 20" in list(read_wthor(path, EIGHT))[-1].error


def test_files_that_are_no_wthor_are_refused(tmp_path: Path):
    path = tmp_path / "a.wtb"
    for content in (b"short", wthor(games(8), size=10)):
        path.write_bytes(content)
        with pytest.raises(RecordError, match=r"a\.wtb"):
            list(read_wthor(path, EIGHT))
    path.write_bytes(wthor(games(8)))
    with pytest.raises(RecordError, match="8x8 board only"):
        list(read_wthor(path, Board.of(6)))


@pytest.mark.parametrize("size", SIZES)
def test_text_is_read_in_every_spelling(size: int, tmp_path: Path):
    board, played, path = Board.of(size), games(size), tmp_path / "a.txt"
    texts = [game_text(moves, board) for moves in played]
    spelled = [(text, text.replace(" ", ""), text.upper())[i % 3] for i, text in enumerate(texts)]
    path.write_text("# a comment\n\n" + "\n".join(spelled) + "\n")
    found = list(read_text(path, board))
    assert [record.moves for record in found] == played
    assert [record.line for record in found] == list(range(3, 23))


def test_bad_lines_are_told_with_their_number(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"f5d6c3\nf5d\nz9\n\xff\xfe\nd4\nf5 d6\n")
    found = list(read_text(path, EIGHT))
    assert [(record.line, bool(record.error)) for record in found] == [
        (1, False), (2, True), (3, True), (4, True), (5, True), (6, False),
    ]  # fmt: skip
    assert found[1].text == "f5d"


@given(size=st.sampled_from(SIZES), protocol=st.integers(0, 5))
def test_pickles_are_read(size: int, protocol: int, tmp_path_factory: pytest.TempPathFactory):
    board, played = Board.of(size), games(size)
    cells = [[board.squares.index(board.moves[m]) for m in moves] for moves in played]
    path = tmp_path_factory.mktemp("pickles") / "a.pickle"
    path.write_bytes(pickle.dumps(cells, protocol=protocol))
    assert [record.moves for record in read_pickle(path, board)] == played


def test_several_pickles_in_a_file_and_every_shape_of_them_are_read(tmp_path: Path):
    """Dumps one after another; lists, tuples, dicts, arrays and texts of games."""
    played = games(8, 3)
    cells = [[EIGHT.squares.index(EIGHT.moves[m]) for m in moves] for moves in played]
    names = [game_text(moves, EIGHT) for moves in played]
    padded = np.full((3, 60), -1)
    for row, game in enumerate(cells):
        padded[row, : len(game)] = game
    ragged = np.empty(3, dtype=object)
    ragged[:] = [np.array(game, dtype=np.uint8) for game in cells]
    shapes = [
        cells, tuple(map(tuple, cells)), {"train": cells[:2], 7: [cells[2]]}, [[cells[0]], [[cells[1]], cells[2]]],
        padded, np.asfortranarray(padded), padded.astype(">i2"), padded.astype(np.uint8), padded[:, ::-1][:, ::-1], ragged,
        [[np.int64(cell) for cell in game] for game in cells], [np.array(game) for game in cells],
        names, [name.split() for name in names],
    ]  # fmt: skip
    path = tmp_path / "a.pickle"
    for protocol in (3, 4, 5):
        with path.open("wb") as file:
            for content in shapes:
                pickle.dump(content, file, protocol=protocol)
            for game in cells:
                pickle.dump(game, file, protocol=protocol)
        found = list(read_pickle(path, EIGHT))
        assert [record.moves for record in found] == played * (len(shapes) + 1)
        assert [record.line for record in found] == list(range(1, len(found) + 1))
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(RecordError, match="not a readable pickle"):
        list(read_pickle(path, EIGHT))
    path.write_bytes(gzip.compress(pickle.dumps(cells) * 2))
    assert [record.moves for record in read_pickle(path, EIGHT)] == played * 2


def test_cells_that_are_no_moves_are_told(tmp_path: Path):
    path = tmp_path / "a.pickle"
    path.write_bytes(pickle.dumps([[19], [64], [-1], [27]]))
    assert [bool(record.error) for record in read_pickle(path, EIGHT)] == [False, True, True, True]


def run(word: str) -> None:
    RAN.append(word)


class Evil:
    def __reduce__(self) -> object:
        return run, ("ran",)


def test_a_pickle_that_runs_code_is_refused_unrun(tmp_path: Path):
    path = tmp_path / "a.pickle"
    path.write_bytes(pickle.dumps([[19, 18], [Evil()]]))
    RAN.clear()
    with pytest.raises(RecordError, match=r"a\.pickle is refused: it asks for"):
        list(read_pickle(path, EIGHT))
    assert RAN == []
    pickle.loads(path.read_bytes())  # control: it would have
    assert RAN == ["ran"]


@pytest.mark.parametrize(
    "content",
    [
        {"a": 1}, [1, None], [[1, True]], [[1.0]], [["f5", 1]], [{1}], 3, [[1], None], torch.zeros(2), [b"x"], SELF,
        np.zeros((2, 3)), np.array([[1]], dtype=bool), np.array(["f5"]), np.float64(1), np.array([Path("a")], dtype=object),
    ],
    ids=str,
)  # fmt: skip
def test_anything_but_games_is_refused(content: object, tmp_path: Path):
    path = tmp_path / "a.pickle"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(RecordError, match=r"a\.pickle is refused"):
        list(read_pickle(path, EIGHT))


def test_a_damaged_pickle_and_an_unknown_ending(tmp_path: Path):
    path = tmp_path / "a.pickle"
    path.write_bytes(pickle.dumps(games(8))[:-20])
    with pytest.raises(RecordError, match="not a readable pickle"):
        list(read_pickle(path, EIGHT))
    with pytest.raises(RecordError, match="unknown ending"):
        reader(tmp_path / "a.dat", "auto")
    assert reader(tmp_path / "a.dat", "text") is read_text
    assert {reader(Path(f"a{ending}"), "auto") for ending in ENDINGS} == {read_text, read_wthor, read_pickle}
