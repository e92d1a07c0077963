"""Proves that the training stream is arithmetic: a batch is a function of seed and step alone, an epoch visits each
game once in an order that the seed decides, languages are drawn evenly at every visit, the training seed moves no
game, and targets are what a slow loop says. Negative controls: other seeds and epochs give other orders.
"""

from collections import Counter

import numpy as np
import pytest
import torch
from data.streams import stream_of
from games import random_games
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, chisquare
from torch import Tensor

from mothello.data.batch import IGNORE, Batch, in_language, make_batch
from mothello.data.config import DataConfig
from mothello.data.corpus import RandomPlay, WholeGames
from mothello.data.permutation import permute
from mothello.data.split import Split, corpus
from mothello.data.stream import Stream
from mothello.languages.anchors import AnchorConfig
from mothello.languages.language import PAD
from mothello.languages.language_set import LanguagesConfig, LanguageSet, OutputVocabulary, build_languages
from mothello.objectives.causal_lm import label
from mothello.othello.board import Board

ALPHA = 1e-4
MIXED = ["atomic", "split", "compositional"]


class Numbered(WholeGames):
    """A corpus whose game i tells its index: four digits to base 12, written as moves."""

    board = Board.of(4)

    def __init__(self, size: int) -> None:
        self.size = size
        self.asked = 0

    def __len__(self) -> int:
        return self.size

    def moves(self, indices: Tensor) -> Tensor:
        self.asked += len(indices)
        assert int(indices.min()) >= 0
        assert int(indices.max()) < self.size
        # digit k is the move itself: repeats do not matter to an atomic language of 12-move rows
        return torch.stack([indices // 12**k % 12 for k in range(4)] + [torch.full_like(indices, -1)] * 8, 1).to(
            torch.int8
        )


def number(batch: Batch) -> list[int]:
    return (batch.moves[:, :4].long() * 12 ** torch.arange(4)).sum(1).tolist()


def language_set(
    kinds: list[str] | None = None, size: int = 4, output: OutputVocabulary = OutputVocabulary.own, count: int = 0
) -> LanguageSet:
    config = LanguagesConfig(kinds=kinds or ["atomic*2"], output=output, anchors=AnchorConfig(count=count))
    return build_languages(config, Board.of(size))


GAMES, FAMILY = RandomPlay(Board.of(4), 0, 101), language_set(MIXED)


def same(one: Batch, other: Batch) -> bool:
    tensors = zip(one[:5], other[:5], strict=True)
    return one.groups == other.groups and all(torch.equal(a, b) for a, b in tensors)


@settings(max_examples=12)
@given(st.integers(0, 99), st.integers(1, 60), st.lists(st.integers(0, 300), min_size=1, max_size=3))
def test_a_batch_is_a_function_of_seed_and_step(seed: int, batch_size: int, steps: list[int]):
    def stream(chunk: int | None = None) -> Stream:
        made = stream_of(GAMES, FAMILY, batch_size, seed)
        made.steps_at_once = made.steps_at_once if chunk is None else chunk
        return made

    asked_before = stream()
    for step in steps:
        batch = asked_before.batch(step)
        assert len(batch.tokens) == batch_size
        assert same(batch, stream(1).batch(step))
        assert same(batch, stream(7).batch(step))


def test_batch_size_does_not_move_the_order_of_games_or_languages():
    small, large = (stream_of(Numbered(1000), language_set(), n, 5) for n in (10, 50))
    for step in range(4):
        parts = [small.batch(5 * step + k) for k in range(5)]
        whole = large.batch(step)
        assert [game for part in parts for game in number(part)] == number(whole)
        assert torch.cat([part.language for part in parts]).tolist() == whole.language.tolist()


@given(st.integers(1, 5000), st.integers(0, 2**62))
def test_permute_is_a_permutation(size: int, seed: int):
    assert permute(torch.arange(size), size, seed).sort().values.tolist() == list(range(size))


@given(st.integers(1, 5000), st.integers(0, 2**62), st.integers(0, 99))
def test_permute_is_computed_place_by_place(size: int, seed: int, shuffle: int):
    places = torch.randint(size, (20,), generator=torch.Generator().manual_seed(shuffle))
    before = places.clone()
    assert torch.equal(permute(places, size, seed), permute(torch.arange(size), size, seed)[before])
    assert torch.equal(places, before)


@pytest.mark.parametrize("size", [2**20, 2**20 + 1, 10**8, (1 << 40) - 1, 1 << 40])
def test_permute_reaches_large_sizes_without_memory(size: int):
    values = permute(torch.arange(size - 5000, size), size, 1)
    assert len(values.unique()) == 5000
    assert int(values.min()) >= 0
    assert int(values.max()) < size
    halves = (values < size // 2).sum().item()
    assert chisquare([halves, 5000 - halves]).pvalue > ALPHA


@pytest.mark.parametrize("size", [1000, 100_000])
def test_permute_sends_a_place_anywhere_and_neighbours_apart(size: int):
    """Over many seeds two neighbouring places land in each pair of quarters equally often."""
    pairs = Counter(tuple((permute(torch.arange(2), size, seed) * 4 // size).tolist()) for seed in range(1500))
    assert chisquare([pairs[a, b] for a in range(4) for b in range(4)]).pvalue > ALPHA


@pytest.mark.parametrize(("size", "batch_size"), [(100, 10), (101, 10), (7, 16), (1, 3), (5000, 64)])
def test_every_epoch_visits_every_game_once(size: int, batch_size: int):
    stream = stream_of(Numbered(size), language_set(), batch_size, 0)
    stream.steps_at_once = 5
    n_epochs = 3
    steps = -(-n_epochs * size // batch_size)
    seen = [game for step in range(steps) for game in number(stream.batch(step))]
    epochs = [seen[k * size : (k + 1) * size] for k in range(n_epochs)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(size))
    if size > 50:  # control: not the same order again, nor the plain one
        assert epochs[0] != epochs[1] != epochs[2]
        assert list(range(size)) not in epochs


def test_seeds_order_games_differently_and_never_change_them():
    games = corpus(Board.of(4), 3, Split.train, 600)
    streams = [stream_of(games, language_set(), 60, seed) for seed in (0, 1)]
    batches = [[stream.batch(step) for step in range(10)] for stream in streams]
    moves = [torch.cat([batch.moves for batch in run]).tolist() for run in batches]
    assert moves[0] != moves[1]
    assert sorted(moves[0]) == sorted(moves[1]) == sorted(games.moves(torch.arange(600)).tolist())
    assert [b.language.tolist() for b in batches[0]] != [b.language.tolist() for b in batches[1]]


def test_bulk_play_asks_for_each_game_once():
    games = Numbered(8192)
    stream = stream_of(games, language_set(), 128, 0)
    for step in range(64):
        stream.batch(step)
    assert games.asked == 8192


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_languages_are_uniform_and_drawn_anew_at_every_visit(n: int):
    size = 6000
    stream = stream_of(Numbered(size), language_set([f"atomic*{n}"]), 100, 0)
    visits: list[dict[int, int]] = [{}, {}]
    for epoch in range(2):
        for step in range(size // 100):
            batch = stream.batch(epoch * size // 100 + step)
            visits[epoch].update(zip(number(batch), batch.language.tolist(), strict=True))
    table = np.zeros((n, n))
    for index in range(size):
        table[visits[0][index], visits[1][index]] += 1
    if n > 1:
        assert chisquare(table.sum(0)).pvalue > ALPHA
        assert chisquare(table.sum(1)).pvalue > ALPHA
        assert chi2_contingency(table).pvalue > ALPHA  # the second draw does not know the first
        places = torch.arange(2 * size)
        first, second = stream.languages(places, stream.indices(places)).split(size)
        assert not torch.equal(first, second)


def slow_targets(language_set: LanguageSet, game: list[int], language: int, width: int) -> list[int]:
    """Targets of one game by a plain loop."""
    words = [language_set.languages[language].words[move] for move in game]
    tokens = [token for word in words for token in word]
    targets = [IGNORE] * width
    if language_set.output is OutputVocabulary.own:
        for place in range(len(tokens) - 1):
            targets[place] = tokens[place + 1]
        return targets
    place = -1
    for word, following in zip(words, game[1:], strict=False):
        place += len(word)
        targets[place] = following
    return targets


@settings(max_examples=30)
@given(st.sampled_from([4, 6, 8]), st.sampled_from(OutputVocabulary), st.sampled_from([0, 3]), st.integers(0, 99))
def test_targets_are_the_next_token_or_the_next_move(size: int, output: OutputVocabulary, count: int, seed: int):
    languages = torch.arange(9) % 3
    made = language_set(MIXED, size, output, count)
    moves = random_games(seed, torch.arange(9), Board.of(size))
    batch = make_batch(moves, languages, made)
    games = [[move for move in game if move >= 0] for game in moves.tolist()]
    width = batch.tokens.shape[1]
    expected = [slow_targets(made, game, k, width) for game, k in zip(games, languages.tolist(), strict=True)]
    targets = label(batch, made).targets
    assert targets.tolist() == expected
    scored = (targets != IGNORE).sum(1)
    text_lengths = (batch.tokens != PAD).sum(1)
    lengths = torch.tensor([len(game) for game in games])
    assert torch.equal(scored, (lengths if output is OutputVocabulary.unified else text_lengths) - 1)
    assert int(targets.max()) < made.output_size


@pytest.mark.parametrize("output", OutputVocabulary)
def test_nothing_is_predicted_across_the_end_of_a_full_row(output: OutputVocabulary):
    """Games that fill the row to its last column have no target there."""
    made = language_set(["atomic", "compositional"], 8, output)
    moves = random_games(0, torch.arange(50), Board.of(8))
    full = moves[(moves >= 0).all(1)]
    assert len(full) > 10
    for language in range(2):
        batch = in_language(full, language, made)
        assert (batch.tokens[:, -1] != PAD).all()
        assert (label(batch, made).targets[:, -1] == IGNORE).all()


def test_the_same_games_in_two_languages_are_parallel():
    made = language_set(MIXED, 6)
    moves = RandomPlay(Board.of(6), 0, 10).moves(torch.arange(10))
    batches = [in_language(moves, k, made) for k in range(3)]
    for k, batch in enumerate(batches):
        assert torch.equal(batch.moves, moves)
        assert batch.language.tolist() == [k] * 10
        assert torch.equal(batch.move_ends >= 0, moves >= 0)


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"games": 0}, "games"),
        ({"batch_size": 0}, "batch_size"),
        ({"epochs": 0.0}, "epochs"),
        ({"epochs": -1.0}, "epochs"),
        ({"games": 100, "batch_size": 128}, "games"),
    ],
)
def test_a_bad_data_config_names_its_key(settings: dict[str, float], key: str):
    with pytest.raises(ValueError, match=rf"data\.{key}"):
        DataConfig(**settings)  # type: ignore[arg-type]


def test_steps_are_whole_batches():
    assert DataConfig(games=1000, epochs=2.5, batch_size=128).steps == 2500 // 128
    assert DataConfig(games=128, batch_size=128).steps == 1
    assert DataConfig().prefix == []


def test_steps_do_not_suffer_from_binary_fractions():
    assert DataConfig(games=100, epochs=0.29, batch_size=29).steps == 1
