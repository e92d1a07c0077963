"""Proves: a side says which word stands where, for every kind, trait and order; gold links every ply with itself; a
dictionary links what a slow look-up of words links, with every kind of mistake in the share asked for, nested in larger
shares; homonyms have several links, or none; a case worked by hand; mistakes are one line. Control: with all entries wrong
no link is right."""

from typing import Any

import pytest
import torch
from aligners.made import aligner, games, languages, links_of, sides
from torch import Tensor

from mothello.aligners.aligner import one_to_one
from mothello.aligners.dictionary import DictionaryAligner, Mistake
from mothello.errors import UserError
from mothello.languages.dictionary import covered_moves
from mothello.languages.language_set import LanguageSet
from mothello.othello.board import Board

GAMES = games(40)
WAYS: dict[str, dict[str, Any]] = {
    "atomic": {},
    "split": {"kinds": ["split", "compositional"]},
    "inverted": {"traits": {"atomic_1": {"order": "inversion"}}},
    "permuted": {"kinds": ["atomic", "split"], "traits": {"split_0": {"order": "permutation", "synonyms": 0.5}}},
    "marked": {"traits": {"atomic_0": {"mover": "before", "flips": "after"}, "atomic_1": {"synonyms": 1.0}}},
    "homonyms": {"traits": {"atomic_1": {"homonyms": 0.5}}},
}


def written(language_set: LanguageSet, moves: Tensor, language: int) -> list[list[tuple[int, ...]]]:
    """The words of every game in the order in which they are written."""
    return [list(map(tuple, language_set.written(game.unsqueeze(0), language))) for game in moves]


@pytest.mark.parametrize("way", WAYS)
def test_a_side_says_which_word_stands_where(way: str) -> None:
    language_set = languages(**WAYS[way])
    for language, own in enumerate(sides(GAMES, language_set)):
        meaning: dict[int, tuple[int, ...]] = {}
        for row, words in enumerate(written(language_set, GAMES, language)):
            assert sorted(own.place[row].tolist()) == list(range(GAMES.shape[1]))
            assert int(own.played[row].sum()) == len(words)
            for ply in range(len(words)):
                word = words[own.place[row, ply]]
                assert meaning.setdefault(int(own.word[row, ply]), word) == word
                assert word in language_set.languages[language].spellings(int(GAMES[row, ply]))
        assert len(set(meaning.values())) == len(meaning)


def test_gold_links_every_ply_with_itself() -> None:
    for way in WAYS.values():
        found = links_of("gold", GAMES, languages(**way))
        assert torch.equal(found, torch.diag_embed(GAMES >= 0))


def slowly(language_set: LanguageSet, moves: Tensor, said: dict[int, int]) -> Tensor:
    """Two plies are linked where their words have an entry. said: for each move the move whose word its entry says."""
    one, other = sides(moves, language_set)
    words = [
        {
            (row, ply): text[row][own.place[row, ply]]
            for row in range(len(moves)) for ply in range(moves.shape[1]) if moves[row, ply] >= 0
        }
        for own, text in zip((one, other), (written(language_set, moves, index) for index in (0, 1)), strict=True)
    ]  # fmt: skip
    first, second = language_set.languages
    entries = {
        (x, y) for move, instead in said.items() for x in first.spellings(move) for y in second.spellings(instead)
    }
    found = torch.zeros(len(moves), moves.shape[1], moves.shape[1], dtype=torch.bool)
    for (row, i), x in words[0].items():
        for (same, j), y in words[1].items():
            found[row, i, j] |= row == same and (x, y) in entries
    return found


@pytest.mark.parametrize("coverage", [0.5, 1.0])
@pytest.mark.parametrize("way", WAYS)
def test_links_are_those_of_a_slow_look_up(way: str, coverage: float) -> None:
    language_set, moves = languages(**WAYS[way]), GAMES[:8]
    said = {move: move for move in covered_moves(Board.of(4), coverage, "")}
    found = links_of("dictionary", moves, language_set, coverage=coverage, one_to_one=False)
    assert torch.equal(found, slowly(language_set, moves, said))
    assert torch.equal(links_of("dictionary", moves, language_set, coverage=coverage), one_to_one(found))
    back = links_of("dictionary", moves, language_set, (1, 0), coverage=coverage, one_to_one=False)
    assert torch.equal(back, found.transpose(1, 2))


def test_a_homonym_has_several_links_or_none() -> None:
    language_set = languages(traits={"atomic_1": {"homonyms": 1.0}})
    words = language_set.languages[1].words
    pairs = [(a, b) for a in range(12) for b in range(a + 1, 12) if words[a] == words[b]]
    several = links_of("dictionary", GAMES, language_set, one_to_one=False)
    none = links_of("dictionary", GAMES, language_set)
    for row, game in enumerate(GAMES.tolist()):
        for a, b in pairs:
            both = a in game and b in game
            for move in {a, b} & set(game):
                assert int(several[row, game.index(move)].sum()) == 1 + both
                assert int(none[row, game.index(move)].sum()) == (not both)


def entries(size: int = 8, **settings: Any) -> Tensor:
    """What every move's entry says, -1 where there is none; the languages are atomic, so that words are moves."""
    language_set = languages(size)
    made = aligner("dictionary", language_set, **settings)
    assert isinstance(made, DictionaryAligner)
    first, second = language_set.word_id_table
    table = made.translates[first][:, second]
    assert int(table.sum(1).max()) == 1
    return torch.where(table.any(1), table.int().argmax(1), -1)


def apart(one: int, other: int) -> int:
    a, b = (Board.of(8).moves[move] for move in (one, other))
    return max(abs(a // 8 - b // 8), abs(a % 8 - b % 8))


@pytest.mark.parametrize("mistake", list(Mistake))
def test_the_share_asked_for_is_wrong_in_the_way_asked_for(mistake: Mistake) -> None:
    true, board = torch.arange(60), Board.of(8)
    wrong_before: set[int] = set()
    for share in (0.1, 0.5, 1.0):
        said = entries(coverage=0.5, **({"mistake": mistake.value} if mistake != "uniform" else {}), wrong=share)
        wrong = {move for move in range(60) if said[move] not in (-1, move)}
        assert int((said >= 0).sum()) == 30
        assert len(wrong) == round(30 * share)
        assert wrong_before <= wrong
        wrong_before = wrong
        for move in wrong:
            other = int(said[move])
            if mistake is Mistake.neighbor:
                assert apart(move, other) == 1
            if mistake is Mistake.mirror:
                assert board.moves[move] + board.moves[other] == 63
    if mistake is Mistake.uniform:
        assert sum(apart(move, int(said[move])) > 1 for move in wrong) > 15
    assert torch.equal(entries(coverage=1.0), true)


def test_with_all_entries_wrong_no_link_is_right() -> None:
    language_set = languages()
    for mistake in ("uniform", "neighbor", "mirror"):
        more = {} if mistake == "uniform" else {"mistake": mistake}
        found = links_of("dictionary", GAMES, language_set, wrong=1.0, one_to_one=False, **more)
        assert bool(found.any())
        assert not bool(found.diagonal(dim1=1, dim2=2).any())


def test_words_that_are_written_alike_have_no_entry() -> None:
    language_set = languages(anchors={"overlap": 0.5})
    found = links_of("dictionary", GAMES, language_set)
    one, other = (torch.tensor(language.words).squeeze(1) for language in language_set.languages)
    expected = (GAMES >= 0) & (one != other)[GAMES.long().clamp(min=0)]
    assert torch.equal(found, torch.diag_embed(expected))


def test_one_to_one_keeps_what_is_the_only_link_of_both() -> None:
    found = torch.tensor([[1, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 1, 1]]).bool().unsqueeze(0)
    assert one_to_one(found).nonzero().tolist() == [[0, 0, 0]]


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"coverage": 0.0}, r"^links\.options\.coverage: 0.0 is not positive"),
        ({"coverage": 0.01}, r"^links\.options\.coverage: 0.01 of 12 moves is none"),
        ({"wrong": 1.5}, r"^links\.options\.wrong: 1.5 is outside"),
        ({"wrong": 0.01}, r"^links\.options\.wrong: 0.01 of 12 entries is none"),
        ({"mistake": "mirror"}, r"^links\.options\.mistake: has no effect without wrong entries"),
        ({"mistakes": "mirror"}, r"^links\.options\.mistakes: unknown key"),
    ],
)
def test_a_mistake_is_one_line(settings: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError, match=line) as refused:
        links_of("dictionary", GAMES, languages(), **settings)
    assert "\n" not in str(refused.value)
    with pytest.raises(UserError, match=r"^links\.options\.name: 'guess' is not one of dictionary, gold"):
        aligner("guess", languages())
