"""Proves how games are given to languages: a draw equals the formula of the published protocol where languages are alike
and follows their shares otherwise; disjoint corpora give a game one language for ever, parallel ones write every game
once in every language, drawn ones do neither; a step's pairs are translations of each other; and the stream stays a pure
function of seed and step. Negative controls: shares slightly off are rejected, and each pairing fails the other's law.
"""

from collections import Counter, defaultdict

import numpy as np
import pytest
import torch
from data.streams import stream_of
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, chisquare
from torch import Tensor

from mothello.data.batch import IGNORE, Batch, make_batch
from mothello.data.corpus import RandomPlay, WholeGames, Window, draw
from mothello.data.language_sampling import LanguageSampling, Pairing, languages_of
from mothello.data.orbit import orbit_code
from mothello.data.split import Split, corpus
from mothello.data.stream import Stream
from mothello.errors import UserError
from mothello.languages.anchors import AnchorConfig
from mothello.languages.language import decode
from mothello.languages.language_set import LanguagesConfig, LanguageSet, OutputVocabulary, build_languages
from mothello.objectives.causal_lm import label
from mothello.othello.board import Board
from mothello.othello.counter import random_bits
from mothello.seeding import derive

ALPHA = 1e-4
FOUR, SIX = Board.of(4), Board.of(6)
MIXED = ["atomic", "split", "compositional"]
WORD = 1 << 32


def language_set(
    kinds: list[str] | None = None, size: int = 4, output: OutputVocabulary = OutputVocabulary.own, count: int = 0
) -> LanguageSet:
    config = LanguagesConfig(kinds=kinds or MIXED, output=output, anchors=AnchorConfig(count=count))
    return build_languages(config, Board.of(size))


class Numbered(WholeGames):
    """A corpus whose game i tells its index: four digits to base 12, written as moves."""

    board, oracle = FOUR, None

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def moves(self, indices: Tensor) -> Tensor:
        digits = [indices // 12**k % 12 for k in range(4)] + [torch.full_like(indices, -1)] * 8
        return torch.stack(digits, 1).to(torch.int8)


def number(batch: Batch) -> list[int]:
    return (batch.moves[:, :4].long() * 12 ** torch.arange(4)).sum(1).tolist()


def same(one: Batch, other: Batch) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one[:5], other[:5], strict=True))


# The draw.


def edges(n: int) -> Tensor:
    """32 random bits at both sides of every k / n, and the two ends."""
    steps = [k * WORD // n + offset for k in range(n + 1) for offset in (-1, 0, 1)]
    return torch.tensor(sorted({min(max(step, 0), WORD - 1) for step in steps}))


@pytest.mark.parametrize("weight", [1.0, 1, 7])
def test_equal_weights_draw_the_rank_of_the_published_formula(weight: float):
    for n in range(2, 101):
        bits = torch.cat([edges(n), random_bits(n, torch.arange(100), 0)])
        assert torch.equal(draw(bits, [weight] * n), bits * n >> 32), n


def test_languages_without_shares_draw_the_rank_of_the_published_formula():
    """Down to the last of the 2^32 bits: a run without shares is the run it was before there were any."""
    wrong = []
    for n in range(1, 101):
        bits = torch.cat([edges(n), random_bits(n, torch.arange(100), 0)])
        if not torch.equal(draw(bits, LanguageSampling().weights(n)), bits * n >> 32):
            wrong.append(n)
    assert wrong == []


def test_the_languages_of_a_stream_are_the_published_formula():
    rows = torch.arange(5000)
    for n in (2, 3, 5, 7):
        bits = random_bits(derive(3, "language"), rows, 0)
        assert torch.equal(languages_of(rows, rows, rows // 9, LanguageSampling(), n, 3), bits * n >> 32)


@settings(max_examples=40)
@given(st.lists(st.integers(1, 1000), min_size=1, max_size=8), st.data())
def test_a_draw_takes_the_exact_thresholds_of_integer_weights(weights: list[int], data: st.DataObject):
    total, ends = sum(weights), np.cumsum(weights).tolist()
    exact = [-(-end * WORD // total) for end in ends]  # the first bits that belong to the next
    near = [min(max(e + d, 0), WORD - 1) for e in exact for d in (-1, 0, 1)]
    bits = near + data.draw(st.lists(st.integers(0, WORD - 1), max_size=10))
    expected = [next(k for k, end in enumerate(exact) if value < end) for value in bits]
    assert draw(torch.tensor(bits), weights).tolist() == expected
    assert draw(torch.tensor(bits), [w / 4 for w in weights]).tolist() == expected  # relative weights


@pytest.mark.parametrize("weights", [[1.0, 2.5, 0.5], [0.001, 0.999], [3.0], [1.0, 1.0, 1.0, 5.0]])
def test_a_draw_follows_the_weights(weights: list[float]):
    n = 60_000
    drawn = draw(random_bits(1, torch.arange(n), 0), weights)
    counts = torch.bincount(drawn, minlength=len(weights)).numpy()
    assert len(counts) == len(weights)
    share = np.array(weights) / sum(weights)
    if len(weights) == 1:
        assert counts.tolist() == [n]
        return
    assert chisquare(counts, n * share).pvalue > ALPHA
    off = share * np.where(np.arange(len(share)) == share.argmin(), 2, 1)  # control: the smallest share off
    assert chisquare(counts, n * off / off.sum()).pvalue < ALPHA


# Shares.


def test_alpha_is_a_power_of_the_shares():
    shares = [1.0, 4.0, 25.0]
    for alpha, powers in ((0.0, [1, 1, 1]), (0.5, [1, 2, 5]), (1.0, [1, 4, 25]), (2.0, [1, 16, 625])):
        weights = LanguageSampling(shares=shares, alpha=alpha).weights(3)
        assert weights == pytest.approx([p / sum(powers) for p in powers], rel=1e-12)
        scaled = LanguageSampling(shares=[100 * s for s in shares], alpha=alpha).weights(3)
        assert scaled == pytest.approx(weights, rel=1e-12)
    assert LanguageSampling().weights(3) == pytest.approx([1 / 3] * 3)
    assert LanguageSampling().weights(2) == pytest.approx([1 / 2] * 2)
    with pytest.raises(UserError, match="alpha: has no effect without"):
        LanguageSampling(alpha=0.3)


@pytest.mark.parametrize("pairing", [Pairing.drawn, Pairing.disjoint])
@pytest.mark.parametrize(("alpha", "powers"), [(0.0, [1, 1, 1]), (0.5, [1, 2, 5]), (1.0, [1, 4, 25])])
def test_languages_get_their_shares(pairing: Pairing, alpha: float, powers: list[int]):
    how = LanguageSampling(pairing=pairing, shares=[1.0, 4.0, 25.0], alpha=alpha)
    n, stream = 30_000, stream_of(Numbered(15_000), language_set(), 100, 0, how=how)
    rows = torch.arange(n)
    language = stream.languages(rows, stream.indices(rows))
    if pairing is Pairing.disjoint:
        assert torch.equal(torch.bincount(language[: n // 2]), torch.bincount(language[n // 2 :]))
        language = language[: n // 2]  # the second epoch is the first again
    counts = torch.bincount(language, minlength=3).numpy()
    share = np.array(powers) / sum(powers)
    assert chisquare(counts, len(language) * share).pvalue > ALPHA
    off = share * [1.25, 1, 1]  # control
    assert chisquare(counts, len(language) * off / off.sum()).pvalue < ALPHA


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shares": [1.0, 0.0]}, r"^data\.language_sampling\.shares: \[1\.0, 0\.0\] are not all positive$"),
        ({"shares": [1.0, -2.0]}, r"^data\.language_sampling\.shares: "),
        ({"shares": [float("nan")]}, r"^data\.language_sampling\.shares: "),
        ({"alpha": -0.1}, r"^data\.language_sampling\.alpha: -0\.1 is outside 0\.\.10$"),
        ({"alpha": 10.1}, r"^data\.language_sampling\.alpha: 10\.1 is outside 0\.\.10$"),
        ({"alpha": float("nan")}, r"^data\.language_sampling\.alpha: "),
        (
            {"pairing": Pairing.parallel, "shares": [1.0, 1.0]},
            r"^data\.language_sampling\.shares: parallel corpora hold every game",
        ),
    ],
)
def test_a_bad_draw_names_its_key(settings: dict[str, object], message: str):
    with pytest.raises(ValueError, match=message):
        LanguageSampling(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("n", [1, 3])
def test_a_wrong_number_of_shares_is_refused(n: int):
    how = LanguageSampling(shares=[1.0, 2.0])
    assert how.weights(2) == pytest.approx([1 / 3, 2 / 3])
    with pytest.raises(ValueError, match=rf"^data\.language_sampling\.shares: 2 shares for {n} languages$"):
        how.weights(n)


def test_parallel_corpora_need_whole_turns():
    parallel = LanguageSampling(pairing=Pairing.parallel)
    for epochs, n in ((2, 2), (4.0, 2), (3, 3), (20, 20), (1, 1)):
        parallel.check_epochs(epochs, n)
    for epochs, n in ((1, 2), (2.5, 2), (3, 2), (4, 3), (0.5, 1)):
        with pytest.raises(ValueError, match=rf"^data\.epochs: {epochs:g} is not a multiple of {n}; "):
            parallel.check_epochs(epochs, n)
        for other in (Pairing.drawn, Pairing.disjoint):
            LanguageSampling(pairing=other).check_epochs(epochs, n)


# The pairings.


def visits(how: LanguageSampling, n: int, epochs: int, seed: int, size: int = 240) -> dict[int, list[int]]:
    """Languages in which each game is written over whole epochs, in order."""
    stream = stream_of(Numbered(size), language_set([f"atomic*{n}"]), 40, seed, how=how, corpus_seed=9)
    found = defaultdict(list)
    for step in range(epochs * size // 40):
        batch = stream.batch(step)
        for game, language in zip(number(batch), batch.language.tolist(), strict=True):
            found[game].append(language)
    assert sorted(found) == list(range(size))
    return found


def of_one_language(found: dict[int, list[int]]) -> bool:
    return all(len(set(languages)) == 1 for languages in found.values())


def once_in_each(found: dict[int, list[int]], n: int) -> bool:
    return all(sorted(languages) == list(range(n)) for languages in found.values())


@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("pairing", Pairing)
def test_what_each_pairing_promises(pairing: Pairing, n: int):
    """disjoint: one language for ever. parallel: once in each over n epochs. Each fails the other's law, drawn both."""
    first, second = (visits(LanguageSampling(pairing=pairing), n, n, seed) for seed in (0, 1))
    assert of_one_language(first) == (pairing is Pairing.disjoint)
    assert once_in_each(first, n) == once_in_each(second, n) == (pairing is Pairing.parallel)
    together = {game: first[game] + second[game] for game in first}
    assert of_one_language(together) == (pairing is Pairing.disjoint)  # whatever the training seed
    counts = Counter(language for languages in first.values() for language in languages)
    games = 240 if pairing is Pairing.disjoint else 240 * n
    each = [counts[k] / (n if pairing is Pairing.disjoint else 1) for k in range(n)]
    assert sum(each) == games
    if pairing is Pairing.parallel:
        assert each == [240] * n
    else:
        assert chisquare(each).pvalue > ALPHA


def test_disjoint_languages_never_share_a_game_with_shares():
    how = LanguageSampling(pairing=Pairing.disjoint, shares=[1.0, 3.0])
    found = [visits(how, 2, 4, seed) for seed in (0, 1, 2)]
    owners = [{game: set(languages) for game, languages in one.items()} for one in found]
    assert all(len(languages) == 1 for languages in owners[0].values())
    assert owners[0] == owners[1] == owners[2]
    assert chisquare([sum(o == {k} for o in owners[0].values()) for k in (0, 1)], [60, 180]).pvalue > ALPHA


def test_parallel_games_begin_in_every_language_and_go_on_in_turn():
    found = visits(LanguageSampling(pairing=Pairing.parallel), 3, 6, 0)
    assert all((b - a) % 3 == 1 for languages in found.values() for a, b in zip(languages, languages[1:], strict=False))
    assert chisquare([sum(languages[0] == k for languages in found.values()) for k in range(3)]).pvalue > ALPHA


def test_the_corpus_decides_who_owns_a_game():
    index = torch.arange(4000)
    rows, epochs = index + 9, index // 1000

    def owners(seed: int, corpus_seed: int, pairing: Pairing = Pairing.disjoint) -> Tensor:
        return languages_of(rows, index, epochs, LanguageSampling(pairing=pairing), 3, seed, corpus_seed)

    for pairing in (Pairing.disjoint, Pairing.parallel):
        assert torch.equal(owners(0, 5, pairing), owners(1, 5, pairing))
        assert not torch.equal(owners(0, 5, pairing), owners(0, 6, pairing))
    drawn = [owners(seed, corpus_seed, Pairing.drawn) for seed, corpus_seed in ((0, 5), (0, 6), (1, 5))]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    table = np.zeros((3, 3))
    np.add.at(table, (owners(0, 5).numpy(), owners(0, 6).numpy()), 1)
    assert chi2_contingency(table).pvalue > ALPHA  # another corpus' owners know nothing of these


def test_one_language_writes_everything():
    for pairing in Pairing:
        assert set(map(tuple, visits(LanguageSampling(pairing=pairing), 1, 1, 0).values())) == {(0,)}


# Pairs.


def read(batch: Batch, made: LanguageSet) -> list[list[int]]:
    """The moves that a batch's tokens say, each row by its own language's decoder."""
    found = []
    for row, language in enumerate(batch.language.tolist()):
        decoded = decode(batch.tokens[row : row + 1], made.trie(language))
        assert decoded.error_at.tolist() == [-1]
        found.append([move for move in decoded.moves[0].tolist() if move >= 0])
    return found


@pytest.mark.parametrize(("output", "count"), [(OutputVocabulary.own, 4), (OutputVocabulary.unified, 0)])
def test_pairs_are_translations_of_each_other(output: OutputVocabulary, count: int):
    made, games = language_set(size=6, output=output, count=count), Window(RandomPlay(SIX, 2, 300), 3, 20)
    stream = stream_of(games, made, 20, 1)
    stream.steps_at_once = 1
    for step, one, other in ((0, 0, 1), (7, 2, 0), (7, 1, 2), (3, 1, 1)):
        first, second = stream.pairs(step, one, other)
        batch = stream.batch(step)
        played = [[move for move in game if move >= 0] for game in batch.moves.tolist()]
        assert read(first, made) == read(second, made) == played
        assert first.language.tolist() == [one] * 20
        assert second.language.tolist() == [other] * 20
        assert torch.equal(first.tokens, second.tokens) == (one == other)
        for pair in (first, second):
            require_single_process = make_batch(batch.moves, pair.language, made, torch.full((20,), 3))
            assert same(pair, require_single_process)
            assert int((label(pair, made).targets != IGNORE).sum(1).min()) >= 17
    assert played != read(stream.pairs(4, 0, 0)[0], made)  # control: another step is no translation


def test_languages_with_games_of_their_own_have_no_pairs():
    shared = RandomPlay(SIX, 0, 100)
    stream = stream_of([shared, RandomPlay(SIX, 1, 100), shared], language_set(size=6), 10, 0)
    with pytest.raises(AssertionError, match="share no games"):
        stream.pairs(0, 0, 1)


def test_pairs_hold_only_games_of_the_corpus_that_both_languages_share():
    """Rows that a third language draws from a domain of its own are no text of these two."""
    shared, own = RandomPlay(SIX, 0, 100), RandomPlay(SIX, 1, 100)
    stream = stream_of([shared, own, shared], language_set(size=6), 60, 0)
    stream.steps_at_once = 1
    first, _ = stream.pairs(0, 0, 2)
    games = set(map(tuple, shared.moves(torch.arange(100)).tolist()))
    assert {tuple(game) for game in first.moves.tolist()} <= games


# A pure function.


@settings(max_examples=6)
@given(
    st.sampled_from(Pairing), st.integers(0, 99), st.integers(1, 50), st.lists(st.integers(0, 40), min_size=1, max_size=3)
)  # fmt: skip
def test_a_batch_is_a_function_of_seed_and_step(pairing: Pairing, seed: int, batch_size: int, steps: list[int]):
    shares = [] if pairing is Pairing.parallel else [1.0, 2.0, 3.0]
    games, made, how = Numbered(101), language_set(["atomic*3"]), LanguageSampling(pairing=pairing, shares=shares)

    def stream(chunk: int | None = None) -> Stream:
        made_now = stream_of(games, made, batch_size, seed, how=how, corpus_seed=4)
        made_now.steps_at_once = made_now.steps_at_once if chunk is None else chunk
        return made_now

    asked_before = stream()
    for step in steps:
        batch = asked_before.batch(step)
        assert same(batch, stream(1).batch(step))
        assert same(batch, stream(7).batch(step))
        assert all(same(a, b) for a, b in zip(asked_before.pairs(step, 0, 1), stream(1).pairs(step, 0, 1), strict=True))
        assert same(batch, asked_before.batch(step))
        rows = torch.arange(step * batch_size, (step + 1) * batch_size)
        assert torch.equal(batch.language, asked_before.languages(rows, asked_before.indices(rows)))


@pytest.mark.parametrize("pairing", Pairing)
def test_the_batch_size_moves_neither_games_nor_languages(pairing: Pairing):
    how = LanguageSampling(pairing=pairing)
    small, large = (stream_of(Numbered(300), language_set(), n, 5, how=how) for n in (10, 50))
    for step in range(10):
        pieces = [small.batch(5 * step + k) for k in range(5)]
        whole = large.batch(step)
        assert [game for piece in pieces for game in number(piece)] == number(whole)
        assert torch.cat([piece.language for piece in pieces]).tolist() == whole.language.tolist()


def test_the_pairing_does_not_move_the_order_of_the_games():
    streams = [
        stream_of(Numbered(300), language_set(), 50, 5, how=LanguageSampling(pairing=pairing)) for pairing in Pairing
    ]
    for step in (0, 5, 6, 13):
        games = [number(stream.batch(step)) for stream in streams]
        assert games[0] == games[1] == games[2]
    languages = [stream.batch(0).language.tolist() for stream in streams]
    assert languages[0] != languages[1]


def test_disjoint_languages_share_no_game_and_no_mirror_image_on_a_board_where_games_repeat():
    """4x4: the same game stands at several indices; drawn by the index alone, thousands had two languages."""
    made = build_languages(LanguagesConfig(kinds=["atomic*2"]), FOUR)
    games = corpus(FOUR, 0, Split.train, 20_000)
    owners: dict[str, dict[int, set[int]]] = {}
    for pairing in (Pairing.disjoint, Pairing.drawn):
        stream = stream_of(games, made, 1000, 0, how=LanguageSampling(pairing=pairing))
        found = owners.setdefault(pairing.value, {})
        for step in range(20):
            drawn = stream.games(step)
            for code, language in zip(orbit_code(drawn.moves, FOUR).tolist(), drawn.language.tolist(), strict=True):
                found.setdefault(code, set()).add(language)
    assert max(map(len, owners["disjoint"].values())) == 1
    assert sum(len(languages) == 2 for languages in owners["drawn"].values()) > 1000  # control
    assert 0.45 < np.mean([min(languages) for languages in owners["disjoint"].values()]) < 0.55
