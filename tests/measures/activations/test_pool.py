"""Proves: a pool holds different openings only, as many as there are; mirrored games are the games of mirrored boards."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from mothello.data.orbit import prefix_codes
from mothello.data.split import Split, corpus
from mothello.languages.language_set import LanguagesConfig, build_languages
from mothello.measures.positions import draw_positions, mirrored, same_ply, same_square
from mothello.othello.board import Board
from mothello.othello.replay import replay
from mothello.othello.symmetry import OPENING_MAPS

FAMILY = build_languages(LanguagesConfig(kinds=["atomic", "split"]), Board.of(4))


def games(n: int, first: int = 0) -> torch.Tensor:
    return corpus(FAMILY.board, 0, Split.probe, 10_000).moves(torch.arange(first, first + n))


@given(st.integers(1, 60), st.integers(1, 300), st.integers(0, 1000))
def test_a_pool_holds_every_opening_at_most_once(n: int, size: int, first: int) -> None:
    moves = games(n, first)
    pool = draw_positions(moves, size, torch.Generator().manual_seed(0))
    rows = moves.tolist()
    found = [tuple(rows[g][: p + 1]) for g, p in zip(pool.game.tolist(), pool.ply.tolist(), strict=True)]
    every = {tuple(row[: p + 1]) for row in rows for p in range(len(row)) if row[p] >= 0}
    assert len(set(found)) == len(found) == min(size, len(every))
    assert set(found) <= every
    assert all(min(opening) >= 0 for opening in found)


def test_the_same_pool_again_and_another_with_another_seed() -> None:
    one, two, three = (draw_positions(games(50), 30, torch.Generator().manual_seed(s)) for s in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert not torch.equal(one.game * 100 + one.ply, three.game * 100 + three.ply)


def test_hashes_are_of_the_moves_so_far() -> None:
    moves = torch.tensor([[1, 2, 3], [1, 2, 0], [2, 1, 3]], dtype=torch.int8)
    hashes = prefix_codes(moves)
    assert hashes[0, 1] == hashes[1, 1] != hashes[2, 1]
    assert len(set(hashes[:, 2].tolist())) == 3


def test_restrictions() -> None:
    moves = games(40)
    pool = draw_positions(moves, 50, torch.Generator().manual_seed(0))
    ply, square = same_ply(pool), same_square(pool, moves)
    assert ply.diagonal().all()
    assert square.diagonal().all()
    for i, j in ((0, 1), (3, 40), (7, 8)):
        assert bool(ply[i, j]) == (pool.ply[i] == pool.ply[j])
        assert bool(square[i, j]) == (moves[pool.game[i], pool.ply[i]] == moves[pool.game[j], pool.ply[j]])


def test_mirrored_games_are_legal_and_come_back() -> None:
    moves = games(30)
    for name in OPENING_MAPS:
        image = mirrored(moves, FAMILY.board, name)
        assert (replay(image, FAMILY.board).illegal_at < 0).all()
        assert torch.equal(mirrored(image, FAMILY.board, name), moves)
        assert torch.equal(image, moves) == (name == "identity")
