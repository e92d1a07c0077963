"""Proves: the edit distance is that of the textbook's recursion; what a token tells of a move is counted by hand for
atomic, compositional, inverted and ambiguous languages; overlaps are those that the config asks for; rows are complete.
Control: texts of other games are farther apart."""

from functools import cache
from math import log2
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mothello.config import typed
from mothello.data.batch import in_language
from mothello.data.split import Split, corpus
from mothello.languages.language_set import LanguagesConfig, LanguageSet, build_languages
from mothello.measures.distance.measure import Distance, DistanceConfig
from mothello.measures.distance.texts import edit_distance, information, token_move_counts
from mothello.measures.measure import Subject
from mothello.model.build import build_model
from mothello.model.transformer import ModelConfig
from mothello.othello.board import Board
from mothello.rows import QUANTITIES, Table, as_table

FOUR = Board.of(4)
GAMES = corpus(FOUR, 0, Split.probe, 50).moves(torch.arange(50))


def build(**settings: Any) -> LanguageSet:
    return build_languages(typed(settings, LanguagesConfig, "languages"), FOUR)


@cache
def slowly(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    if not one or not other:
        return len(one) + len(other)
    changed = slowly(one[1:], other[1:]) + (one[0] != other[0])
    return min(changed, slowly(one[1:], other) + 1, slowly(one, other[1:]) + 1)


ROW = st.lists(st.integers(1, 4), min_size=1, max_size=7).map(tuple)


@given(st.lists(st.tuples(ROW, ROW), min_size=1, max_size=5))
def test_the_edit_distance_is_the_textbooks(pairs: list[tuple[tuple[int, ...], tuple[int, ...]]]) -> None:
    one, other = (torch.tensor([[*pair[k], *[0] * (8 - len(pair[k]))] for pair in pairs]) for k in (0, 1))
    expected = [slowly(*pair) / max(map(len, pair)) for pair in pairs]
    torch.testing.assert_close(edit_distance(one, other).double(), torch.tensor(expected, dtype=torch.float64))


def told(language_set: LanguageSet, language: int) -> float:
    return information(token_move_counts(in_language(GAMES, language, language_set), language_set))


def test_a_token_tells_all_of_an_atomic_move_and_less_of_others() -> None:
    played = GAMES[GAMES >= 0].long()
    share = torch.bincount(played, minlength=12).double() / len(played)
    entropy = -float((share * share.log2()).sum())
    made = build(kinds=["atomic*2", "compositional", "split"], traits={"atomic_1": {"order": "inversion"}})
    assert told(made, 0) == pytest.approx(entropy)
    assert told(made, 1) == pytest.approx(entropy)  # whatever the order
    rows = torch.zeros(2, 4, dtype=torch.float64)
    for move, p in enumerate(share.tolist()):
        rows[0, FOUR.moves[move] % 8] += p
        rows[1, FOUR.moves[move] // 8] += p
    assert told(made, 2) == pytest.approx(float(-(rows * rows.log2()).sum() / 2))  # a column, or a row
    assert told(made, 3) > entropy - 0.2  # no token is in two words; long ones count more often
    ambiguous = build(kinds=["atomic"], traits={"atomic_0": {"homonyms": 1.0}})
    assert told(ambiguous, 0) < entropy - 0.5


def rows_of(**settings: Any) -> Table:
    made = build(**settings)
    model = build_model(ModelConfig(n_layer=1, n_head=2, d_model=16), made).initialize(0).eval()
    return as_table(Distance(DistanceConfig(games=20, draws=20))(Subject(model, made)))


def value(rows: Table, quantity: str, control: str = "trained", language: str = "atomic_1", source: str = "atomic_0") -> float:  # fmt: skip
    found = rows[(rows.quantity == quantity) & (rows.control == control) & (rows.language == language)]
    return float(found[found.source == source].value.iloc[0])


def test_languages_are_as_far_apart_as_their_config_says() -> None:
    apart, alike = rows_of(kinds=["atomic*2"]), rows_of(kinds=["atomic*2"], anchors={"overlap": 1.0})
    friends = rows_of(kinds=["atomic*2"], anchors={"overlap": 1.0, "same_meaning": 0.0})
    inverted = rows_of(kinds=["atomic*2"], anchors={"overlap": 1.0}, traits={"atomic_1": {"order": "inversion"}})
    assert [value(rows, "edit_distance") for rows in (apart, alike)] == [1, 0]
    assert 0.5 < value(friends, "edit_distance") <= 1
    assert 0.5 < value(inverted, "edit_distance") <= 1
    for quantity in ("vocabulary_overlap", "word_overlap", "word_agreement"):
        assert [value(rows, quantity) for rows in (apart, alike)] == [0, 1]
    assert [value(friends, q) for q in ("vocabulary_overlap", "word_overlap", "word_agreement")] == [1, 1, 0]
    half = rows_of(kinds=["atomic*2"], anchors={"overlap": 0.5})
    assert [value(half, q) for q in ("vocabulary_overlap", "word_overlap")] == [pytest.approx(1 / 3), 0.5]
    own = value(apart, "token_information", source="")
    assert value(alike, "token_information") == pytest.approx(own)
    assert value(apart, "token_information") == pytest.approx(own)
    assert own - log2(2) - 1e-9 <= value(friends, "token_information") < own - 0.5  # two moves a word: a bit is lost
    assert value(alike, "edit_distance", "unrelated") > 0.3


def test_rows_are_documented_and_of_every_pair() -> None:
    rows = rows_of(kinds=["atomic", "split", "compositional"])
    assert set(rows.quantity) <= set(QUANTITIES)
    assert (rows.quantity == "edit_distance").sum() == 6
    assert (rows.quantity == "token_information").sum() == 6
    assert "edit_distance" in Distance(DistanceConfig()).summary(rows)
    assert len(rows_of(kinds=["atomic"])) == 1
