"""Proves that squares, moves and games survive the way to text and back, that what is no move of the board is
refused with its reason, and that the drawings show the position they are given. Negative control: a changed
cell changes the drawing.
"""

import xml.etree.ElementTree as ET

import pytest
import torch
from games import random_games
from hypothesis import given
from hypothesis import strategies as st

from mothello.othello.board import SIZES, Board
from mothello.othello.notation import (
    game_text,
    move_name,
    parse_game,
    parse_move,
    square_name,
    svg_board,
)
from mothello.othello.replay import replay, squares_to_moves

SVG = "{http://www.w3.org/2000/svg}"


def start_cells(board: Board) -> list[int]:
    black, white = board.start
    return [1 + (black >> square & 1) - (white >> square & 1) for square in board.squares]


@pytest.mark.parametrize("size", SIZES)
def test_every_move_survives_the_round_trip(size: int) -> None:
    board = Board.of(size)
    names = [move_name(board, move) for move in range(board.n_moves)]
    assert len(set(names)) == board.n_moves
    for move, name in enumerate(names):
        assert parse_move(name, board) == move
        assert parse_move(f" {name.upper()}\n", board) == move
        assert name == square_name(board.moves[move])


def test_squares_are_named_column_then_row_from_a1() -> None:
    assert [square_name(square) for square in (0, 1, 7, 8, 56, 63)] == ["a1", "b1", "h1", "a2", "a8", "h8"]
    assert len({square_name(square) for square in range(64)}) == 64


@pytest.mark.parametrize(
    ("size", "names"),
    [(4, {"b1", "a2", "d3", "c4"}), (6, {"c2", "b3", "e4", "d5"}), (8, {"d3", "c4", "f5", "e6"})],
)
def test_the_first_moves_are_the_known_ones(size: int, names: set[str]) -> None:
    board = Board.of(size)
    legal = squares_to_moves(replay(torch.full((1, 1), -1), board).legal[0, 0], board)
    assert {move_name(board, move) for move in legal.nonzero().flatten().tolist()} == names


@pytest.mark.parametrize(("size", "starts"), [(4, "b2 c2 b3 c3"), (6, "c3 d3 c4 d4"), (8, "d4 e4 d5 e5")])
def test_start_squares_are_refused(size: int, starts: str) -> None:
    for name in starts.split():
        with pytest.raises(ValueError, match=f"{name} is a start square of the {size}x{size} board"):
            parse_move(name, Board.of(size))


@pytest.mark.parametrize(("size", "name"), [(4, "e1"), (4, "a5"), (4, "h8"), (6, "g1"), (6, "a7"), (6, "h8")])
def test_squares_off_the_board_are_refused(size: int, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is off the {size}x{size} board"):
        parse_move(name, Board.of(size))


@pytest.mark.parametrize("text", ["", "d", "3", "3d", "i1", "a0", "a9", "d33", "d 3", "dd", "pass", "--", "d3 c3"])
def test_what_is_no_square_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a square"):
        parse_move(text, Board.of(8))


@given(text=st.text(max_size=4))
def test_parse_move_gives_a_move_or_a_value_error(text: str) -> None:
    board = Board.of(8)
    try:
        move = parse_move(text, board)
    except ValueError:
        return
    assert move_name(board, move) == text.strip().lower()


@pytest.mark.parametrize("size", SIZES)
def test_games_survive_the_round_trip(size: int) -> None:
    board = Board.of(size)
    for row in random_games(0, torch.arange(50), board):
        moves = [move for move in row.tolist() if move >= 0]
        text = game_text(row.tolist(), board)
        assert parse_game(text, board) == moves
        assert parse_game(text.replace(" ", ""), board) == moves
        assert parse_game(text.upper().replace(" ", "\n "), board) == moves
        assert game_text(row, board) == text


def test_a_game_ends_at_the_first_negative_move() -> None:
    board = Board.of(8)
    moves = parse_game("d3c5 d6", board)
    assert game_text([*moves, -1, 5], board) == "d3 c5 d6"
    assert game_text([-1, *moves], board) == game_text([], board) == ""
    assert parse_game("  ", board) == []


@pytest.mark.parametrize(
    ("text", "reason"), [("d3 c", "half a move"), ("d3 z9", "not a square"), ("d4", "start square")]
)
def test_broken_games_are_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_game(text, Board.of(8))


def shapes(svg: str, tag: str) -> list[dict[str, str]]:
    return [dict(element.attrib) for element in ET.fromstring(svg).iter(SVG + tag)]


def discs(svg: str) -> dict[str, int]:
    """Fill -> squares of its discs, as bits."""
    found = {}
    for group in ET.fromstring(svg).iter(f"{SVG}g"):
        inside = [circle.attrib for circle in group.findall(f"{SVG}circle")]
        places = [(int((float(x["cx"]) - 16) // 26), int((float(x["cy"]) - 16) // 26)) for x in inside]
        if places:
            found[group.attrib["fill"]] = sum(1 << 8 * row + column for column, row in places)
    return found


@pytest.mark.parametrize("size", SIZES)
def test_the_svg_has_a_line_between_all_cells_and_one_circle_per_disc(size: int) -> None:
    board = Board.of(size)
    svg = svg_board(start_cells(board), board)
    (felt,), (lines,) = shapes(svg, "rect"), shapes(svg, "path")
    assert float(felt["width"]) == float(felt["height"]) == 26 * size
    assert lines["d"].count("v") == lines["d"].count("h") == size + 1
    assert len(shapes(svg, "text")) == 2 * size
    assert len(shapes(svg, "circle")) == 4
    drawn = discs(svg)
    assert sorted(drawn.values()) == sorted(board.start)
    darkest = min(drawn, key=lambda color: int(color[1:], 16))
    assert drawn[darkest] == board.start[0]


def test_the_svg_frames_misread_cells_and_marks_the_last_move() -> None:
    board = Board.of(6)
    contents = start_cells(board)
    plain = svg_board(contents, board)
    _, *frames = shapes(svg_board(contents, board, wrong=[cell in (0, 35) for cell in range(board.n_cells)]), "rect")
    assert [(frame["x"], frame["y"]) for frame in frames] == [("17.5", "17.5"), ("147.5", "147.5")]
    assert svg_board(contents, board, wrong=[False] * board.n_cells) == plain
    marked = shapes(svg_board(contents, board, last=board.squares[-1]), "circle")
    dots = [circle for circle in marked if circle not in shapes(plain, "circle")]
    assert [(dot["cx"], dot["cy"]) for dot in dots] == [("159", "159")]


@pytest.mark.parametrize("cell", [10, 40])
def test_the_svg_scales_with_its_cells(cell: int) -> None:
    root = ET.fromstring(svg_board(start_cells(Board.of(4)), Board.of(4), cell=cell))
    assert root.attrib["width"] == root.attrib["height"]
    (felt,) = root.iter(SVG + "rect")
    assert float(felt.attrib["x"]) + 4 * cell <= float(root.attrib["width"])
    assert felt.attrib["width"] == str(4 * cell)
