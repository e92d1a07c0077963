"""Proves that policies draw moves from the softmax they promise: the probabilities are those of a slow engine and
``math.exp`` at every kind of reachable position, the draw takes exactly the integer thresholds of the weights, whole
games are those of a generator in Python integers, legal, and pure functions of seed and index; and that play moves the
way its coefficients say. Negative controls: uniform play and the exchanged coefficients fail the same checks, and
coefficients of the other sign move every statistic the other way.

Tolerance of a probability p. Coefficients are rounded to 1/1024 nat, so a score is off by at most (flips + replies +
1) / 2048 and a log probability by twice the largest of a position; exponentials are rounded to 2^-24 of the best move's,
so p is off by 2^-24 per legal move on top. Coefficients that are multiples of 1/1024 leave the second part alone.
"""

from collections.abc import Callable
from functools import cache
from itertools import accumulate
from math import exp, inf, nan
from typing import NamedTuple

import pytest
import torch
from games import random_games
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from torch import Tensor

from benchmarks.reference import othello as slow
from mothello.errors import UserError
from mothello.othello import random_play
from mothello.othello.bits import choose, popcount, select
from mothello.othello.board import SIZES, Board, signed
from mothello.othello.counter import random_bits
from mothello.othello.notation import parse_game
from mothello.othello.policy import Options, PolicyConfig, options, pick, probabilities
from mothello.othello.random_play import RandomGames
from mothello.othello.replay import Replay, replay
from mothello.othello.rules import flips

ALPHA = 1e-4
OPENING = {4: "b1 a1", 6: "c2 b2 a2", 8: "d3 c3 b3"}
GAMES = {4: 8, 6: 4, 8: 2}
TASTES = {
    "flips": PolicyConfig(flips=0.7),
    "mobility": PolicyConfig(mobility=-0.6),
    "corners": PolicyConfig(corners=2.5),
    "all": PolicyConfig(flips=-0.3, mobility=-0.45, corners=1.7, temperature=0.8),
}


class Feature(NamedTuple):
    """What a policy looks at in a legal move."""

    square: slow.Square
    turned: int
    replies: int
    corner: bool


class Seen(NamedTuple):
    """A reachable position, as bitboards and as the slow engine sees it."""

    own: int
    opponent: int
    features: list[Feature]


def bits(squares: list[slow.Square]) -> int:
    return signed(sum(1 << (8 * row + column) for row, column in squares))


def corners(size: int) -> set[slow.Square]:
    return {(row, column) for row in (0, size - 1) for column in (0, size - 1)}


def features(discs: slow.Discs, mover: str, size: int) -> list[Feature]:
    found = []
    for square in slow.legal(discs, mover, size):
        after = slow.play(discs, square, mover, size)
        replies = len(slow.legal(after, slow.OTHER[mover], size))
        found.append(Feature(square, len(slow.flipped(discs, square, mover, size)), replies, square in corners(size)))
    return found


@cache
def positions(size: int) -> list[Seen]:
    """Every position of some random games, the last of each with nothing legal."""
    board, found = Board.of(size), []
    for game in random_games(11, torch.arange(GAMES[size]), board).tolist():
        for state in slow.replay([divmod(board.moves[move], 8) for move in game if move >= 0], size):
            by = {c: bits([s for s, disc in state.discs.items() if disc == c]) for c in slow.OTHER}
            found.append(Seen(by[state.mover], by[slow.OTHER[state.mover]], features(state.discs, state.mover, size)))
    return found


def tensors(seen: list[Seen]) -> tuple[Tensor, Tensor, Tensor]:
    legal = [bits([f.square for f in s.features]) for s in seen]
    return torch.tensor([s.own for s in seen]), torch.tensor([s.opponent for s in seen]), torch.tensor(legal)


def softmax(found: list[Feature], policy: PolicyConfig) -> dict[slow.Square, float]:
    score = [
        (policy.flips * f.turned + policy.mobility * f.replies + policy.corners * f.corner) / policy.temperature
        for f in found
    ]
    weight = [exp(s - max(score)) for s in score]
    return {f.square: w / sum(weight) for f, w in zip(found, weight, strict=True)}


def worst(size: int, policy: PolicyConfig, wanted: PolicyConfig, exact: bool = False) -> float:
    """Largest error of a probability, in units of the tolerance: at most 1 for the policy itself."""
    board, seen = Board.of(size), positions(size)
    got = probabilities(*tensors(seen), board, policy)
    assert got.shape == (len(seen), board.n_moves)
    assert got.dtype == torch.float64
    largest = 0.0
    for row, position in zip(got.tolist(), seen, strict=True):
        assert sum(row) == pytest.approx(1.0 if position.features else 0.0, abs=1e-12)
        expected = softmax(position.features, wanted)
        off = 0.0 if exact else max((f.turned + f.replies + 1 for f in position.features), default=0) / 1024
        for move, found in enumerate(row):
            p = expected.get(divmod(board.moves[move], 8), 0.0)
            largest = max(largest, abs(found - p) / (p * (exp(off) - 1) + (len(expected) + 1) * 2.0**-24))
    return largest


# Settings.


@pytest.mark.parametrize("key", ["flips", "mobility", "corners"])
@pytest.mark.parametrize("value", [1000.001, -1000.001, inf, -inf, nan])
def test_a_coefficient_out_of_range_names_its_key(key: str, value: float) -> None:
    with pytest.raises(UserError, match=rf"^policy\.{key}: \S+ is (outside -1000\.\.1000|not a finite number)$"):
        PolicyConfig(**{key: value})


@pytest.mark.parametrize("value", [0.0, -1.0, 0.0009, 1_000_001.0, inf, nan])
def test_a_temperature_out_of_range_names_its_key(value: float) -> None:
    with pytest.raises(
        UserError, match=r"^policy\.temperature: \S+ is (outside 0\.001\.\.1000000\.0|not a finite number)$"
    ):
        PolicyConfig(temperature=value)


@pytest.mark.parametrize("value", [-1000.0, 0.0, 1000.0])
@pytest.mark.parametrize("temperature", [0.001, 1.0, 1e6])
def test_the_ends_of_the_ranges_are_allowed_and_finite(value: float, temperature: float) -> None:
    policy = PolicyConfig(flips=value, mobility=value, corners=value, temperature=temperature)
    got = probabilities(*tensors(positions(8)), Board.of(8), policy)
    assert bool(torch.isfinite(got).all())
    assert bool((got >= 0).all())
    assert policy.uniform == (abs(value) / temperature < 0.5 / 1024)


def test_units_are_rounded_to_1024ths_of_a_nat() -> None:
    assert PolicyConfig(flips=0.5, mobility=-0.25, corners=3, temperature=2).units == (256, -128, 1536)
    assert PolicyConfig(flips=0.0004).units == (0, 0, 0)
    assert PolicyConfig(flips=0.0006).units == (1, 0, 0)
    assert PolicyConfig(flips=0.0004).uniform
    assert not PolicyConfig(flips=0.0006).uniform


# Probabilities.


@pytest.mark.parametrize("size", SIZES)
@settings(max_examples=12)
@given(flips=st.floats(-3, 3), mobility=st.floats(-3, 3), corners=st.floats(-5, 5), temperature=st.floats(0.2, 20))
def test_probabilities_are_the_softmax(
    size: int, flips: float, mobility: float, corners: float, temperature: float
) -> None:
    policy = PolicyConfig(flips=flips, mobility=mobility, corners=corners, temperature=temperature)
    assert worst(size, policy, policy) <= 1


@pytest.mark.parametrize("size", SIZES)
@settings(max_examples=10)
@given(flips=st.integers(-2048, 2048), mobility=st.integers(-2048, 2048), corners=st.integers(-4096, 4096))
def test_coefficients_in_1024ths_leave_the_rounding_of_the_table_alone(
    size: int, flips: int, mobility: int, corners: int
) -> None:
    policy = PolicyConfig(flips=flips / 256, mobility=mobility / 256, corners=corners / 256, temperature=4.0)
    assert worst(size, policy, policy, exact=True) <= 1


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("policy", "wanted"),
    [
        (PolicyConfig(flips=0.7), PolicyConfig(flips=0.71)),
        (PolicyConfig(flips=0.7), PolicyConfig(mobility=0.7)),
        (PolicyConfig(mobility=0.7), PolicyConfig(mobility=0.7, corners=0.05)),
        (PolicyConfig(flips=0.5, corners=1), PolicyConfig(flips=0.5, corners=1, temperature=1.05)),
        (PolicyConfig(), PolicyConfig(mobility=0.05)),
    ],
)
def test_other_coefficients_are_seen(size: int, policy: PolicyConfig, wanted: PolicyConfig) -> None:
    """Negative control: slightly other settings are far outside the tolerance."""
    assert worst(size, policy, policy) <= 1
    assert worst(size, policy, wanted) > 1.5


@pytest.mark.parametrize("size", SIZES)
def test_options_list_the_legal_moves_game_by_game_and_square_by_square(size: int) -> None:
    found = options(*tensors(positions(size)), Board.of(size), TASTES["all"])
    listed = [(g, divmod(s, 8)) for g, s in zip(found.game.tolist(), found.square.tolist(), strict=True)]
    assert listed == [(g, f.square) for g, seen in enumerate(positions(size)) for f in seen.features]
    best = torch.zeros(len(positions(size)), dtype=torch.int64).scatter_reduce(0, found.game, found.weight, "amax")
    assert set(best.tolist()) == {0, 1 << 24}  # 0: the ends of games


# The draw.


def drawn(weights: list[int], uniform: int) -> int:
    """Which option 32 random bits draw, in Python integers."""
    threshold = sum(weights) * uniform >> 32
    return next(k for k, end in enumerate(accumulate(weights)) if threshold < end)


WEIGHTS = st.lists(st.integers(0, 1 << 24), max_size=12).map(lambda w: [*w, 1 << 24])


@given(st.lists(st.one_of(st.just([]), WEIGHTS), min_size=1, max_size=6), st.data())
def test_pick_takes_exactly_the_integer_thresholds(games: list[list[int]], data: st.DataObject) -> None:
    """At both sides of every threshold, and for any bits; games without options in between draw nothing."""
    uniform = []
    for weights in games:
        ends = [-(-end << 32) // sum(weights) for end in accumulate(weights)]
        edges = [0, (1 << 32) - 1, *(e + d for e in ends for d in (-1, 0) if 0 <= e + d < 1 << 32)]
        uniform.append(data.draw(st.one_of(st.sampled_from(edges), st.integers(0, (1 << 32) - 1))))
    squares = [sorted(data.draw(st.permutations(range(64)))[: len(weights)]) for weights in games]
    flat = [(g, s, w) for g, (where, weights) in enumerate(zip(squares, games, strict=True))
            for s, w in zip(where, weights, strict=True)]  # fmt: skip
    columns = [torch.tensor([row[k] for row in flat], dtype=torch.int64) for k in range(3)]
    expected = [
        signed(1 << where[drawn(weights, u)]) if weights else 0
        for where, weights, u in zip(squares, games, uniform, strict=True)
    ]
    assert pick(Options(*columns), torch.tensor(uniform)).tolist() == expected


def test_the_thresholds_of_a_weight_are_where_the_choice_changes() -> None:
    """Weights 1 : 2 : 1 in quarters of 2^32, square by square."""
    weights = torch.tensor([1 << 23, 1 << 24, 1 << 23])
    uniform = torch.tensor([0, 2**30 - 1, 2**30, 3 * 2**30 - 1, 3 * 2**30, 2**32 - 1])
    found = Options(torch.arange(6).repeat_interleave(3), torch.tensor([3, 5, 63]).repeat(6), weights.repeat(6))
    assert pick(found, uniform).tolist() == [signed(1 << s) for s in (3, 3, 5, 5, 63, 63)]


def tallied(position: Seen, size: int, draw: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> list[int]:
    """How often each legal move is drawn in 40,000 games at one position."""
    n = 40_000
    many = [x.expand(n).contiguous() for x in tensors([position])]
    move = draw(*many, random_bits(1, torch.arange(n), 0))
    counts = [int((move == bits([f.square])).sum()) for f in position.features]
    assert sum(counts) == n
    return counts


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("taste", sorted(TASTES))
def test_moves_are_drawn_in_proportion_to_the_weights(size: int, taste: str) -> None:
    policy = TASTES[taste]

    def spread(seen: Seen) -> float:
        p = softmax(seen.features, policy).values()
        return max(p, default=0) - min(p, default=0) if len(p) > 2 and min(p) > 1e-3 else 0

    position = max(positions(size), key=spread)
    board = Board.of(size)
    expected = [40_000 * p for p in softmax(position.features, policy).values()]

    def by_policy(own: Tensor, opponent: Tensor, legal: Tensor, uniform: Tensor) -> Tensor:
        return pick(options(own, opponent, legal, board, policy), uniform)

    def by_chance(own: Tensor, opponent: Tensor, legal: Tensor, uniform: Tensor) -> Tensor:
        return torch.ones_like(legal) << choose(legal, uniform)

    assert chisquare(tallied(position, size, by_policy), expected).pvalue > ALPHA
    assert chisquare(tallied(position, size, by_chance), expected).pvalue < ALPHA  # control: uniform play


@pytest.mark.parametrize("size", SIZES)
def test_equal_weights_draw_what_uniform_play_draws(size: int) -> None:
    own, opponent, legal = tensors(positions(size))
    alive = legal != 0
    for counter in range(20):
        uniform = random_bits(2, torch.arange(len(legal)), counter)
        found = pick(options(own, opponent, legal, Board.of(size), PolicyConfig()), uniform)
        square = choose(legal, uniform)
        assert torch.equal(found, torch.where(alive, torch.ones_like(legal) << square, 0))
        rank = uniform * popcount(legal) >> 32
        assert torch.equal(square[alive], select(legal[alive], rank[alive]))


# Games.


def slow_policy_game(seed: int, index: int, size: int, policy: PolicyConfig) -> list[slow.Square]:
    """The game, by the slow engine and Python integers; only the random bits are shared."""
    c, r, k = (round(x / policy.temperature * 1024) for x in (policy.flips, policy.mobility, policy.corners))
    discs, mover, played = slow.start(size), "black", []
    while found := features(discs, mover, size):
        scores = [c * f.turned + r * f.replies + k * f.corner for f in found]
        weights = [round(exp((s - max(scores)) / 1024) * 2**24) for s in scores]
        uniform = int(random_bits(seed, torch.tensor([index]), len(played)))
        played.append(found[drawn(weights, uniform)].square)
        discs = slow.play(discs, played[-1], mover, size)
        mover = slow.next_mover(discs, mover, size)
    return played


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("taste", ["flips", "all"])
def test_games_equal_the_slow_generator(size: int, taste: str) -> None:
    board, indices = Board.of(size), [0, 5, 10**12][: 4 - size // 4]
    found = RandomGames(board, 9, (), TASTES[taste]).games(torch.tensor(indices))
    for game, index in zip(found.tolist(), indices, strict=True):
        squares = [divmod(board.moves[move], 8) for move in game if move >= 0]
        assert squares == slow_policy_game(9, index, size, TASTES[taste])


@pytest.mark.parametrize("size", SIZES)
def test_a_policy_without_preferences_is_uniform_play(size: int) -> None:
    index = torch.arange(100)
    uniform = random_games(3, index, Board.of(size))
    for zero in (PolicyConfig(temperature=7.0), PolicyConfig(flips=0.0004)):
        assert torch.equal(RandomGames(Board.of(size), 3, (), zero).games(index), uniform)
    weak = PolicyConfig(flips=0.3)  # control
    assert not torch.equal(RandomGames(Board.of(size), 3, (), weak).games(index), uniform)


@pytest.mark.parametrize("size", [4, 6])
@pytest.mark.parametrize(
    ("policy", "key"),
    [
        (PolicyConfig(flips=1, temperature=0.001), lambda f: f.turned),
        (PolicyConfig(mobility=-1, temperature=0.001), lambda f: -f.replies),
        (PolicyConfig(corners=1, temperature=0.001), lambda f: f.corner),
    ],
)
def test_at_a_low_temperature_a_best_move_is_always_played(
    size: int, policy: PolicyConfig, key: Callable[[Feature], float]
) -> None:
    board = Board.of(size)

    def regrets(moves: Tensor) -> list[float]:
        """How far the move played is below the best, at every ply with a choice."""
        found = []
        for game in moves.tolist():
            squares = [divmod(board.moves[move], 8) for move in game if move >= 0]
            for state, square in zip(slow.replay(squares, size), squares, strict=False):
                value = {f.square: key(f) for f in features(state.discs, state.mover, size)}
                found.append(max(value.values()) - value[square])
        return found

    index = torch.arange(GAMES[size] // 2)
    assert set(regrets(RandomGames(board, 4, (), policy).games(index))) == {0}
    assert any(regrets(random_games(4, index, board)))  # control: uniform play does not


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("taste", ["all", "corners"])
def test_games_are_legal_and_complete(size: int, taste: str) -> None:
    moves, board = RandomGames(Board.of(size), 6, (), TASTES[taste]).games(torch.arange(300)), Board.of(size)
    assert moves.dtype == torch.int8
    assert moves.shape == (300, board.n_moves)
    played = replay(moves, board)
    assert (played.illegal_at == -1).all()
    assert (played.legal[:, -1] == 0).all()
    assert len(moves.unique(dim=0)) > 100


@cache
def first_games(size: int) -> Tensor:
    return RandomGames(Board.of(size), 5, (), TASTES["all"]).games(torch.arange(40))


@pytest.mark.parametrize(("size", "times"), [(4, 3), (6, 1)])
def test_a_game_depends_on_seed_and_index_alone(size: int, times: int) -> None:
    play, generator = RandomGames(Board.of(size), 5, (), TASTES["all"]), torch.Generator().manual_seed(0)
    for _ in range(times):
        asked = torch.randint(40, (7,), generator=generator)  # any order, some twice
        expected = first_games(size)[asked]
        assert torch.equal(play.games(asked), expected)
        assert torch.equal(torch.cat([play.games(part) for part in asked.split(3)]), expected)


def test_chunks_do_not_change_the_games(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = first_games(4)
    monkeypatch.setattr(random_play, "CHUNK", {"cpu": (17, 11)})
    assert torch.equal(RandomGames(Board.of(4), 5, (), TASTES["all"]).games(torch.arange(40)), expected)
    assert not torch.equal(RandomGames(Board.of(4), 6, (), TASTES["all"]).games(torch.arange(40)), expected)


@pytest.mark.parametrize("size", SIZES)
def test_no_indices_give_no_games(size: int) -> None:
    moves = RandomGames(Board.of(size), 0, (), TASTES["all"]).games(torch.arange(0))
    assert moves.shape == (0, Board.of(size).n_moves)


@pytest.mark.parametrize("size", SIZES)
def test_games_start_with_the_prefix_and_go_on_under_the_policy(size: int) -> None:
    board, policy = Board.of(size), TASTES["all"]
    prefix = tuple(parse_game(OPENING[size], board))
    moves = RandomGames(board, 2, prefix, policy).games(torch.arange(200))
    assert (moves[:, : len(prefix)] == torch.tensor(prefix)).all()
    assert (replay(moves, board).illegal_at == -1).all()
    assert len(moves.unique(dim=0)) > 50
    free = RandomGames(board, 2, (), policy).games(torch.arange(3))[2]
    for length in (5, int((free >= 0).sum())):  # a game's own opening as prefix changes nothing
        again = RandomGames(board, 2, tuple(free[:length].tolist()), policy).games(torch.tensor([2]))
        assert torch.equal(again[0], free)


# Which way a coefficient moves play.


def turned(moves: Tensor, played: Replay, board: Board) -> Tensor:
    """Discs turned by every move."""
    own = torch.where(played.black_to_move, played.black, played.white)[:, :-1]
    opponent = torch.where(played.black_to_move, played.white, played.black)[:, :-1]
    bit = torch.ones_like(own) << torch.tensor(board.moves)[moves.clamp(min=0).long()]
    return popcount(flips(bit, own, opponent, board))[moves >= 0]


def replies(moves: Tensor, played: Replay, board: Board) -> Tensor:
    """Legal moves of the opponent after every move, 0 where it passes."""
    passed = played.black_to_move[:, 1:] == played.black_to_move[:, :-1]
    return torch.where(passed, 0, popcount(played.legal[:, 1:]))[moves >= 0]


def corners_taken(moves: Tensor, played: Replay, board: Board) -> Tensor:
    """Whether a corner is taken, wherever one may be taken."""
    corner = bits(list(corners(board.size)))
    open_to = (played.legal[:, :-1] & corner != 0) & (moves >= 0)
    bit = torch.ones_like(played.legal[:, :-1]) << torch.tensor(board.moves)[moves.clamp(min=0).long()]
    return (bit & corner != 0)[open_to]


@pytest.mark.parametrize("size", [4, 6])
@pytest.mark.parametrize(("key", "measure"), [("flips", turned), ("mobility", replies), ("corners", corners_taken)])
def test_coefficients_move_play_their_way(
    size: int, key: str, measure: Callable[[Tensor, Replay, Board], Tensor]
) -> None:
    """Five standard errors away from uniform play, and the other way with the other sign."""
    board = Board.of(size)

    def mean(policy: PolicyConfig) -> tuple[float, float]:
        moves = RandomGames(board, 1, (), policy).games(torch.arange(1000 if size == 4 else 300))
        values = measure(moves, replay(moves, board), board).double()
        return float(values.mean()), float(values.std() / len(values) ** 0.5)

    less, uniform, greater = (mean(PolicyConfig(**{key: 2.0 * sign})) for sign in (-1, 0, 1))
    assert greater[0] > uniform[0] + 5 * (greater[1] + uniform[1])
    assert less[0] < uniform[0] - 5 * (less[1] + uniform[1])
