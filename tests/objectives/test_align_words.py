"""Proves: the loss is what a slow reading of its definition says, for every kind of language, level and separate part; a
case worked by hand; words are read alone, those out of the dictionary not at all; further tokens of a word are predicted
where there are some; it is traced whole; models whose languages share nothing come to find the partners of the dictionary
and not those held out, and shuffled ones find theirs; mistakes are one line."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from data.streams import stream_of
from torch import Tensor
from training.loops import plan

from mothello.config import identity, typed
from mothello.data.split import Split, corpus
from mothello.data.stream import Stream
from mothello.errors import UserError
from mothello.languages.dictionary import dictionary
from mothello.languages.language_set import LanguagesConfig, LanguageSet, build_languages
from mothello.model.build import build_model
from mothello.model.inputs import Inputs
from mothello.model.separate import own_parts
from mothello.model.transformer import GPT, ModelConfig
from mothello.objectives.align_words import AlignWords, AlignWordsConfig
from mothello.objectives.combined import build_objective
from mothello.othello.board import Board
from mothello.stages.build import coverage_of
from mothello.stages.pretrain import Pretrain, TrainConfig
from mothello.training.loop import train
from mothello.training.optimizer import OptimizerConfig

FOUR = Board.of(4)
KINDS: dict[str, dict[str, Any]] = {
    "atomic": {"kinds": ["atomic*2"]},
    "three": {"kinds": ["split", "atomic", "compositional"]},
    "anchored": {"kinds": ["atomic", "split"], "anchors": {"links": ["atomic_0.b1=split_0.b1"]}},
    "unified": {"kinds": ["split", "compositional"], "output": "unified"},
}


def languages(name: str = "atomic") -> LanguageSet:
    return build_languages(typed(KINDS[name], LanguagesConfig), FOUR)


def words_of(**settings: Any) -> AlignWords:
    return AlignWords(typed(settings, AlignWordsConfig))


def stream(language_set: LanguageSet) -> Stream:
    return stream_of(corpus(FOUR, 0, Split.train, 24), language_set, batch_size=1, seed=5)


def small(language_set: LanguageSet, **shape: Any) -> GPT:
    made = {"n_layer": 2, "n_head": 2, "d_model": 16, "zero_init": False, **shape}
    return build_model(typed(made, ModelConfig), language_set).initialize(0)


def tables_of(module: Any, language: int) -> Tensor:
    tables = own_parts(module)
    return tables[language % len(tables)].weight


def vectors(model: GPT, language_set: LanguageSet, language: int, move: int, levels: list[str]) -> dict[str, Tensor]:
    """Of one word, by itself."""
    word = [int(token) for token in language_set.word_table[language, move] if token]
    sizes = [0] * len(language_set.languages)
    sizes[language] = 1
    hidden = model(Inputs(torch.tensor([word]), language=torch.tensor([language])), hidden=True).hidden
    found = {"input": sum(tables_of(model.token_embedding, language)[token] for token in word)}
    found |= {f"block_{layer}": hidden[layer, 0].sum(0) for layer in range(1, len(hidden))}
    if "output" in levels:
        found["output"] = sum(tables_of(model.head, language)[token] for token in word)
    return {name: x for name, x in found.items() if name.split("_")[0].replace("block", "blocks") in levels}


def slowly(model: GPT, language_set: LanguageSet, pair: tuple[int, int], coverage: float, levels: list[str]) -> float:
    """The mean over levels of the summed loss, word by word."""
    entries = dictionary(language_set, coverage, "coverage")[pair]
    moves = [move for move in range(FOUR.n_moves) if entries[move]]
    read = {(side, move): vectors(model, language_set, pair[side], move, levels) for side in (0, 1) for move in moves}
    totals = []
    for level in next(iter(read.values())):
        total = 0.0
        for (side, move), word in read.items():
            scores = {
                key: float(F.cosine_similarity(word[level], other[level], dim=0)) / 0.1
                for key, other in read.items() if key != (side, move)
            }  # fmt: skip
            total -= scores[1 - side, move] - math.log(sum(map(math.exp, scores.values())))
        totals.append(total)
    return sum(totals) / len(totals)


@pytest.mark.parametrize(
    ("name", "shape", "levels"),
    [
        ("atomic", {}, ["input", "blocks", "output"]),
        ("atomic", {}, ["output"]),
        ("three", {}, ["input", "blocks", "output"]),
        ("three", {"separate": {"tokens": True, "head": True, "blocks": 1}}, ["input", "blocks", "output"]),
        ("anchored", {"tied": True}, ["input", "blocks"]),
        ("anchored", {"language_ids": True}, ["blocks"]),
        ("unified", {}, ["input", "blocks"]),
    ],
)
def test_the_loss_is_that_of_a_slow_reading(name: str, shape: dict[str, Any], levels: list[str]) -> None:
    """Of the pairs in turn; by default of all levels that there are."""
    language_set = languages(name)
    model, pairs = small(language_set, **shape), [(0, 1), (0, 2), (1, 2)][: 1 if name != "three" else 3]
    every = len(levels) > 2 or "tied" in shape or name == "unified"
    for asked in [levels, []] if every else [levels]:
        objective = words_of(levels=asked, coverage=0.75)
        for step, pair in enumerate(pairs):
            loss = objective.loss(model, objective.batch(stream(language_set), step))
            assert float(loss.sum.detach()) == pytest.approx(slowly(model, language_set, pair, 0.75, levels), rel=1e-4)
            assert int(loss.count) == 2 * int(dictionary(language_set, 0.75, "coverage")[pair].sum()) > 0


def test_a_case_worked_by_hand() -> None:
    """Two entries; the embeddings of partners point the same way and those of the two moves at right angles: each word
    is told from two others of cosine 0."""
    language_set, objective = languages(), words_of(levels=["input"], coverage=2 / FOUR.n_moves)
    model, batch = small(language_set), None
    batch = objective.batch(stream(language_set), 0)
    first, second = batch.entries.nonzero().flatten().tolist()
    with torch.no_grad():
        for language, size in ((0, 1.0), (1, 3.0)):
            for axis, move in enumerate((first, second)):
                row = size * F.one_hot(torch.tensor(axis), 16).float()
                model.token_embedding.weight[language_set.word_table[language, move, 0]] = row
    loss = objective.loss(model, batch)
    assert float(loss.sum.detach()) == pytest.approx(4 * math.log(1 + 2 * math.exp(-10)), rel=1e-2)
    assert int(loss.count) == 4


def test_words_out_of_the_dictionary_have_no_gradient_and_no_game_is_read() -> None:
    language_set, objective = languages("three"), words_of(coverage=0.5, levels=["input", "output"], spelling=0)
    model, source = small(language_set), stream(language_set)
    source.games = None  # type: ignore[method-assign, assignment]
    objective.loss(model, objective.batch(source, 1)).sum.backward()
    entries = dictionary(language_set, 0.5, "coverage")[0, 2]
    known = {
        int(token) for index in (0, 2) for token in language_set.word_table[index, : FOUR.n_moves][entries].flatten()
    }
    for table in (model.token_embedding.weight, model.head.weight):
        moved = {token for token, row in enumerate(table.grad) if bool(row.any())}  # type: ignore[arg-type]
        assert moved == known - {0}


@pytest.mark.parametrize(
    ("name", "shape", "wanted"),
    [("atomic", {}, False), ("three", {}, True), ("unified", {}, False), ("three", {"mask": "full"}, False)],
)
def test_the_further_tokens_of_words_are_predicted(name: str, shape: dict[str, Any], wanted: bool) -> None:
    """Each from those before it."""
    language_set, objective = languages(name), words_of()
    model = small(language_set, **shape)
    loss = objective.loss(model, batch := objective.batch(stream(language_set), 0))
    part = loss.parts["spelling"]
    likely = model(Inputs(batch.tokens, language=batch.language)).logits.log_softmax(-1).tolist()
    words = enumerate(batch.tokens.tolist())
    each = [
        -likely[row][place][token] for row, word in words for place, token in enumerate(word[1:]) if token and wanted
    ]
    assert part.weight == 10
    assert int(part.count) == len(each) >= 12 * wanted
    assert float(part.sum) == pytest.approx(sum(each), rel=1e-4)


def test_it_is_traced_whole() -> None:
    language_set, objective = languages(), words_of()
    model, batch = small(language_set), objective.batch(stream(language_set), 0)
    compiled = torch.compile(objective.loss, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(model, batch).sum, objective.loss(model, batch).sum)


@pytest.mark.parametrize("shuffled", [False, True])
def test_partners_of_the_dictionary_are_found_and_those_held_out_are_not(shuffled: bool) -> None:
    language_set, objective = languages(), words_of(coverage=0.5, shuffled=shuffled)
    model, source = small(language_set), stream(language_set)
    before = objective.found(model, language_set)
    rate = OptimizerConfig(name="adamw", lr=1e-2, decay="constant")  # type: ignore[arg-type]
    train(model, lambda step: objective.batch(source, step), plan(None, 60, objective=objective, optimizer=rate))  # type: ignore[arg-type]
    after, levels = objective.found(model, language_set), ("input", "block_1", "block_2", "output")
    assert list(after) == [f"{level}/{part}" for level in levels for part in ("dictionary", "held_out")]
    for level in levels:
        assert before[f"{level}/dictionary"] < 0.5
        assert after[f"{level}/dictionary"] == 1
        assert after[f"{level}/held_out"] < 0.5
    partner = objective.batch(source, 0).partner
    assert (partner == torch.arange(FOUR.n_moves)).all() != shuffled
    assert sorted(partner.tolist()) == list(range(FOUR.n_moves))


# Settings


def config(settings: dict[str, Any], **more: Any) -> TrainConfig:
    return typed({"auxiliary": {"align_words": {"weight": 0.1, **settings}}, "board": {"size": 4}, **more}, TrainConfig)


def test_it_is_added_with_a_weight_and_only_what_differs_is_identity() -> None:
    made = config({"coverage": 0.5})
    assert identity(made)["auxiliary"]["align_words"] == {"name": "align_words", "weight": 0.1, "coverage": 0.5}
    objective = build_objective(made.objective, made.auxiliary)
    loss = objective.loss(small(languages()), objective.batch(stream(languages()), 0))
    assert loss.weights == {"": 1.0, "causal_lm": 0.0, "align_words": 0.1, "align_words/spelling": 1.0}
    assert coverage_of({"data": {}, "auxiliary": {"align_words": {"coverage": 0.5}}}) == 0.5


@pytest.mark.parametrize(
    ("settings", "more", "line"),
    [
        ({"levels": ["middle"]}, {}, r"auxiliary\.align_words\.levels\[0\]: 'middle' is not one of input, blocks, output"),
        ({"levels": ["input", "input"]}, {}, r"auxiliary\.align_words\.levels: \[input, input\] names a level twice"),
        ({"levels": ["output"]}, {"languages": {"output": "unified"}}, r"auxiliary\.align_words\.levels: output: a unified"),
        ({"levels": ["output"]}, {"model": {"tied": True}}, r"auxiliary\.align_words\.levels: output: with model\.tied"),
        ({"coverage": 0.01}, {}, r"auxiliary\.align_words\.coverage: 0\.01 of 12 moves is none"),
        ({"coverage": 0.1}, {}, r"auxiliary\.align_words\.coverage: a word is told from others, and atomic_0 and atomic_1"),
        ({"temperature": 0}, {}, r"auxiliary\.align_words\.temperature: 0\.?0? is not positive"),
        ({"languages": ["latin", "atomic_0"]}, {}, r"auxiliary\.align_words\.languages: no language 'latin'"),
        ({"pivot": "atomic_0"}, {}, r"auxiliary\.align_words\.pivot: has no effect with two languages"),
        ({}, {"languages": {"kinds": ["atomic"]}}, r"auxiliary\.align_words\.coverage translates, and there is one language"),
        (
            {}, {"languages": {"traits": {"atomic_0": {"synonyms": 0.5}}}},
            r"auxiliary\.align_words\.coverage knows one word for every move",
        ),
    ],
)  # fmt: skip
def test_mistakes_are_one_line_that_names_the_key(settings: dict[str, Any], more: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError, match=rf"^{line}"):
        Pretrain(config(settings, **more))


def test_it_trains_no_model_by_itself() -> None:
    with pytest.raises(UserError, match=r"^objective: align_words trains no model by itself; add it to another"):
        Pretrain(typed({"objective": {"name": "align_words"}, "board": {"size": 4}}, TrainConfig))
