"""Proves that what is said of a corpus is so: counts against plain loops over the slow engine, the floor by ply against the
entropy counted from the 4x4 tree (uniform, biased, per split, cut short, mixed), divergence against its definition; and
that the floors grow an interval that holds the truth. Controls: a wrong oracle misses, two halves of one corpus
differ by far less than two domains.
"""

from collections import Counter, defaultdict
from math import log

import pytest
import torch
from torch import Tensor

from benchmarks.reference import othello as slow
from mothello.data.corpus import Corpus, Mixture, RandomPlay, Window
from mothello.data.enumerated import EnumeratedPlay, all_games, probabilities_of
from mothello.data.oracle import play_oracle
from mothello.data.split import PARTS, Split
from mothello.data.survey import count, count_corpus, divergence, opening_tree, ply_floor, sampled_floor
from mothello.othello.board import Board
from mothello.othello.policy import PolicyConfig

FOUR, GREEDY = Board.of(4), PolicyConfig(flips=1.5)


def sample(size: int, n: int) -> Tensor:
    return RandomPlay(Board.of(size), 1, n).moves(torch.arange(n))


@pytest.mark.parametrize("size", [4, 6, 8])
def test_counts_equal_plain_loops(size: int):
    board, n = Board.of(size), 25
    moves = sample(size, n)
    found = count(moves, board)
    lengths, passes, played, legal, passed, discs = Counter(), Counter(), Counter(), Counter(), Counter(), Counter()
    for row in moves.tolist():
        game = [m for m in row if m >= 0]
        path = slow.replay([divmod(board.moves[m], 8) for m in game], size)
        lengths[len(game)] += 1
        skipped = [ply for ply in range(1, len(game)) if path[ply].mover == path[ply - 1].mover]
        passes[len(skipped)] += 1
        passed.update(skipped)
        for ply, move in enumerate(game):
            played[ply, move] += 1
            legal[ply] += len(path[ply].legal)
            for (r, c), color in path[ply].discs.items():
                discs[ply, r * size + c, color] += 1
    assert found.lengths.tolist() == [lengths[k] for k in range(board.n_moves + 1)]
    assert found.passes.tolist() == [passes[k] for k in range(board.n_moves + 1)]
    assert found.passed.tolist() == [passed[k] for k in range(board.n_moves)]
    assert found.legal.tolist() == [legal[k] for k in range(board.n_moves)]
    assert all(int(found.played[key]) == value for key, value in played.items())
    assert int(found.played.sum()) == sum(played.values())
    for (ply, cell, color), value in discs.items():
        assert int(found.discs[ply, cell, ("white", "black").index(color)]) == value
    assert int(found.discs.sum()) == sum(discs.values())


def tree_entropy(games: Tensor, weight: Tensor) -> list[float | None]:
    """Entropy of the next move by ply, from dictionaries over all openings of a listed distribution."""
    follows: dict[tuple[int, ...], dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for row, p in zip(games.tolist(), weight.tolist(), strict=True):
        game = [m for m in row if m >= 0]
        for ply, move in enumerate(game):
            follows[tuple(game[:ply])][move] += p
    nats, mass = [0.0] * games.shape[1], [0.0] * games.shape[1]
    for opening, moves in follows.items():
        total = sum(moves.values())
        nats[len(opening)] -= sum(p * log(p / total) for p in moves.values() if p)
        mass[len(opening)] += total
    return [own / whole if whole else None for own, whole in zip(nats, mass, strict=True)]


def cases() -> dict[str, tuple[Corpus, Tensor, Tensor]]:
    games, uniform = all_games(FOUR)
    greedy = probabilities_of(games, play_oracle(FOUR, (), GREEDY))
    part = EnumeratedPlay(FOUR, 0, 9, PARTS[Split.probe], (), GREEDY)
    cut = games.clone()
    cut[:, 5:] = -1
    both = Mixture([RandomPlay(FOUR, 0, 9), RandomPlay(FOUR, 0, 9, policy=GREEDY)], [1, 3], 0, 9)
    ends = Mixture([RandomPlay(FOUR, 0, 9), Window(RandomPlay(FOUR, 0, 9, policy=GREEDY), 0, 5)], [1, 3], 0, 9)
    return {
        "one source ends early": (ends, torch.cat([games, cut]), torch.cat([uniform / 4, greedy * 3 / 4])),
        "uniform": (RandomPlay(FOUR, 0, 9), games, uniform),
        "greedy": (RandomPlay(FOUR, 0, 9, policy=GREEDY), games, greedy),
        "one split": (part, part.games, part.probability),
        "early": (Window(RandomPlay(FOUR, 0, 9, policy=GREEDY), 0, 5), cut, greedy),
        "mixture": (both, games, uniform / 4 + greedy * 3 / 4),
    }


LONG = [pytest.param(name, marks=pytest.mark.slow) for name in ("early", "mixture", "uniform")]


@pytest.mark.parametrize("name", ["greedy", "one split", "one source ends early", *LONG])
def test_the_floor_is_exact_on_4x4(name: str):
    games, listed, weight = cases()[name]
    found = ply_floor(games, 10)
    assert found.kind == "exact"
    assert float(found.standard_error.abs().sum()) == 0
    for ply, truth in enumerate(tree_entropy(listed, weight)):
        if truth is None:
            assert not float(found.nats[ply]) > 0
        else:
            assert float(found.nats[ply]) == pytest.approx(truth, abs=1e-9)


def test_sampled_floors_hold_the_exact_ones():
    games = RandomPlay(FOUR, 0, 4000, policy=GREEDY)
    exact = ply_floor(games, 10)
    mean, error = sampled_floor(games, games.oracle, 4000)
    assert ((mean - exact.nats).abs() <= 4.5 * error + 1e-9).all()
    other = ply_floor(RandomPlay(FOUR, 0, 10), 10)  # control: the floor of another policy is far away
    assert ((mean - other.nats).abs() > 4.5 * error).sum() > 5


class Recorded(RandomPlay):
    oracle = None  # type: ignore[assignment]


def test_recorded_games_have_a_bound():
    found = ply_floor(Recorded(Board.of(6), 0, 300), 300)
    moves = RandomPlay(Board.of(6), 0, 300).moves(torch.arange(300))
    assert found.kind == "bound"
    legal = [
        [len(s.legal) for s in slow.replay([divmod(Board.of(6).moves[m], 8) for m in row if m >= 0], 6)]
        for row in moves.tolist()
    ]
    for ply in (0, 3, 20):
        assert float(found.nats[ply]) == pytest.approx(sum(log(counts[ply]) for counts in legal) / 300)


def test_divergence_follows_its_definition():
    a, b = count(sample(4, 300), FOUR), count(RandomPlay(FOUR, 2, 300, policy=GREEDY).moves(torch.arange(300)), FOUR)
    found = divergence(a, b)
    for ply in range(6):
        p, q = ([x / sum(row) for x in row] for row in (a.played[ply].tolist(), b.played[ply].tolist()))
        truth = (
            sum(
                (x * log(2 * x / (x + y)) if x else 0) + (y * log(2 * y / (x + y)) if y else 0)
                for x, y in zip(p, q, strict=True)
            )
            / 2
        )
        assert float(found.moves_by_ply[ply]) == pytest.approx(truth, abs=1e-12)
    assert 0 < found.boards < found.moves < log(2)
    assert divergence(a, a)[:2] == pytest.approx((0, 0), abs=1e-12)


def test_domains_differ_more_than_halves_of_one():
    games, n = RandomPlay(Board.of(6), 0, 4000), 4000
    halves = divergence(count_corpus(games, 0, n // 2), count_corpus(games, n // 2, n))
    corners = RandomPlay(Board.of(6), 0, n, policy=PolicyConfig(corners=4, flips=1.5))
    away = divergence(count_corpus(games, 0, n // 2), count_corpus(corners, 0, n // 2))
    assert away.moves > 3 * halves.moves
    assert away.boards > 3 * halves.boards


def test_the_opening_tree_counts_every_opening():
    moves = sample(6, 200)
    nodes = opening_tree(moves, 3)
    for depth in (1, 2, 3):
        expected = Counter(tuple(row[:depth]) for row in moves.tolist())
        assert {tuple(n["moves"]): n["games"] for n in nodes if len(n["moves"]) == depth} == expected
