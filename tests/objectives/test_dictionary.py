"""Proves: the masked LM with a dictionary reads and predicts what a slow reading of its definition says, token by token, for
every kind of language whose words have one length and every variant, and its loss is that of the rows one by one; a case
worked by hand; the shares are what they are called; batches depend on seed and place alone, whatever processes there are; a
stream that speaks one language is the masked LM's; mistakes are one line."""

from pathlib import Path
from typing import Any

import pytest
import torch
from data.streams import stream_of
from objectives.slow_loss import check
from torch import Tensor

import mothello
from mothello.config import identity, typed
from mothello.data.batch import IGNORE, Batch
from mothello.data.split import Split, corpus
from mothello.data.stream import Stream
from mothello.errors import UserError
from mothello.languages.dictionary import covered_moves
from mothello.languages.language import PAD
from mothello.languages.language_set import LanguagesConfig, LanguageSet, OutputVocabulary, build_languages
from mothello.model.build import build_model
from mothello.model.inputs import AttentionMask
from mothello.model.transformer import GPT, ModelConfig
from mothello.objectives.dictionary import DictionaryLM, Variant
from mothello.objectives.masked_lm import MASK, MaskedLM
from mothello.othello.board import Board
from mothello.othello.counter import random_bits
from mothello.seeding import derive
from mothello.stages.pretrain import Pretrain, TrainConfig

FOUR = Board.of(4)
KINDS: dict[str, dict[str, Any]] = {
    "atomic": {"kinds": ["atomic*3"]},
    "compositional": {"kinds": ["compositional*2"]},
    "anchored": {"kinds": ["atomic*2"], "anchors": {"overlap": 0.5, "same_meaning": 0.5}},
    "reordered": {"kinds": ["compositional*2"], "traits": {"compositional_0": {"order": "inversion"}}},
    "unified": {"kinds": ["compositional*2"], "output": "unified"},
}


def languages(name: str = "atomic") -> LanguageSet:
    return build_languages(typed({"special_tokens": [MASK], **KINDS[name]}, LanguagesConfig), FOUR)


def objective(**settings: Any) -> DictionaryLM:
    return DictionaryLM(typed(settings, DictionaryLM.Config))


def stream(language_set: LanguageSet, games: int = 24, **more: Any) -> Stream:
    return stream_of(corpus(FOUR, 0, Split.train, 10 * games), language_set, batch_size=games, seed=5, **more)


def small(language_set: LanguageSet) -> GPT:
    config = ModelConfig(n_layer=2, n_head=2, d_model=16, mask=AttentionMask.full)
    return build_model(config, language_set).initialize(0)


def slowly(source: Stream, step: int, config: DictionaryLM.Config) -> tuple[Tensor, Tensor]:
    """Tokens and targets of a batch by the definition, one token at a time."""
    language_set, games = source.language_set, source.games(step)
    tokens = torch.full((len(games.moves), language_set.max_tokens), PAD)
    targets, mask = torch.full_like(tokens, IGNORE), language_set.special(MASK)
    covered, n = covered_moves(FOUR, config.coverage, ""), len(language_set.languages)

    def number(row: int, at: int, counter: int) -> float:
        place = (step * source.batch_size + row) * max(language_set.max_tokens, FOUR.n_moves) + at
        return (int(random_bits(derive(5, "masks"), torch.tensor(place), counter)) + 0.5) / 2**32

    for row, (moves, language) in enumerate(zip(games.moves.tolist(), games.language.tolist(), strict=True)):
        spoken, at = language_set.languages[language], 0
        written = [(ply, move) for ply, move in enumerate(moves) if move >= 0]
        if spoken.traits.order == "inversion":
            written.reverse()
        for ply, move in written:
            crosses = number(row, ply, 3) < config.cross
            foreign = language_set.languages[(language + 1 + int(number(row, ply, 4) * (n - 1))) % n].words[move]
            known = move in covered and foreign != spoken.words[move]
            for token, translation in zip(spoken.words[move], foreign, strict=True):
                read, target = token, IGNORE
                if number(row, ply, 0) < config.rate:
                    target, fate = token, number(row, at, 1)
                    if fate < config.random:
                        read = sorted(spoken.ids)[int(number(row, at, 2) * len(spoken.ids))]
                    elif fate < 1 - config.kept:
                        read = mask
                    if crosses and config.variant == "target":
                        read, target = (mask, translation) if known else (read, token)
                    elif crosses and known:
                        read = translation
                    elif crosses:
                        read = token if config.variant == "released" else mask
                    if language_set.output is OutputVocabulary.unified:
                        target = move
                tokens[row, at], targets[row, at], at = read, target, at + 1
    return tokens, targets


ADMITTED = [
    (name, variant) for name in sorted(KINDS) for variant in Variant if (name, variant) != ("unified", "target")
]


@pytest.mark.parametrize("coverage", [0.5, 1.0])
@pytest.mark.parametrize(("name", "variant"), ADMITTED)
def test_batches_and_loss_are_those_of_the_definition(name: str, coverage: float, variant: Variant) -> None:
    language_set, lm = languages(name), objective(coverage=coverage, variant=variant.value, rate=0.3)
    source, model = stream(language_set), small(language_set)
    for step in (0, 7):
        check(lm, model, lm.batch(source, step), *slowly(source, step, lm.config))


class Given(Stream):
    """A stream of one game: c1 and then two more moves, in the first of two languages."""

    def __init__(self, source: Stream, text: Batch) -> None:
        self.__dict__ |= source.__dict__
        self.text = text

    def batch(self, step: int) -> Batch:
        return self.text


@pytest.mark.parametrize(
    ("variant", "read", "predicted"),
    [
        ("released", ["translation", "own", "own"], ["own", "own", "own"]),
        ("corrected", ["translation", "mask", "mask"], ["own", "own", "own"]),
        ("target", ["mask", "mask", "mask"], ["translation", "own", "own"]),
    ],
)
def test_a_case_worked_by_hand(variant: str, read: list[str], predicted: list[str]) -> None:
    """Every word is scored and cross-lingual, and masked otherwise; the dictionary has one move, the first of three."""
    language_set = build_languages(LanguagesConfig(special_tokens=[MASK], kinds=["atomic*2"]), FOUR)
    (only,) = covered_moves(FOUR, 1 / 12, "")
    moves = [only, *[move for move in range(12) if move != only][:2]]
    words = {
        "own": [language_set.languages[0].words[move][0] for move in moves],
        "translation": [language_set.languages[1].words[move][0] for move in moves],
        "mask": [language_set.special(MASK)] * 3,
    }
    zero = torch.tensor([0])
    played = torch.tensor([[*moves, -1]], dtype=torch.int8)
    text = Batch(torch.tensor([[*words["own"], PAD]]), torch.tensor([[0, 1, 2, -1]]), played, zero, zero)
    source = Given(stream(language_set, 1), text)
    lm = objective(variant=variant, coverage=1 / 12, rate=1.0, cross=1.0, kept=0.0, random=0.0)
    batch = lm.batch(source, 0)
    assert batch.text.tokens[0].tolist() == [*[words[kind][i] for i, kind in enumerate(read)], PAD]
    assert batch.targets[0].tolist() == [*[words[kind][i] for i, kind in enumerate(predicted)], IGNORE]


def test_the_shares_are_what_they_are_called() -> None:
    language_set = languages("atomic")
    source, lm = stream(language_set, 2000), objective(cross=0.3, coverage=0.5, variant="corrected")
    batch, plain, hidden = lm.batch(source, 0), source.batch(0), MaskedLM().batch(source, 0)
    scored = batch.targets != IGNORE
    assert torch.equal(batch.targets, hidden.targets)
    assert torch.equal(batch.text.tokens[~scored], plain.tokens[~scored])
    ids = language_set.own_table[:, batch.text.tokens.clamp(max=language_set.vocabulary_size - 1)]
    mask = batch.text.tokens == language_set.special(MASK)
    for language in range(3):  # of the others each as often
        rows = (plain.language == language).unsqueeze(1) & scored
        for other in {0, 1, 2} - {language}:
            share = int((ids[other] & rows & ~mask).sum()) / int(rows.sum())
            assert share == pytest.approx(0.3 * 0.5 / 2, abs=0.02)


@pytest.mark.parametrize("size", [2, 3])
def test_processes_share_the_batches_of_one_and_a_stream_of_one_language_has_no_translations(size: int) -> None:
    language_set, lm = languages("atomic"), objective()
    whole = stream(language_set)
    for step in (0, 11):
        expected = lm.batch(whole, step)
        for rank in range(size):
            part = lm.batch(stream(language_set, share=(rank, size)), step)
            assert torch.equal(part.text.tokens, expected.text.tokens[rank::size])
            assert torch.equal(part.targets, expected.targets[rank::size])
    alone, masked = lm.batch(whole.speaking(1), 2), MaskedLM().batch(whole.speaking(1), 2)
    assert torch.equal(alone.text.tokens, masked.text.tokens)
    assert torch.equal(alone.targets, masked.targets)


def config(settings: dict[str, Any], **more: Any) -> TrainConfig:
    return typed({"objective": {"name": "dictionary", **settings}, "board": {"size": 4}, **more}, TrainConfig)


@pytest.mark.parametrize(
    ("settings", "more", "line"),
    [
        ({"coverage": 0.0}, {}, r"objective\.coverage: 0.0 is not positive"),
        ({"coverage": 1.5}, {}, r"objective\.coverage: 1.5 is above 1"),
        ({"coverage": 0.01}, {}, r"objective\.coverage: 0.01 of 12 moves is none"),
        ({"cross": 0.0}, {}, r"objective\.cross: 0.0 is not positive"),
        ({"whole_word": False}, {}, r"objective\.whole_word: a dictionary replaces whole words"),
        ({"variant": "target", "softmax": "language"}, {}, r"objective\.softmax: a target that is translated"),
        ({"variant": "target"}, {"languages": {"output": "unified"}}, r"objective\.variant: the target is the move"),
        ({}, {"languages": {"kinds": ["atomic"]}}, r"objective: dictionary translates, and there is one language"),
        (
            {},
            {"languages": {"kinds": ["atomic", "compositional"]}},
            r"objective: dictionary needs words of one length; a1 has 1 in atomic_0, 2 in compositional_0",
        ),
        ({}, {"languages": {"traits": {"atomic_0": {"synonyms": 0.5}}}}, r"objective: dictionary knows one word"),
        ({}, {"languages": {"anchors": {"overlap": 1.0}}}, r"objective\.coverage: no move of the dictionary"),
        ({}, {"model": {"separate": {"tokens": True}}}, r"model\.separate: a row of dictionary holds words of two"),
    ],
)
def test_mistakes_are_one_line_that_names_the_key(settings: dict[str, Any], more: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError, match=rf"^{line}"):
        Pretrain(config(settings, **more))


def test_from_a_training_to_its_evaluation(tmp_path: Path) -> None:
    assert identity(config({"variant": "corrected"}))["objective"] == {"name": "dictionary", "variant": "corrected"}
    run = mothello.train(
        {
            "runs": str(tmp_path), "board": {"size": 4}, "model": {"n_layer": 1, "n_head": 2, "d_model": 16},
            "objective": {"name": "dictionary"}, "data": {"games": 64, "batch_size": 32},
            "evaluation": {"games": 4, "times": 1}, "device": {"name": "cpu", "threads": 1, "precision": "fp32"},
        }
    )  # fmt: skip
    assert "val/masked_accuracy" in run.folder.read_results()["final"]
