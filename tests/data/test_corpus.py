"""Proves that a corpus is a pure function of indices, that the 4x4 board is enumerated with exact probabilities, that
splits share no game (nor mirror image) on 4x4 and no index elsewhere, and that an opening gives the distribution of
filtered random play. Samples are held against exact probabilities by chi-square; negative controls: the same tests
reject a distribution that is slightly off, and a split without the symmetries shares mirror images.
"""

from collections import Counter
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import torch
from games import random_games
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from torch import Tensor

from benchmarks.reference import othello as slow
from mothello.data.corpus import Corpus, RandomPlay
from mothello.data.enumerated import EnumeratedPlay, all_games
from mothello.data.orbit import orbit_hash, overlap
from mothello.data.split import Split, corpus
from mothello.othello.board import SIZES, Board
from mothello.othello.counter import random_bits
from mothello.othello.notation import parse_game
from mothello.othello.replay import replay
from mothello.othello.symmetry import OPENING_MAPS, OTHER_MAPS, move_map

ALPHA = 1e-4
FOUR = Board.of(4)
LENGTHS = {6: 4, 7: 8, 8: 20, 9: 308, 10: 808, 11: 5332, 12: 53580}
OPENINGS = {4: "", 6: "c2 b2 a2", 8: "d3 c3 b3"}
ONE_OPENING = "b1 a1"
MAPS = [move_map(FOUR, name) for name in OPENING_MAPS]


def rows(moves: Tensor) -> list[tuple[int, ...]]:
    return [tuple(move for move in row if move >= 0) for row in moves.tolist()]


@cache
def exact() -> dict[tuple[int, ...], float]:
    moves, probability = all_games(FOUR)
    return dict(zip(rows(moves), probability.tolist(), strict=True))


def pooled(observed: np.ndarray, expected: np.ndarray) -> float:
    """p of a chi-square after pooling the rarest cells until each expects ten."""
    order = np.argsort(-expected)
    observed, expected = observed[order], expected[order]
    keep = int((expected >= 10).sum())
    cells = [np.append(x[:keep], x[keep:].sum()) for x in (observed, expected)]
    if cells[1][-1] < 10:
        cells = [np.append(x[:-2], x[-2:].sum()) for x in cells]
    return float(chisquare(*cells).pvalue)


def fit(sample: Tensor, moves: Tensor, probability: Tensor, depth: int = 12) -> float:
    """p of the sample's openings of ``depth`` plies under the (unnormalised) probabilities."""
    expected: Counter[tuple[int, ...]] = Counter()
    for game, p in zip(rows(moves[:, :depth]), probability.tolist(), strict=True):
        expected[game] += p  # type: ignore[assignment]
    observed = Counter(rows(sample[:, :depth]))
    assert set(observed) <= set(expected)
    total = sum(expected.values())
    theory = np.array([expected[game] / total * len(sample) for game in expected])
    return pooled(np.array([observed[game] for game in expected], dtype=float), theory)


@cache
def corpora() -> list[Corpus]:
    openings = [(size, tuple(parse_game(OPENINGS[size], Board.of(size)))) for size in SIZES]
    return [corpus(Board.of(size), 3, split, 60, prefix) for size, prefix in openings for split in Split]


@pytest.mark.parametrize("size", [4, 6])
def test_the_law_of_games_just_played_is_what_they_were_drawn_from(size: int, monkeypatch: pytest.MonkeyPatch):
    """Without a replay, bit by bit what a replay finds; other games are replayed."""
    board, some = Board.of(size), torch.tensor([50, 3, 90, 3])
    games = RandomPlay(board, 0, 96, first=7, prefix=parse_game(OPENINGS[size], board))
    assert games.oracle is not None
    games.law(some, games.moves(some))
    other = games.moves(torch.arange(4))
    moves = games.moves(torch.arange(95, -1, -1)).flip(0)
    known, unknown = games.oracle(moves[some]).float(), games.oracle(other).float()
    assert torch.equal(games.law(some, other), unknown)
    assert torch.equal(games.law(some, moves[some][:, :3]), games.oracle(moves[some][:, :3]).float())
    monkeypatch.setattr(RandomPlay, "oracle", None)
    assert torch.equal(games.law(some, moves[some]), known)


@settings(max_examples=18)
@given(st.lists(st.integers(0, 59), min_size=1, max_size=4), st.integers(0, 11))
def test_moves_are_a_pure_function_of_the_indices(indices: list[int], which: int):
    games = corpora()[which]
    assert len(games) == 60
    asked = torch.tensor(indices)
    one_by_one = torch.cat([games.moves(asked[i : i + 1]) for i in reversed(range(len(indices)))]).flip(0)
    assert torch.equal(games.moves(asked), one_by_one)
    assert torch.equal(games.moves(torch.arange(60))[asked], one_by_one)
    assert asked.tolist() == indices


@pytest.mark.parametrize("size", SIZES)
def test_a_corpus_does_not_depend_on_its_size_but_on_its_seed(size: int):
    index = torch.arange(100)
    small, large = (corpus(Board.of(size), 1, Split.train, n) for n in (100, 10**9))
    assert torch.equal(small.moves(index), large.moves(index))
    assert not torch.equal(small.moves(index), corpus(Board.of(size), 2, Split.train, 100).moves(index))


def test_the_4x4_board_is_enumerated():
    moves, probability = all_games(FOUR)
    games = rows(moves)
    assert len(games) == len(set(games)) == 60_060
    assert Counter(map(len, games)) == LENGTHS
    assert float(probability.sum()) == pytest.approx(1, abs=1e-12)
    assert (replay(moves, FOUR).illegal_at < 0).all()
    final = replay(moves, FOUR)
    assert (final.legal[:, -1] == 0).all()  # complete games
    for game, p in list(zip(games, probability.tolist(), strict=True))[::997]:
        squares = [divmod(FOUR.moves[move], 8) for move in game]
        choices = [len(state.legal) for state in slow.replay(squares, 4)[:-1]]
        assert p == pytest.approx(1 / np.prod(choices), rel=1e-12)


def test_only_the_4x4_board_is_enumerated():
    with pytest.raises(ValueError, match="only the 4x4 board"):
        all_games(Board.of(6))


def test_random_play_fits_the_enumeration():
    """Two independent ways to the same distribution: the generator and the tree."""
    moves, probability = all_games(FOUR)
    sample = RandomPlay(FOUR, 0, 40_000).moves(torch.arange(40_000))
    assert fit(sample, moves, probability) > ALPHA
    assert fit(sample, moves, torch.ones_like(probability), 6) < ALPHA  # control: not uniform over games


@pytest.mark.parametrize("split", Split)
def test_enumerated_play_fits_the_exact_distribution_of_its_split(split: Split):
    games = corpus(FOUR, 0, split, 40_000)
    assert isinstance(games, EnumeratedPlay)
    sample = games.moves(torch.arange(40_000))
    probability = exact()
    inside = torch.tensor([probability[game] for game in rows(games.games)], dtype=torch.float64)
    assert fit(sample, games.games, inside) > ALPHA
    assert fit(sample, games.games, inside, 6) > ALPHA
    tilted = inside * (1 + 0.2 * (games.games[:, 3] % 2 == 0))  # control: some openings off by a fifth
    assert fit(sample, games.games, tilted, 4) < ALPHA


def test_4x4_splits_part_all_games_and_share_none_nor_a_mirror_image():
    parts = {split: set(rows(corpus(FOUR, 0, split, 1).games)) for split in Split}  # type: ignore[attr-defined]
    assert sum(map(len, parts.values())) == 60_060
    assert set().union(*parts.values()) == set(exact())
    for games in parts.values():
        for name in OPENING_MAPS:
            image = move_map(FOUR, name)
            assert {tuple(image[move] for move in game) for game in games} == games
    share = {split: sum(exact()[game] for game in games) for split, games in parts.items()}
    for split, wanted in zip(Split, (0.7, 0.1, 0.1, 0.1), strict=True):
        assert share[split] == pytest.approx(wanted, abs=0.015)


def test_a_hash_of_the_game_alone_would_share_mirror_images():
    """Negative control for the test above."""
    moves, _ = all_games(FOUR)
    plain = random_bits(0, (moves.long() * 13 ** torch.arange(12)).sum(1), 0) % 10 == 0
    games = set(rows(moves[plain]))
    image = move_map(FOUR, "rot180")
    assert {tuple(image[move] for move in game) for game in games} != games


def test_the_orbit_hash_is_even_and_knows_only_the_opening_maps():
    moves, _ = all_games(FOUR)
    hashed = orbit_hash(moves, FOUR)
    for name in OPENING_MAPS + OTHER_MAPS:
        image = torch.tensor((*move_map(FOUR, name), -1), dtype=torch.int8)[moves.long()]
        assert bool((orbit_hash(image, FOUR) == hashed).all()) == (name in OPENING_MAPS)
    # no game is its own image, so an orbit has four; among 15,015 hashes of 32 bits 0.03 collisions are expected
    assert 60_060 // 4 - 2 <= len(hashed.unique()) <= 60_060 // 4
    counts = torch.bincount(hashed.unique() >> 28, minlength=16)
    assert chisquare(counts.numpy()).pvalue > ALPHA


def test_splits_of_larger_boards_are_disjoint_ranges_of_one_corpus():
    largest = 1 << 40
    ranges = []
    for split in Split:
        games = corpus(Board.of(6), 7, split, largest)
        assert isinstance(games, RandomPlay)
        ranges.append((games.first, games.first + len(games)))
        ends = torch.tensor([0, largest - 1])
        assert torch.equal(games.moves(ends), random_games(7, ends + games.first, Board.of(6)))
    for (_, end), (start, _) in pairwise(ranges):
        assert end <= start


def test_overlap_counts_shared_games_and_mirror_images():
    splits = [corpus(Board.of(6), 0, split, 2000) for split in Split]
    assert overlap(splits[0], splits[0]).share == 1
    assert overlap(splits[0], splits[1], 2000).share < 0.01
    four = [corpus(FOUR, 0, split, 2000) for split in Split]
    assert [(found.games, found.orbits) for found in (overlap(four[0], other) for other in four[1:])] == [(0, 0)] * 3
    one, other = RandomPlay(FOUR, 0, 300), RandomPlay(FOUR, 1, 200)
    found = overlap(one, other)
    played = [rows(c.moves(torch.arange(len(c)))) for c in (one, other)]
    assert found.n == (300, 200)
    assert found.distinct == tuple(len(set(games)) for games in played)
    assert found.games == len(set(played[0]) & set(played[1])) > 0
    assert found.share == sum(game in set(played[1]) for game in played[0]) / 300
    orbits = [{min(tuple(g[m] for m in game) for g in MAPS) for game in games} for games in played]
    assert found.orbits == len(orbits[0] & orbits[1]) > found.games  # mirror images are more than the same games


@pytest.mark.parametrize("size", [6, 8])
def test_prefix_corpora_start_with_the_prefix_and_go_on_legally(size: int):
    prefix = parse_game(OPENINGS[size], Board.of(size))
    moves = corpus(Board.of(size), 0, Split.train, 200, prefix).moves(torch.arange(200))
    assert moves[:, :3].tolist() == [prefix] * 200
    assert (replay(moves, Board.of(size)).illegal_at < 0).all()
    assert len(moves[:, 3].unique()) > 1


@pytest.mark.parametrize("split", Split)
def test_a_prefix_gives_exactly_the_filtered_distribution_of_its_split(split: Split):
    prefix = parse_game(ONE_OPENING, FOUR)
    with_prefix = EnumeratedPlay(FOUR, 0, 1, PARTS[split], prefix)
    whole = EnumeratedPlay(FOUR, 0, 1, PARTS[split])
    chances = [dict(zip(rows(c.games), steps(c.cumulative), strict=True)) for c in (with_prefix, whole)]
    kept = {game: p for game, p in chances[1].items() if list(game[: len(prefix)]) == prefix}
    total = sum(kept.values())
    assert set(chances[0]) == set(kept)
    for game, p in chances[0].items():
        assert p == pytest.approx(kept[game] / total, rel=1e-6)


PARTS = dict(zip(Split, [(0.0, 0.7), (0.7, 0.8), (0.8, 0.9), (0.9, 1.0)], strict=True))


def steps(cumulative: Tensor) -> list[float]:
    return torch.diff(cumulative, prepend=torch.zeros(1, dtype=torch.float64)).tolist()


def test_random_play_from_a_prefix_fits_filtering():
    prefix = parse_game(ONE_OPENING, FOUR)
    moves, probability = all_games(FOUR)
    keep = (moves[:, :2] == torch.tensor(prefix)).all(1)
    assert 0 < int(keep.sum()) < len(moves)
    sample = RandomPlay(FOUR, 0, 30_000, prefix=prefix).moves(torch.arange(30_000))
    assert fit(sample, moves[keep], probability[keep]) > ALPHA
    assert fit(sample, moves[keep], probability[keep], 5) > ALPHA


@pytest.mark.parametrize("size", SIZES)
def test_bad_sizes_and_prefixes_are_refused(size: int):
    for games in (0, -1, (1 << 40) + 1):
        with pytest.raises(ValueError, match=r"games: "):
            corpus(Board.of(size), 0, Split.train, games)
    for prefix in ([0], [0, 1]):  # a1 is never a first move
        with pytest.raises(ValueError, match="prefix"):
            corpus(Board.of(size), 0, Split.train, 1, prefix)
