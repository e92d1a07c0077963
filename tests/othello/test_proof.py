"""Proves on a large scale what the other files prove on a small one: a million 6x6 games agree with an engine without
bitboards and a million 8x8 games with OpenSpiel, at every state; perft counts as deep as published; the same games in
every batch, order, engine and device; random play uniform to the last per mille, its neighbours independent. Negative
controls: one wrong bit is found in every comparison, and slightly broken rules, games and generators are rejected.

MOTHELLO_PROOF_GAMES is how many games are compared with the other engines, a million unless it is set. ``-s`` shows
what was compared.
"""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, lru_cache
from time import perf_counter
from typing import NamedTuple

import numpy as np
import pytest
import torch
from games import random_games
from numpy.typing import NDArray
from reference import mailbox
from scipy.stats import chi2_contingency, chisquare
from torch import Tensor

from benchmarks.reference import othello as slow
from mothello.data.enumerated import all_games
from mothello.othello import counter, policy, random_play
from mothello.othello.bits import popcount
from mothello.othello.board import SIZES, Board
from mothello.othello.lazy_compile import Engine, LazyCompiled, using
from mothello.othello.policy import PolicyConfig
from mothello.othello.random_play import RandomGames
from mothello.othello.replay import Replay, replay, squares_to_moves
from mothello.othello.rules import Position, advance, apply_move, legal_moves, start_position

GAMES = int(os.environ.get("MOTHELLO_PROOF_GAMES", "1_000_000"))
ALPHA = 1e-4
INITIAL_DIRECTIONS = {size: Board.of(size).directions for size in SIZES}


# Every state of a game, as another engine has it.


class StepStats(NamedTuple):
    """All states of a batch of games up to their ends, one game after another, and what the games come to."""

    black: NDArray[np.uint64]
    """Bitboards; so are white and legal."""
    white: NDArray[np.uint64]
    black_to_move: NDArray[np.bool_]
    legal: NDArray[np.uint64]
    over: NDArray[np.bool_]
    """Whether the game has ended in that state."""
    states: NDArray[np.int64]
    """How many there are of each game."""
    black_discs: NDArray[np.int64]
    white_discs: NDArray[np.int64]
    winner: NDArray[np.int64]
    """+1 black, -1 white, 0 nobody."""


def mismatches(found: StepStats, expected: StepStats) -> dict[str, int]:
    """How many states (or games) differ, by field."""
    assert [len(field) for field in found] == [len(field) for field in expected], "games of another length"
    return {name: int((getattr(found, name) != getattr(expected, name)).sum()) for name in StepStats._fields}


def packed(squares: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """[state, row, column] -> bitboards."""
    states, rows, columns = squares.shape
    wide = np.zeros((states, 8, 8), bool)
    wide[:, :rows, :columns] = squares
    return np.packbits(wide.reshape(states, 64), axis=1, bitorder="little").view("<u8")[:, 0]


def count(bitboards: NDArray[np.uint64]) -> NDArray[np.int64]:
    return np.unpackbits(np.ascontiguousarray(bitboards).view(np.uint8).reshape(-1, 8), axis=1).sum(1, dtype=np.int64)


def seen_by_replay(played: Replay) -> StepStats:
    """What mothello says of complete games; it takes a game to be over where no legal square is left."""
    state = torch.arange(played.legal.shape[1])
    told = state <= played.lengths[:, None]
    black, white, legal = (field[told].numpy().view(np.uint64) for field in (played.black, played.white, played.legal))
    last = played.lengths.cumsum(0) + torch.arange(len(played.lengths))
    discs = count(black[last]), count(white[last])
    mover, states = played.black_to_move[told].numpy(), played.lengths.numpy() + 1
    return StepStats(black, white, mover, legal, legal == 0, states, *discs, np.sign(discs[0] - discs[1]))


def seen_by_mailbox(moves: NDArray[np.int8], size: int) -> StepStats:
    """Up to the first state where neither side can move, or to the last state if there is none."""
    played = mailbox.replay(moves, size)
    told = ~np.concatenate([np.zeros((len(moves), 1), bool), played.over[:, :-1]], 1)
    black, white = played.discs.T
    return StepStats(
        packed(played.board[told] == mailbox.BLACK),
        packed(played.board[told] == mailbox.WHITE),
        played.mover[told] == mailbox.BLACK,
        packed(played.legal[told]),
        played.over[told],
        told.sum(1),
        black,
        white,
        np.sign(black - white),
    )


PASS = 64
LINE = 20
"""Characters per row of OpenSpiel's picture of a board: the number, eight squares, the number, a line break."""
PICTURE = 8 * LINE + 19
"""Its eight rows and the line of letters below, which are the last characters of the text."""


def seen_by_open_spiel(moves: NDArray[np.int8], board: Board) -> StepStats:
    """OpenSpiel plays the games. Its passes are actions of their own, applied where it allows nothing else.

    A finished game has no player to move there: the mover is the opponent of the last one, the convention here.
    """
    import pyspiel

    game = pyspiel.load_game("othello")
    pictures, movers, actions, counts, over, states, returns = [], [], [], [], [], [], []
    for row in moves.tolist():
        state, mover = game.new_initial_state(), 1
        played = [board.moves[move] for move in row if move >= 0]
        for action in [*played, None]:
            legal = state.legal_actions()
            if legal == [PASS]:
                state.apply_action(PASS)
                legal = state.legal_actions()
            ended = state.is_terminal()
            mover = 1 - mover if ended else state.current_player()
            pictures.append(str(state)[-PICTURE:])
            movers.append(mover)
            actions += legal
            counts.append(len(legal))
            over.append(ended)
            if action is not None:
                state.apply_action(action)
        states.append(len(played) + 1)
        returns.append(state.returns()[0])
    text = np.frombuffer("".join(pictures).encode("ascii"), np.uint8).reshape(-1, PICTURE)
    rows = text[:, : 8 * LINE].reshape(-1, 8, LINE)
    assert (rows[:, :, 0] == np.arange(ord("1"), ord("9"))).all()  # the numbers of the rows, downwards
    discs = rows[:, :, 2:18:2]
    black, white = (packed(discs == ord(disc)) for disc in "xo")
    assert (packed(discs == ord("-")) == ~(black | white)).all()
    legal_squares = np.zeros((len(counts), 64), bool)
    legal_squares[np.repeat(np.arange(len(counts)), counts), actions] = True
    last = np.cumsum(states) - 1
    return StepStats(
        black,
        white,
        np.array(movers) == 0,
        packed(legal_squares.reshape(-1, 8, 8)),
        np.array(over),
        np.array(states),
        count(black[last]),
        count(white[last]),
        np.array(returns).astype(np.int64),
    )


def total(parts: Sequence[dict[str, int]]) -> dict[str, int]:
    return {name: sum(part[name] for part in parts) for name in StepStats._fields}


def chunks(games: int, size: int) -> Iterator[tuple[int, int]]:
    return ((first, min(first + size, games)) for first in range(0, games, size))


def compare_with_mailbox(moves: Tensor, board: Board) -> tuple[dict[str, int], int]:
    """(mismatches, states) of a batch of games."""
    played = replay(moves, board)
    assert (played.illegal_at == -1).all()
    expected = seen_by_mailbox(moves.numpy(), board.size)
    return mismatches(seen_by_replay(played), expected), len(expected.black)


def compare_with_open_spiel(bounds: tuple[int, int]) -> tuple[dict[str, int], int]:
    """(mismatches, states) of the games of seed 0 with those indices; also what a worker process does."""
    board = Board.of(8)
    moves = random_games(0, torch.arange(*bounds), board, engine=Engine.eager)
    expected = seen_by_open_spiel(moves.numpy(), board)
    return mismatches(seen_by_replay(replay(moves, board)), expected), len(expected.black)


# The mailbox engine, against the other reference.


@pytest.mark.parametrize(("size", "games"), [(4, 400), (6, 200), (8, 100)])
def test_the_mailbox_engine_is_the_slow_engine(size: int, games: int) -> None:
    board = Board.of(size)
    moves = random_games(11, torch.arange(games), board)
    found = mailbox.replay(moves.numpy(), size)
    code = {"black": mailbox.BLACK, "white": mailbox.WHITE}
    for row, game in enumerate(moves.tolist()):
        path = slow.replay([divmod(board.moves[move], 8) for move in game if move >= 0], size)
        end = len(path) - 1
        path += path[-1:] * (board.n_moves - end)  # a finished game stands still
        discs, legal = np.zeros((len(path), size, size), np.int8), np.zeros((len(path), size, size), bool)
        for ply, state in enumerate(path):
            for square, color in state.discs.items():
                discs[(ply, *square)] = code[color]
            for square in state.legal:
                legal[(ply, *square)] = True
        assert (found.board[row] == discs).all()
        assert (found.legal[row] == legal).all()
        assert found.mover[row].tolist() == [code[state.mover] for state in path]
        assert found.over[row].tolist() == [ply >= end for ply in range(len(path))]
        assert tuple(found.discs[row]) == slow.score(path[-1].discs)


def test_the_mailbox_engine_refuses_illegal_games() -> None:
    moves = random_games(0, torch.arange(20), Board.of(6)).numpy()
    for ply, move in ((3, moves[7, 2]), (0, 0), (5, moves[7, 6])):  # played before; turns nothing; the next move
        broken = moves.copy()
        broken[7, ply] = move
        with pytest.raises(ValueError, match=rf"\(7, {ply}\)"):
            mailbox.replay(broken, 6)
    broken = moves.copy()
    broken[7, 4] = -1
    with pytest.raises(ValueError, match=r"\(7, 5\)"):
        mailbox.replay(broken, 6)


# A million games.


@pytest.fixture(scope="module")
def agreeing() -> StepStats:
    moves = random_games(0, torch.arange(30), Board.of(6))
    assert not any(compare_with_mailbox(moves, Board.of(6))[0].values())
    return seen_by_mailbox(moves.numpy(), 6)


@pytest.mark.parametrize("name", StepStats._fields)
def test_one_wrong_value_in_any_field_is_one_mismatch(agreeing: StepStats, name: str) -> None:
    field = getattr(agreeing, name).copy()
    field[17] = ~field[17] if field.dtype == bool else field[17] ^ 1
    found = mismatches(agreeing._replace(**{name: field}), agreeing)
    assert found == {other: int(other == name) for other in StepStats._fields}


def test_a_game_without_its_last_move_is_found() -> None:
    """Its moves are legal, but in its last state a side can still move."""
    moves = random_games(0, torch.arange(30), Board.of(6))
    moves[3, int((moves[3] >= 0).sum()) - 1] = -1
    with pytest.raises(AssertionError, match="length"):
        compare_with_mailbox(moves, Board.of(6))
    played = seen_by_replay(replay(moves, Board.of(6)))
    assert np.flatnonzero(~played.over[np.cumsum(played.states) - 1]).tolist() == [3]


@pytest.mark.parametrize("missing", range(8))
def test_rules_without_one_direction_are_found(missing: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In games by those rules: the mailbox engine refuses a move of them, or other discs are turned."""
    board = Board.of(6)
    rest = INITIAL_DIRECTIONS[6][:missing] + INITIAL_DIRECTIONS[6][missing + 1 :]
    monkeypatch.setitem(board.__dict__, "directions", rest)
    moves = random_games(0, torch.arange(20), board)
    with pytest.raises((ValueError, AssertionError)):
        assert not any(compare_with_mailbox(moves, board)[0].values())


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_million_6x6_games_agree_with_the_mailbox_engine() -> None:
    board, start, parts, states = Board.of(6), perf_counter(), [], 0
    for first, last in chunks(GAMES, 16_384):  # 0.3 GB of states at a time
        moves = random_games(0, torch.arange(first, last), board, engine=Engine.compiled)
        part, compared = compare_with_mailbox(moves, board)
        parts.append(part)
        states += compared
    print(f"\n6x6, mailbox engine: {GAMES:,} games, {states:,} states, {perf_counter() - start:.0f} s")
    assert not any(total(parts).values()), total(parts)


NO_OPEN_SPIEL = "OpenSpiel is not installed: pip install -e .[oracle]"


@pytest.mark.slow
def test_open_spiel_starts_as_black_on_the_same_board() -> None:
    pyspiel = pytest.importorskip("pyspiel", reason=NO_OPEN_SPIEL)
    state = pyspiel.load_game("othello").new_initial_state()
    assert state.current_player() == 0
    assert state.action_to_string(0, 19) == "d3"
    assert state.legal_actions() == [
        board for board in range(64) if start_position(Board.of(8), 1).legal.item() >> board & 1
    ]
    found, states = compare_with_open_spiel((0, 50))
    assert states > 2900
    assert not any(found.values())


@pytest.mark.slow
def test_other_games_than_those_that_open_spiel_plays_are_found() -> None:
    """And the same games with rows and columns exchanged, legal as well, differ in their boards."""
    pytest.importorskip("pyspiel", reason=NO_OPEN_SPIEL)
    board, moves = Board.of(8), random_games(0, torch.arange(40), Board.of(8))
    expected = seen_by_open_spiel(moves.numpy(), board)
    whole = moves[(moves >= 0).all(1)]  # of one length, so that the states can be laid side by side
    one, other = (seen_by_open_spiel(part.numpy(), board) for part in (whole[0::2][:10], whole[1::2][:10]))
    differing = mismatches(one, other)
    assert all(differing[name] for name in StepStats._fields if name not in ("over", "states"))
    mirrored = torch.tensor([board.move_of_square[8 * (s % 8) + s // 8] for s in board.moves] + [-1])[moves.long()]
    found = mismatches(seen_by_replay(replay(mirrored, board)), expected)
    assert found["black"] > 0.9 * len(expected.black)
    assert found["black_to_move"] == found["winner"] == found["over"] == 0


@pytest.mark.slow
@pytest.mark.timeout(4 * 3600)
def test_a_million_8x8_games_agree_with_open_spiel() -> None:
    pytest.importorskip("pyspiel", reason=NO_OPEN_SPIEL)
    start = perf_counter()
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, spawn, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        results = list(pool.map(compare_with_open_spiel, chunks(GAMES, 4096)))
    states = sum(compared for _, compared in results)
    print(f"\n8x8, OpenSpiel: {GAMES:,} games, {states:,} states, {perf_counter() - start:.0f} s")
    differing = total([part for part, _ in results])
    assert not any(differing.values()), differing


# Perft, as deep as it is published.

SKIPPING = {
    4: [4, 12, 44, 128, 436, 1296, 3784, 9756, 22152, 41296, 58912, 53580],
    6: [4, 12, 56, 244, 1364, 7604, 47740, 308716, 2115128],
    8: [4, 12, 56, 244, 1396, 8200, 55092, 390216, 3005320],
}
"""Move sequences by length: a pass is not written."""

PAYING = [*SKIPPING[8][:8], 3005288, 24571284, 212258800]
"""8x8 as perft is usually counted: a pass costs a ply, also after the end, so that a finished game stays one leaf."""


def children(position: Position, board: Board) -> Position:
    """Every position one move later."""
    parent, move = squares_to_moves(position.legal, board).nonzero(as_tuple=True)
    square = torch.tensor(board.moves)[move]
    return advance(Position(*(field[parent] for field in position)), torch.ones_like(square) << square, board)


def plain_children(position: Position, board: Board) -> Position:
    """Every position one ply later, where the one ply of a side without a move is to pass, even after the end."""
    parent, move = squares_to_moves(position.legal, board).nonzero(as_tuple=True)
    square = torch.tensor(board.moves)[move]
    own, opponent = apply_move(
        torch.ones_like(square) << square, position.own[parent], position.opponent[parent], board
    )
    stuck = position.legal == 0
    own, opponent = torch.cat([own, position.own[stuck]]), torch.cat([opponent, position.opponent[stuck]])
    black = torch.cat([position.black[parent], position.black[stuck]])
    return Position(opponent, own, ~black, legal_moves(opponent, own, board))


def perft(board: Board, depth: int, paying: bool = False) -> list[int]:
    """Sequences of 1 .. depth plies. Depth first in batches, and the last ply is counted, not played."""
    counts = [0] * depth

    def walk(position: Position, ply: int) -> None:
        counts[ply] += int(popcount(position.legal).sum())
        if paying:
            counts[ply] += int((position.legal == 0).sum())
        if ply + 1 < depth:
            below = (plain_children if paying else children)(position, board)
            for first, last in chunks(len(below.own), 16_384):
                walk(Position(*(field[first:last] for field in below)), ply + 1)

    walk(start_position(board, 1), 0)
    return counts


@pytest.mark.parametrize("size", SIZES)
def test_perft_of_move_sequences(size: int) -> None:
    start = perf_counter()
    assert perft(Board.of(size), len(SKIPPING[size])) == SKIPPING[size]
    print(f"\n{size}x{size}, perft {len(SKIPPING[size])}: {SKIPPING[size][-1]:,}, {perf_counter() - start:.1f} s")


@pytest.mark.slow
def test_perft_where_a_pass_costs_a_ply() -> None:
    start = perf_counter()
    assert perft(Board.of(8), len(PAYING), paying=True) == PAYING
    print(f"\n8x8, perft {len(PAYING)} with passes: {PAYING[-1]:,}, {perf_counter() - start:.1f} s")


@pytest.mark.parametrize("missing", range(8))
def test_perft_sees_every_direction(missing: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Already where perft is shallow. How deep counts see a pass, the two lists show: they part at nine plies."""
    board = Board.of(8)
    rest = INITIAL_DIRECTIONS[8][:missing] + INITIAL_DIRECTIONS[8][missing + 1 :]
    monkeypatch.setitem(board.__dict__, "directions", rest)
    assert perft(board, 4) != SKIPPING[8][:4]
    assert perft(board, 4, paying=True) != PAYING[:4]


# The same games however they are computed.

Games = Callable[[Tensor], Tensor]

PREFERENCE = PolicyConfig(flips=0.3, mobility=-0.2, corners=2.0, temperature=0.7)
KINDS: dict[str, tuple[int, PolicyConfig]] = {
    "uniform": (0, PolicyConfig()),
    "prefix": (5, PolicyConfig()),
    "policy": (0, PREFERENCE),
    "prefix and policy": (5, PREFERENCE),
}
"""Moves of the prefix, and the policy."""


def kind_of_play(size: int, kind: str, seed: int = 3) -> RandomGames:
    length, preference = KINDS[kind]
    board = Board.of(size)
    prefix = random_games(1, torch.tensor([0]), board)[0, :length].tolist()
    return RandomGames(board, seed, tuple(prefix), preference)


def assert_pure(games: Games, indices: Tensor, expected: Tensor, batches: Sequence[int]) -> None:
    """The games of those indices, whatever else is asked for with them, and in whatever order."""
    shuffled = torch.randperm(len(indices), generator=torch.Generator().manual_seed(0))
    assert torch.equal(games(indices), expected)
    assert torch.equal(games(indices.flip(0)), expected.flip(0))
    assert torch.equal(games(indices[shuffled]), expected[shuffled])
    assert torch.equal(games(indices[::3]), expected[::3])
    assert torch.equal(games(indices[shuffled[:5]].repeat(3)), expected[shuffled[:5]].repeat(3, 1))
    for batch in batches:
        few = slice(0, min(len(indices), 8 * batch))  # batches of one are slow
        assert torch.equal(torch.cat([games(part) for part in indices[few].split(batch)]), expected[few])


def compiled_or_skip(*plies: LazyCompiled) -> None:
    if any(ply.broken for ply in plies):
        pytest.skip("no working compiler here: there is one engine alone, and nothing to compare it with")
    assert all(ply.compiled is not None for ply in plies), "the compiled engine was not used"


def plies_of(board: RandomGames, device: str) -> list[LazyCompiled]:
    step = random_play.fused(board.board, device, board.policy)
    return [step] if board.policy.uniform else [step, policy._fused(board.board, board.policy.units, device)]


INDICES = torch.cat([torch.arange(1201), 10**12 + torch.arange(102), torch.tensor([(1 << 63) - 1, 1 << 40])])
"""1305 = 9 * 145 games: no multiple of a vector's width."""


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES)
def test_games_do_not_depend_on_batch_order_and_chunk(size: int, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    board = kind_of_play(size, kind)
    expected = board.games(INDICES, Engine.eager)
    assert len(expected.unique(dim=0)) > 30
    assert (replay(expected, board.board).illegal_at == -1).all()
    for chunk in (4096, 100):
        monkeypatch.setitem(random_play.CHUNK, "cpu", (chunk, chunk))
        assert_pure(lambda indices: board.games(indices, Engine.eager), INDICES, expected, (1, 37, 256))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES)
def test_compiled_games_are_the_eager_games(size: int, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    board, start = kind_of_play(size, kind), perf_counter()
    expected = board.games(INDICES, Engine.eager)
    for chunk in (131_072, 1000, 37):
        monkeypatch.setitem(random_play.CHUNK, "cpu", (chunk, chunk))
        assert_pure(lambda indices: board.games(indices, Engine.compiled), INDICES, expected, (1, 2, 3, 37, 256))
    compiled_or_skip(*plies_of(board, "cpu"))
    print(f"\n{size}x{size}, {kind}: eager is compiled, {perf_counter() - start:.0f} s")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", ["uniform", "policy"])
def test_games_are_the_same_where_the_compiler_takes_over(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of a job: the first chunk is played eagerly, and all that it spent is enough to compile."""
    board = kind_of_play(6, kind)
    expected = board.games(INDICES, Engine.eager)
    monkeypatch.setattr(random_play, "fused", cache(random_play.fused.__wrapped__))
    monkeypatch.setattr("mothello.othello.lazy_compile.COMPILE_SECONDS", 1e-9)
    monkeypatch.setitem(random_play.CHUNK, "cpu", (101, 333))
    with using(Engine.auto):
        found = board.games(INDICES)
    step = random_play.fused(board.board, "cpu", board.policy)
    assert step._games == 101
    assert torch.equal(found, expected)
    compiled_or_skip(step)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("engine", [Engine.eager, Engine.compiled])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES)
def test_games_on_a_gpu_are_those_on_a_cpu(size: int, kind: str, engine: Engine) -> None:
    board = kind_of_play(size, kind)
    expected = board.games(INDICES, Engine.eager)
    assert_pure(lambda indices: board.games(indices.cuda(), engine).cpu(), INDICES, expected, (1, 37, 256))
    if engine is Engine.compiled:
        compiled_or_skip(*plies_of(board, "cuda"))


def other_games(board: RandomGames) -> dict[str, Games]:
    """What is not the game of a seed and an index, each in its own way."""

    def by_place(indices: Tensor) -> Tensor:
        return board.games(torch.arange(len(indices)))

    def by_batch(indices: Tensor) -> Tensor:
        return board.games(indices + (len(indices) == 37))

    def last_of_batch(indices: Tensor) -> Tensor:
        found = board.games(indices)
        found[len(indices) // 8 * 8 :] = -1
        return found

    return {"by place": by_place, "by batch": by_batch, "last of batch": last_of_batch}


@pytest.mark.parametrize("how", ["by place", "by batch", "last of batch"])
def test_games_that_depend_on_their_batch_are_found(how: str) -> None:
    board, indices = kind_of_play(4, "uniform"), torch.arange(301)
    expected = board.games(indices)
    assert_pure(board.games, indices, expected, (37,))
    with pytest.raises(AssertionError):
        assert_pure(other_games(board)[how], indices, expected, (37,))


@pytest.mark.parametrize("kind", list(KINDS)[1:])
def test_seed_prefix_and_policy_make_other_games(kind: str) -> None:
    indices = torch.arange(100)
    uniform, other = (kind_of_play(6, name).games(indices) for name in ("uniform", kind))
    assert (uniform != other).any(1).float().mean() > 0.9
    assert (other != kind_of_play(6, kind, seed=4).games(indices)).any(1).float().mean() > 0.9


# Uniform play.


def fit(sample: Tensor, openings: Tensor, share: Tensor, depth: int) -> float:
    """p-value of the first moves of a sample against exact probabilities; the rare ones are pooled.

    openings: [opening, ply], every one that exists, as deep as asked for or deeper.
    """
    place = (int(openings.max()) + 2) ** torch.arange(depth)

    def codes(moves: Tensor) -> Tensor:
        return ((moves[:, :depth].long() + 1) * place).sum(1)

    known, opening = codes(openings).unique(return_inverse=True)
    seen = codes(sample)
    row = torch.searchsorted(known, seen).clamp(max=len(known) - 1)
    assert torch.equal(known[row], seen), "an opening that does not exist"
    observed = torch.bincount(row, minlength=len(known)).double()
    expected = torch.zeros_like(observed).index_add_(0, opening, share) * len(sample)
    order = expected.argsort()
    observed, expected = observed[order], expected[order]
    pooled = int((expected < 10).sum())
    while pooled and expected[:pooled].sum() < 10:
        pooled += 1
    if pooled > 1:
        observed = torch.cat([observed[:pooled].sum()[None], observed[pooled:]])
        expected = torch.cat([expected[:pooled].sum()[None], expected[pooled:]])
    assert expected.min() >= 10
    return float(chisquare(observed.numpy(), expected.numpy()).pvalue)


@lru_cache
def openings(size: int, depth: int) -> tuple[Tensor, Tensor]:
    """All openings of that depth by the slow engine, and their probabilities. Too early for a game to end."""
    board = Board.of(size)
    found: list[tuple[list[int], slow.Discs, str, float]] = [([], slow.start(size), "black", 1.0)]
    for _ in range(depth):
        deeper = []
        for path, discs, mover, share in found:
            squares = slow.legal(discs, mover, size)
            for row, column in squares:
                after = slow.play(discs, (row, column), mover, size)
                move = board.move_of_square[8 * row + column]
                deeper.append(([*path, move], after, slow.next_mover(after, mover, size), share / len(squares)))
        found = deeper
    return torch.tensor([path for path, *_ in found]), torch.tensor([share for *_, share in found], dtype=torch.float64)


N_4X4, N_OPENINGS = 2_000_000, 1_000_000
DEPTH = {4: 12, 6: 6, 8: 5}


def exact(size: int) -> tuple[Tensor, Tensor]:
    return all_games(Board.of(4)) if size == 4 else openings(size, DEPTH[size])


def fits(sample: Tensor, size: int) -> float:
    """The smallest p-value of all depths, times their number."""
    known, share = exact(size)
    assert float(share.sum()) == pytest.approx(1.0, abs=1e-9)
    p_values = [fit(sample, known, share, depth) for depth in range(1, DEPTH[size] + 1)]
    return min(1.0, len(p_values) * min(p_values))


@lru_cache(maxsize=1)
def large_sample(size: int) -> Tensor:
    return random_games(12, torch.arange(N_4X4 if size == 4 else N_OPENINGS), Board.of(size), engine=Engine.compiled)


def test_there_are_as_many_openings_as_perft_says() -> None:
    assert len(openings(6, 5)[0]) == SKIPPING[6][4]
    assert len(openings(8, 4)[0]) == SKIPPING[8][3]
    assert len(exact(4)[0]) == 60060


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("size", SIZES)
def test_play_has_its_exact_probabilities(size: int) -> None:
    """Every complete 4x4 game, the first six moves of 6x6 and the first five of 8x8, and every shorter opening."""
    start = perf_counter()
    p_value = fits(large_sample(size), size)
    print(f"\n{size}x{size}, {len(large_sample(size)):,} games: p = {p_value:.3f}, {perf_counter() - start:.0f} s")
    assert p_value > ALPHA


def squeezed(of: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A generator whose numbers never reach the last 128th, so that the last legal move is a little too rare."""

    def bits(key: Tensor, offset: Tensor | int) -> Tensor:
        drawn = of(key, offset)
        return drawn - (drawn >> 7)

    return bits


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("size", SIZES)
def test_play_by_a_squeezed_generator_is_rejected(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counter, "bits", squeezed(counter.bits))
    sample = random_games(12, torch.arange(N_4X4 if size == 4 else N_OPENINGS), Board.of(size), engine=Engine.eager)
    known, share = exact(size)
    for depth in range(1, DEPTH[size] + 1):  # all of them see it
        assert fit(sample, known, share, depth) < ALPHA, depth


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("size", SIZES)
def test_play_where_one_game_in_a_hundred_takes_the_first_move_is_rejected(size: int) -> None:
    sample = large_sample(size).clone()
    first = int(exact(size)[0][:, 0].min())
    some = torch.arange(0, len(sample), 100)
    sample[some] = random_games(13, some, Board.of(size), (first,))
    assert fits(sample, size) < ALPHA


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_4x4_sample_that_repeats_a_tenth_of_its_games_is_rejected() -> None:
    """Its frequencies are right, only their spread is not."""
    sample = large_sample(4).clone()
    sample[: N_4X4 // 10] = sample[N_4X4 // 10 : N_4X4 // 5]
    assert fits(sample, 4) < ALPHA


# Independence of neighbours.

PLIES = 16


class Draws(NamedTuple):
    """For the first plies of many games [game, ply]: which of how many legal moves was played (0 of 0: none)."""

    rank: NDArray[np.int16]
    among: NDArray[np.int16]


def draws(moves: Tensor, board: Board) -> Draws:
    ranks, amongs = [], []
    for part in moves[:, :PLIES].split(65_536):
        legal = replay(part, board).legal[:, :-1]
        square = torch.tensor(board.moves)[part.clamp(min=0).long()]
        amongs.append(torch.where(part >= 0, popcount(legal), 0))
        ranks.append(popcount(legal & ((torch.ones_like(square) << square) - 1)))
    return Draws(*(torch.cat(parts).numpy().astype(np.int16) for parts in (ranks, amongs)))


def dependence(first: Draws, second: Draws) -> float:
    """p-value of the contingency tables of two draws, ply by ply: the smallest, times their number.

    Of each ply only the most common number of legal moves is taken, so that ranks mean the same in every game.
    """
    p_values = []
    for one, n, other, m in zip(first.rank.T, first.among.T, second.rank.T, second.among.T, strict=True):
        widths = [int(np.bincount(count[count > 1]).argmax()) for count in (n, m)]
        both = (n == widths[0]) & (m == widths[1])
        cells = np.bincount(one[both] * widths[1] + other[both], minlength=widths[0] * widths[1]).reshape(widths)
        cells = cells[cells.any(1)]  # in the opening, some moves never leave the usual number of replies
        assert cells.min() > 5
        p_values.append(float(chi2_contingency(cells, correction=False).pvalue))
    return min(1.0, len(p_values) * min(p_values))


def games_of(found: Draws, which: slice) -> Draws:
    return Draws(found.rank[which], found.among[which])


def plies_of_draws(found: Draws, which: slice) -> Draws:
    return Draws(found.rank[:, which], found.among[:, which])


def index_dependence(found: Draws) -> float:
    """Of games 0 and 1, 2 and 3 and so on, and of games 1 and 2, 3 and 4: in each case, no game is in two pairs."""
    even, odd = games_of(found, slice(0, None, 2)), games_of(found, slice(1, None, 2))
    across = dependence(games_of(odd, slice(0, -1)), games_of(even, slice(1, None)))
    return min(1.0, 2 * min(dependence(even, odd), across))


def ply_dependence(found: Draws) -> float:
    return dependence(plies_of_draws(found, slice(0, -1)), plies_of_draws(found, slice(1, None)))


N_PAIRS = 1_000_000


@lru_cache(maxsize=2)
def neighbours(size: int, seed: int) -> Tensor:
    return random_games(seed, torch.arange(N_PAIRS), Board.of(size), engine=Engine.compiled)[:, :PLIES].contiguous()


@lru_cache(maxsize=2)
def neighbours_draws(size: int, seed: int) -> Draws:
    return draws(neighbours(size, seed), Board.of(size))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("size", [6, 8])
def test_neighbouring_games_seeds_and_plies_are_independent(size: int) -> None:
    start = perf_counter()
    one, other = neighbours_draws(size, 20), neighbours_draws(size, 21)
    found = {"index": index_dependence(one), "seed": dependence(one, other), "ply": ply_dependence(one)}
    told = ", ".join(f"{name} p = {p_value:.3f}" for name, p_value in found.items())
    print(f"\n{size}x{size}, neighbours of {N_PAIRS:,} games: {told}, {perf_counter() - start:.0f} s")
    assert min(found.values()) > ALPHA, found


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("size", [6, 8])
def test_one_neighbour_in_a_hundred_copied_is_rejected(size: int) -> None:
    """One pair in a hundred: copies at odd indices of the game before, then copies at even ones."""
    for first in (0, 1):
        copied = neighbours(size, 20).clone()
        copied[first + 1 :: 200] = copied[first:-1:200]
        assert index_dependence(draws(copied, Board.of(size))) < ALPHA


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("size", [6, 8])
def test_one_game_in_a_hundred_shared_by_two_seeds_is_rejected(size: int) -> None:
    shared = neighbours(size, 21).clone()
    shared[::100] = neighbours(size, 20)[::100]
    assert dependence(neighbours_draws(size, 20), draws(shared, Board.of(size))) < ALPHA


def stuck(of: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A generator that gives one game in 128 the same number at every ply."""

    def bits(key: Tensor, offset: Tensor | int) -> Tensor:
        return torch.where(key & 127 == 0, of(key, counter.offset(0)), of(key, offset))

    return bits


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("size", [6, 8])
def test_play_by_a_generator_that_is_sometimes_stuck_is_rejected(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counter, "bits", stuck(counter.bits))
    sample = random_games(20, torch.arange(N_PAIRS), Board.of(size), engine=Engine.eager)
    assert ply_dependence(draws(sample, Board.of(size))) < ALPHA
