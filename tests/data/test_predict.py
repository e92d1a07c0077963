"""Proves that oracles know exactly what their corpora do, on the 4x4 board where everything can be counted: the
probabilities of all 60,060 games sum to one and are those of the enumeration or of a slow engine, those of each split's
part are the conditional ones, and a mixture's next move is the posterior that a dictionary over all prefixes gives, also
when a source ends early. Samples follow the exact probabilities by chi-square. Negative controls: wrong priors, a wrong
policy and a wrong part are far off the same references.
"""

from collections import defaultdict
from functools import cache
from math import exp

import numpy as np
import pytest
import torch
from games import random_games
from scipy.stats import chisquare
from torch import Tensor

from benchmarks.reference import othello as slow
from mothello.data.corpus import Corpus, Mixture, RandomPlay, Window
from mothello.data.enumerated import EnumeratedPlay, all_games, probabilities_of, tree_oracle
from mothello.data.oracle import Oracle, given_a_move, log_likelihood, mixed, play_oracle
from mothello.data.orbit import orbit_hash
from mothello.data.split import PARTS, Split
from mothello.data.stored import StoredGames, write_index, write_shard
from mothello.othello.board import Board
from mothello.othello.notation import parse_game
from mothello.othello.policy import PolicyConfig
from mothello.othello.random_play import RandomGames

ALPHA = 1e-4
FOUR = Board.of(4)
GREEDY = PolicyConfig(flips=0.8, corners=1.5)
SHY = PolicyConfig(mobility=-0.9, flips=-0.25)
TASTES = {"uniform": PolicyConfig(), "greedy": GREEDY, "shy": SHY}
Game = tuple[int, ...]


def rows(moves: Tensor) -> list[Game]:
    return [tuple(move for move in row if move >= 0) for row in moves.tolist()]


@cache
def chances(taste: str, prefix: str = "") -> Tensor:
    """Probability of every 4x4 game under a policy's oracle."""
    return probabilities_of(all_games(FOUR)[0], play_oracle(FOUR, parse_game(prefix, FOUR), TASTES[taste]))


def starts_with(prefix: str) -> Tensor:
    opening = torch.tensor(parse_game(prefix, FOUR), dtype=torch.int8)
    return (all_games(FOUR)[0][:, : len(opening)] == opening).all(1)


@cache
def every_game() -> list[Game]:
    return rows(all_games(FOUR)[0])


def among(moves: Tensor) -> Tensor:
    """Which of all games are among these."""
    inside = set(rows(moves))
    return torch.tensor([game in inside for game in every_game()])


def part_of(part: tuple[float, float]) -> Tensor:
    """Which of all games lie in a part, whatever is played."""
    hashed = orbit_hash(all_games(FOUR)[0], FOUR).double() / 2**32
    return (hashed >= part[0]) & (hashed < part[1])


def slow_probability(game: Game, policy: PolicyConfig) -> float:
    """By the slow engine and ``math.exp``."""
    squares, p = [divmod(FOUR.moves[move], 8) for move in game], 1.0
    for state, played in zip(slow.replay(squares, 4), squares, strict=False):
        weight = {}
        for square in state.legal:
            after = slow.play(state.discs, square, state.mover, 4)
            turned = len(slow.flipped(state.discs, square, state.mover, 4))
            replies = len(slow.legal(after, slow.OTHER[state.mover], 4))
            corner = square[0] in (0, 3) and square[1] in (0, 3)
            score = policy.flips * turned + policy.mobility * replies + policy.corners * corner
            weight[square] = exp(score / policy.temperature)
        p *= weight[played] / sum(weight.values())
    return p


# Random play.


@pytest.mark.parametrize(
    ("taste", "prefix"),
    [("uniform", ""), ("greedy", ""), ("shy", ""), ("uniform", "b1 a1"), ("greedy", "b1 a1"), ("shy", "b1 c1")],
)
def test_the_probabilities_of_all_games_sum_to_one(taste: str, prefix: str):
    p = chances(taste, prefix)
    assert len(p) == 60_060
    assert p.dtype == torch.float64
    assert float(p.sum()) == pytest.approx(1.0, abs=1e-12)
    assert torch.equal(p > 0, starts_with(prefix))  # a known opening rules all others out
    free = chances(taste)
    conditional = torch.where(starts_with(prefix), free, 0.0)
    torch.testing.assert_close(p, conditional / conditional.sum(), rtol=1e-10, atol=0)


def test_uniform_play_has_the_probabilities_of_the_enumeration():
    moves, exact = all_games(FOUR)
    torch.testing.assert_close(chances("uniform"), exact, rtol=1e-12, atol=0)
    assert torch.equal(probabilities_of(moves, play_oracle(FOUR)), chances("uniform"))
    assert float((chances("greedy") - exact).abs().sum()) > 0.2  # control


@pytest.mark.parametrize("taste", sorted(TASTES))
def test_games_have_the_probabilities_of_the_slow_engine(taste: str):
    """Relative error: coefficients rounded to 1/1024 nat, at most 2 x 25 features x 12 plies / 2048."""
    moves, _ = all_games(FOUR)
    for row in range(0, 60_060, 1501):
        (game,) = rows(moves[row : row + 1])
        assert float(chances(taste)[row]) == pytest.approx(slow_probability(game, TASTES[taste]), rel=0.02), row


@pytest.mark.parametrize("taste", sorted(TASTES))
def test_a_row_is_a_distribution_until_the_game_is_over(taste: str):
    moves = all_games(FOUR)[0][::97]
    predicted = play_oracle(FOUR, (), TASTES[taste])(moves)
    assert predicted.shape == (len(moves), 13, 12)
    expected = torch.cat([moves >= 0, torch.zeros(len(moves), 1, dtype=torch.bool)], 1).double()
    torch.testing.assert_close(predicted.sum(-1), expected, rtol=0, atol=1e-12)


def test_the_likelihood_of_a_game_is_the_product_of_its_moves():
    moves = torch.tensor([[2, 0, 1], [1, -1, -1], [0, 0, 2]], dtype=torch.int8)
    predicted = torch.zeros(3, 4, 3, dtype=torch.float64)
    predicted[0, :3] = torch.tensor([[0.25, 0.25, 0.5], [0.125, 0.5, 0.375], [0.0, 1.0, 0.0]])
    predicted[1, 0, 1] = 0.5
    predicted[2, 0, 0], predicted[2, 2, 2] = 1.0, 0.5  # its second move could not happen
    expected = [[1, 0.5, 0.0625, 0.0625], [1, 0.5, 0.5, 0.5], [1, 1, 0, 0]]
    assert log_likelihood(moves, predicted).exp().tolist() == expected
    assert float(log_likelihood(moves, predicted)[2, 3]) == -np.inf


def test_an_oracle_leaves_the_moves_alone_and_takes_any_integers():
    moves = all_games(FOUR)[0][:50].clone()
    before = moves.clone()
    for taste in TASTES.values():
        oracle = play_oracle(FOUR, parse_game("b1", FOUR), taste)
        assert torch.equal(oracle(moves), oracle(moves.long()))
    assert torch.equal(moves, before)


@pytest.mark.parametrize("size", [6, 8])
def test_larger_boards_play_what_they_predict(size: int):
    """The move that games make at some plies, against the sum of what was predicted there."""
    board = Board.of(size)
    moves = RandomGames(board, 0, (), GREEDY).games(torch.arange(2000))
    for ply in (0, 1, 2, 5):
        early = moves[:, : ply + 1].clone()
        counts = torch.bincount(early[:, ply].long(), minlength=board.n_moves).numpy()
        tastes = {"greedy": GREEDY, "shy": SHY}
        by = {name: play_oracle(board, (), p)(early)[:, ply].sum(0).numpy() for name, p in tastes.items()}
        # one draw per game from its own distribution: pooled counts scatter less than multinomial ones, never more
        assert pooled(counts, by["greedy"]) > ALPHA, ply
        if ply:  # control; the four first moves are images of each other
            assert pooled(counts, by["shy"]) < ALPHA, ply


# Listed games: splits, and any distribution.


@pytest.mark.parametrize(
    ("split", "taste", "prefix"),
    [
        (Split.train, "greedy", ""),
        (Split.validation, "uniform", ""),
        (Split.probe, "greedy", "b1 a1"),
        (Split.transfer, "uniform", "b1 a1"),
    ],
)
def test_each_part_has_its_conditional_probabilities(split: Split, taste: str, prefix: str):
    games = EnumeratedPlay(FOUR, 0, 1, PARTS[split], parse_game(prefix, FOUR), TASTES[taste])
    moves, _ = all_games(FOUR)
    keep = part_of(PARTS[split]) & starts_with(prefix)
    assert torch.equal(among(games.games), keep)
    expected = torch.where(keep, chances(taste), 0.0) / chances(taste)[keep].sum()
    found = probabilities_of(moves, games.oracle)
    assert float(found.sum()) == pytest.approx(1.0, abs=1e-10)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=0)
    free = chances(taste, prefix)
    assert float((found - free).abs().sum()) > 0.1  # control: the whole board's oracle is not the part's


@cache
def listed() -> tuple[list[Game], Tensor, Tensor]:
    """Some games, their moves and a distribution over them that no policy has."""
    moves = all_games(FOUR)[0][::211]
    weight = torch.rand(len(moves), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return rows(moves), moves, weight / weight.sum()


def by_prefix(games: list[Game], weight: list[float]) -> dict[Game, dict[int, float]]:
    """Mass of every move that follows every prefix."""
    found: dict[Game, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for game, p in zip(games, weight, strict=True):
        for ply, move in enumerate(game):
            found[game[:ply]][move] += p
    return found


def test_a_tree_predicts_the_shares_of_its_games():
    games, moves, weight = listed()
    oracle, follows = tree_oracle(moves, weight, 12), by_prefix(games, weight.tolist())
    torch.testing.assert_close(probabilities_of(moves, oracle), weight, rtol=1e-9, atol=0)
    for game, row in zip(games, oracle(moves).tolist(), strict=True):
        for ply, found in enumerate(row):
            mass = follows.get(game[:ply], {}) if ply < len(game) else {}
            expected = [mass.get(move, 0.0) / max(sum(mass.values()), 1e-300) for move in range(12)]
            assert found == pytest.approx(expected, rel=1e-9, abs=0)


def test_a_tree_knows_nothing_of_games_that_it_does_not_hold():
    games, moves, weight = listed()
    oracle, held = tree_oracle(moves, weight, 12), set(games)
    others = all_games(FOUR)[0][5::211]
    assert not held & set(rows(others))
    assert not probabilities_of(others, oracle).any()
    prefixes = {game[:ply] for game in held for ply in range(len(game))}
    sums = oracle(others).sum(-1).tolist()
    for game, found in zip(rows(others), sums, strict=True):
        expected = [float(game[:ply] in prefixes) for ply in range(len(game))]
        assert found[: len(game)] == pytest.approx(expected)


def test_a_tree_reads_shorter_rows():
    _, moves, weight = listed()
    oracle = tree_oracle(moves, weight, 12)
    for plies in (1, 5):
        assert torch.equal(oracle(moves[:, :plies]), oracle(moves)[:, : plies + 1])


# Mixtures.


@cache
def tree(taste: str, last: int, prefix: str = "") -> tuple[Tensor, Tensor]:
    """All games cut before ply ``last``, and their probabilities."""
    cut, where = all_games(FOUR)[0][:, :last].unique(dim=0, return_inverse=True)
    moves = torch.full((len(cut), 12), -1, dtype=torch.int8)
    moves[:, :last] = cut
    weight = torch.zeros(len(cut), dtype=torch.float64).index_add_(0, where, chances(taste, prefix))
    return moves, weight


def brute_force(parts: list[tuple[Tensor, Tensor, float]]) -> dict[Game, dict[int, float]]:
    """What follows every prefix in a mixture, from all of its sources' games: (moves, probabilities, weight)."""
    games = [game for moves, _, _ in parts for game in rows(moves)]
    return by_prefix(games, [p for _, chance, weight in parts for p in (chance * weight).tolist()])


def largest_error(oracle: Oracle, exact: dict[Game, dict[int, float]], moves: Tensor, plies: int = 12) -> float:
    """Over every state before one of the first plies of the games; the games are such as the mixture holds."""
    largest = 0.0
    for game, states in zip(rows(moves), given_a_move(oracle(moves)).numpy(), strict=True):
        for ply in range(min(plies, len(game))):
            mass = exact[game[:ply]]
            expected = np.zeros(12)
            expected[list(mass)] = list(mass.values())
            largest = max(largest, float(np.abs(states[ply] - expected / expected.sum()).max()))
    return largest


PLIES = 8  # as far as trees are counted, where not to the end: some games end there
CASES = {
    "two policies": (("greedy", 12, 1.0), ("shy", 12, 2.5)),
    "one ends early": (("greedy", 4, 3.0), ("shy", 12, 1.0)),
    "the same, one ends early": (("shy", 6, 1.0), ("shy", 12, 1.0)),
    "three": (("uniform", 9, 1.0), ("greedy", 12, 0.2), ("shy", 5, 4.0)),
}


def corpus_of(taste: str, last: int, prefix: str = "") -> Corpus:
    games = RandomPlay(FOUR, 0, 1000, prefix=parse_game(prefix, FOUR), policy=TASTES[taste])
    return games if last == 12 else Window(games, 0, last)


@pytest.mark.parametrize("case", sorted(CASES))
def test_a_mixture_predicts_its_posterior(case: str):
    """Every prefix of a sample of games, against a dictionary over the prefixes of all of them."""
    sources, plies = CASES[case], 12 if case == "two policies" else PLIES
    exact = brute_force([(*tree(taste, min(last, plies)), weight) for taste, last, weight in sources])
    moves, weights = all_games(FOUR)[0][::97], [weight for _, _, weight in sources]
    corpora = [corpus_of(taste, last) for taste, last, _ in sources]
    oracle = Mixture(corpora, weights, 0, 1000).oracle
    assert oracle is not None
    assert largest_error(oracle, exact, moves, plies) < 1e-9
    require_single_process = [games.oracle for games in corpora]
    assert torch.equal(mixed(require_single_process, weights)(moves), oracle(moves))  # type: ignore[arg-type]
    if case != "the same, one ends early":
        shifted = mixed(require_single_process, [w + k for k, w in enumerate(weights)])  # type: ignore[arg-type]
        assert largest_error(shifted, exact, moves[:50], plies) > 1e-3  # control: another prior
        assert largest_error(require_single_process[0], exact, moves[:50], plies) > 1e-2  # type: ignore[arg-type]  # control: one source alone


def test_a_mixture_of_openings_is_told_apart_by_the_first_moves():
    corpora = [corpus_of("greedy", 12, "b1 a1"), corpus_of("shy", 12, "b1 c1"), corpus_of("shy", 5)]
    weights = [1.0, 1.0, 2.0]
    parts = [
        (*tree("greedy", PLIES, "b1 a1"), 1.0),
        (*tree("shy", PLIES, "b1 c1"), 1.0),
        (*tree("shy", 5), 2.0),
    ]
    exact = brute_force(parts)
    held = starts_with("b1 a1") | starts_with("b1 c1")
    moves = torch.cat([all_games(FOUR)[0][held][::31], tree("shy", 5)[0][::7]])
    oracle = Mixture(corpora, weights, 0, 1000).oracle
    assert oracle is not None
    assert largest_error(oracle, exact, moves, PLIES) < 1e-9


def test_a_window_of_a_mixture_predicts_nothing_behind_its_end():
    window = Window(Mixture([corpus_of("greedy", 12), corpus_of("shy", 12)], [1.0, 2.5], 0, 1000), 2, 7)
    inner, oracle = window.games.oracle, window.oracle
    assert inner is not None
    assert oracle is not None
    moves = tree("greedy", 7)[0]
    found = oracle(moves)
    assert torch.equal(found[:, :7], inner(moves)[:, :7])
    assert not found[:, 7:].any()
    assert inner(moves)[:, 7].any()  # control
    assert float(probabilities_of(moves, oracle).sum()) == pytest.approx(1.0, abs=1e-10)


def test_a_mixture_in_a_mixture_predicts_as_the_flat_one():
    """A source that may end is less likely the more goes on: also when it is only a part of a source."""
    greedy, ends, shy = corpus_of("greedy", 12), corpus_of("greedy", 4), corpus_of("shy", 12)
    nested = Mixture([Mixture([greedy, ends], [1, 1], 1, 1000), shy], [2.0, 1.0], 0, 1000).oracle
    flat = Mixture([greedy, ends, shy], [1.0, 1.0, 1.0], 0, 1000).oracle
    assert nested is not None
    assert flat is not None
    exact = brute_force([(*tree("greedy", PLIES), 1), (*tree("greedy", 4), 1), (*tree("shy", PLIES), 1)])
    moves = all_games(FOUR)[0][::211]
    assert largest_error(flat, exact, moves, PLIES) < 1e-9
    assert largest_error(nested, exact, moves, PLIES) < 1e-9


def test_one_unknown_source_leaves_a_mixture_unknown(tmp_path):
    shard = write_shard(tmp_path, 0, 0, [random_games(0, torch.arange(30), FOUR)], FOUR, {})
    write_index(tmp_path, FOUR, {"kind": "recorded"}, [shard])
    stored, played = StoredGames(tmp_path), RandomPlay(FOUR, 0, 30)
    assert Mixture([played, played], [1, 1], 0, 30).oracle is not None
    for sources in ([stored], [played, stored], [stored, played], [Window(stored, 0, 3), played]):
        assert Mixture(sources, [1.0] * len(sources), 0, 30).oracle is None
    assert Window(stored, 0, 3).oracle is None
    stored.with_oracle(play_oracle(FOUR))
    assert Mixture([played, stored], [1, 1], 0, 30).oracle is not None


def test_games_that_no_source_holds_leave_no_nan():
    oracle = mixed([play_oracle(FOUR, parse_game(text, FOUR)) for text in ("b1 a1", "b1 c1")], [1, 1])
    moves = all_games(FOUR)[0][::601]
    found = oracle(moves)
    assert not starts_with("b1")[::601].all()
    assert not found.isnan().any()
    assert bool((found >= 0).all())


# Samples.


def pooled(observed: np.ndarray, expected: np.ndarray) -> float:
    """p of a chi-square; cells that expect less than ten are one cell (or join the smallest)."""
    order = np.argsort(-expected)
    observed, expected = observed[order].astype(float), expected[order]
    keep = int((expected >= 10).sum())
    cells = [np.append(x[:keep], x[keep:].sum()) for x in (observed, expected)]
    if cells[1][-1] < 10:
        if cells[1][-1] < 1e-9 < cells[0][-1]:
            return 0.0  # something that cannot happen did
        cells = [np.append(x[:-2], x[-2:].sum()) for x in cells]
    return float(chisquare(*cells).pvalue)


def fit(sample: Tensor, moves: Tensor, probability: Tensor, depth: int) -> float:
    """p of the sample's first ``depth`` plies under probabilities of whole games."""
    places = 13 ** torch.arange(depth)
    codes, where = ((moves[:, :depth].long() + 1) * places).sum(1).unique(return_inverse=True)
    seen = ((sample[:, :depth].long() + 1) * places).sum(1)
    row = torch.searchsorted(codes, seen).clamp(max=len(codes) - 1)
    assert torch.equal(codes[row], seen), "a game that does not exist"
    expected = torch.zeros(len(codes), dtype=torch.float64).index_add_(0, where, probability) * len(sample)
    return pooled(torch.bincount(row, minlength=len(codes)).numpy(), (expected / probability.sum()).numpy())


@pytest.mark.parametrize(
    ("taste", "part"), [("greedy", (0.0, 1.0)), ("shy", PARTS[Split.train]), ("greedy", PARTS[Split.probe])]
)
def test_enumerated_play_samples_its_exact_probabilities(taste: str, part: tuple[float, float]):
    n = 40_000
    games = EnumeratedPlay(FOUR, 3, n, part, (), TASTES[taste])
    sample = games.moves(torch.arange(n))
    exact = torch.where(part_of(part), chances(taste), 0.0)
    other = torch.where(exact > 0, chances("uniform"), 0.0)
    for depth in (2, 4, 6, 12):
        assert fit(sample, all_games(FOUR)[0], exact, depth) > ALPHA, depth
    assert fit(sample, all_games(FOUR)[0], other, 4) < ALPHA  # control: uniform play


def test_random_play_samples_the_same_probabilities():
    """The generator of all boards and the enumeration of this one: two ways to the same distribution."""
    sample = RandomPlay(FOUR, 3, 30_000, policy=SHY).moves(torch.arange(30_000))
    for depth in (2, 4, 6, 12):
        assert fit(sample, all_games(FOUR)[0], chances("shy"), depth) > ALPHA, depth
    slightly = PolicyConfig(**{**vars(SHY), "temperature": 1.15})
    off = probabilities_of(all_games(FOUR)[0], play_oracle(FOUR, (), slightly))
    assert fit(sample, all_games(FOUR)[0], off, 4) < ALPHA  # control: slightly warmer


def test_a_mixture_samples_what_it_predicts():
    tastes, lasts, weights = zip(*CASES["three"], strict=True)
    sources = [Window(RandomPlay(FOUR, 0, 1 << 40, policy=TASTES[t]), 0, k) for t, k in zip(tastes, lasts, strict=True)]
    sample = Mixture(sources, weights, 5, 30_000).moves(torch.arange(30_000))
    trees = [tree(*source) for source in zip(tastes, lasts, strict=True)]
    moves = torch.cat([moves for moves, _ in trees])
    exact = torch.cat([chance * weight for (_, chance), weight in zip(trees, weights, strict=True)])
    for depth in (2, 4, 7, 12):
        assert fit(sample, moves, exact, depth) > ALPHA, depth
    assert fit(sample, moves, torch.cat([chance for _, chance in trees]), 7) < ALPHA  # control: all sources alike


def test_a_listed_corpus_is_a_pure_function_of_the_indices():
    games = EnumeratedPlay(FOUR, 3, 500, PARTS[Split.train])
    whole = games.moves(torch.arange(500))
    order = torch.randperm(500, generator=torch.Generator().manual_seed(0))
    assert torch.equal(torch.cat([games.moves(part) for part in order.split(77)]), whole[order])
    assert not torch.equal(EnumeratedPlay(FOUR, 4, 500, PARTS[Split.train]).moves(order), whole[order])
    assert games.first_scored(order).tolist() == [0] * 500
