"""Proves that the bitboard rules are the rules of Othello: published perft counts, the 60,060 4x4 games,
and agreement with a slow reference engine on any position, reachable or not, of every size. Negative
controls: without the edge masks, or with another start position, the same checks fail.
"""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor

from benchmarks.reference import othello as slow
from mothello.othello.bits import popcount, select
from mothello.othello.board import SIZES, Board, signed
from mothello.othello.replay import squares_to_moves
from mothello.othello.rules import Position, advance, apply_move, flips, legal_moves, start_position

PERFT = {
    4: [4, 12, 44, 128, 436, 1296, 3784, 9756, 22152, 41296, 58912, 53580],
    6: [4, 12, 56, 244, 1364, 7604, 47740],
    8: [4, 12, 56, 244, 1396, 8200, 55092],
}
WORDS = st.integers(-(1 << 63), (1 << 63) - 1)
EDGE_WORDS = (0, -1, -(1 << 63), (1 << 63) - 1, 1, 0x5555555555555555, -0x5555555555555556)


def children(position: Position, board: Board) -> Position:
    """Every position one move later."""
    parent, move = squares_to_moves(position.legal, board).nonzero(as_tuple=True)
    square = torch.tensor(board.moves)[move]
    return advance(Position(*(field[parent] for field in position)), torch.ones_like(square) << square, board)


def leaf_counts(position: Position, board: Board, depth: int) -> list[int]:
    counts = []
    for _ in range(depth):
        position = children(position, board)
        counts.append(len(position.own))
    return counts


def bits(squares: set[tuple[int, int]] | list[tuple[int, int]]) -> int:
    return signed(sum(1 << (8 * row + column) for row, column in squares))


def position_bits(discs: slow.Discs, color: str) -> int:
    return bits([square for square, disc in discs.items() if disc == color])


def arbitrary_discs(size: int) -> st.SearchStrategy[slow.Discs]:
    """Any pattern of discs at all, most of them in no game."""
    squares = [(r, c) for r in range(size) for c in range(size)]
    contents = st.lists(st.sampled_from(["black", "white", None]), min_size=size**2, max_size=size**2)
    return contents.map(lambda drawn: {s: d for s, d in zip(squares, drawn, strict=True) if d})


def seeded_discs(size: int, n: int) -> list[slow.Discs]:
    """Patterns of every density, from a few discs to a full board, more than Hypothesis has time for."""
    rng = np.random.default_rng(size)
    squares = [(r, c) for r in range(size) for c in range(size)]
    boards = []
    for share in rng.uniform(0.1, 1.0, n):
        filled, dark = rng.random(size**2) < share, rng.random(size**2) < rng.uniform(0.1, 0.9)
        boards.append({s: "black" if d else "white" for s, f, d in zip(squares, filled, dark, strict=True) if f})
    return boards


def as_tensors(boards: list[slow.Discs]) -> tuple[Tensor, Tensor]:
    return tuple(torch.tensor([position_bits(d, c) for d in boards]) for c in ("black", "white"))


def assert_agrees(boards: list[slow.Discs], size: int) -> None:
    """Legal moves of both colors, and flips and play of every empty square, as the reference has them."""
    board = Board.of(size)
    black, white = as_tensors(boards)
    assert legal_moves(black, white, board).tolist() == [bits(slow.legal(d, "black", size)) for d in boards]
    assert legal_moves(white, black, board).tolist() == [bits(slow.legal(d, "white", size)) for d in boards]
    rows, played = [], []
    for row, discs in enumerate(boards):
        empty = [(r, c) for r in range(size) for c in range(size) if (r, c) not in discs]
        rows += [row] * len(empty)
        played += empty
    move = torch.tensor([bits([square]) for square in played], dtype=torch.int64)
    turned = [bits(slow.flipped(boards[r], square, "black", size)) for r, square in zip(rows, played, strict=True)]
    assert flips(move, black[rows], white[rows], board).tolist() == turned
    own, opponent = apply_move(move, black[rows], white[rows], board)
    after = [slow.play(boards[r], square, "black", size) for r, square in zip(rows, played, strict=True)]
    assert own.tolist() == [position_bits(d, "black") for d in after]
    assert opponent.tolist() == [position_bits(d, "white") for d in after]


@pytest.mark.parametrize("size", SIZES)
def test_perft(size: int) -> None:
    board = Board.of(size)
    assert leaf_counts(start_position(board, 1), board, len(PERFT[size])) == PERFT[size]


def test_perft_of_another_start_position_differs() -> None:
    board = Board.of(8)
    own, opponent = torch.tensor([bits([(3, 3), (3, 4)])]), torch.tensor([bits([(4, 3), (4, 4)])])
    parallel = Position(own, opponent, torch.tensor([True]), legal_moves(own, opponent, board))
    assert leaf_counts(parallel, board, 4) != PERFT[8][:4]


def test_agreement_fails_without_the_edge_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    everything = (1 << 63) - 1
    unmasked = tuple((step, everything) for step, _ in Board.of(8).directions)
    monkeypatch.setitem(Board.of(8).__dict__, "directions", unmasked)
    with pytest.raises(AssertionError):
        assert_agrees(seeded_discs(8, 50), 8)


def test_4x4_has_60060_games_with_their_lengths() -> None:
    board = Board.of(4)
    position, lengths = start_position(board, 1), {}
    for ply in range(board.n_moves + 1):
        ended = int((position.legal == 0).sum())
        if ended:
            lengths[ply] = ended
        position = children(position, board)
    assert len(position.own) == 0
    assert lengths == {6: 4, 7: 8, 8: 20, 9: 308, 10: 808, 11: 5332, 12: 53580}
    assert sum(lengths.values()) == 60060
    assert lengths == slow.game_lengths(4)


@pytest.mark.parametrize("size", SIZES)
def test_start_position_agrees_with_the_reference(size: int) -> None:
    black, white = Board.of(size).start
    assert (signed(black), signed(white)) == tuple(position_bits(slow.start(size), c) for c in slow.OTHER)


@pytest.mark.parametrize("size", SIZES)
@given(data=st.data())
def test_arbitrary_positions_agree_with_the_reference(size: int, data: st.DataObject) -> None:
    assert_agrees([data.draw(arbitrary_discs(size))], size)


@pytest.mark.parametrize("size", SIZES)
def test_many_seeded_positions_agree_with_the_reference(size: int) -> None:
    assert_agrees(seeded_discs(size, 400), size)


@pytest.mark.parametrize("size", SIZES)
@given(data=st.data())
def test_reachable_positions_agree_with_the_reference(size: int, data: st.DataObject) -> None:
    plies = data.draw(st.integers(0, size**2 - 4))
    discs, mover, seen = slow.start(size), "black", [slow.start(size)]
    for _ in range(plies):
        moves = slow.legal(discs, mover, size)
        if not moves:
            break
        discs = slow.play(discs, data.draw(st.sampled_from(moves)), mover, size)
        mover = slow.next_mover(discs, mover, size)
        seen.append(discs)
    assert_agrees(seen[-1:], size)


@pytest.mark.parametrize("size", SIZES)
def test_a_position_does_not_depend_on_its_batch(size: int) -> None:
    black, white = as_tensors(seeded_discs(size, 50))
    require_single_process = torch.stack([legal_moves(b, w, Board.of(size)) for b, w in zip(black, white, strict=True)])
    assert torch.equal(legal_moves(black, white, Board.of(size)), require_single_process)
    square = legal_moves(black.view(5, 10), white.view(5, 10), Board.of(size))
    assert torch.equal(square, require_single_process.view(5, 10))


@pytest.mark.parametrize("size", SIZES)
def test_no_move_turns_nothing_and_changes_nothing(size: int) -> None:
    black, white = as_tensors(seeded_discs(size, 50))
    nothing = torch.zeros_like(black)
    assert not flips(nothing, black, white, Board.of(size)).any()
    own, opponent = apply_move(nothing, black, white, Board.of(size))
    assert torch.equal(own, black)
    assert torch.equal(opponent, white)


def test_inputs_are_left_alone() -> None:
    black, white = as_tensors(seeded_discs(8, 20))
    before = black.clone(), white.clone()
    move = legal_moves(black, white, Board.of(8))
    apply_move(move & -move, black, white, Board.of(8))
    select(black, popcount(black).clamp(min=1) - 1)
    assert torch.equal(black, before[0])
    assert torch.equal(white, before[1])


@given(words=st.lists(WORDS, min_size=1, max_size=20))
@example(words=list(EDGE_WORDS))
def test_popcount_counts_bits(words: list[int]) -> None:
    expected = [(word & (1 << 64) - 1).bit_count() for word in words]
    assert popcount(torch.tensor(words)).tolist() == expected


def bit_positions(word: int) -> list[int]:
    return [square for square in range(64) if word >> square & 1]


@given(word=WORDS)
@example(word=-1)
@example(word=-(1 << 63))
@example(word=1)
@example(word=(1 << 32) | (1 << 31))
def test_select_finds_the_bit_of_every_rank(word: int) -> None:
    squares = bit_positions(word)
    found = select(torch.full((len(squares),), word), torch.arange(len(squares)))
    assert found.tolist() == squares


@pytest.mark.parametrize("word", EDGE_WORDS[1:])
def test_select_is_batched_over_ranks_and_words(word: int) -> None:
    words = torch.tensor([word, -1])
    find = partial(select, words)
    assert find(torch.tensor([0, 63])).tolist() == [bit_positions(word)[0], 63]


@pytest.mark.parametrize("size", [0, 2, 3, 5, 7, 10])
def test_other_sizes_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match=r"board\.size"):
        Board.of(size)


@pytest.mark.parametrize("size", SIZES)
def test_squares_moves_and_cells_are_consistent(size: int) -> None:
    board = Board.of(size)
    assert board.n_cells == len(board.squares) == size**2
    assert board.n_moves == len(board.moves) == size**2 - 4
    assert list(board.moves) == sorted(set(board.squares) - set(bit_positions(board.start[0] | board.start[1])))
    assert [board.move_of_square[square] for square in board.moves] == list(range(board.n_moves))
    assert sum(move >= 0 for move in board.move_of_square) == board.n_moves
    assert bit_positions(board.full) == list(board.squares)
