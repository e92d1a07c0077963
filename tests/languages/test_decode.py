"""Proves that decoding is strict and says where it failed: a foreign token, a wrong continuation, a token behind the
end, a word cut short. Hand-made cases give the exact position; a parser over plain tuples agrees on rows damaged at
random. Negative control: undamaged rows have no error.
"""

import random
from collections.abc import Sequence

import pytest
import torch
from games import random_games
from hypothesis import given, settings
from hypothesis import strategies as st

from mothello.languages.anchors import AnchorConfig
from mothello.languages.language import PAD, Language, decode
from mothello.languages.language_set import LanguagesConfig, LanguageSet, build_languages
from mothello.othello.board import Board

FAMILIES = {
    "naive": LanguagesConfig(kinds=["atomic", "split", "compositional"]),
    "anchors": LanguagesConfig(kinds=["atomic", "split", "compositional"], anchors=AnchorConfig(count=3)),
    "compositional first": LanguagesConfig(kinds=["compositional", "atomic", "split"], anchors=AnchorConfig(count=3)),
}
TINY = Language("tiny", "split", ((1,), (2, 3), (4, 5, 6), (4, 7)))
TINY_VOCABULARY = 10


def parse(tokens: Sequence[int], words: Sequence[tuple[int, ...]]) -> tuple[list[int], int]:
    """Moves read and place of the first error (-1: none), by matching tuples."""
    starts = {word[:n] for word in words for n in range(1, len(word) + 1)}
    moves: list[int] = []
    word: tuple[int, ...] = ()
    for place, token in enumerate([*tokens, PAD]):
        if token == PAD:
            if word:
                return moves, place
            behind = [p for p, later in enumerate(tokens) if p > place and later != PAD]
            return moves, min(behind, default=-1)
        word += (token,)
        if word not in starts:
            return moves, place
        if word in words:
            moves.append(words.index(word))
            word = ()
    raise AssertionError("the end is always reached")


def read(tokens: Sequence[int], language: Language, vocabulary: int) -> tuple[list[int], int]:
    moves, error_at = decode(torch.tensor([tokens]), language.trie(vocabulary))
    row = moves[0].tolist()
    n = row.index(-1) if -1 in row else len(row)
    assert row[n:] == [-1] * (len(row) - n)
    return row[:n], int(error_at)


@pytest.mark.parametrize(
    ("tokens", "moves", "error_at"),
    [
        ([1, 2, 3, 4, 5, 6, 4, 7], [0, 1, 2, 3], -1),
        ([4, 7, 1, 0, 0, 0], [3, 0], -1),
        ([0, 0, 0], [], -1),
        ([8, 1, 1], [], 0),  # foreign
        ([1, 2, 3, 9, 1], [0, 1], 3),  # foreign, later
        ([4, 8, 1], [], 1),  # foreign inside a word
        ([1, 2, 1, 2, 3], [0], 2),  # own token, wrong continuation
        ([4, 5, 7, 1], [], 2),  # wrong in the third place
        ([1, 3, 1], [0], 1),  # a continuation that nothing opened
        ([1, 0, 1], [0], 2),  # behind the end
        ([1, 0, 0, 9], [0], 3),
        ([1, 4, 5, 0, 0], [0], 3),  # cut short: the place of the end
        ([1, 4, 5], [0], 3),  # cut short by the end of the row
        ([1, 4, 0, 1, 1], [0], 2),  # cut short, then a token behind the end: the first error counts
        ([2, 9, 8, 1], [], 1),
    ],
)
def test_decoding_by_hand(tokens: list[int], moves: list[int], error_at: int):
    assert read(tokens, TINY, TINY_VOCABULARY) == (moves, error_at)


def test_rows_of_a_batch_do_not_disturb_each_other():
    rows = [[1, 2, 3, 0, 0, 0], [9, 1, 1, 1, 1, 1], [4, 5, 6, 4, 7, 1], [4, 5, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1]]
    moves, error_at = decode(torch.tensor(rows), TINY.trie(TINY_VOCABULARY))
    assert error_at.tolist() == [-1, 0, -1, 2, 5]
    assert [[m for m in row if m >= 0] for row in moves.tolist()] == [[0, 1], [], [2, 3, 0], [], []]


@pytest.mark.parametrize("words", [((1,), (1, 2)), ((1, 2), (1, 2)), ((3, 4), (1, 2), (3,))])
def test_a_language_that_reads_in_two_ways_is_refused(words: tuple[tuple[int, ...], ...]):
    with pytest.raises(ValueError, match="written alike"):
        Language("bad", "split", words)


def damaged(row: list[int], vocabulary: int, rng: random.Random) -> list[int]:
    """Change, cut, lengthen or drop at random, up to three times."""
    row = list(row)
    for _ in range(rng.randint(0, 3)):
        place = rng.randrange(len(row))
        how = rng.choice(["replace", "cut", "drop", "swap", "append"])
        if how == "replace":
            row[place] = rng.randrange(vocabulary)
        elif how == "cut":
            row[place:] = [PAD] * (len(row) - place)
        elif how == "drop":
            row = [*row[:place], *row[place + 1 :], PAD]
        elif how == "swap":
            other = rng.randrange(len(row))
            row[place], row[other] = row[other], row[place]
        else:
            row = [*row, rng.randrange(vocabulary)]
    return row


@settings(max_examples=25)
@given(st.sampled_from(sorted(FAMILIES)), st.sampled_from([4, 6]), st.integers(0, 10**6))
def test_damaged_rows_fail_where_a_slow_parser_fails(name: str, size: int, seed: int):
    rng = random.Random(seed)
    language_set: LanguageSet = build_languages(FAMILIES[name], Board.of(size))
    moves = random_games(seed, torch.arange(4), Board.of(size))
    for k, language in enumerate(language_set.languages):
        tokens = language_set.encode(moves, torch.full((4,), k)).tokens
        for game, row in zip(moves.tolist(), tokens.tolist(), strict=True):
            whole = [move for move in game if move >= 0]
            assert read(row, language, language_set.vocabulary_size) == (whole, -1)
            broken = damaged(row, language_set.vocabulary_size, rng)
            assert read(broken, language, language_set.vocabulary_size) == parse(broken, language.words)


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_text_of_another_language_fails_at_its_first_token_that_is_no_anchor(name: str):
    language_set = build_languages(FAMILIES[name], Board.of(6))
    moves = random_games(5, torch.arange(20), Board.of(6))
    for writer in range(3):
        tokens = language_set.encode(moves, torch.full((20,), writer)).tokens
        for reader in range(3):
            if reader != writer:
                error_at = decode(tokens, language_set.trie(reader)).error_at.tolist()
                expected = [parse(row, language_set.languages[reader].words)[1] for row in tokens.tolist()]
                assert error_at == expected
                assert min(error_at) >= 0
                if name == "naive":
                    assert error_at == [0] * 20
