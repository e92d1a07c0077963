"""Proves: the loss is minus the mean cosine of all dictionary pairs as a slow reading says it, for every kind of language,
site and separate part; a case worked by hand; a larger dictionary contains a smaller one, anchors are left out; it is traced
whole, and processes add up to one; added to a main objective it aligns the moves of its dictionary more than the others;
mistakes are one line."""

from itertools import combinations
from typing import Any

import pytest
import torch
from data.streams import stream_of
from torch import Tensor
from training.loops import plan

from mothello.config import identity, typed
from mothello.data.split import Split, corpus
from mothello.data.stream import Stream
from mothello.errors import UserError
from mothello.languages.dictionary import covered_moves, dictionary
from mothello.languages.language_set import LanguagesConfig, LanguageSet, build_languages
from mothello.model.build import build_model
from mothello.model.separate import own_parts
from mothello.model.transformer import GPT, ModelConfig
from mothello.objectives.align import Align, Dictionary, Site
from mothello.objectives.combined import build_objective
from mothello.othello.board import Board
from mothello.stages.pretrain import Pretrain, TrainConfig
from mothello.training.loop import train

FOUR = Board.of(4)
KINDS: dict[str, dict[str, Any]] = {
    "atomic": {"kinds": ["atomic*2"]},
    "split": {"kinds": ["split", "atomic", "split"]},
    "compositional": {"kinds": ["compositional*2"]},
    "anchored": {"kinds": ["atomic*3"], "anchors": {"links": ["atomic_0.b1=atomic_2.b1", "atomic_0.c1=atomic_1.d1"]}},
    "unified": {"kinds": ["split", "compositional"], "output": "unified"},
}


def languages(name: str = "atomic") -> LanguageSet:
    return build_languages(typed(KINDS[name], LanguagesConfig), FOUR)


def stream(language_set: LanguageSet, games: int = 24, **more: Any) -> Stream:
    return stream_of(corpus(FOUR, 0, Split.train, 10 * games), language_set, batch_size=games, seed=5, **more)


def small(language_set: LanguageSet, **shape: Any) -> GPT:
    return build_model(
        typed({"n_layer": 1, "n_head": 2, "d_model": 16, **shape}, ModelConfig), language_set
    ).initialize(0)


def align(**settings: Any) -> Align:
    return Align(typed(settings, Align.Config))


def slowly(model: GPT, language_set: LanguageSet, coverage: float, site: Site) -> tuple[Tensor, int]:
    """The sum and number of minus the cosines, one pair of words at a time."""
    total, count = torch.tensor(0.0), 0
    modules = {"input": [model.token_embedding], "output": [model.head], "both": [model.token_embedding, model.head]}
    for module in modules[site]:
        tables = own_parts(module)
        for one, other in combinations(range(len(language_set.languages)), 2):
            for move in covered_moves(FOUR, coverage, ""):
                words = [language_set.languages[index].words[move] for index in (one, other)]
                if words[0] == words[1]:
                    continue
                a, b = (
                    torch.stack([tables[index % len(tables)].weight[token] for token in word]).mean(0)
                    for index, word in zip((one, other), words, strict=True)
                )
                total, count = total - a @ b / (a.norm() * b.norm()), count + 1
    return total, count


@pytest.mark.parametrize("site", list(Site))
@pytest.mark.parametrize("separate", [{}, {"tokens": True}, {"tokens": True, "head": True}])
@pytest.mark.parametrize("coverage", [0.4, 1.0])
@pytest.mark.parametrize("name", sorted(KINDS))
def test_the_loss_is_that_of_the_definition(name: str, coverage: float, separate: dict[str, bool], site: Site) -> None:
    if name == "unified" and site is not Site.input:
        return
    language_set, objective = languages(name), align(coverage=coverage, site=site.value)
    model = small(language_set, separate=separate)
    loss = objective.loss(model, objective.batch(stream(language_set), 3))
    total, count = slowly(model, language_set, coverage, site)
    torch.testing.assert_close(loss.sum, total, rtol=1e-5, atol=1e-5)
    assert int(loss.count) == count > 0


def test_a_case_worked_by_hand() -> None:
    """Three languages, two moves. Word 2 of the second language has two tokens; the third writes the first move as the first
    language does, so that this pair has no entry."""
    language_set = languages("atomic")
    model = small(language_set)
    rows = {1: [3.0, 4.0], 2: [1.0, 0.0], 3: [4.0, 3.0], 4: [0.0, 2.0], 5: [2.0, 0.0], 6: [0.0, -7.0]}
    with torch.no_grad():
        model.token_embedding.weight.zero_()
        for token, values in rows.items():
            model.token_embedding.weight[token, :2] = torch.tensor(values)
    words = torch.tensor([[[1, 0], [2, 0]], [[3, 0], [4, 5]], [[1, 0], [6, 0]]])
    entries = torch.tensor([[True, True], [False, True], [True, True]])
    batch = Dictionary(words, torch.tensor([[0, 0, 1], [1, 2, 2]]), entries)
    loss = align().loss(model, batch)
    cosines = [24 / 25, 0.5**0.5, 0.0, 24 / 25, -(0.5**0.5)]
    assert float(loss.sum.detach()) == pytest.approx(-sum(cosines), rel=1e-6)
    assert int(loss.count) == 5


def test_a_larger_dictionary_contains_a_smaller_one_and_anchors_have_no_entry() -> None:
    sizes = [covered_moves(FOUR, share / 12, "") for share in range(1, 13)]
    assert [len(moves) for moves in sizes] == list(range(1, 13))
    assert all(set(small) < set(large) for small, large in zip(sizes, sizes[1:], strict=False))
    assert covered_moves(Board.of(6), 0.5, "") != covered_moves(Board.of(8), 0.5, "")[:16]
    language_set = languages("anchored")
    entries, words = dictionary(language_set, 1.0, ""), [language.words for language in language_set.languages]
    assert torch.equal(entries, entries.transpose(0, 1))
    assert not bool(entries[range(3), range(3)].any())
    without = [(0, 2, move) for move in range(FOUR.n_moves) if words[0][move] == words[2][move]]
    assert len(without) == 1
    assert int((~entries[0, 2]).sum()) == 1  # c1 and d1 are written alike and are two moves: both have entries
    assert bool(entries[0, 1].all())


def test_it_is_traced_whole_and_processes_add_up_to_one() -> None:
    language_set, objective = languages("split"), align(site="both")
    model = small(language_set)
    batch = objective.batch(stream(language_set), 0)
    traced = torch.compile(objective.loss, backend="aot_eager", fullgraph=True, dynamic=False)(model, batch)
    loss = objective.loss(model, batch)
    torch.testing.assert_close(traced.sum, loss.sum)
    shares = [objective.loss(model, objective.batch(stream(language_set, share=(rank, 3)), 0)) for rank in range(3)]
    totals = torch.stack([share.numbers() for share in shares]).sum(0)
    together = torch.stack([share.mean(totals[1]) for share in shares]).sum()
    torch.testing.assert_close(together, loss.sum / loss.count)


def aligned(model: GPT, language_set: LanguageSet, moves: list[int]) -> float:
    """Mean cosine of the words of some moves."""
    one, other = (torch.tensor([language_set.languages[index].words[move][0] for move in moves]) for index in (0, 1))
    table = model.token_embedding.weight.detach()
    return float(torch.cosine_similarity(table[one], table[other]).mean())


def test_the_moves_of_the_dictionary_are_aligned_and_the_others_are_not() -> None:
    language_set = languages("atomic")
    inside = covered_moves(FOUR, 0.5, "")
    outside = [move for move in range(FOUR.n_moves) if move not in inside]
    found = {}
    for weight in (10.0, 1e-9):  # control: a weight that does nothing
        objective = build_objective("causal_lm", {"align": {"weight": weight, "coverage": 0.5}})
        model, source = small(language_set), stream(language_set)
        train(model, lambda step: objective.batch(source, step), plan(None, 60, objective=objective))  # noqa: B023
        found[weight] = aligned(model, language_set, inside), aligned(model, language_set, outside)
    assert found[10.0][0] > 0.9
    assert found[10.0][1] < 0.6
    assert found[1e-9][0] < 0.6


def config(settings: dict[str, Any], **more: Any) -> TrainConfig:
    return typed({"auxiliary": {"align": settings}, "board": {"size": 4}, **more}, TrainConfig)


def test_only_what_differs_is_identity() -> None:
    assert identity(config({"weight": 10.0}))["auxiliary"] == {"align": {"name": "align", "weight": 10.0}}
    Pretrain(config({"coverage": 0.5, "site": "both"}))


@pytest.mark.parametrize(
    ("settings", "more", "line"),
    [
        ({"coverage": 0.0}, {}, r"auxiliary\.align\.coverage: 0.0 is not positive"),
        ({"coverage": 1.5}, {}, r"auxiliary\.align\.coverage: 1.5 is above 1"),
        ({"coverage": 0.01}, {}, r"auxiliary\.align\.coverage: 0.01 of 12 moves is none"),
        ({}, {"languages": {"kinds": ["atomic"]}}, r"auxiliary\.align translates, and there is one language"),
        ({"site": "output"}, {"languages": {"output": "unified"}}, r"auxiliary\.align\.site: a unified output"),
        ({"site": "both"}, {"model": {"tied": True}}, r"auxiliary\.align\.site: has no effect with model\.tied"),
        ({}, {"languages": {"traits": {"atomic_0": {"synonyms": 0.5}}}}, r"auxiliary\.align knows one word for every"),
        ({}, {"languages": {"anchors": {"overlap": 1.0}}}, r"auxiliary\.align\.coverage: no move of the dictionary"),
    ],
)
def test_mistakes_are_one_line_that_names_the_key(settings: dict[str, Any], more: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError, match=rf"^{line}"):
        Pretrain(config(settings, **more))


def test_it_trains_no_model_by_itself() -> None:
    with pytest.raises(UserError, match=r"^objective: align trains no model by itself; add it to another"):
        Pretrain(typed({"objective": {"name": "align"}, "board": {"size": 4}}, TrainConfig))
