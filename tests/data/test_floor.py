"""Proves that the floor is the conditional entropy of the scored targets: over the whole 4x4 game tree it equals the
entropy counted from plain dictionaries (token prefix -> what follows, over all games and languages), for every kind,
with anchors and mirrored links that hide the language, and for a unified output. Trees cut after some plies are exact
too, since nothing is predicted across the end; some are taken whole. Negative controls: the floor that
ignores the other languages, and the one of unweighted games, are off.
"""

from collections import defaultdict
from math import log

import pytest
import torch
from torch import Tensor

from mothello.data.batch import IGNORE, LabeledBatch, in_language, make_batch
from mothello.data.corpus import RandomPlay
from mothello.data.enumerated import all_games
from mothello.data.floor import entropies, floor
from mothello.data.oracle import play_oracle
from mothello.languages.anchors import AnchorConfig, Placement, Sharing
from mothello.languages.language import PAD
from mothello.languages.language_set import LanguagesConfig, LanguageSet, OutputVocabulary, build_languages
from mothello.objectives.causal_lm import label
from mothello.othello.board import Board
from mothello.othello.notation import move_name
from mothello.othello.replay import replay
from mothello.othello.symmetry import move_map

FOUR = Board.of(4)
UNIFORM = play_oracle(FOUR)
CLOSE = 2e-6  # float32 probabilities inside, means over millions of positions


def mirrored(symmetry: str, one: str = "atomic_0", other: str = "atomic_1") -> list[str]:
    """Links that write move m of one language as g(m) of the other, for every move."""
    image = move_map(FOUR, symmetry)
    return [f"{one}.{move_name(FOUR, m)}={other}.{move_name(FOUR, image[m])}" for m in range(12)]


def language_set(kinds: list[str], output: OutputVocabulary = OutputVocabulary.own, **anchors: object) -> LanguageSet:
    config = LanguagesConfig(kinds=kinds, output=output, anchors=AnchorConfig(**anchors))  # type: ignore[arg-type]
    return build_languages(config, FOUR)


def tree(plies: int) -> tuple[Tensor, Tensor]:
    """All games cut after that many plies, and their probabilities."""
    moves, probability = all_games(FOUR)
    cut, where = moves[:, :plies].unique(dim=0, return_inverse=True)
    weight = torch.zeros(len(cut), dtype=torch.float64).index_add_(0, where, probability)
    full = torch.full((len(cut), FOUR.n_moves), -1, dtype=torch.int8)
    full[:, :plies] = cut
    return full, weight


def brute_force(language_set: LanguageSet, moves: Tensor, weight: Tensor, languages: list[int]) -> float:
    """Entropy in nats per scored position, from counts of what follows each prefix in any of the languages."""
    node: dict[tuple[int, int], int] = {}  # a prefix is a number; (prefix, token) -> the longer prefix
    follows: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    games = [[move for move in game if move >= 0] for game in moves.tolist()]
    for language in languages:
        words = language_set.languages[language].words
        for game, p in zip(games, weight.tolist(), strict=True):
            prefix = 0
            for ply, move in enumerate(game):
                for token in words[move]:
                    if language_set.output is OutputVocabulary.own and prefix:
                        follows[prefix][token] += p
                    prefix = node.setdefault((prefix, token), len(node) + 1)
                if language_set.output is OutputVocabulary.unified and ply + 1 < len(game):
                    follows[prefix][game[ply + 1]] += p
    entropy = scored = 0.0
    for counts in follows.values():
        total = sum(counts.values())
        entropy -= sum(c * log(c / total) for c in counts.values())
        scored += total
    return entropy / scored


def batches(language_set: LanguageSet, moves: Tensor, language: int) -> list[LabeledBatch]:
    return [label(in_language(piece, language, language_set), language_set) for piece in moves.split(2048)]


def weighted_floor(language_set: LanguageSet, moves: Tensor, weight: Tensor, languages: list[int]) -> float:
    """What ``entropies`` gives, each game weighted by its probability, every language alike."""
    nats = scored = 0.0
    for language in languages:
        pieces = batches(language_set, moves, language)
        entropy = torch.cat([entropies(batch, language_set, UNIFORM).double().sum(1) for batch in pieces])
        count = torch.cat([(batch.targets != IGNORE).sum(1) for batch in pieces])
        nats += float((entropy * weight).sum())
        scored += float((count * weight).sum())
    return nats / scored


def both(language_set: LanguageSet, plies: int) -> tuple[float, float]:
    moves, weight = tree(plies)
    languages = list(range(len(language_set.languages)))
    return weighted_floor(language_set, moves, weight, languages), brute_force(language_set, moves, weight, languages)


def test_the_cut_tree_is_a_tree():
    moves, weight = tree(6)
    assert len(moves) == 1296  # perft, depth 6
    assert float(weight.sum()) == pytest.approx(1)


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(lambda: language_set(["atomic*2"]), id="naive atomic"),
        pytest.param(
            lambda: language_set(["atomic", "split"], links=mirrored("main", "atomic_0", "split_0")),
            id="mirrored",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_the_floor_of_all_60060_games_is_the_entropy_of_the_whole_tree(made):
    floored, counted = both(made(), 12)
    assert floored == pytest.approx(counted, abs=CLOSE)


KINDS = {
    "one atomic": ["atomic"],
    "atomic": ["atomic*3"],
    "split": ["split*2"],
    "compositional": ["compositional*2"],
    "mixed": ["atomic", "split", "compositional"],
    "compositional first": ["compositional", "split", "atomic"],
}


@pytest.mark.parametrize("output", OutputVocabulary)
@pytest.mark.parametrize("count", [0, 4, 8])
@pytest.mark.parametrize("kinds", sorted(KINDS))
def test_anchors_hide_the_language_by_exactly_as_much_as_counting_says(
    kinds: str, count: int, output: OutputVocabulary
):
    places = {"placement": Placement.any} if count else {}
    made = language_set(KINDS[kinds], output, count=count, **places)
    floored, counted = both(made, 5)
    assert floored == pytest.approx(counted, abs=CLOSE)


@pytest.mark.parametrize("output", OutputVocabulary)
@pytest.mark.parametrize("symmetry", ["identity", "rot180", "main", "anti", "rot90", "columns"])
@pytest.mark.parametrize("n_links", [4, 8, 12])
def test_mirrored_links_hide_which_move_is_meant(symmetry: str, n_links: int, output: OutputVocabulary):
    made = language_set(["atomic*2"], output, links=mirrored(symmetry)[-n_links:])
    floored, counted = both(made, 5)
    assert floored == pytest.approx(counted, abs=CLOSE)


@pytest.mark.parametrize("output", OutputVocabulary)
def test_shared_components_and_groups(output: OutputVocabulary):
    shared = language_set(["compositional*3"], output, moves=["b1", "a2", "d4"], sharing=Sharing.component)
    grouped = language_set(["atomic*4"], output, count=8, groups=[["atomic_0", "atomic_3"], ["atomic_1", "atomic_2"]])
    for made in (shared, grouped):
        floored, counted = both(made, 5)
        assert floored == pytest.approx(counted, abs=CLOSE)


@pytest.mark.parametrize("output", OutputVocabulary)
def test_games_that_end_are_scored_to_their_last_move_and_no_further(output: OutputVocabulary):
    """All games of six to eight plies, with the trees they stand in, cut after eight plies."""
    floored, counted = both(language_set(["split*2"], output, count=2), 8)
    assert floored == pytest.approx(counted, abs=CLOSE)


def test_a_language_whose_game_is_over_cannot_be_the_one_that_goes_on():
    """False friends c1 and d4: after b1 a1 a2 a3 b4 d2 d3 c4 d1 a4 their token ends the game in one reading only."""
    exchanged = {"c1": "d4", "d4": "c1"}
    names = [move_name(FOUR, m) for m in range(12)]
    made = language_set(["atomic*2"], links=[f"atomic_0.{n}=atomic_1.{exchanged.get(n, n)}" for n in names])
    floored, counted = both(made, 12)
    assert floored == pytest.approx(counted, abs=CLOSE)


def test_the_floor_of_a_cut_batch_ignores_padding():
    made = language_set(["atomic", "compositional"], count=2)
    moves, _ = tree(4)
    short, long = (label(in_language(moves[:50], k, made), made) for k in (0, 1))
    mixed = label(make_batch(moves[:50].repeat(2, 1), torch.arange(100) // 50, made), made)
    entropy = entropies(mixed, made, UNIFORM)
    assert entropy.shape == mixed.targets.shape
    assert (entropy[mixed.targets == IGNORE] == 0).all()
    assert not entropy.isnan().any()
    torch.testing.assert_close(entropy[:50, : short.targets.shape[1]], entropies(short, made, UNIFORM))
    torch.testing.assert_close(entropy[50:], entropies(long, made, UNIFORM))
    assert (mixed.text.tokens[:50, 12:] == PAD).all()


@pytest.mark.parametrize("output", OutputVocabulary)
def test_a_language_with_words_of_its_own_has_the_entropy_of_the_rules(output: OutputVocabulary):
    """Atomic without anchors: log of the number of legal moves, whatever other languages exist."""
    made = language_set(["atomic", "split"], output)
    moves = RandomPlay(FOUR, 0, 64).moves(torch.arange(64))
    legal = replay(moves, FOUR).legal[:, 1:-1]
    n_legal = torch.tensor([[bin(bits & FOUR.full).count("1") for bits in row] for row in legal.tolist()])
    expected = torch.where(moves[:, 1:] >= 0, n_legal.clamp(min=1).double().log(), 0)
    torch.testing.assert_close(
        entropies(label(in_language(moves, 0, made), made), made, UNIFORM)[:, :11].double(), expected
    )
    batch = label(in_language(moves, 1, made), made)
    nats = entropies(batch, made, UNIFORM).sum(1)
    torch.testing.assert_close(nats.double(), expected.sum(1))  # the first token of a split word tells the move


def test_ignoring_the_other_languages_is_not_the_floor():
    """Negative control: with anchors the counted entropy of one language alone is lower."""
    made = language_set(["atomic*2"], count=8, placement=Placement.any)
    moves, weight = tree(5)
    floored = weighted_floor(made, moves, weight, [0, 1])
    assert floored > brute_force(made, moves, weight, [0]) + 1e-2
    assert abs(floored - weighted_floor(made, moves, torch.ones_like(weight), [0, 1])) > 1e-3


@pytest.mark.parametrize("output", OutputVocabulary)
def test_the_estimate_and_its_standard_error_are_honest(output: OutputVocabulary):
    """Samples of random play, cut after seven plies, scatter around the exact value as their standard error says."""
    made = language_set(["atomic", "compositional"], output, count=4)
    exact = both(made, 7)[1]
    z = []
    for seed in range(16):
        moves = RandomPlay(FOUR, seed, 100).moves(torch.arange(100))
        moves[:, 7:] = -1
        language = torch.randint(2, (100,), generator=torch.Generator().manual_seed(seed))
        estimate = floor(label(make_batch(moves, language, made), made), made, UNIFORM)
        z.append((estimate.nats - exact) / estimate.standard_error)
    spread = torch.tensor(z, dtype=torch.float64)
    assert 0.5 < float(spread.std()) < 1.6
    assert abs(float(spread.mean())) < 4 / 16**0.5


def test_the_floor_is_the_mean_over_scored_positions():
    made = language_set(["atomic", "split"], count=2)
    moves = RandomPlay(FOUR, 0, 300).moves(torch.arange(300))
    batch = label(make_batch(moves, torch.arange(300) % 2, made), made)
    before = [field.clone() for field in (*batch.text[:5], batch.targets)]
    mean = float(entropies(batch, made, UNIFORM).double().sum() / (batch.targets != IGNORE).sum())
    assert floor(batch, made, UNIFORM).nats == pytest.approx(mean, rel=1e-6)
    assert all(torch.equal(a, b) for a, b in zip((*batch.text[:5], batch.targets), before, strict=True))
