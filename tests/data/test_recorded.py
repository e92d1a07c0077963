"""Proves that an import keeps exactly the legal games, in order, sets the others aside with place, reason and content, and
counts what it met; judged by the slow reference engine. Passes that are noted must be true ones, and games of the other
start position are recognized. Control: one changed move in a legal game is found at its ply.
"""

import io
from pathlib import Path

import pytest
import torch
from games import random_games

from benchmarks.reference import othello as slow
from mothello.data.game_import import Imported, import_records
from mothello.data.stored import StoredGames
from mothello.othello.board import Board
from mothello.othello.game_files import Record
from mothello.othello.notation import game_text, move_name, parse_game
from mothello.othello.replay import replay
from mothello.othello.symmetry import move_map
from mothello.othello.transcripts import transcript


def played(size: int, n: int) -> list[list[int]]:
    return [[m for m in row if m >= 0] for row in random_games(8, torch.arange(n), Board.of(size)).tolist()]


def read(
    records: list[Record], board: Board, folder: Path, shard_games: int = 7, mirror: bool = False
) -> tuple[Imported, str]:
    rejected = io.StringIO()
    source = {"kind": "recorded"}
    seen = import_records([("a.txt", records)], board, folder, shard_games, source, rejected, mirror=mirror)
    return seen, rejected.getvalue()


def stored(folder: Path) -> list[list[int]]:
    games = StoredGames(folder, verify=True)
    return [[m for m in row if m >= 0] for row in games.moves(torch.arange(len(games))).tolist()]


def first_illegal(moves: list[int], board: Board) -> int | None:
    try:
        slow.replay([divmod(board.moves[m], 8) for m in moves], board.size)
    except ValueError as error:
        return int(error.args[0])
    return None


@pytest.mark.parametrize("size", [4, 6, 8])
def test_legal_games_are_kept_in_order(size: int, tmp_path: Path):
    games, board = played(size, 20), Board.of(size)
    seen, rejected = read([Record(i, moves, "") for i, moves in enumerate(games, 1)], board, tmp_path)
    assert stored(tmp_path) == games
    assert (seen.kept, seen.set_aside, seen.unfinished, rejected) == (20, 0, 0, "")
    assert [shard["count"] for shard in StoredGames(tmp_path).index["shards"]] == [7, 7, 6]


@pytest.mark.parametrize("size", [4, 6, 8])
def test_broken_games_are_set_aside_at_their_ply(size: int, tmp_path: Path):
    games, board = played(size, 40), Board.of(size)
    broken = []
    for number, moves in enumerate(games):
        changed = list(moves)
        if number % 2:
            at = number % len(moves)
            changed[at] = (changed[at] + 1) % board.n_moves
        broken.append(changed)
    truth = [first_illegal(moves, board) for moves in broken]
    assert sum(ply is not None for ply in truth) > 10  # the control: most changes do break a game
    seen, rejected = read([Record(i, m, f"game {i}") for i, m in enumerate(broken, 1)], board, tmp_path)
    assert stored(tmp_path) == [moves for moves, ply in zip(broken, truth, strict=True) if ply is None]
    lines = rejected.splitlines()
    expected = [(i, ply) for i, ply in enumerate(truth, 1) if ply is not None]
    assert len(lines) == seen.set_aside == len(expected)
    for line, (number, ply) in zip(lines, expected, strict=True):
        assert line.startswith(f"a.txt:{number}: move {ply + 1}, ")
        assert line.endswith(f"is not legal: game {number}")
    assert seen.first_problem == lines[0].rpartition(": game")[0]


def test_unreadable_records_keep_their_text_and_reason(tmp_path: Path):
    games = played(6, 3)
    records = [Record(1, games[0], ""), Record(2, [], "hello", "'hello' has half a move"), Record(9, [], "", "")]
    seen, rejected = read(records, Board.of(6), tmp_path)
    assert rejected == "a.txt:2: 'hello' has half a move: hello\na.txt:9: 0 moves: \n"
    assert (seen.kept, seen.set_aside) == (1, 2)


def test_unfinished_repeated_and_misreported_games_are_kept_and_counted(tmp_path: Path):
    board = Board.of(8)
    games = played(8, 3)
    black, white = slow.score(slow.replay([divmod(board.moves[m], 8) for m in games[0]], 8)[-1].discs)
    empty = 64 - black - white
    truth = black + empty * (black > white) + (empty // 2) * (black == white)
    records = [
        Record(1, games[0], "", score=truth),
        Record(2, games[0], "", score=truth + 1),
        Record(3, games[1][:30], "", score=5),  # unfinished: no score to compare
        Record(4, games[2], ""),
    ]
    seen, _ = read(records, board, tmp_path)
    assert stored(tmp_path) == [games[0], games[0], games[1][:30], games[2]]
    assert (seen.kept, seen.unfinished, seen.repeated, seen.other_score) == (4, 1, 1, 1)


def test_a_wipe_out_counts_the_empty_squares_for_the_winner(tmp_path: Path):
    """The shortest wipe-out: black has all 13 discs, WTHOR says 64."""
    moves = parse_game("e6 f4 e3 f6 g5 d6 e7 f5 c5", Board.of(8))
    seen, _ = read([Record(1, moves, "", score=64), Record(2, moves, "", score=13)], Board.of(8), tmp_path)
    assert (seen.unfinished, seen.other_score) == (0, 1)


def mirrored(moves: list[int], board: Board) -> list[int]:
    return [move_map(board, "columns")[move] for move in moves]


@pytest.mark.parametrize("size", [4, 6, 8])
def test_games_of_the_other_start_position_are_recognized(size: int, tmp_path: Path):
    """Set aside with the way to import them; with mirror they are kept, as mirror images, and the others as they are."""
    games, board = played(size, 6), Board.of(size)
    wrong = [*mirrored(games[5], board)[:3], mirrored(games[5], board)[0]]
    written = [games[0], *(mirrored(moves, board) for moves in games[1:5]), wrong]
    seen, rejected = read([Record(i, moves, "") for i, moves in enumerate(written, 1)], board, tmp_path / "a")
    assert stored(tmp_path / "a") == games[:1]
    assert (seen.kept, seen.set_aside, seen.other_start) == (1, 5, 4)
    assert ["mirror=true" in line for line in rejected.splitlines()] == [True] * 4 + [False]
    seen, rejected = read(
        [Record(i, moves, "") for i, moves in enumerate(written, 1)], board, tmp_path / "b", mirror=True
    )
    assert stored(tmp_path / "b") == games[:5]
    assert (seen.kept, seen.set_aside, seen.other_start) == (5, 1, 4)
    name = move_name(board, written[5][0])
    assert rejected == f"a.txt:6: move 1, {name}, is not legal: \n"


@pytest.mark.parametrize("mirror", [False, True])
def test_a_pass_that_is_noted_must_be_one(mirror: bool, tmp_path: Path):
    board = Board.of(6)
    games = random_games(8, torch.arange(300), board)
    black = replay(games, board).black_to_move
    passes = [(black[row, 1:] == black[row, :-1]).nonzero().flatten() + 1 for row in range(300)]
    rows = [row for row in range(300) if len(passes[row]) == 1 and games[row, -1] >= 0][:3]
    assert len(rows) == 3
    (one, two, three), true = (games[rows].tolist()), [int(passes[row]) for row in rows]
    noted = {
        (): one, (true[0],): one, (true[0], 32, 32): one, (32,): two, (true[2] - 1,): three, (true[2],) * 2: three,
        (0,): two, (32, 32, 32): one, (true[1], 3): two,
    }  # fmt: skip
    turn = mirrored if mirror else lambda moves, board: moves
    records = [Record(i, turn(moves, board), "", passes=where) for i, (where, moves) in enumerate(noted.items())]
    seen, rejected = read(records, board, tmp_path, mirror=mirror)
    assert stored(tmp_path) == [one, one, one, two]
    assert [int(line.split(":")[1]) for line in rejected.splitlines()] == [4, 5, 6, 7, 8]
    assert f"a pass is noted before move {true[2]}, where a move is legal" in rejected
    assert seen.other_start == 9 * mirror


@pytest.mark.parametrize("size", [4, 6, 8])
def test_scores_in_discs_are_compared_on_every_board(size: int, tmp_path: Path):
    board, records = Board.of(size), []
    for moves in played(size, 12):
        discs = slow.score(slow.replay([divmod(board.moves[m], 8) for m in moves], size)[-1].discs)
        for black, white in (discs, (discs[0] - 1, discs[1] + 1)):
            parsed = transcript(f"{game_text(moves, board)} {black}-{white}", board)
            records.append(Record(1, parsed.moves, "", score=parsed.score))
    seen, _ = read(records, board, tmp_path)
    assert (seen.kept, seen.other_score) == (24, 12)


def test_a_record_of_many_lines_is_one_line_of_the_rejected(tmp_path: Path):
    _, rejected = read([Record(1, played(6, 1)[0], ""), Record(2, [], "1. z9\n2. c3", "why")], Board.of(6), tmp_path)
    assert rejected == "a.txt:2: why: 1. z9 2. c3\n"
