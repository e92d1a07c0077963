"""Proves which moves are anchors and what they mean: counts are nested, placements are what their names say (by
coordinates), groups and links tie what they name, the lowest-indexed language's tokens are used, links through a
symmetry make a mirrored game read alike, and every bad config raises a ValueError that names its key.
"""

from itertools import pairwise

import pytest
import torch
from games import random_games
from hypothesis import given
from hypothesis import strategies as st

from mothello.languages.anchors import AnchorConfig, Placement, Sharing, anchor_links, anchored_moves, nested_list
from mothello.languages.language_set import LanguagesConfig, LanguageSet, build_languages
from mothello.othello.board import SIZES, Board
from mothello.othello.notation import move_name, parse_move
from mothello.othello.symmetry import ALL_MAPS, OPENING_MAPS, move_map

GOLDEN = ["e1", "e3", "f5", "a3", "f2", "c1", "f3", "e6"]
EXPECTED_SIZES = {Placement.off: (8, 24, 48), Placement.main: (2, 4, 6), Placement.anti: (2, 4, 6)}
EXPECTED_SIZES |= {Placement.on: (4, 8, 12), Placement.any: (12, 32, 60)}
EXPECTED_SIZES |= {Placement.each: (4, 8, 12)}


def language_set(kinds: list[str], size: int = 6, **anchors: object) -> LanguageSet:
    config = LanguagesConfig(kinds=kinds, anchors=AnchorConfig(**anchors))  # type: ignore[arg-type]
    return build_languages(config, Board.of(size))


def word(built: LanguageSet, name: str, move: str) -> tuple[int, ...]:
    return built.languages[built.index(name)].words[parse_move(move, built.board)]


def on_main(name: str) -> bool:
    """a1, b2, c3, ..."""
    return "abcdefgh".index(name[0]) == int(name[1]) - 1


def on_anti(name: str, size: int) -> bool:
    return "abcdefgh".index(name[0]) + int(name[1]) == size


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("placement", Placement)
def test_counts_are_nested_and_exhaust_the_placement(size: int, placement: Placement):
    n = EXPECTED_SIZES[placement][SIZES.index(size)]
    lists = [anchored_moves(AnchorConfig(count=k, placement=placement), Board.of(size)) for k in range(1, n + 1)]
    assert [len(moves) for moves in lists] == list(range(1, n + 1))
    for shorter, longer in pairwise(lists):
        assert longer[:-1] == shorter
    assert len(set(lists[-1])) == n
    with pytest.raises(ValueError, match=rf"languages\.anchors\.count: {n + 1}.*{n} moves"):
        anchored_moves(AnchorConfig(count=n + 1, placement=placement), Board.of(size))


@pytest.mark.parametrize("size", SIZES)
def test_placements_are_what_they_are_called(size: int):
    names = {p: {move_name(Board.of(size), m) for m in nested_list(Board.of(size), p)} for p in Placement}
    everything = {move_name(Board.of(size), m) for m in range(Board.of(size).n_moves)}
    assert names[Placement.any] == everything
    assert names[Placement.main] == {name for name in everything if on_main(name)}
    assert names[Placement.anti] == {name for name in everything if on_anti(name, size)}
    assert names[Placement.on] == names[Placement.main] | names[Placement.anti]
    assert names[Placement.off] == everything - names[Placement.on]
    assert names[Placement.each] == names[Placement.on]
    in_turn = [move_name(Board.of(size), m) for m in nested_list(Board.of(size), Placement.each)]
    assert all(map(on_main, in_turn[::2]))
    assert all(on_anti(name, size) for name in in_turn[1::2])


@pytest.mark.parametrize("size", SIZES)
def test_one_anchor_leaves_the_symmetries_its_placement_promises(size: int):
    left = {Placement.off: {"identity"}, Placement.main: {"identity", "main"}, Placement.anti: {"identity", "anti"}}
    for placement, expected in left.items():
        for move in nested_list(Board.of(size), placement):
            assert {g for g in OPENING_MAPS if move_map(Board.of(size), g)[move] == move} == expected


@pytest.mark.parametrize("image", ALL_MAPS)
@pytest.mark.parametrize("size", SIZES)
def test_counted_anchors_link_a_move_with_its_image(size: int, image: str):
    b = Board.of(size)
    config = AnchorConfig(count=4, image=image, groups=[["b", "a", "c"]])
    links = anchor_links(config, ["a", "b", "c"], b)
    moves, image_of = nested_list(b, Placement.off)[:4], move_map(b, image)
    assert links == [[(0, m), (1, image_of[m]), (2, image_of[m])] for m in moves]


def test_the_nested_list_is_the_same_in_every_run():
    """A golden list: changing it would change what "2 anchors" means in every result."""
    texts = [move_name(Board.of(6), m) for m in nested_list(Board.of(6), Placement.off)[:8]]
    assert texts == GOLDEN


def test_a_list_of_moves_is_taken_as_it_stands():
    built = language_set(["atomic*3"], moves=["C2", "a1", " e6"])
    for move in (move_name(Board.of(6), m) for m in range(32)):
        same = len({word(built, name, move) for name in built.names}) == 1
        assert same == (move in ("c2", "a1", "e6"))
    assert len(built.links) == 3


@pytest.mark.parametrize("kinds", [["atomic", "split"], ["split", "atomic"], ["compositional", "split", "atomic"]])
@pytest.mark.parametrize("count", [0, 1, 4])
def test_all_languages_use_the_words_of_the_lowest_indexed_one(kinds: list[str], count: int):
    built, naive = language_set(kinds, count=count), language_set(kinds)
    anchored = set(anchored_moves(AnchorConfig(count=count), Board.of(6)))
    assert len(built.links) == count
    assert built.languages[0].words == naive.languages[0].words
    for language, plain in zip(built.languages[1:], naive.languages[1:], strict=True):
        for move in range(32):
            if move in anchored:
                assert language.words[move] == built.languages[0].words[move]
            else:
                assert len(language.words[move]) == len(plain.words[move])
                assert language.words[move] not in built.languages[0].words


def test_the_lowest_indexed_language_leads_whatever_order_the_config_uses():
    one = language_set(["atomic", "split", "atomic"], groups=[["atomic_1", "split_0"]], count=2)
    other = language_set(["atomic", "split", "atomic"], groups=[["split_0", "atomic_1"]], count=2)
    assert [language.words for language in one.languages] == [language.words for language in other.languages]
    for link in one.links:
        assert [language for language, _ in link] == [1, 2]
    flipped = language_set(["atomic", "split"], links=["split_0.a1=atomic_0.b6"])
    assert flipped.links == (((0, parse_move("b6", Board.of(6))), (1, parse_move("a1", Board.of(6)))),)
    assert len(word(flipped, "split_0", "a1")) == 1


def test_groups_share_inside_and_not_across():
    built = language_set(["atomic*5"], groups=[["atomic_0", "atomic_2"], ["atomic_1", "atomic_3"]], count=3)
    ids = [set(language.ids) for language in built.languages]
    for i in range(5):
        for j in range(i):
            assert len(ids[i] & ids[j]) == (3 if (i, j) in [(2, 0), (3, 1)] else 0)
    assert built.vocabulary_size == 1 + 5 * 32 - 6


def test_a_group_of_one_language_anchors_nothing():
    assert not language_set(["atomic*2"], groups=[["atomic_0"]], count=4).links


def test_a_link_ties_any_two_moves_and_nothing_else():
    built = language_set(["atomic*2"], links=["atomic_0.c2=atomic_1.d5", "atomic_0.d5 = atomic_1.c2"])  # false friends
    assert word(built, "atomic_0", "c2") == word(built, "atomic_1", "d5")
    assert word(built, "atomic_0", "d5") == word(built, "atomic_1", "c2")
    assert len(set(built.languages[0].ids) & set(built.languages[1].ids)) == 2
    assert word(built, "atomic_0", "c2") != word(built, "atomic_1", "c2")


def test_links_come_on_top_of_counted_anchors_and_may_hold_three_languages():
    free = [move_name(Board.of(6), m) for m in nested_list(Board.of(6), Placement.off)[2:5]]
    links = [f"atomic_0.{free[0]}=atomic_1.{free[1]}=atomic_2.{free[2]}"]
    built = language_set(["atomic*3"], count=2, links=links)
    assert len(built.links) == 3
    assert len({word(built, f"atomic_{k}", free[k]) for k in range(3)}) == 1


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("symmetry", OPENING_MAPS)
@pytest.mark.parametrize("kinds", [["atomic*2"], ["split", "compositional"]])
def test_links_through_a_symmetry_write_a_mirrored_game_alike(size: int, symmetry: str, kinds: list[str]):
    image = move_map(Board.of(size), symmetry)
    one, other = LanguagesConfig(kinds=kinds).language_names()
    links = [
        f"{one}.{move_name(Board.of(size), move)}={other}.{move_name(Board.of(size), image[move])}"
        for move in range(Board.of(size).n_moves)
    ]
    built = language_set(kinds, size, links=links)
    moves = random_games(0, torch.arange(8), Board.of(size)).long()
    mirrored = torch.where(moves >= 0, torch.tensor(image)[moves.clamp(min=0)], -1)
    zeros = torch.zeros(8, dtype=torch.int64)
    assert torch.equal(built.encode(moves, zeros).tokens, built.encode(mirrored, zeros + 1).tokens)
    if symmetry != "identity":  # negative control: unmirrored they differ
        assert not torch.equal(built.encode(moves, zeros).tokens, built.encode(moves, zeros + 1).tokens)


@given(st.integers(0, 8), st.integers(1, 5))
def test_every_anchor_saves_its_words(count: int, n: int):
    built, naive = language_set([f"split*{n}"], count=count), language_set([f"split*{n}"])
    moves = anchored_moves(AnchorConfig(count=count), Board.of(6))
    saved = sum(len(language.words[move]) for language in naive.languages[1:] for move in moves)
    assert built.vocabulary_size == naive.vocabulary_size - saved


@pytest.mark.parametrize(
    ("anchors", "message"),
    [
        ({"moves": ["c3"]}, r"anchors\.moves: c3 is a start square"),
        ({"moves": ["g1"]}, r"anchors\.moves: g1 is off the 6x6 board"),
        ({"moves": ["z9"]}, r"anchors\.moves: 'z9' is not a square"),
        ({"moves": ["a1", "A1"]}, r"anchors\.moves: a move is listed twice"),
        ({"count": 25}, r"anchors\.count: 25 anchors .* 24 moves with placement=off"),
        (
            {"count": 1, "groups": [["atomic_0", "split_0"], ["atomic_0", "atomic_1"]]},
            r"anchors\.groups: atomic_0 is in",
        ),
        ({"count": 1, "groups": [["atomic_0", "atomic_0"]]}, r"anchors\.groups: atomic_0 is in two"),
        ({"count": 1, "groups": [["atomic_0", "french"]]}, r"anchors\.groups: no language 'french'"),
        ({"links": ["atomic_0.a1=atomic_1.a2", "atomic_0.a1=split_0.a3"]}, r"anchors: .* in two anchors"),
        ({"moves": ["a1"], "links": ["atomic_0.a1=atomic_1.a2"]}, r"anchors: .* in two anchors"),
        ({"links": ["atomic_0.a1=atomic_0.a2"]}, r"anchors\.links: a link names one language twice"),
        ({"links": ["atomic_0.a1=french.a2"]}, r"anchors\.links: no language 'french'"),
        ({"links": ["atomic_0.a1=atomic_1.c3"]}, r"anchors\.links: c3 is a start square"),
        ({"links": ["atomic_0.h1=atomic_1.a1"]}, r"anchors\.links: h1 is off"),
        ({"links": ["atomic_0.a1"]}, r"anchors\.links: 'atomic_0\.a1' is not of the form"),
        ({"links": ["atomic_0=atomic_1"]}, r"anchors\.links: .* is not of the form"),
        ({"links": ["atomic_0.a1="]}, r"anchors\.links: .* is not of the form"),
        ({"links": [""]}, r"anchors\.links: .* is not of the form"),
    ],
)
def test_a_bad_config_is_refused_and_named(anchors: dict[str, object], message: str):
    with pytest.raises(ValueError, match=rf"^languages\.{message}"):
        language_set(["atomic*2", "split"], **anchors)


def test_counts_are_checked_before_anything_is_built():
    with pytest.raises(ValueError, match=r"languages\.anchors\.count"):
        AnchorConfig(count=-1)
    with pytest.raises(ValueError, match="count or moves"):
        AnchorConfig(count=1, moves=["a1"])


def test_two_moves_written_alike_are_refused():
    links = ["compositional_0.c2=compositional_1.a1", "compositional_0.c5=compositional_1.b6"]  # a and b both as c
    with pytest.raises(
        ValueError, match=r"languages\.anchors: two columns or rows of one language would share a token"
    ):
        language_set(["compositional*2"], links=links, sharing=Sharing.component)


def test_links_are_lists_of_members_lowest_language_first():
    config = AnchorConfig(moves=["b1"], links=["two.a1=one.f6"])
    links = anchor_links(config, ["one", "two"], Board.of(6))
    b1, a1, f6 = (parse_move(text, Board.of(6)) for text in ("b1", "a1", "f6"))
    assert links == [[(0, b1), (1, b1)], [(0, f6), (1, a1)]]
