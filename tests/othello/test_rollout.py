"""Proves that a game is a pure function of seed and index, drawn from exactly the distribution of random play
(against a generator in Python integers, exact 4x4 probabilities and published means), and that replay is strict:
it gives the positions of the reference engine and reports the first broken rule at its ply. Negative controls:
biased samples fail the chi-square, and each kind of broken game is found.
"""

from collections import Counter
from functools import lru_cache

import numpy as np
import pytest
import torch
from games import random_games
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from torch import Tensor

from benchmarks.reference import othello as slow
from mothello.othello.bits import popcount
from mothello.othello.board import SIZES, Board, signed
from mothello.othello.counter import random_bits
from mothello.othello.notation import game_text, parse_game, parse_move
from mothello.othello.random_play import GENERATOR_VERSION
from mothello.othello.replay import replay, squares_to_cells, squares_to_moves
from mothello.othello.rules import Position, advance, start_position

ALPHA = 1e-4
WORD = (1 << 64) - 1
PERFECT_6X6 = "d3 c5 d6 e3 f5 f4 e2 d2 c2 e6 e7 g5 c4 c3 g4 g3 f3 c7 b5 d7 b7 b3 c6 b6 f7 f6 b4 b2 g6 g7 f2 g2"  # b2-g7
WIPE_OUT = "e6 f4 e3 f6 g5 d6 e7 f5 c5"
OPENING = {6: "c2 b2 a2", 8: "d3 c3 b3"}


def games(size: int, n: int, seed: int = 0, prefix: str = "") -> Tensor:
    board = Board.of(size)
    return random_games(seed, torch.arange(n), board, parse_game(prefix, board))


def bits(squares: list[slow.Square]) -> int:
    return signed(sum(1 << (8 * row + column) for row, column in squares))


def discs_bits(discs: slow.Discs, color: str) -> int:
    return bits([square for square, disc in discs.items() if disc == color])


def reference_squares(moves: list[int], board: Board) -> list[slow.Square]:
    return [divmod(board.moves[move], 8) for move in moves if move >= 0]


# The generator.


def reference_bits(seed: int, index: int, counter: int) -> int:
    """The formula of ``random_bits`` in unsigned Python integers."""

    def mix(x: int) -> int:
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & WORD
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB & WORD
        return x ^ (x >> 31)

    gamma = 0x9E3779B97F4A7C15
    key = seed * 0xD1342543DE82EF95 + 0x2545F4914F6CDD1D
    return mix((mix((index * gamma + key) & WORD) + (counter + 1) * gamma) & WORD) >> 32


def reference_game(seed: int, index: int, size: int) -> list[slow.Square]:
    """The random game, by the slow engine and Python integers alone."""
    discs, mover, played = slow.start(size), "black", []
    while moves := slow.legal(discs, mover, size):
        played.append(moves[reference_bits(seed, index, len(played)) * len(moves) >> 32])
        discs = slow.play(discs, played[-1], mover, size)
        mover = slow.next_mover(discs, mover, size)
    return played


@given(
    seed=st.integers(0, 1 << 70),
    indices=st.lists(st.integers(0, (1 << 63) - 1), min_size=1, max_size=10),
    counter=st.integers(0, 1000),
)
def test_random_bits_equal_the_python_integers(seed: int, indices: list[int], counter: int) -> None:
    expected = [reference_bits(seed, index, counter) for index in indices]
    assert random_bits(seed, torch.tensor(indices), counter).tolist() == expected


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("seed", [0, 12345678901234567890])
def test_games_equal_the_slow_generator(size: int, seed: int) -> None:
    board, indices = Board.of(size), [0, 1, 7, 10**12]
    found = random_games(seed, torch.tensor(indices), board)
    for row, index in zip(found.tolist(), indices, strict=True):
        assert reference_squares(row, board) == reference_game(seed, index, size)


PINNED_BITS = [2067513393, 3553046262, 2916248150]
PINNED_4X4 = "d3 b4 a3 d4 c1 a1 a2 b1 c4 a4 d2 d1"


def test_generator_version_1_is_pinned() -> None:
    """If this fails, corpora of old runs are no longer the same games: raise GENERATOR_VERSION."""
    assert GENERATOR_VERSION == 1
    assert random_bits(1, torch.arange(3), 2).tolist() == PINNED_BITS
    assert game_text(games(4, 1)[0].tolist(), Board.of(4)) == PINNED_4X4


@pytest.mark.parametrize(
    ("seeds", "shift", "counters"),
    [((0, 0), 0, (0, 1)), ((0, 0), 1, (0, 0)), ((0, 1), 0, (0, 0)), ((3, 4), 1, (5, 4))],
)
def test_neighbouring_counters_indices_and_seeds_are_independent(
    seeds: tuple[int, int], shift: int, counters: tuple[int, int]
) -> None:
    index = torch.arange(100_000)
    first = random_bits(seeds[0], index, counters[0]) >> 28
    second = random_bits(seeds[1], index + shift, counters[1]) >> 28
    assert chisquare(torch.bincount(first * 16 + second, minlength=256).numpy()).pvalue > ALPHA
    assert chisquare(torch.bincount(first * 16 + first, minlength=256).numpy()).pvalue < ALPHA


# A pure function.


@lru_cache
def first_games(size: int) -> Tensor:
    return games(size, 200, seed=5)


@pytest.mark.parametrize("size", SIZES)
@settings(max_examples=12)
@given(indices=st.lists(st.integers(0, 199), min_size=1, max_size=12), chunk=st.integers(1, 12))
def test_a_game_depends_on_seed_and_index_alone(size: int, indices: list[int], chunk: int) -> None:
    board, asked = Board.of(size), torch.tensor(indices)
    expected = first_games(size)[asked]
    assert torch.equal(random_games(5, asked, board), expected)
    assert torch.equal(torch.cat([random_games(5, part, board) for part in asked.split(chunk)]), expected)


@pytest.mark.parametrize("size", SIZES)
def test_no_indices_give_no_games(size: int) -> None:
    assert games(size, 0).shape == (0, Board.of(size).n_moves)


def test_seed_and_index_matter_and_the_global_generator_is_untouched() -> None:
    state = torch.get_rng_state()
    first, second = games(8, 500), games(8, 500, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert len(torch.cat([first, second]).unique(dim=0)) == 1000


@pytest.mark.parametrize("size", SIZES)
def test_the_layout_of_a_game(size: int) -> None:
    moves, board = games(size, 500), Board.of(size)
    assert moves.dtype == torch.int8
    assert moves.shape == (500, board.n_moves)
    assert moves.min() >= -1
    assert moves.max() == board.n_moves - 1
    ended = moves < 0
    assert (ended[:, 1:] >= ended[:, :-1]).all()
    assert all(len(set(row)) == len(row) for row in ([m for m in r if m >= 0] for r in moves.tolist()))


# The distribution.


def every_4x4_game() -> tuple[Tensor, Tensor]:
    """All complete 4x4 games [game, ply] and their probabilities under uniform play."""
    board = Board.of(4)
    position, share = start_position(board, 1), torch.ones(1, dtype=torch.float64)
    history = torch.full((1, board.n_moves), -1)
    complete, shares = [], []
    for ply in range(board.n_moves + 1):
        ended = position.legal == 0
        complete.append(history[ended])
        shares.append(share[ended])
        parent, move = squares_to_moves(position.legal, board).nonzero(as_tuple=True)
        square = torch.tensor(board.moves)[move]
        share = share[parent] / popcount(position.legal)[parent]
        history = history[parent].clone()
        if ply < board.n_moves:
            history[:, ply] = move
        position = advance(Position(*(f[parent] for f in position)), torch.ones_like(square) << square, board)
    return torch.cat(complete), torch.cat(shares)


@pytest.fixture(scope="module")
def exact() -> tuple[Tensor, Tensor]:
    return every_4x4_game()


def fit(sample: Tensor, complete: Tensor, shares: Tensor, depth: int = 12) -> float:
    """p-value of the first ``depth`` moves of a sample of 4x4 games, against the exact probabilities.

    Openings expected under ten times are pooled. A shallow depth has the power to see a small bias, the whole
    game sees every kind of it.
    """
    place = 13 ** torch.arange(depth)
    codes, opening = ((complete[:, :depth] + 1) * place).sum(1).unique(return_inverse=True)
    seen = ((sample[:, :depth].long() + 1) * place).sum(1)
    row = torch.searchsorted(codes, seen).clamp(max=len(codes) - 1)
    assert torch.equal(codes[row], seen), "a game that does not exist"
    observed = torch.bincount(row, minlength=len(codes)).double()
    expected = torch.zeros_like(observed).index_add_(0, opening, shares) * len(sample)
    rare = expected < 10
    pooled = [torch.cat([counts[~rare], counts[rare].sum()[None]]) for counts in (observed, expected)]
    keep = pooled[1] > 0
    return float(chisquare(pooled[0][keep].numpy(), pooled[1][keep].numpy()).pvalue)


DEPTHS = (1, 2, 4, 6, 8, 12)


def test_exact_4x4_probabilities(exact: tuple[Tensor, Tensor]) -> None:
    complete, shares = exact
    assert len(complete) == len(complete.unique(dim=0)) == 60060
    assert float(shares.sum()) == pytest.approx(1.0, abs=1e-12)
    for row in range(0, 60060, 6001):
        path = slow.replay(reference_squares(complete[row].tolist(), Board.of(4)), 4)
        assert not path[-1].legal
        assert float(shares[row]) == pytest.approx(1 / np.prod([len(state.legal) for state in path[:-1]]))


@pytest.fixture(scope="module")
def sample_4x4() -> Tensor:
    return games(4, 300_000, seed=2)


@pytest.mark.parametrize("depth", DEPTHS)
def test_4x4_play_is_uniform_over_legal_moves(exact: tuple[Tensor, Tensor], sample_4x4: Tensor, depth: int) -> None:
    assert fit(sample_4x4, *exact, depth) > ALPHA


def test_a_sample_uniform_over_games_fails(exact: tuple[Tensor, Tensor]) -> None:
    complete, shares = exact
    drawn = torch.from_numpy(np.random.default_rng(0).integers(0, len(complete), 300_000))
    assert fit(complete[drawn], complete, shares) < ALPHA


def test_a_slightly_biased_sample_fails(exact: tuple[Tensor, Tensor], sample_4x4: Tensor) -> None:
    """Every fiftieth game is made to open with b1."""
    biased = sample_4x4.clone()
    biased[::50] = games(4, 6_000, seed=3, prefix="b1")
    assert fit(biased, *exact, depth=1) < ALPHA
    assert fit(biased, *exact, depth=2) < ALPHA


def test_a_sample_with_repeated_games_fails(exact: tuple[Tensor, Tensor], sample_4x4: Tensor) -> None:
    """Twice the same 150,000 games: every frequency is right, the spread is not."""
    assert fit(sample_4x4[:150_000].repeat(2, 1), *exact) < ALPHA


@pytest.mark.parametrize("prefix", ["b1", "b1 a1", "b1 c1 d1"])
def test_a_prefix_gives_the_distribution_of_filtered_games(exact: tuple[Tensor, Tensor], prefix: str) -> None:
    complete, shares = exact
    moves = torch.tensor(parse_game(prefix, Board.of(4)))
    kept = torch.where((complete[:, : len(moves)] == moves).all(1), shares, 0.0)
    sample = games(4, 50_000, seed=2, prefix=prefix)
    assert (sample[:, : len(moves)] == moves).all()
    for depth in range(len(moves) + 1, 13):
        assert fit(sample, complete, kept / kept.sum(), depth) > ALPHA, depth


@pytest.mark.parametrize("size", [6, 8])
def test_every_rank_among_the_legal_moves_is_equally_likely(size: int) -> None:
    board, moves = Board.of(size), games(size, 4000, seed=1)
    legal = replay(moves, board).legal[:, :-1]
    played = torch.tensor(board.moves)[moves.clamp(min=0).long()]
    rank = popcount(legal & ((torch.ones_like(played) << played) - 1))
    count = popcount(legal)
    assert not rank[count == 1].any()
    for n in range(2, 13):
        assert chisquare(torch.bincount(rank[(count == n) & (moves >= 0)], minlength=n).numpy()).pvalue > ALPHA, n


@pytest.mark.parametrize(
    ("size", "length", "passes", "branching"),
    [(6, 31.95, (0.37, 0.41), 5.28), (8, 59.97, (0.34, 0.37), 8.56)],
)
def test_means_of_random_play(size: int, length: float, passes: tuple[float, float], branching: float) -> None:
    """The 8x8 mean is that of a million games: one in 2,000 ends in a wipe-out, which small samples miss."""
    played = replay(games(size, 6000, seed=3), Board.of(size))
    scored = torch.arange(played.legal.shape[1]) < played.lengths[:, None]
    same = played.black_to_move[:, 1:] == played.black_to_move[:, :-1]
    a_pass = (same & scored[:, 1:]).any(1).double().mean()
    assert float(played.lengths.double().mean()) == pytest.approx(length, abs=0.02)
    assert passes[0] - 0.01 < float(a_pass) < passes[1] + 0.01
    assert float(popcount(played.legal)[scored].double().mean()) == pytest.approx(branching, abs=0.05)


@pytest.mark.parametrize("size", [6, 8])
def test_one_random_game_in_48_opens_with_the_published_prefix(size: int) -> None:
    prefix, n = torch.tensor(parse_game(OPENING[size], Board.of(size))), 20_000
    hits = int((games(size, n, seed=4)[:, :3] == prefix).all(1).sum())
    assert abs(hits - n / 48) < 4 * (n / 48) ** 0.5


# Prefixes.


@pytest.mark.parametrize("size", [6, 8])
def test_prefixed_games_start_with_the_prefix_and_are_legal(size: int) -> None:
    moves, board = games(size, 200, prefix=OPENING[size]), Board.of(size)
    assert game_text(moves[7, :3].tolist(), board) == OPENING[size]
    assert (moves[:, :3] == moves[0, :3]).all()
    assert (replay(moves, board).illegal_at == -1).all()
    assert len(moves.unique(dim=0)) == 200


def test_the_own_opening_of_a_game_as_prefix_changes_nothing() -> None:
    game = games(8, 3)[2]
    for length in (0, 5, 60):
        again = random_games(0, torch.tensor([2]), Board.of(8), game[:length].tolist())
        assert torch.equal(again[0], game)


@pytest.mark.parametrize(
    ("size", "prefix", "ply"),
    [(8, "e3", 1), (8, "d3 d3", 2), (8, "d3 a1", 2), (8, "d3 c3 b3 h8", 4), (6, "d3 c3", 0)],
)
def test_an_illegal_prefix_is_refused(size: int, prefix: str, ply: int) -> None:
    with pytest.raises(ValueError, match=f"move {ply} is not legal" if ply else "start square"):
        games(size, 4, prefix=prefix)


def test_a_prefix_may_not_go_on_after_the_end() -> None:
    board = Board.of(8)
    with pytest.raises(ValueError, match="move 10 is not legal"):
        games(8, 2, prefix=WIPE_OUT + " a1")
    assert random_games(0, torch.arange(2), board, parse_game(WIPE_OUT, board))[:, 9:].eq(-1).all()


# Replay.


def shift_to_a1(text: str) -> str:
    """b2-g7 coordinates -> a1-f6."""
    return " ".join(chr(ord(name[0]) - 1) + str(int(name[1]) - 1) for name in text.split())


def test_the_perfect_6x6_game() -> None:
    board = Board.of(6)
    moves = parse_game(shift_to_a1(PERFECT_6X6), board)
    played = replay(torch.tensor([moves]), board)
    assert played.illegal_at.item() == -1
    assert played.lengths.item() == 32
    assert popcount(played.black[0, -1]).item() == 16
    assert popcount(played.white[0, -1]).item() == 20
    movers = played.black_to_move[0, :32].tolist()
    passes = [(ply, movers[ply]) for ply in range(1, 32) if movers[ply] == movers[ply - 1]]
    assert len(passes) == 1
    ply, black = passes[0]
    assert not black  # white moves twice, so black passed, before the 31st move
    assert ply == 30
    assert slow.score(slow.replay(reference_squares(moves, board), 6)[-1].discs) == (16, 20)


def test_the_perfect_6x6_game_is_broken_without_its_fifth_move() -> None:
    board = Board.of(6)
    moves = parse_game(shift_to_a1(PERFECT_6X6), board)
    assert replay(torch.tensor([moves[:4] + moves[5:]]), board).illegal_at.item() >= 4


def test_the_shortest_8x8_wipe_out() -> None:
    board = Board.of(8)
    played = replay(torch.tensor([parse_game(WIPE_OUT, board)]), board)
    assert played.illegal_at.item() == -1
    assert played.lengths.item() == 9
    assert popcount(played.black[0, -1]).item() == 13
    assert played.white[0, -1].item() == 0
    assert played.legal[0, -1].item() == 0
    assert not played.black_to_move[0, -1]  # the opponent of the last mover


@pytest.mark.parametrize(("size", "n"), [(4, 60), (6, 25), (8, 15)])
def test_replay_agrees_with_the_reference_at_every_ply(size: int, n: int) -> None:
    board, moves = Board.of(size), games(size, n, seed=9)
    played = replay(moves, board)
    assert played.black.shape == (n, board.n_moves + 1)
    for row in range(n):
        path = slow.replay(reference_squares(moves[row].tolist(), board), size)
        end = len(path) - 1
        assert not path[-1].legal
        assert played.lengths[row] == end
        assert played.illegal_at[row] == -1
        path += path[-1:] * (board.n_moves - end)  # a finished game stands still
        assert played.black[row].tolist() == [discs_bits(s.discs, "black") for s in path]
        assert played.white[row].tolist() == [discs_bits(s.discs, "white") for s in path]
        assert played.legal[row].tolist() == [bits(s.legal) for s in path]
        assert played.black_to_move[row].tolist() == [s.mover == "black" for s in path]


@pytest.mark.parametrize("dtype", [torch.int8, torch.int16, torch.int64])
def test_replay_takes_any_integers_and_leaves_them_alone(dtype: torch.dtype) -> None:
    moves = games(6, 20).to(dtype)
    before = moves.clone()
    assert (replay(moves, Board.of(6)).illegal_at == -1).all()
    assert torch.equal(moves, before)


def test_no_plies_leave_the_start_position() -> None:
    played = replay(torch.empty((3, 0), dtype=torch.int64), Board.of(8))
    assert played.black.tolist() == [[Board.of(8).start[0]]] * 3
    assert played.illegal_at.tolist() == [-1] * 3


def test_unfinished_games_are_legal() -> None:
    moves = games(8, 50)
    part = replay(moves[:, :20], Board.of(8))
    assert (part.illegal_at == -1).all()
    assert (part.lengths == 20).all()
    full = replay(moves, Board.of(8))
    assert all(torch.equal(p, f[:, :21]) for p, f in zip(part[:4], full[:4], strict=True))


# Strictness: the first broken rule, at its ply; nothing moves from there on.


def assert_broken(broken: Tensor, board: Board, ply: int) -> None:
    """Every game [game, ply] is legal before that ply, is reported there, and stands still from there on."""
    start_of_game = broken.clone()
    start_of_game[:, ply:] = -1
    clean, found = replay(start_of_game, board), replay(broken, board)
    assert (clean.illegal_at == -1).all()
    assert (found.illegal_at == ply).all()
    assert (found.lengths == ply).all()
    assert all(torch.equal(f, c) for f, c in zip(found[:4], clean[:4], strict=True))
    assert all((states[:, ply:] == states[:, ply : ply + 1]).all() for states in found[:4])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("ply", [0, 1, 3, 5])
def test_a_move_of_the_wrong_color_is_reported(size: int, ply: int) -> None:
    """A move that only the side not on turn could play: the published code accepts it."""
    board, broken = Board.of(size), []
    for game in games(size, 20, seed=6):
        state = slow.replay(reference_squares(game[:ply].tolist(), board), size)[-1]
        only_theirs = set(slow.legal(state.discs, slow.OTHER[state.mover], size)) - set(state.legal)
        for row, column in sorted(only_theirs):
            broken.append(game.clone())
            broken[-1][ply] = board.move_of_square[8 * row + column]
    assert len(broken) >= 10
    assert_broken(torch.stack(broken), board, ply)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("ply", "earlier"), [(1, 0), (2, 0), (2, 1), (4, 1), (4, 3)])
def test_an_occupied_square_is_reported(size: int, ply: int, earlier: int) -> None:
    broken = games(size, 20, seed=7)
    broken[:, ply] = broken[:, earlier]
    assert_broken(broken, Board.of(size), ply)


@pytest.mark.parametrize("move", ["e3", "a1"])
def test_an_illegal_first_move_is_reported(move: str) -> None:
    broken = games(8, 5)
    broken[:, 0] = parse_move(move, Board.of(8))
    assert_broken(broken, Board.of(8), 0)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("beyond", [0, 3, 1000])
def test_an_index_that_is_no_move_is_reported(size: int, beyond: int) -> None:
    broken = games(size, 5).long()
    broken[:, 2] = Board.of(size).n_moves + beyond
    assert_broken(broken, Board.of(size), 2)


@pytest.mark.parametrize("extra", ["a1", "e6"])
def test_a_move_after_the_end_is_reported(extra: str) -> None:
    broken = torch.full((1, 60), -1)
    broken[0, :10] = torch.tensor(parse_game(f"{WIPE_OUT} {extra}", Board.of(8)))
    assert_broken(broken, Board.of(8), 9)


@pytest.mark.parametrize("gap", [0, 1, 4])
@pytest.mark.parametrize("back", [1, 3])
def test_a_move_after_a_gap_is_reported(gap: int, back: int) -> None:
    """A negative entry ends the game: the ply of the first move behind it breaks the rule."""
    board, game = Board.of(8), games(8, 1)[0]
    broken = torch.full_like(game, -1)
    broken[:gap] = game[:gap]
    broken[gap + back] = game[gap]  # legal where the game stopped, but too late
    broken[gap + back + 2] = game[gap + 1]
    played = replay(broken.view(1, -1), board)
    assert played.illegal_at.item() == gap + back
    assert played.lengths.item() == gap
    assert (played.black[0, gap:] == played.black[0, gap]).all()


def test_the_first_of_two_broken_rules_is_reported() -> None:
    broken = games(8, 5)
    broken[:, 3] = broken[:, 0]
    broken[:, 6] = -1
    assert_broken(broken, Board.of(8), 3)


def test_one_broken_game_leaves_the_others_alone() -> None:
    board, moves = Board.of(6), games(6, 30)
    broken = moves.clone()
    broken[11, 5] = broken[11, 2]
    clean, dirty = replay(moves, board), replay(broken, board)
    others = torch.arange(30) != 11
    assert all(torch.equal(a[others], b[others]) for a, b in zip(clean, dirty, strict=True))
    assert dirty.illegal_at[11] == 5


# Masks.


@pytest.mark.parametrize("size", SIZES)
def test_masks_over_moves_and_cells_list_the_squares(size: int) -> None:
    board = Board.of(size)
    played = replay(games(size, 5), board)
    for bitboard in (played.black[0], played.legal[0]):
        cells, moves = squares_to_cells(bitboard, board), squares_to_moves(bitboard, board)
        for state, word in enumerate(bitboard.tolist()):
            assert cells[state].tolist() == [bool(word >> square & 1) for square in board.squares]
            assert moves[state].tolist() == [bool(word >> square & 1) for square in board.moves]


@pytest.mark.parametrize("size", SIZES)
def test_first_moves_share_the_start(size: int) -> None:
    first = Counter(games(size, 4000)[:, 0].tolist())
    squares = slow.legal(slow.start(size), "black", size)
    assert sorted(first) == sorted(Board.of(size).move_of_square[8 * r + c] for r, c in squares)
    assert chisquare(list(first.values())).pvalue > ALPHA
