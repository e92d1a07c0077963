"""Proves that a family writes games as its tables say: encoding and decoding are inverse for every kind, board, mix
and anchor set (against an encoder in plain Python), languages share ids through anchors alone, the vocabulary seed
decides word lengths and nothing else, and a later language never moves an earlier one. Negative controls: without
anchors nothing is shared, and links of whole moves leave the other words of a compositional language alone.
"""

import random
from collections.abc import Sequence
from itertools import pairwise

import pytest
import torch
from games import random_games
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from torch import Tensor

from mothello.languages.anchors import AnchorConfig, Placement, Sharing, nested_list
from mothello.languages.kinds import LANGUAGE_KINDS
from mothello.languages.language import PAD, decode
from mothello.languages.language_set import LanguagesConfig, LanguageSet, OutputVocabulary, build_languages
from mothello.othello.board import SIZES, Board
from mothello.othello.notation import move_name

ALPHA = 1e-4


@st.composite
def anchor_configs(draw: st.DrawFn, size: int, names: list[str]) -> AnchorConfig:
    """Anchors by count in random groups, and random links of other moves, false friends among them."""
    rng = random.Random(draw(st.integers(0, 10**6)))
    placement = draw(st.sampled_from(Placement))
    available = nested_list(Board.of(size), placement)
    count = draw(st.integers(0, len(available)))
    placement = placement if count else Placement.off
    available = nested_list(Board.of(size), placement)
    groups: list[list[str]] = []
    if count and draw(st.booleans()):
        shuffled = rng.sample(names, len(names))
        cut = rng.randint(0, len(names))
        groups = [part for part in (shuffled[:cut], shuffled[cut:]) if part]
    links = []
    if len(names) > 1:
        free = [move for move in range(Board.of(size).n_moves) if move not in available[:count]]
        pairs = [rng.sample(names, 2) for _ in range(draw(st.integers(0, min(4, len(free)))))]
        used = {name: iter(rng.sample(free, len(free))) for name in names}
        links = [f"{a}.{text(size, next(used[a]))}={b}.{text(size, next(used[b]))}" for a, b in pairs]
    return AnchorConfig(count=count, placement=placement, groups=groups, links=links)


@st.composite
def configs(draw: st.DrawFn) -> tuple[LanguagesConfig, Board]:
    size = draw(st.sampled_from(SIZES))
    kinds = draw(st.lists(st.sampled_from(list(LANGUAGE_KINDS)), min_size=1, max_size=4))
    of_split = {"vocabulary_seed": draw(st.integers(0, 99)), "longest_word": draw(st.integers(1, 5))}
    config = LanguagesConfig(kinds=kinds, **(of_split if "split" in kinds else {}))
    config.anchors = draw(anchor_configs(size, config.language_names()))
    return config, Board.of(size)


def seeded(kinds: Sequence[str], seed: int) -> dict[str, int]:
    """A vocabulary seed where it has an effect."""
    return {"vocabulary_seed": seed} if "split" in kinds else {}


def text(size: int, move: int) -> str:
    return move_name(Board.of(size), move)


def written(language_set: LanguageSet, language: int, moves: Sequence[int]) -> tuple[list[int], list[int]]:
    """Tokens of one game and the place of each move's last token, by concatenation."""
    tokens: list[int] = []
    ends = []
    for move in moves:
        if move >= 0:
            tokens += language_set.languages[language].words[move]
            ends.append(len(tokens) - 1)
    return tokens, ends


def padded(rows: Sequence[Sequence[int]], width: int, filler: int) -> list[list[int]]:
    return [[*row, *[filler] * (width - len(row))] for row in rows]


def games(size: int, n: int = 6, seed: int = 0) -> Tensor:
    return random_games(seed, torch.arange(n), Board.of(size))


@settings(max_examples=30)
@given(configs(), st.integers(0, 99))
def test_encode_agrees_with_concatenation_and_decode_reads_it_back(built: tuple[LanguagesConfig, Board], seed: int):
    config, size = built
    language_set = build_languages(config, size)
    moves = games(size.size, seed=seed)
    languages = torch.arange(len(moves)) % len(language_set.languages)
    tokens, move_ends = language_set.encode(moves, languages)
    rows, ends = zip(
        *(written(language_set, k, game) for k, game in zip(languages.tolist(), moves.tolist(), strict=True)),
        strict=True,
    )
    assert tokens.tolist() == padded(rows, tokens.shape[1], PAD)
    assert move_ends.tolist() == padded(ends, moves.shape[1], -1)
    for k in range(len(language_set.languages)):
        mine = languages == k
        moves_read, error_at = decode(tokens[mine], language_set.trie(k))
        assert (error_at == -1).all()
        assert torch.equal(moves_read[:, : moves.shape[1]], moves[mine].long())
        assert (moves_read[:, moves.shape[1] :] == -1).all()


@given(configs())
def test_languages_share_an_id_only_through_anchors(built: tuple[LanguagesConfig, Board]):
    language_set = build_languages(*built)
    anchored: list[set[int]] = [set() for _ in language_set.languages]
    together: dict[tuple[int, int], set[int]] = {}
    for link in language_set.links:
        words = {language_set.languages[language].words[move] for language, move in link}
        assert len(words) == 1
        for language, _ in link:
            anchored[language] |= set(next(iter(words)))
            for other, _ in link:
                together.setdefault((language, other), set()).update(next(iter(words)))
    for i, one in enumerate(language_set.languages):
        for j, other in enumerate(language_set.languages[:i]):
            shared = set(one.ids) & set(other.ids)
            assert together.get((i, j), set()) <= shared
            # two languages anchored to a third one may meet in a column token of it; else only their own anchors
            assert shared <= anchored[i] & (anchored[j] if j else set(other.ids))
            if not any(language_set.languages[link[0][0]].kind == "compositional" for link in language_set.links):
                assert shared == together.get((i, j), set())


@given(
    st.lists(st.sampled_from(list(LANGUAGE_KINDS)), min_size=1, max_size=5), st.sampled_from(SIZES), st.integers(0, 99)
)
def test_naive_languages_are_disjoint_and_leave_no_hole(kinds: list[str], size: int, seed: int):
    language_set = build_languages(LanguagesConfig(kinds=kinds, **seeded(kinds, seed)), Board.of(size))
    ids = [token for language in language_set.languages for token in language.ids]
    assert sorted(ids) == list(range(1, language_set.vocabulary_size))
    assert not language_set.links
    assert language_set.own_table.sum(0).tolist() == [0] + [1] * (language_set.vocabulary_size - 1)


@given(configs())
def test_anchors_leave_no_hole_in_the_vocabulary(built: tuple[LanguagesConfig, Board]):
    language_set = build_languages(*built)
    used = set().union(*(language.ids for language in language_set.languages))
    assert used == set(range(1, language_set.vocabulary_size))


@pytest.mark.parametrize("size", SIZES)
def test_kinds_write_what_they_are_named_after(size: int):
    language_set = build_languages(LanguagesConfig(kinds=list(LANGUAGE_KINDS)), Board.of(size))
    atomic, split, compositional = (language.words for language in language_set.languages)
    n = Board.of(size).n_moves
    assert [len(word) for word in atomic] == [1] * n
    assert len({word[0] for word in atomic}) == n
    assert {len(word) for word in split} == {1, 2, 3}
    assert len({token for word in split for token in word}) == sum(map(len, split))
    assert [len(word) for word in compositional] == [2] * n
    columns, rows = {}, {}
    for move, (column, row) in enumerate(compositional):
        assert columns.setdefault(text(size, move)[0], column) == column
        assert rows.setdefault(text(size, move)[1], row) == row
    assert len({*columns.values(), *rows.values()}) == 2 * size


def local(words: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Words counted from the language's own first id."""
    low = min(token for word in words for token in word)
    return [tuple(token - low for token in word) for word in words]


def test_vocabulary_seed_changes_split_lengths_and_nothing_else():
    kinds = ["atomic", "compositional", "split", "split", "atomic"]
    one, other = (
        build_languages(LanguagesConfig(kinds=kinds, vocabulary_seed=seed), Board.of(8)).languages for seed in (0, 1)
    )
    assert [language.name for language in one] == [language.name for language in other]
    for k in (0, 1, 4):
        assert local(one[k].words) == local(other[k].words)
    for k in (0, 1):
        assert one[k].words == other[k].words
    for k in (2, 3):
        assert one[k].lengths.tolist() != other[k].lengths.tolist()
        for language in (one[k], other[k]):  # ids stand in one row along the moves, whatever the lengths
            assert [token for word in local(language.words) for token in word] == list(range(len(language.ids)))
    assert one[2].lengths.tolist() != one[3].lengths.tolist()  # the name is part of the seed


@pytest.mark.parametrize("longest", [1, 2, 3, 5])
def test_split_lengths_are_uniform(longest: int):
    language_set = build_languages(LanguagesConfig(kinds=["split*40"], longest_word=longest), Board.of(8))
    counts = torch.bincount(language_set.length_table.flatten())[1:].tolist()
    assert len(counts) == longest
    if longest > 1:
        assert chisquare(counts).pvalue > ALPHA


@given(
    st.lists(st.sampled_from(list(LANGUAGE_KINDS)), min_size=2, max_size=5),
    st.sampled_from(SIZES),
    st.integers(0, 2),
    st.sampled_from(["naive", "move", "component"]),
)
def test_a_later_language_never_moves_the_words_of_an_earlier_one(kinds: list[str], size: int, seed: int, how: str):
    if how == "component":
        kinds = ["compositional"] * len(kinds)
    sharing = Sharing.component if how == "component" else Sharing.move
    anchors = AnchorConfig() if how == "naive" else AnchorConfig(count=3, sharing=sharing)
    tables = [
        [language.words for language in build_languages(config, Board.of(size)).languages]
        for n in range(1, len(kinds) + 1)
        for config in [LanguagesConfig(kinds=kinds[:n], anchors=anchors, **seeded(kinds[:n], seed))]
    ]
    for shorter, longer in pairwise(tables):
        assert longer[:-1] == shorter


def test_an_anchored_compositional_move_shares_its_tokens_but_not_its_components():
    """Sharing whole moves leaves every other word in the same column and row alone."""
    config = LanguagesConfig(kinds=["compositional*2"], anchors=AnchorConfig(moves=["c2"]))
    one, other = (language.words for language in build_languages(config, Board.of(6)).languages)
    for move in range(Board.of(6).n_moves):
        assert (one[move] == other[move]) == (text(6, move) == "c2")
        if text(6, move) != "c2":
            assert not set(one[move]) & set(other[move])


def test_component_sharing_shares_a_column_and_a_row_wherever_they_occur():
    anchors = AnchorConfig(moves=["c2", "e6"], sharing=Sharing.component)
    language_set = build_languages(LanguagesConfig(kinds=["compositional*3"], anchors=anchors), Board.of(6))
    for other in language_set.languages[1:]:
        for move, (mine, theirs) in enumerate(zip(language_set.languages[0].words, other.words, strict=True)):
            assert (mine[0] == theirs[0]) == (text(6, move)[0] in "ce")
            assert (mine[1] == theirs[1]) == (text(6, move)[1] in "26")
    assert language_set.vocabulary_size == 1 + 12 + 2 * (12 - 4)


def test_component_sharing_can_pair_different_columns_and_rows():
    anchors = AnchorConfig(links=["compositional_0.c2=compositional_1.b5"], sharing=Sharing.component)
    one, other = (
        language.words
        for language in build_languages(
            LanguagesConfig(kinds=["compositional*2"], anchors=anchors), Board.of(6)
        ).languages
    )
    by_name = [{text(6, move): word for move, word in enumerate(words)} for words in (one, other)]
    for move, word in by_name[1].items():
        assert (word[0] == by_name[0]["c2"][0]) == (move[0] == "b")
        assert (word[1] == by_name[0]["c2"][1]) == (move[1] == "5")


@pytest.mark.parametrize("kinds", [["atomic*2"], ["compositional", "atomic"], ["split", "compositional"]])
def test_component_sharing_needs_words_of_a_column_and_a_row(kinds: list[str]):
    anchors = AnchorConfig(count=4, sharing=Sharing.component)
    with pytest.raises(ValueError, match=r"languages\.anchors\.sharing"):
        build_languages(
            LanguagesConfig(kinds=kinds, anchors=anchors, **({"longest_word": 1} if "split" in kinds else {})),
            Board.of(6),
        )


def test_component_links_hold_whatever_order_they_are_written_in():
    """Three languages that share column c, linked 1-2 and then 0-1: the result must not depend on the order."""
    links = ["compositional_1.c2=compositional_2.c2", "compositional_0.c1=compositional_1.c1"]
    for order in (links, links[::-1]):
        anchors = AnchorConfig(links=order, sharing=Sharing.component)
        language_set = build_languages(LanguagesConfig(kinds=["compositional*3"], anchors=anchors), Board.of(6))
        for link in language_set.links:
            assert len({language_set.languages[language].words[move] for language, move in link}) == 1


def test_component_links_that_contradict_each_other_are_refused():
    """Column b cannot be column c and column d: the first link would be broken without a word."""
    anchors = AnchorConfig(
        links=["compositional_0.c2=compositional_1.b3", "compositional_0.d5=compositional_1.b6"],
        sharing=Sharing.component,
    )
    with pytest.raises(ValueError, match=r"languages\.anchors"):
        build_languages(LanguagesConfig(kinds=["compositional*2"], anchors=anchors), Board.of(6))


@settings(max_examples=30)
@given(configs(), st.integers(0, 99))
def test_a_mixed_batch_equals_each_game_alone(built: tuple[LanguagesConfig, Board], seed: int):
    language_set = build_languages(*built)
    moves = games(built[1].size, seed=seed)
    languages = torch.randint(len(language_set.languages), (len(moves),), generator=torch.Generator().manual_seed(seed))
    together = language_set.encode(moves, languages)
    for row in range(len(moves)):
        require_single_process = language_set.encode(moves[row : row + 1], languages[row : row + 1])
        width = require_single_process.tokens.shape[1]
        assert together.tokens[row, :width].tolist() == require_single_process.tokens[0].tolist()
        assert (together.tokens[row, width:] == PAD).all()
        assert together.move_ends[row].tolist() == require_single_process.move_ends[0].tolist()


@pytest.mark.parametrize("dtype", [torch.int8, torch.int64])
def test_rows_are_as_wide_as_the_languages_present_need(dtype: torch.dtype):
    language_set = build_languages(LanguagesConfig(kinds=["atomic", "split", "compositional"]), Board.of(6))
    moves = games(6).to(dtype)
    widths = [language_set.encode(moves, torch.full((len(moves),), k)).tokens.shape[1] for k in range(3)]
    assert widths == [32, int(language_set.length_table[1].sum()), 64]
    assert language_set.max_tokens == max(widths)
    assert language_set.encode(moves, torch.zeros(len(moves), dtype=torch.int64), 40).tokens.shape[1] == 40
    with pytest.raises(AssertionError, match="fit"):
        language_set.encode(moves, torch.full((len(moves),), 2), 32)


def test_encoding_leaves_its_input_alone():
    language_set = build_languages(LanguagesConfig(kinds=["split*2"]), Board.of(6))
    moves = games(6)
    before = moves.clone()
    languages = torch.tensor([0, 1, 0, 1, 1, 0])
    language_set.encode(moves, languages)
    assert torch.equal(moves, before)
    assert languages.tolist() == [0, 1, 0, 1, 1, 0]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kinds", [["atomic*3"], ["atomic", "split", "compositional"]])
def test_unified_output_has_one_class_per_move_and_the_same_inputs(size: int, kinds: list[str]):
    own, unified = (
        build_languages(LanguagesConfig(kinds=kinds, output=output), Board.of(size)) for output in OutputVocabulary
    )
    assert unified.output_size == Board.of(size).n_moves
    assert own.output_size == own.vocabulary_size == unified.vocabulary_size
    assert [language.words for language in own.languages] == [language.words for language in unified.languages]


def test_names_count_each_kind_and_can_be_given():
    config = LanguagesConfig(kinds=["atomic*2", "split", "atomic"])
    assert config.language_names() == ["atomic_0", "atomic_1", "split_0", "atomic_2"]
    language_set = build_languages(
        LanguagesConfig(kinds=["atomic", "split"], names=["english", "finnish"]), Board.of(4)
    )
    assert language_set.names == ["english", "finnish"]
    assert language_set.index("finnish") == 1
    with pytest.raises(ValueError, match="english, finnish"):
        language_set.index("french")


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"kinds": ["atomik"]}, "kinds"),
        ({"kinds": ["atomic*0"]}, "kinds"),
        ({"kinds": ["atomic*-1"]}, "kinds"),
        ({"kinds": []}, "kinds"),
        ({"names": ["one"]}, "names"),
        ({"names": ["one", "one"]}, "names"),
        ({"longest_word": 0}, "longest_word"),
        ({"longest_word": 9}, "longest_word"),
    ],
)
def test_a_bad_config_names_its_key(settings: dict[str, object], key: str):
    with pytest.raises(ValueError, match=rf"languages\.{key}"):
        LanguagesConfig(**settings)  # type: ignore[arg-type]
