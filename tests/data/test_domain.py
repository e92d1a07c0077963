"""Proves that a domain gives the games that its settings say: windows cut late plies and take the loss off early ones,
token by token as a plain loop does in every kind of language; mixtures draw from their sources in proportion, and each
game is its source's; languages with domains of their own get no game of another; and every mistake in the settings ends
as one line that names the key. Negative controls: proportions slightly off are rejected, targets without a window differ,
and settings that are right pass where each wrong one is refused.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from data.streams import stream_of
from games import random_games
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from torch import Tensor

from mothello.data.batch import IGNORE, make_batch
from mothello.data.config import DataConfig
from mothello.data.corpus import Corpus, Mixture, RandomPlay, WholeGames, Window
from mothello.data.domain import DomainConfig, domain_corpus, mixture
from mothello.data.enumerated import EnumeratedPlay
from mothello.data.language_sampling import LanguageSampling, Pairing
from mothello.data.split import PARTS, Split, corpus
from mothello.data.stored import StoredError, StoredGames, write_index, write_shard
from mothello.errors import UserError
from mothello.languages.anchors import AnchorConfig
from mothello.languages.language import PAD
from mothello.languages.language_set import LanguagesConfig, LanguageSet, OutputVocabulary, build_languages
from mothello.objectives.causal_lm import label
from mothello.othello.board import SIZES, Board
from mothello.othello.notation import parse_game, parse_move
from mothello.othello.policy import PolicyConfig
from mothello.othello.random_play import RandomGames
from mothello.othello.replay import replay
from mothello.stages.build import games_of, weights_of

ALPHA = 1e-4
FOUR, SIX = Board.of(4), Board.of(6)
MIXED = ["atomic", "split", "compositional"]
OPENINGS = ["c2", "b3", "e4", "d5"]  # the four first moves on 6x6: they tell domains apart


def language_set(
    kinds: list[str] | None = None, size: int = 6, output: OutputVocabulary = OutputVocabulary.own, count: int = 0
) -> LanguageSet:
    config = LanguagesConfig(kinds=kinds or MIXED, output=output, anchors=AnchorConfig(count=count))
    return build_languages(config, Board.of(size))


def write(folder: Path, board: Board, n: int, source: dict[str, Any] | None = None, seed: int = 77) -> Path:
    folder.mkdir(exist_ok=True)
    shard = write_shard(folder, 0, 0, [random_games(seed, torch.arange(n), board)], board, {})
    write_index(folder, board, source or {"kind": "recorded"}, [shard])
    return folder


# Settings.


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weight": 0.0}, r"^data\.domains\.x\.weight: 0\.0 is not positive$"),
        ({"weight": -1.0}, r"^data\.domains\.x\.weight: -1\.0 is not positive$"),
        ({"weight": float("nan")}, r"^data\.domains\.x\.weight: nan is not a finite number$"),
        ({"plies": [3]}, r"^data\.domains\.x\.plies: \[3\] is not \[first, last\]$"),
        ({"plies": [0, 1, 2]}, r"^data\.domains\.x\.plies: \[0, 1, 2\] is not"),
        (
            {"folder": "games", "prefix": ["c2"]},
            r"^data\.domains\.x\.folder: games holds finished games; leave policy and prefix",
        ),
        (
            {"folder": "games", "policy": PolicyConfig(flips=1)},
            r"^data\.domains\.x\.folder: games holds finished games",
        ),
    ],
)
def test_a_bad_domain_names_its_key(settings: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        DataConfig(domains={"x": DomainConfig(**settings)})


@pytest.mark.parametrize(
    ("settings", "plain"),
    [
        ({}, True),
        ({"weight": 0.1}, True),
        ({"policy": PolicyConfig(temperature=3)}, True),
        ({"policy": PolicyConfig(flips=1)}, False),
        ({"prefix": ["c2"]}, False),
        ({"plies": [0, 5]}, False),
        ({"folder": "games"}, False),
        ({"folder": "games", "plies": [0, 5], "policy": PolicyConfig(temperature=3)}, False),
    ],
)
def test_a_good_domain_knows_whether_it_is_plain(settings: dict[str, Any], plain: bool):
    assert DomainConfig(**settings).plain == plain


# What a domain's games are.


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("split", [Split.train, Split.probe])
def test_a_plain_domain_is_the_corpus_itself(size: int, split: Split):
    index = torch.arange(50)
    found = domain_corpus(Board.of(size), 3, split, 50, DomainConfig())
    assert torch.equal(found.moves(index), corpus(Board.of(size), 3, split, 50).moves(index))
    assert len(found) == 50


def test_policy_prefix_and_plies_reach_the_games():
    split, policy = Split.transfer, PolicyConfig(flips=0.5)
    domain = DomainConfig(policy=policy, prefix=["c2", "b2"], plies=[4, 20])
    games = domain_corpus(SIX, 3, split, 50, domain)
    assert isinstance(games, Window)
    assert isinstance(games.games, RandomPlay)
    assert (games.first, games.last) == (4, 20)
    play = games.games.play
    assert play == RandomGames(SIX, play.seed, tuple(parse_game("c2b2", SIX)), policy)
    moves = games.moves(torch.arange(50))
    assert (moves[:, :20] == play.games(torch.arange(50) + games.games.first)[:, :20]).all()
    assert (moves[:, 20:] == -1).all()
    four = domain_corpus(FOUR, 3, split, 50, DomainConfig(policy=policy))
    assert isinstance(four, EnumeratedPlay)
    assert not torch.equal(four.probability, corpus(FOUR, 3, split, 50).probability)  # type: ignore[attr-defined]


def test_random_domains_share_no_random_numbers():
    """Else game i of two domains would begin alike wherever the domains agree."""
    domains = [
        DomainConfig(), DomainConfig(policy=PolicyConfig(flips=1)), DomainConfig(policy=PolicyConfig(mobility=1)),
        DomainConfig(policy=PolicyConfig(corners=1)), DomainConfig(prefix=["c2"]), DomainConfig(prefix=["c2", "b2"]),
        DomainConfig(prefix=["c2"], policy=PolicyConfig(flips=1)),
    ]  # fmt: skip
    seeds = [domain_corpus(SIX, 3, Split.train, 5, domain).play.seed for domain in domains]  # type: ignore[attr-defined]
    assert len(set(seeds)) == len(seeds)
    assert seeds[0] == 3
    again = domain_corpus(SIX, 3, Split.train, 5, DomainConfig(policy=PolicyConfig(flips=2, temperature=2)))
    assert again.play.seed == seeds[1]  # type: ignore[attr-defined]  # the same policy in other words
    assert domain_corpus(SIX, 4, Split.train, 5, domains[1]).play.seed != seeds[1]  # type: ignore[attr-defined]


@pytest.mark.parametrize("size", [4, 6])
def test_stored_games_know_their_oracle_if_the_project_played_them(size: int, tmp_path: Path):
    board, policy = Board.of(size), PolicyConfig(flips=0.5)
    source = {"kind": "generated", "prefix": [], "policy": {"flips": 0.5}}
    generated = DomainConfig(folder=str(write(tmp_path / "generated", board, 200, source)))
    recorded = DomainConfig(folder=str(write(tmp_path / "recorded", board, 200)))
    assert domain_corpus(board, 0, Split.train, 20, recorded).oracle is None
    known = domain_corpus(board, 0, Split.train, 20, generated).oracle
    assert known is not None
    games = corpus(board, 0, Split.train, 20, (), policy)
    moves, played = games.moves(torch.arange(20)), games.oracle
    assert played is not None
    assert torch.equal(known(moves), played(moves))
    other = corpus(board, 0, Split.train, 1).oracle  # control
    assert other is not None
    assert not torch.equal(known(moves), other(moves))


def test_a_stored_domain_holds_the_games_of_its_split(tmp_path: Path):
    folder = write(tmp_path, SIX, 300)
    for split in Split:
        games = domain_corpus(SIX, 0, split, 10, DomainConfig(folder=str(folder)))
        assert torch.equal(games.moves(torch.arange(10)), StoredGames(folder, PARTS[split]).moves(torch.arange(10)))
        cut = domain_corpus(SIX, 0, split, 10, DomainConfig(folder=str(folder), plies=[0, 3]))
        assert torch.equal(cut.moves(torch.arange(10))[:, :3], games.moves(torch.arange(10))[:, :3])


# Windows.


@pytest.mark.parametrize("size", SIZES)
@given(st.data())
@settings(max_examples=4)
def test_a_window_cuts_late_plies_and_says_which_are_scored(size: int, data: st.DataObject):
    board = Board.of(size)
    first = data.draw(st.integers(0, board.n_moves - 1))
    last = data.draw(st.integers(first + 1, board.n_moves))
    whole, index = RandomPlay(board, 1, 30), torch.arange(30)
    before = whole.moves(index)
    games = Window(whole, first, last)
    assert len(games) == 30
    assert games.board is board
    expected = [[m if ply < last else -1 for ply, m in enumerate(game)] for game in before.tolist()]
    assert games.moves(index).tolist() == expected
    assert games.first_scored(index).tolist() == [first] * 30


def test_a_window_leaves_the_games_it_looks_at_alone():
    class Fixed(WholeGames):
        board, kept, oracle = FOUR, random_games(0, torch.arange(9), FOUR), None

        def __len__(self) -> int:
            return 9

        def moves(self, indices: Tensor) -> Tensor:
            return self.kept

    before = Fixed.kept.clone()
    assert (Window(Fixed(), 1, 3).moves(torch.arange(9))[:, 3:] == -1).all()
    assert torch.equal(Fixed.kept, before)


def test_a_window_of_a_window_keeps_the_narrower_bounds():
    games = Window(Window(RandomPlay(SIX, 1, 30), 5, 12), 2, 20)
    assert games.first_scored(torch.arange(3)).tolist() == [5] * 3
    assert (games.moves(torch.arange(3))[:, 12:] == -1).all()
    assert (games.moves(torch.arange(3))[:, :12] >= 0).all()


@pytest.mark.parametrize(("first", "last"), [(-1, 5), (5, 5), (6, 5), (0, 33), (32, 33), (0, 0)])
def test_a_window_must_hold_a_ply_of_the_board(first: int, last: int):
    Window(RandomPlay(SIX, 0, 1), 31, 32)  # control
    with pytest.raises(ValueError, match=rf"^plies: \[{first}, {last}\] is not a range within 0\.\.32$"):
        Window(RandomPlay(SIX, 0, 1), first, last)


def slow_targets(made: LanguageSet, game: list[int], language: int, width: int, first_scored: int) -> list[int]:
    """Targets of one game, token by token: what is to be predicted, if it belongs to a scored ply."""
    text = [(token, ply) for ply, move in enumerate(game) for token in made.languages[language].words[move]]
    targets = [IGNORE] * width
    for place, (here, there) in enumerate(zip(text, text[1:], strict=False)):
        token, ply = there
        if ply < first_scored:
            continue
        if made.output is OutputVocabulary.own:
            targets[place] = token
        elif here[1] != ply:  # a move ends here
            targets[place] = game[ply]
    return targets


@settings(max_examples=20)
@given(
    st.sampled_from(SIZES), st.sampled_from(OutputVocabulary), st.sampled_from([0, 3]), st.integers(0, 99), st.data()
)
def test_only_tokens_of_scored_plies_have_targets(
    size: int, output: OutputVocabulary, count: int, seed: int, data: st.DataObject
):
    """Games of different lengths and languages in one batch, each with a first scored ply of its own."""
    board, n = Board.of(size), 9
    made, language = language_set(MIXED, size, output, count), torch.arange(n) % 3
    moves = random_games(seed, torch.arange(n), board)
    ends = data.draw(st.lists(st.integers(1, board.n_moves), min_size=n, max_size=n))
    for row, end in enumerate(ends):
        moves[row, end:] = -1
    first = data.draw(st.lists(st.integers(0, board.n_moves), min_size=n, max_size=n))
    batch = make_batch(moves, language, made, torch.tensor(first))
    games = [[move for move in game if move >= 0] for game in moves.tolist()]
    width = batch.tokens.shape[1]
    expected = [slow_targets(made, g, k, width, f) for g, k, f in zip(games, language.tolist(), first, strict=True)]
    targets = label(batch, made).targets
    assert targets.tolist() == expected
    whole = make_batch(moves, language, made)
    assert all(torch.equal(a, b) for a, b in zip(batch[:4], whole[:4], strict=True))  # they are written all the same
    untouched = make_batch(moves, language, made, torch.zeros(n, dtype=torch.int64))
    assert torch.equal(label(untouched, made).targets, label(whole, made).targets)


@pytest.mark.parametrize("output", OutputVocabulary)
@pytest.mark.parametrize("first", [1, 4])
def test_a_windowed_batch_is_not_that_of_whole_games(output: OutputVocabulary, first: int):
    """Negative control: taking the first ply alone off changes words of more than one token, not atomic ones."""
    made, index = language_set(output=output), torch.arange(12)
    games = Window(RandomPlay(SIX, 0, 12), first, 32)
    for language in range(3):
        spoken = torch.full((12,), language)
        part = label(make_batch(games.moves(index), spoken, made, games.first_scored(index)), made).targets
        whole = label(make_batch(games.moves(index), spoken, made), made).targets
        longer = output is OutputVocabulary.own and made.languages[language].max_word > 1
        assert torch.equal(part, whole) == (first == 1 and not longer)


# Mixtures.


def sources(n: int = 1000) -> list[Corpus]:
    return [RandomPlay(SIX, k, n, prefix=[parse_move(text, SIX)]) for k, text in enumerate(OPENINGS[:3])]


def test_a_mixture_draws_its_sources_in_proportion():
    games, n = Mixture(sources(), [1.0, 2.5, 0.5], 7, 40_000), 40_000
    drawn = games.source(torch.arange(n))
    counts = torch.bincount(drawn, minlength=3).numpy()
    assert chisquare(counts, n * np.array([1, 2.5, 0.5]) / 4).pvalue > ALPHA
    assert chisquare(counts, n * np.array([1, 2.4, 0.6]) / 4).pvalue < ALPHA  # control: slightly off
    pairs = torch.bincount(drawn[:-1] * 3 + drawn[1:], minlength=9).numpy()
    share = counts / n
    assert chisquare(pairs, np.outer(share, share).flatten() * (n - 1)).pvalue > ALPHA  # neighbours know nothing


def test_games_of_a_mixture_are_those_of_the_source_that_it_names():
    each = [*sources(300)[:2], Window(sources(300)[2], 3, 9)]
    games, index = Mixture(each, [1, 1, 2], 7, 300), torch.arange(300)
    source, moves, first = games.source(index), games.moves(index), games.first_scored(index)
    for k, own in enumerate(each):
        here = source == k
        assert int(here.sum()) > 30
        assert torch.equal(moves[here], own.moves(index[here]))
        assert torch.equal(first[here], own.first_scored(index[here]))
        assert (moves[here][:, 0] == parse_move(OPENINGS[k], SIX)).all()
    assert moves.dtype == torch.int8
    assert first.unique().tolist() == [0, 3]


@settings(max_examples=3)
@given(st.lists(st.integers(0, 199), min_size=1, max_size=6), st.integers(2, 6))
def test_a_mixture_is_a_pure_function_of_the_indices(indices: list[int], split: int):
    games, asked = Mixture(sources(200), [1, 2, 3], 7, 200), torch.tensor(indices)
    expected = mixed_games()[asked]
    assert torch.equal(games.moves(asked), expected)
    assert torch.equal(torch.cat([games.moves(part) for part in asked.split(split)]), expected)


@cache
def mixed_games() -> Tensor:
    return Mixture(sources(200), [1, 2, 3], 7, 200).moves(torch.arange(200))


def test_the_seed_decides_the_sources_and_not_the_games():
    index = torch.arange(300)
    one, other = (Mixture(sources(), [1, 1, 1], seed, 300) for seed in (7, 8))
    same = one.source(index) == other.source(index)
    assert 50 < int(same.sum()) < 250
    assert torch.equal(one.moves(index)[same], other.moves(index)[same])


def test_stored_games_repeat_around_their_number(tmp_path: Path):
    stored = StoredGames(write(tmp_path, SIX, 50), PARTS[Split.train])
    n = len(stored)
    assert 20 < n < 50
    games, index = Mixture([stored, RandomPlay(SIX, 0, 1000)], [1, 1], 7, 1000), torch.arange(1000)
    here = games.source(index) == 0
    assert torch.equal(games.moves(index)[here], stored.moves(index[here] % n))
    assert len(games.moves(index)[here].unique(dim=0)) == n
    assert len(games.moves(index)[~here].unique(dim=0)) == int((~here).sum())  # control: random play does not repeat


def test_domains_are_mixed_by_their_weights(tmp_path: Path):
    folder = write(tmp_path, SIX, 100)
    domains = {
        "long": DomainConfig(weight=3, prefix=["c2"]),
        "short": DomainConfig(weight=1, prefix=["b3"], plies=[2, 8]),
        "stored": DomainConfig(weight=2, folder=str(folder)),
    }
    games = mixture(SIX, 5, Split.train, 6000, domains)
    assert isinstance(games, Mixture)
    assert len(games) == 6000
    assert games.weights == [3, 1, 2]
    assert len(games.sources[2]) == StoredGames(folder, PARTS[Split.train]).available
    counts = torch.bincount(games.source(torch.arange(6000)), minlength=3).numpy()
    assert chisquare(counts, [3000, 1000, 2000]).pvalue > ALPHA
    assert (replay(games.moves(torch.arange(300)), SIX).illegal_at == -1).all()
    validation = mixture(SIX, 5, Split.validation, 6000, domains)
    assert isinstance(validation, Mixture)
    index = torch.arange(6000)
    assert not torch.equal(validation.source(index), games.source(index))


def test_one_domain_needs_no_mixture():
    games = mixture(SIX, 5, Split.train, 10, {"only": DomainConfig(weight=0.3)})
    assert torch.equal(games.moves(torch.arange(10)), corpus(SIX, 5, Split.train, 10).moves(torch.arange(10)))


def test_a_stored_domain_alone_must_hold_the_training_games_that_are_asked_for(tmp_path: Path):
    domain = DomainConfig(folder=str(write(tmp_path, SIX, 100)))
    train, probe = (StoredGames(tmp_path, PARTS[split]).available for split in (Split.train, Split.probe))
    assert len(mixture(SIX, 5, Split.train, train, {"only": domain})) == train
    with pytest.raises(
        ValueError, match=rf"^domains\.only\.folder: .* has {train} games in this split, fewer than {train + 1}$"
    ):
        mixture(SIX, 5, Split.train, train + 1, {"only": domain})
    assert len(mixture(SIX, 5, Split.train, train + 1, {"only": domain, "more": DomainConfig()})) == train + 1
    assert len(mixture(SIX, 5, Split.probe, probe + 30, {"only": domain})) == probe  # what is measured on may be fewer


@pytest.mark.parametrize("domain", ["only", "among others"])
def test_a_folder_without_games_of_a_split_is_refused(domain: str, tmp_path: Path):
    """A single game is in one split; of the other three nothing can be drawn."""
    domains = {"stored": DomainConfig(folder=str(write(tmp_path, SIX, 1)))}
    if domain != "only":
        domains["random"] = DomainConfig()
    empty = [split for split in Split if not StoredGames(tmp_path, PARTS[split]).available]
    assert len(empty) == 3
    for split in empty:
        with pytest.raises(ValueError, match=r"^domains\.stored\.folder: "):
            mixture(SIX, 5, split, 10, domains).moves(torch.arange(10))


# Languages with domains of their own.


def test_every_row_comes_from_the_corpus_of_its_language():
    made = language_set()
    each = [*sources(500)[:2], Window(sources(500)[2], 3, 9)]
    stream = stream_of(each, made, 50, 3)
    stream.steps_at_once = 6
    seen = set()
    for step in range(12):
        batch, games = stream.batch(step), stream.games(step)
        rows = torch.arange(50 * step, 50 * step + 50)
        index = stream.indices(rows)
        for language, own in enumerate(each):
            here = batch.language == language
            assert torch.equal(batch.moves[here], own.moves(index[here]))
            assert torch.equal(games.first_scored[here], own.first_scored(index[here]))
            assert (batch.moves[here][:, 0] == parse_move(OPENINGS[language], SIX)).all()
            seen.add((language, bool(here.any())))
        windowed = batch.language == 2
        scored = ((label(batch, made).targets != IGNORE) & (batch.tokens != PAD)).sum(1)
        assert (scored[windowed] < scored[~windowed].min()).all()
    assert {(language, True) for language in range(3)} <= seen


def test_the_shortest_corpus_decides_an_epoch():
    each = [RandomPlay(SIX, k, n) for k, n in enumerate([500, 300, 400])]
    stream = stream_of(each, language_set(), 50, 3)
    rows = torch.arange(600)
    assert stream.size == 300
    assert [sorted(part.tolist()) for part in stream.indices(rows).split(300)] == [list(range(300))] * 2


def settings_of(**data: Any) -> DataConfig:
    return DataConfig(**{"games": 400, "batch_size": 50, **data})


def test_languages_speak_their_domains_and_others_the_mixture():
    made = language_set()
    domains = {name: DomainConfig(prefix=[first]) for name, first in zip("ab", OPENINGS, strict=False)}
    data = settings_of(domains=domains, domain_of={"split_0": "b", "atomic_0": "a"})
    each = games_of(data, made, Split.train, 400)
    index = torch.arange(400)
    first = [set(games.moves(index)[:, 0].tolist()) for games in each]
    a, b = (parse_move(text, SIX) for text in OPENINGS[:2])
    assert first == [{a}, {b}, {a, b}]
    assert isinstance(each[2], Mixture)
    batch = stream_of(each, made, 200, 0).batch(0)
    assert set(batch.moves[batch.language == 0][:, 0].tolist()) == {a}
    assert set(batch.moves[batch.language == 1][:, 0].tolist()) == {b}


def test_without_domains_all_languages_share_one_corpus():
    each = games_of(settings_of(prefix=["c2", "b2"], corpus_seed=4), language_set(), Split.train, 400)
    assert len(each) == 3
    assert each[0] is each[1] is each[2]
    index = torch.arange(20)
    assert torch.equal(each[0].moves(index), corpus(SIX, 4, Split.train, 400, parse_game("c2b2", SIX)).moves(index))


def test_languages_that_speak_one_domain_share_its_corpus():
    domains = {"a": DomainConfig(prefix=["c2"]), "b": DomainConfig()}
    domain_of = {"atomic_0": "a", "compositional_0": "a"}
    each = games_of(settings_of(domains=domains, domain_of=domain_of), language_set(), Split.train, 400)
    assert each[0] is each[2]  # so that they may be parallel
    assert each[0] is not each[1]


# Mistakes in a run's settings.


GOOD = {"a": DomainConfig(), "b": DomainConfig(prefix=["c2"])}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(
            lambda: settings_of(domains=GOOD, domain_of={"klingon": "a"}),
            r"^data\.domain_of: no language 'klingon'; there are atomic_0, split_0, compositional_0$",
            id="unknown language",
        ),
        pytest.param(
            lambda: settings_of(domains={**GOOD, "odd": DomainConfig(prefix=["c2", "a1"])}),
            r"^data\.domains\.odd\.prefix: move 2 is not legal$",
            id="illegal prefix",
        ),
        pytest.param(
            lambda: settings_of(domains={**GOOD, "odd": DomainConfig(prefix=["c2", "h8"])}),
            r"^data\.domains\.odd\.prefix: .*h8 is off the 6x6 board$",
            id="prefix off the board",
        ),
        pytest.param(
            lambda: settings_of(domains={**GOOD, "odd": DomainConfig(prefix=["zz"])}),
            r"^data\.domains\.odd\.prefix: .*'zz' is not a square",
            id="prefix of no squares",
        ),
        pytest.param(
            lambda: settings_of(domains={**GOOD, "odd": DomainConfig(plies=[5, 40])}),
            r"^data\.domains\.odd\.plies: \[5, 40\] is not a range within 0\.\.32$",
            id="plies",
        ),
        pytest.param(
            lambda: settings_of(domains={**GOOD, "odd": DomainConfig(folder="no/such/folder")}),
            r"^data\.domains\.odd\.folder: no/such/folder/corpus\.json does not exist",
            id="no folder",
        ),
        pytest.param(lambda: settings_of(prefix=["c2", "a1"]), r"^data\.prefix: move 2 is not legal$", id="no domains"),
        pytest.param(lambda: settings_of(prefix=["h8"]), r"^data\.prefix: h8 is off the 6x6 board$", id="off"),
        pytest.param(
            lambda: settings_of(language_sampling=LanguageSampling(shares=[1, 2])),
            r"^data\.language_sampling\.shares: 2 shares for 3 languages$",
            id="shares",
        ),
        pytest.param(
            lambda: settings_of(language_sampling=LanguageSampling(pairing=Pairing.parallel)),
            r"^data\.epochs: 1 is not a mult",
            id="epochs",
        ),
    ],
)
def test_a_mistake_in_the_settings_names_its_key(data: Callable[[], DataConfig], message: str):
    made = language_set()
    assert len(games_of(settings_of(domains=GOOD), made, Split.train, 400)) == 3  # control
    with pytest.raises(UserError, match=message) as caught:
        games_of(data(), made, Split.train, 400)
    assert "\n" not in str(caught.value)


def test_a_folder_of_another_board_is_refused(tmp_path: Path):
    data = settings_of(domains={"odd": DomainConfig(folder=str(write(tmp_path, FOUR, 20)))})
    with pytest.raises(UserError, match=r"^data\.domains\.odd\.folder: .* holds 4x4 games, the board is 6x6$"):
        games_of(data, language_set(), Split.train, 400)


def test_a_folder_with_too_few_games_is_refused(tmp_path: Path):
    domain = DomainConfig(folder=str(write(tmp_path, SIX, 100)))
    with pytest.raises(StoredError, match=r"^folder: .* games in this split, fewer than [\d,]+$"):
        domain_corpus(SIX, 0, Split.train, 101, domain)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"domain_of": {"atomic_0": "a"}}, r"^data\.domain_of\.atomic_0: no domain 'a'; there are \[\]$"),
        ({"domain_of": {"atomic_0": "c"}, "domains": GOOD}, r"^data\.domain_of\.atomic_0: no domain 'c'; there are \['a', 'b'\]$"),
        ({"prefix": ["c2"], "domains": GOOD}, r"^data\.prefix: with domains, give the opening to each of them"),
    ],
)  # fmt: skip
def test_settings_that_contradict_each_other_are_refused(data: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        settings_of(**data)


def test_weights_are_those_of_the_draw():
    assert weights_of(
        settings_of(language_sampling=LanguageSampling(shares=[1, 2, 5])), language_set()
    ) == pytest.approx([1 / 8, 2 / 8, 5 / 8])
    with pytest.raises(UserError, match=r"^data\.language_sampling\.shares: "):
        weights_of(settings_of(language_sampling=LanguageSampling(shares=[1, 2])), language_set())
