"""Proves that languages differ as their traits say, in any mix with any kind: every text is one that a slow writer
writes, the ends of moves are in the order of play, reading undoes writing, and texts of one game in several languages
are read as that game. Choices are fair, a function of the game's key, and nobody else's. Strictness: a marker that the
board contradicts is an error where it stands. Controls: without traits nothing changes; another key reads another game.
"""

from typing import Any

import pytest
import torch
from data.streams import stream_of
from games import random_games
from hypothesis import given, settings
from hypothesis import strategies as st
from languages.writer import texts, told
from torch import Tensor

from mothello.config import identity, typed
from mothello.data.batch import in_language, make_batch
from mothello.data.corpus import RandomPlay
from mothello.errors import UserError
from mothello.languages.kinds import LANGUAGE_KINDS
from mothello.languages.language import PAD
from mothello.languages.language_set import LanguagesConfig, LanguageSet, build_languages
from mothello.languages.lexicon import synonymous
from mothello.languages.order import places
from mothello.languages.reading import read_games
from mothello.languages.traits import Marker, Order, Phrase, Traits
from mothello.othello.board import Board


def build(size: int = 4, **settings_: Any) -> LanguageSet:
    return build_languages(typed(settings_, LanguagesConfig, "languages"), Board.of(size))


def games(size: int, n: int = 6, seed: int = 0) -> Tensor:
    return random_games(seed, torch.arange(n), Board.of(size))


def whole(row: list[int]) -> list[int]:
    return [move for move in row if move >= 0]


@st.composite
def traits_of(draw: st.DrawFn, kind: str, size: int) -> dict[str, Any]:
    order = draw(st.sampled_from(Order))
    made: dict[str, Any] = {"order": order.value}
    if order is Order.reversal:
        made["window"] = draw(st.integers(2, Board.of(size).n_moves))
    if kind == "compositional":
        made["phrase"] = draw(st.sampled_from(Phrase)).value
    made |= {name: draw(st.sampled_from(Marker)).value for name in ("mover", "flips")}
    made["synonyms"] = draw(st.sampled_from([0.0, 0.2, 0.5, 1.0]))
    return made


@st.composite
def mixes(draw: st.DrawFn) -> tuple[dict[str, Any], int]:
    size = draw(st.sampled_from([4, 6]))
    kinds = draw(st.lists(st.sampled_from(list(LANGUAGE_KINDS)), min_size=1, max_size=4))
    names = LanguagesConfig(kinds=kinds).language_names()
    made = {"kinds": kinds, "traits": {name: draw(traits_of(kind, size)) for name, kind in zip(names, kinds, strict=True)}}  # fmt: skip
    if len(kinds) > 1 and (overlap := draw(st.sampled_from([0.0, 0.3, 0.75, 1.0]))):
        made["anchors"] = {"overlap": overlap, "same_meaning": draw(st.sampled_from([0.0, 1.0]))}
        if overlap == 0.3 and size == 4:
            made["anchors"]["same_meaning"] = 1.0  # four words are too few false friends for four languages
    return made, size


@settings(max_examples=20)
@given(mixes(), st.integers(0, 99), st.booleans())
def test_reading_undoes_writing_in_any_mix(mix: tuple[dict[str, Any], int], seed: int, cut: bool):
    made, size = mix
    languages, moves = build(size, **made), games(size, 4, seed=seed)
    if cut:
        moves[::2, 5:] = -1
    keys, speaker = torch.arange(len(moves)) * 7 + seed, torch.arange(len(moves)) % len(languages.languages)
    tokens, ends = languages.encode(moves, speaker, keys=keys)
    for row, (game, index) in enumerate(zip(moves.tolist(), speaker.tolist(), strict=True)):
        language, played = languages.languages[index], whole(game)
        assert (tokens[row] != PAD).sum() == tokens[row].nonzero().max() + 1  # no gap
        assert ends[row, len(played) :].tolist() == [-1] * (len(game) - len(played))
        alone = languages.encode(moves[row : row + 1], speaker[row : row + 1], keys=keys[row : row + 1])
        assert alone.tokens[0].tolist() == tokens[row, : alone.tokens.shape[1]].tolist()
        read = read_games(tokens[row : row + 1], languages, index, keys[row : row + 1])
        assert (whole(read.moves[0].tolist()), int(read.error_at)) == (played, -1)
        facts, n = told(played, size), language.n_moves
        for ply, move in enumerate(played):  # the word that ends there is one of the move's, with the right markers
            spelled = [word for word in language.spellings(move) if ending(tokens[row], int(ends[row, ply]), word)]
            assert len(spelled) == 1
            form = language.words.index(spelled[0]) // n if language.words[move] != spelled[0] else 0
            expected = languages.form_tables.told[index, form].tolist()
            assert all(e in (-1, fact) for e, fact in zip(expected, facts[ply], strict=True))


def ending(row: Tensor, end: int, word: tuple[int, ...]) -> bool:
    return row[end + 1 - len(word) : end + 1].tolist() == list(word)


@settings(max_examples=20)
@given(st.sampled_from(list(LANGUAGE_KINDS)), st.sampled_from([4, 6]), st.data())
def test_every_text_is_one_of_the_slow_writers(kind: str, size: int, data: st.DataObject):
    made = data.draw(traits_of(kind, size)) | {"synonyms": data.draw(st.sampled_from([0.0, 0.2]))}
    if made["order"] == "permutation":
        made["order"] = "forward"
    languages = build(size, kinds=[kind], traits={f"{kind}_0": made})
    moves = games(size, 3, seed=3)
    moves[:, 7:] = -1
    tokens, ends = languages.encode(moves, torch.zeros(3, dtype=torch.int64))
    for row, game in enumerate(moves.tolist()):
        played = whole(game)
        possible = {(tuple(text.tokens), tuple(text.ends)) for text in texts(languages.languages[0], played, size)}
        assert (tuple(tokens[row][tokens[row] != PAD].tolist()), tuple(ends[row, : len(played)].tolist())) in possible


def test_orders_by_hand():
    played = torch.ones(1, 7, dtype=torch.bool)
    played[0, 6:] = False
    expected = {1: [0, 1, 2, 3, 4, 5, 6], 2: [1, 0, 3, 2, 5, 4, 6], 4: [3, 2, 1, 0, 5, 4, 6], 12: [5, 4, 3, 2, 1, 0, 6]}
    for window, places_ in expected.items():
        assert places(played, torch.tensor([window]), None).tolist() == [places_]
    random = torch.tensor([[5, 3, 9, 1, 0, 7, 2]])
    assert places(played, torch.tensor([1]), random).tolist() == [[3, 2, 5, 1, 0, 4, 6]]
    assert places(played, torch.tensor([2]), random * 0 - 1).tolist() == [expected[2]]


def test_a_permutation_is_fresh_for_every_game_uniform_and_known_by_its_key():
    languages = build(kinds=["atomic*2"], traits={"atomic_1": {"order": "permutation"}})
    moves, one = games(4, 1).repeat(4000, 1), torch.ones(4000, dtype=torch.int64)
    keys = torch.arange(4000)
    ends = languages.encode(moves, one, keys=keys).move_ends
    n = len(whole(moves[0].tolist()))
    assert (ends[:, :n].sort(1).values == torch.arange(n)).all()
    counts = torch.stack([torch.bincount(ends[:, ply], minlength=n) for ply in range(n)])
    assert float((counts - 4000 / n).abs().max()) < 5 * (4000 / n) ** 0.5
    assert len(ends.unique(dim=0)) > 3900
    read = read_games(languages.encode(moves, one, keys=keys).tokens, languages, 1, keys + 1)
    assert (read.error_at == -1).all()
    assert not torch.equal(read.moves, moves.long())  # control: another key, another order
    with pytest.raises(UserError, match=r"^languages\.traits\.atomic_1\.order: .* keys"):
        read_games(languages.encode(moves, one).tokens, languages, 1)
    forward = languages.encode(moves, one * 0, keys=keys).move_ends
    assert (forward[:, :n] == torch.arange(n)).all()


@settings(max_examples=10)
@given(mixes(), st.integers(0, 99))
def test_parallel_texts_are_of_the_same_games(mix: tuple[dict[str, Any], int], seed: int):
    made, size = mix
    languages, moves = build(size, **made), games(size, seed=seed)
    for index in range(len(languages.languages)):
        batch = in_language(moves, index, languages)
        keys = None if made["traits"][languages.names[index]]["order"] != "permutation" else torch.arange(len(moves))
        if keys is not None:
            batch = batch._replace(tokens=languages.encode(moves, batch.language, keys=keys).tokens)
        read = read_games(batch.tokens, languages, index, keys)
        assert torch.equal(read.moves[:, : moves.shape[1]], moves.long())


def test_synonyms_are_fair_and_drawn_at_every_occurrence():
    languages = build(6, kinds=["atomic*2"], traits={"atomic_1": {"synonyms": 0.5}})
    language, two = languages.languages[1], synonymous(Traits(synonyms=0.5), Board.of(6), "atomic_1")
    assert len(two) == 16
    assert {move for move in range(32) if len(language.spellings(move)) == 2} == set(two)
    moves = games(6, 1).repeat(2000, 1)
    tokens, _ = languages.encode(moves, torch.ones(2000, dtype=torch.int64), keys=torch.arange(2000))
    first = torch.stack(
        [tokens[:, ply] == language.words[move][0] for ply, move in enumerate(whole(moves[0].tolist()))], 1
    )
    for ply, move in enumerate(whole(moves[0].tolist())):
        share = float(first[:, ply].double().mean())
        assert share == 1 if move not in two else 0.44 < share < 0.56
    drawn = first[:, [ply for ply, move in enumerate(whole(moves[0].tolist())) if move in two]].double()
    correlation = torch.corrcoef(drawn.T) - torch.eye(drawn.shape[1])
    assert float(correlation.abs().max()) < 0.1  # one draw for each occurrence


def test_a_stream_draws_from_the_index_of_the_game():
    """The text of a game is the same at every visit, in every process, and as training alone would write it."""
    traits = {"atomic_0": {"synonyms": 1.0, "order": "permutation"}, "atomic_1": {"synonyms": 0.5}}
    languages = build(kinds=["atomic*2"], traits=traits)
    corpus = RandomPlay(Board.of(4), 0, 16)
    stream = stream_of(corpus, languages, 8, 0)
    first, second = [], []
    for step in range(4):
        batch, known = stream.batch(step), stream.games(step)
        assert torch.equal(
            batch.tokens, languages.encode(batch.moves, batch.language, stream.width, known.indices).tokens
        )
        for which, found in ((0, first), (1, second)):
            spoken = make_batch(known.moves, known.language * 0 + which, languages, keys=known.indices)
            found += list(zip(known.indices.tolist(), map(tuple, spoken.tokens.tolist()), strict=True))
    for found in (first, second):
        assert len(set(found)) == 16  # two visits of sixteen games
    one, other = stream.pairs(0, 0, 1)
    keys = stream.games(0).indices
    for batch, index in ((one, 0), (other, 1)):
        assert torch.equal(read_games(batch.tokens, languages, index, keys).moves, batch.moves.long())
    halves = [stream_of(corpus, languages, 8, 0, share=(rank, 2)).batch(1).tokens for rank in (0, 1)]
    assert torch.equal(torch.stack(halves, 1).flatten(0, 1), stream.batch(1).tokens)


def test_more_synonyms_contain_fewer():
    few, many = (synonymous(Traits(synonyms=share), Board.of(6), "a") for share in (0.25, 0.75))
    assert many[: len(few)] == few


def test_homonyms_share_a_word_and_cannot_be_read():
    languages = build(6, kinds=["atomic*2"], traits={"atomic_1": {"homonyms": 0.5}}, anchors={"count": 4})
    words = languages.languages[1].words
    alike = [word for word in set(words) if words.count(word) == 2]
    assert len(alike) == 8
    assert len(set(words)) == 24
    assert len(set(words) & set(languages.languages[0].words)) == 4  # anchors are no homonyms
    moves = games(6)
    batch = in_language(moves, 1, languages)
    assert (batch.move_ends[moves >= 0] >= 0).all()
    with pytest.raises(UserError, match=r"^languages\.traits\.atomic_1\.homonyms: .* several readings"):
        read_games(batch.tokens, languages, 1)


@pytest.mark.parametrize("order", ["forward", "inversion"])
def test_a_marker_that_the_board_contradicts_is_an_error_where_it_stands(order: str):
    languages = build(kinds=["split"], traits={"split_0": {"mover": "after", "order": order}})
    moves, zero = games(4, 1), torch.zeros(1, dtype=torch.int64)
    tokens, ends = languages.encode(moves, zero)
    white, black = (languages.languages[0].words[form * 12][-1] for form in (0, 1))
    at = int(ends[0, 3])
    tokens[0, at] = white + black - tokens[0, at]
    read = read_games(tokens, languages, 0)
    assert int(read.error_at) == at
    assert whole(read.moves[0].tolist()) == (whole(moves[0].tolist())[:3] if order == "forward" else [])


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("same", [0.0, 0.5, 1.0])
def test_an_overlap_shares_that_many_words_and_their_meanings(share: float, same: float):
    languages = build(6, kinds=["atomic", "split", "atomic"], anchors={"overlap": share, "same_meaning": same})
    tables = [language.words for language in languages.languages]
    for one in range(3):
        for other in range(one):
            common = set(tables[one]) & set(tables[other])
            assert len(common) == 32 * share
            assert sum(tables[one][m] == tables[other][m] for m in range(32)) == 32 * share * same
    assert len(set(tables[0])) == 32


def test_a_larger_overlap_contains_a_smaller_one():
    few, many = (build(6, kinds=["atomic*2"], anchors={"overlap": share}).links for share in (0.25, 0.5))
    assert set(few) < set(many)


@pytest.mark.parametrize("kinds", [["split*2"], ["split", "compositional"], ["compositional*3"], ["atomic", "split*2"]])
@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_inventories_share_a_part_of_their_tokens(kinds: list[str], share: float):
    languages = build(6, kinds=kinds, anchors={"subtokens": share})
    long = [set(language.ids) for language in languages.languages if language.kind != "atomic"]
    for other in long[1:]:
        assert len(long[0] & other) == round(share * min(len(long[0]), len(other)))
    moves = games(6)
    for index in range(len(languages.languages)):
        read = read_games(in_language(moves, index, languages).tokens, languages, index)
        assert torch.equal(read.moves[:, :32], moves.long())
    if "atomic" in kinds:
        assert not set(languages.languages[0].ids) & set().union(*long)


def test_components_meet_whatever_the_order_of_the_phrase():
    anchors = {"moves": ["c2", "e6"], "sharing": "component"}
    languages = build(
        6, kinds=["compositional*2"], traits={"compositional_1": {"phrase": "row_column"}}, anchors=anchors
    )
    one, other = (language.words for language in languages.languages)
    assert sum(column == theirs[1] for (column, _), theirs in zip(one, other, strict=True)) == 10  # of columns c and e
    assert all(column != theirs[0] for (column, _), theirs in zip(one, other, strict=True))


def test_no_traits_change_nothing():
    plain, named = (typed({"kinds": ["split*2"]} | more, LanguagesConfig) for more in ({}, {"traits": {"split_1": {}}}))
    assert identity(named) == identity(plain) == {"kinds": ["split*2"]}
    marked = build(6, kinds=["split*2"], traits={"split_1": {"order": "inversion"}})
    assert [one.words for one in marked.languages] == [one.words for one in build(6, kinds=["split*2"]).languages]


def test_a_trait_is_part_of_the_identity_by_itself():
    made = typed({"traits": {"atomic_1": {"order": "reversal", "window": 3}}}, LanguagesConfig)
    assert identity(made) == {"traits": {"atomic_1": {"order": "reversal", "window": 3}}}


@pytest.mark.parametrize(
    ("made", "line"),
    [
        ({"traits": {"latin": {}}}, r"traits: no language 'latin'; there are atomic_0, atomic_1"),
        ({"traits": {"atomic_0": {"window": 3}}}, r"traits\.atomic_0\.window: has no effect without order=reversal"),
        ({"traits": {"atomic_0": {"order": "reversal", "window": 33}}}, r"traits\.atomic_0\.window: 33 is above .* 32"),
        ({"traits": {"atomic_0": {"order": "reversal", "window": 1}}}, r"traits\.atomic_0\.window: 1 is below 2"),
        ({"traits": {"atomic_0": {"phrase": "row_column"}}}, r"traits\.atomic_0\.phrase: needs a compositional"),
        ({"traits": {"atomic_0": {"synonyms": 1.5}}}, r"traits\.atomic_0\.synonyms: 1\.5 is outside"),
        ({"traits": {"atomic_0": {"synonyms": 0.01}}}, r"traits\.atomic_0\.synonyms: 0\.01 of 32 moves is none"),
        ({"traits": {"atomic_0": {"homonyms": 0.03}}}, r"traits\.atomic_0\.homonyms: .* makes 0 pairs"),
        (
            {"traits": {"atomic_0": {"homonyms": 0.5}}, "anchors": {"overlap": 0.9}},
            r"traits\.atomic_0\.homonyms: .* 8 pairs; 3 moves are no anchors",
        ),
        ({"traits": {"atomic_0": {"mover": "left"}}}, r"traits\.atomic_0\.mover"),
        ({"anchors": {"overlap": 1.1}}, r"anchors\.overlap: 1\.1 is outside"),
        ({"anchors": {"overlap": 0.5, "count": 2}}, r"anchors\.overlap: give overlap, count or moves, one of them"),
        ({"anchors": {"overlap": 0.01}}, r"anchors\.overlap: 0\.01 of 32 moves is none"),
        ({"anchors": {"same_meaning": 0.5}}, r"anchors\.same_meaning: has no effect"),
        ({"anchors": {"overlap": 0.5, "same_meaning": 0.95}}, r"anchors\.same_meaning: .* leaves 1 of 16"),
        ({"anchors": {"subtokens": 0.5}}, r"anchors\.subtokens: needs two languages"),
        (
            {"kinds": ["compositional*2"], "anchors": {"subtokens": 0.1, "moves": ["c2", "e6"], "sharing": "component"}},
            r"anchors\.subtokens: 0\.1 cannot be reached; 4 of 12 tokens are common",
        ),
    ],
)  # fmt: skip
def test_a_bad_config_is_refused_in_a_line_that_names_the_key(made: dict[str, Any], line: str):
    with pytest.raises(UserError, match=rf"^languages\.{line}"):
        build(6, **made)
