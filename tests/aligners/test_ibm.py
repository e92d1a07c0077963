"""Proves: the batched EM equals a slow one over dictionaries, for both models and texts of any length; the textbook's numbers
(Koehn 2010, section 4.2.3); growing links equals loops over places, and a case worked by hand. What is recovered: of renamed
languages model 2 learns the whole dictionary from whole games, model 1 from beginnings of games and not from whole ones; where
one language is inverted the prior misleads. Control: from pairs of unrelated games nothing is learned."""

from collections import defaultdict
from itertools import product
from math import exp
from typing import Any

import pytest
import torch
from aligners.made import aligner, games, languages, sides
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mothello.aligners.em import Prior, best, expected_counts, fit
from mothello.aligners.ibm import IBMAligner, beginnings, written
from mothello.aligners.symmetrize import NEIGHBORS, Symmetrization, grow_diag, symmetrized
from mothello.data.split import Split
from mothello.errors import UserError
from mothello.languages.language_set import LanguageSet

WORDS = 5
Texts = list[tuple[list[int], list[int]]]
TEXT = st.lists(st.integers(0, WORDS - 1), max_size=6)
NULL = WORDS


def padded(texts: Texts) -> tuple[Tensor, Tensor]:
    one, other = (torch.tensor([[*text[side], *[-1] * (6 - len(text[side]))] for text in texts]) for side in (0, 1))
    return one, other


def slowly(texts: Texts, prior: Prior, rounds: int) -> dict[tuple[int, int], float]:
    """p(target | source) of every pair of words, by loops over texts and words."""
    table = {(s, t): 1 / WORDS for s in range(WORDS + 1) for t in range(WORDS)}
    for _ in range(rounds):
        counts: dict[tuple[int, int], float] = defaultdict(float)
        for source, target in texts:
            for j, t in enumerate(target, 1):
                near = [exp(-prior.tension * abs(i / len(source) - j / len(target))) for i in range(1, len(source) + 1)]
                shares = [table[NULL, t] * prior.null]
                shares += [table[s, t] * (1 - prior.null) * w / sum(near) for s, w in zip(source, near, strict=True)]
                for s, share in zip([NULL, *source], shares, strict=True):
                    counts[s, t] += share / sum(shares) if sum(shares) else 0
        totals = {s: sum(counts[s, t] for t in range(WORDS)) for s in range(WORDS + 1)}
        table = {(s, t): counts[s, t] / totals[s] if totals[s] else 0.0 for s, t in table}
    return table


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=6),
    st.sampled_from([0.0, 0.7, 4.0]),
    st.sampled_from([0.0, 0.08, 0.5]),
    st.integers(0, 4),
)
def test_the_batched_em_is_the_slow_one(texts: Texts, tension: float, null: float, rounds: int) -> None:
    prior = Prior(null, tension)
    table = fit(*padded(texts), (WORDS, WORDS), prior, rounds)
    expected = slowly(texts, prior, rounds)
    found = {(s, t): float(table[s, t]) for s, t in expected}
    assert found == pytest.approx(expected, abs=1e-9)
    assert not bool(table[:, -1].any())


def test_the_textbooks_numbers() -> None:
    """das Haus, das Buch, ein Buch: the house, the book, a book. No null word."""
    source, target = torch.tensor([[0, 1], [0, 2], [3, 2]]), torch.tensor([[0, 1], [0, 2], [3, 2]])
    tables = [fit(source, target, (4, 4), Prior(0.0, 0.0), rounds) for rounds in range(4)]
    assert [round(float(table[0, 0]), 4) for table in tables] == [0.25, 0.5, 0.6364, 0.7479]
    assert [round(float(table[2, 0]), 4) for table in tables] == [0.25, 0.25, 0.1818, 0.1208]
    assert [round(float(table[3, 3]), 4) for table in tables] == [0.25, 0.5, 0.5714, 0.6534]
    assert best(tables[3], Prior(0.0, 0.0), source, target).nonzero().tolist() == [
        [0, 0, 0], [0, 1, 1], [1, 0, 0], [1, 1, 1], [2, 0, 0], [2, 1, 1],
    ]  # fmt: skip


def test_the_prior_by_hand() -> None:
    """A fifth goes to the null word; the rest to one word, or to two, as exp(0) and exp(-2 * 1/2)."""
    found = Prior(0.2, 2.0)(torch.tensor([[True, False]]), torch.tensor([[True, True]]))
    torch.testing.assert_close(found[0], torch.tensor([[0.8, 0.8], [0, 0], [0.2, 0.2]]).double())
    found = Prior(0.2, 2.0)(torch.tensor([[True, True]]), torch.tensor([[True, True]]))
    near, far = 0.8 / (1 + exp(-1)), 0.8 * exp(-1) / (1 + exp(-1))
    torch.testing.assert_close(found[0], torch.tensor([[near, far], [far, near], [0.2, 0.2]]).double())


def test_likelihood_never_falls_and_counts_are_the_target_words() -> None:
    source, target = torch.randint(WORDS, (20, 6)), torch.randint(WORDS, (20, 6))
    prior = Prior(0.1, 3.0)
    tables = [fit(source, target, (WORDS, WORDS), prior, rounds) for rounds in range(5)]
    assert float(expected_counts(tables[2], prior, source, target).sum()) == pytest.approx(target.numel())
    where = prior(source >= 0, target >= 0)
    with_null = torch.cat([source, torch.full((20, 1), WORDS)], 1)
    logs = [float((where * table[with_null.unsqueeze(2), target.unsqueeze(1)]).sum(1).log().sum()) for table in tables]
    assert logs == sorted(logs)


def test_unknown_words_and_those_of_the_null_word_have_no_link() -> None:
    source, target = torch.tensor([[0, 1, -1]]), torch.tensor([[0, 1, -1]])
    table = torch.tensor([[0.0, 0, 0], [0, 0.1, 0], [0, 0.9, 0]]).double()
    assert not bool(best(table, Prior(0.5, 0.0), source, target).any())
    assert best(table, Prior(0.05, 0.0), source, target).nonzero().tolist() == [[0, 1, 1]]


def grown_slowly(one: Tensor, other: Tensor) -> Tensor:
    """Links of one pair of texts, place by place."""
    links, union, (n, m) = one & other, one | other, one.shape
    while True:
        before = links.clone()
        for down, right in NEIGHBORS:
            new = []
            for i, j in product(range(n), range(m)):
                x, y = i + down, j + right
                inside = 0 <= x < n and 0 <= y < m
                if inside and links[i, j] and union[x, y] and not (links[x].any() and links[:, y].any()):
                    new.append((x, y))
            for x, y in new:
                links[x, y] = True
        if torch.equal(links, before):
            return links


def test_growing_is_that_of_loops() -> None:
    draw = torch.Generator().manual_seed(0)
    one, other = (torch.rand(40, 6, 5, generator=draw) < 0.3 for _ in range(2))
    found = grow_diag(one, other)
    for row in range(40):
        assert torch.equal(found[row], grown_slowly(one[row], other[row]))
    assert bool((found >= (one & other)).all())
    assert bool((found <= (one | other)).all())
    assert bool((found != (one & other)).any())
    assert bool((found != (one | other)).any())


def test_growing_by_hand() -> None:
    """(0, 0) is agreed on. (1, 1) is its neighbor, and then (2, 2) that of (1, 1); (4, 4) has no neighbor."""
    one, other = torch.zeros(2, 1, 5, 5, dtype=torch.bool)
    one[0, [0, 2, 4], [0, 2, 4]] = True
    other[0, [0, 1], [0, 1]] = True
    assert symmetrized(one, other, Symmetrization.grow_diag).nonzero()[:, 1:].tolist() == [[0, 0], [1, 1], [2, 2]]
    assert symmetrized(one, other, Symmetrization.intersection).nonzero()[:, 1:].tolist() == [[0, 0]]
    assert int(symmetrized(one, other, Symmetrization.union).sum()) == 4


def learned(language_set: LanguageSet, n: int, **more: Any) -> tuple[float, float, float]:
    """Share of moves whose likeliest translation is right; precision and recall of the links of other games."""
    made = aligner("ibm", language_set, pairs=n, **more)
    assert isinstance(made, IBMAligner)
    made.fit(games(n, language_set.board.size, Split.train))
    first, second = language_set.word_id_table
    table = made.tables[0][first][:, second]
    right = (table.argmax(1) == torch.arange(len(table))).double().mean()
    test = games(50, language_set.board.size)
    found, gold = made.links(*sides(test, language_set)), torch.diag_embed(test >= 0)
    hits = float((found & gold).sum())
    return float(right), hits / max(1, int(found.sum())), hits / int(gold.sum())


def test_model_2_learns_renamed_languages_from_few_whole_games() -> None:
    assert learned(languages(8), 30) == (1, 1, 1)
    kinds = {"kinds": ["split", "compositional"]}
    assert learned(languages(8, **kinds), 30) == (1, 1, 1)
    assert learned(languages(8, traits={"atomic_1": {"order": "reversal", "window": 5}}), 100) == (1, 1, 1)


def test_model_1_learns_them_from_beginnings_and_cannot_from_whole_games() -> None:
    right, precision, recall = learned(languages(8), 100, model=1, prefixes=True)
    assert (right, precision) == (1, 1)
    assert recall > 0.9
    right, precision, recall = learned(languages(8), 100, model=1)
    assert right < 0.2
    assert recall < 0.05


def test_where_one_language_is_inverted_the_prior_misleads() -> None:
    language_set = languages(8, traits={"atomic_1": {"order": "inversion"}})
    right, precision, recall = learned(language_set, 100)
    assert right < 0.1
    assert recall < 0.05
    right, precision, recall = learned(language_set, 100, prefixes=True)  # what occurs together does not outweigh it
    assert right < 0.5
    right, precision, recall = learned(language_set, 100, model=1, prefixes=True)  # control: no prior
    assert (right, precision) == (1, 1)


def test_nothing_is_learned_from_unrelated_games() -> None:
    language_set, moves = languages(8), games(100, 8, Split.train)
    source, target = (written(own) for own in sides(moves, language_set))
    prior = Prior(0.08, 4.0)
    table = fit(source, target.roll(1, 0), (60, 60), prior, 5)
    first, second = language_set.word_id_table
    right = (table[first][:, second].argmax(1) == torch.arange(60)).double().mean()
    assert float(right) < 0.2
    table = fit(source, target, (60, 60), prior, 5)
    assert bool((table[first][:, second].argmax(1) == torch.arange(60)).all())


def test_beginnings_are_of_every_length() -> None:
    moves = games(3000)
    short = beginnings(moves)
    lengths, whole = (short >= 0).sum(1), (moves >= 0).sum(1)
    assert bool((lengths >= 1).all())
    assert bool((lengths <= whole).all())
    assert bool((torch.where(short >= 0, moves, short) == short).all())
    assert float((lengths / whole).mean()) == pytest.approx(0.5 + float((0.5 / whole).mean()), abs=0.02)
    assert torch.equal(beginnings(moves), short)


def test_both_orders_of_a_pair_link_the_same_and_settings_change_links() -> None:
    language_set, moves = languages(kinds=["atomic", "split"], traits={"split_0": {"synonyms": 0.5}}), games(100)
    there, back = (aligner("ibm", language_set, pair) for pair in ((0, 1), (1, 0)))
    for one in (there, back):
        one.fit(moves)
    test = sides(games(20), language_set)
    assert torch.equal(there.links(*test), back.links(*test[::-1]).transpose(1, 2))
    strict, loose = (
        aligner("ibm", language_set, pairs=20, model=1, symmetrization=how, one_to_one=False)
        for how in ("intersection", "union")
    )
    for one in (strict, loose):
        one.fit(moves[:20])
    assert int(strict.links(*test).sum()) < int(loose.links(*test).sum())


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({"model": 3}, r"links\.options\.model: 3 is outside 1..2"),
        ({"model": 1, "tension": 2.0}, r"links\.options\.tension: has no effect on model 1"),
        ({"pairs": 0}, r"links\.options\.pairs: 0 is below 1"),
        ({"null": 0.0}, r"links\.options\.null: 0.0 is not positive"),
        ({"symmetrization": "grow"}, r"links\.options\.symmetrization"),
    ],
)
def test_a_mistake_is_one_line(more: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError, match=line) as refused:
        aligner("ibm", languages(), **more)
    assert "\n" not in str(refused.value)
