"""Proves that exactly four of the eight board symmetries fix the colored start position, that play commutes
with them, and that the agreement between a board and its image is the published "chance" of misaligned languages.
Negative controls: the other four maps make every first move illegal, and a wrong map of the boards disagrees.
"""

import pytest
import torch
from games import random_games
from torch import Tensor

from mothello.othello.board import SIZES, Board
from mothello.othello.replay import Replay, replay, squares_to_cells, squares_to_moves
from mothello.othello.symmetry import OPENING_MAPS, OTHER_MAPS, cell_map, compose, move_map, square_map

ALL_MAPS = OPENING_MAPS + OTHER_MAPS
REFLECTIONS = OPENING_MAPS[1:]


def image_of_bits(bits: int, board: Board, name: str) -> int:
    pairs = zip(board.squares, square_map(board, name), strict=True)
    return sum(1 << image for square, image in pairs if bits >> square & 1)


def mapped_games(moves: Tensor, board: Board, name: str) -> Tensor:
    image = torch.tensor(move_map(board, name), dtype=moves.dtype)
    return torch.where(moves < 0, moves, image[moves.clamp(min=0).long()])


def cells(played: Replay, board: Board) -> Tensor:
    """Contents [game, state, cell]: 0 white, 1 empty, 2 black."""
    return 1 + squares_to_cells(played.black, board).long() - squares_to_cells(played.white, board).long()


def image(contents: Tensor, board: Board, name: str) -> Tensor:
    moved = torch.empty_like(contents)
    moved[..., cell_map(board, name)] = contents
    return moved


# The maps.


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ALL_MAPS)
def test_opening_maps_and_no_others_fix_the_start(size: int, name: str) -> None:
    board = Board.of(size)
    black, white = board.start
    images = image_of_bits(black, board, name), image_of_bits(white, board, name)
    assert images == ((black, white) if name in OPENING_MAPS else (white, black))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("make", [square_map, cell_map, move_map])
def test_every_map_is_a_permutation(size: int, make: object) -> None:
    board = Board.of(size)
    domain = {square_map: board.squares, cell_map: range(board.n_cells), move_map: range(board.n_moves)}[make]
    for name in ALL_MAPS:
        assert sorted(make(board, name)) == list(domain)


@pytest.mark.parametrize("size", SIZES)
def test_the_maps_are_eight_and_agree_with_each_other(size: int) -> None:
    board = Board.of(size)
    assert len({cell_map(board, name) for name in ALL_MAPS}) == 8
    for name in ALL_MAPS:
        squares = square_map(board, name)
        assert [board.squares[cell] for cell in cell_map(board, name)] == list(squares)
        by_square = dict(zip(board.squares, squares, strict=True))
        assert [board.moves[move] for move in move_map(board, name)] == [by_square[square] for square in board.moves]


def composed(first: tuple[int, ...], second: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(second[cell] for cell in first)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("names", [ALL_MAPS, OPENING_MAPS])
def test_the_maps_form_a_group(size: int, names: tuple[str, ...]) -> None:
    maps = {cell_map(Board.of(size), name) for name in names}
    identity = tuple(range(size**2))
    assert identity in maps
    for first in maps:
        assert {composed(first, second) for second in maps} == maps
        assert any(composed(first, second) == identity for second in maps)


def test_the_four_other_maps_are_no_group() -> None:
    maps = {cell_map(Board.of(8), name) for name in OTHER_MAPS}
    assert any(composed(first, second) not in maps for first in maps for second in maps)


def test_the_maps_are_what_their_names_say() -> None:
    board = Board.of(8)
    b1, where = 1, lambda name, square: square_map(board, name)[board.squares.index(square)]
    images = {"identity": "b1", "rot180": "g8", "main": "a2", "anti": "h7"}
    images |= {"rot90": "h2", "rot270": "a7", "columns": "g1", "rows": "b8"}
    for name, text in images.items():
        assert where(name, b1) == "abcdefgh".index(text[0]) + 8 * (int(text[1]) - 1), name
    quarter, half = cell_map(board, "rot90"), cell_map(board, "rot180")
    assert composed(quarter, quarter) == half
    assert composed(half, quarter) == cell_map(board, "rot270")
    assert composed(cell_map(board, "main"), cell_map(board, "anti")) == half


def test_an_unknown_map_is_refused() -> None:
    with pytest.raises(ValueError, match="symmetry: 'mirror' is not one of identity"):
        square_map(Board.of(8), "mirror")


# Play commutes with the opening maps.


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", OPENING_MAPS)
def test_replay_commutes_with_the_opening_maps(size: int, name: str) -> None:
    board = Board.of(size)
    moves = random_games(1, torch.arange(100), board)
    played, mapped = replay(moves, board), replay(mapped_games(moves, board, name), board)
    assert (mapped.illegal_at == -1).all()
    assert torch.equal(mapped.lengths, played.lengths)
    assert torch.equal(mapped.black_to_move, played.black_to_move)
    assert torch.equal(cells(mapped, board), image(cells(played, board), board, name))
    legal = torch.zeros_like(squares_to_moves(played.legal, board))
    legal[..., move_map(board, name)] = squares_to_moves(played.legal, board)
    assert torch.equal(squares_to_moves(mapped.legal, board), legal)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", OTHER_MAPS)
def test_games_under_the_other_maps_are_illegal_at_once(size: int, name: str) -> None:
    board = Board.of(size)
    moves = random_games(1, torch.arange(100), board)
    assert (replay(mapped_games(moves, board, name), board).illegal_at == 0).all()


@pytest.mark.parametrize("size", SIZES)
def test_boards_under_the_wrong_opening_map_disagree(size: int) -> None:
    board = Board.of(size)
    moves = random_games(1, torch.arange(100), board)
    played = cells(replay(moves, board), board)
    for name in REFLECTIONS:
        mapped = cells(replay(mapped_games(moves, board, name), board), board)
        for wrong in set(OPENING_MAPS) - {name}:
            assert (mapped == image(played, board, wrong)).double().mean() < 0.75


# The agreement of a board and its image, averaged over the states after each move.


@pytest.fixture(scope="module", params=SIZES)
def sample(request: pytest.FixtureRequest) -> tuple[Board, Tensor, Tensor]:
    """The board, contents [game, ply, cell] after each move, and which plies were played."""
    board = Board.of(request.param)
    played = replay(random_games(11, torch.arange(3000), board), board)
    return board, cells(played, board)[:, 1:], torch.arange(board.n_moves) < played.lengths[:, None]


AGREEMENT = {
    4: {"rot180": 0.474, "main": 0.621, "anti": 0.578, "unrelated": 0.534},
    6: {"rot180": 0.496, "main": 0.608, "anti": 0.595, "unrelated": 0.529},
    8: {"rot180": 0.526, "main": 0.613, "anti": 0.612, "unrelated": 0.546},
}


@pytest.mark.parametrize("name", REFLECTIONS)
def test_agreement_of_a_board_and_its_image(sample: tuple[Board, Tensor, Tensor], name: str) -> None:
    """Within .01: the table comes from 300-2,000 games, an independent count differs by .006."""
    board, contents, played = sample
    agreement = (contents == image(contents, board, name)).double().mean(-1)[played].mean()
    assert float(agreement) == pytest.approx(AGREEMENT[board.size][name], abs=0.01)


def test_agreement_of_unrelated_games_at_the_same_ply(sample: tuple[Board, Tensor, Tensor]) -> None:
    board, contents, played = sample
    both = played & played.roll(1, 0)
    agreement = (contents == contents.roll(1, 0)).double().mean(-1)[both].mean()
    assert float(agreement) == pytest.approx(AGREEMENT[board.size]["unrelated"], abs=0.01)


def test_agreement_with_oneself_is_total(sample: tuple[Board, Tensor, Tensor]) -> None:
    board, contents, _ = sample
    assert torch.equal(image(contents, board, "identity"), contents)


@pytest.mark.parametrize("size", SIZES)
def test_compose_names_the_map_that_applies_one_map_after_another(size: int) -> None:
    board = Board.of(size)
    for g in ALL_MAPS:
        for h in ALL_MAPS:
            after = tuple(cell_map(board, g)[cell] for cell in cell_map(board, h))
            assert cell_map(board, compose(g, h)) == after
    assert compose("rot90", "columns") != compose("columns", "rot90")  # the order matters
