"""Proves: rows of one game in two languages, and their loss, are what a slow reading of the definition says, token by token,
for every kind of language and both attentions; a case worked by hand; all other rows are those of the main objective; pairs,
orders and shares are what they are called; batches depend on seed and place alone, whatever processes there are; a stream that
speaks one language has no such rows; each half reads the other, and of a
causal row the first does not; mistakes are one line."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from data.streams import stream_of
from torch import Tensor

import mothello
from mothello.config import identity, typed
from mothello.data.batch import IGNORE, Batch, LabeledBatch
from mothello.data.corpus import Window
from mothello.data.split import Split, corpus
from mothello.data.stream import Stream
from mothello.errors import UserError
from mothello.languages.language import PAD
from mothello.languages.language_set import LanguagesConfig, LanguageSet, OutputVocabulary, build_languages
from mothello.model.build import build_model
from mothello.model.inputs import AttentionMask, Inputs
from mothello.model.transformer import GPT, ModelConfig
from mothello.objectives.causal_lm import CausalLM
from mothello.objectives.masked_lm import MASK, MaskedLM
from mothello.objectives.tlm import SEP, TranslationBatch, TranslationLM, joined, pairs_of, two_of
from mothello.othello.board import Board
from mothello.othello.counter import random_bits
from mothello.seeding import derive
from mothello.stages.pretrain import Pretrain, TrainConfig

FOUR = Board.of(4)
KINDS: dict[str, dict[str, Any]] = {
    "atomic": {"kinds": ["atomic*2"]},
    "split": {"kinds": ["split", "atomic", "split"]},
    "compositional": {"kinds": ["compositional*2"]},
    "unified": {"kinds": ["split", "compositional"], "output": "unified"},
    "reordered": {"kinds": ["split", "atomic"], "traits": {"split_0": {"order": "inversion"}}},
}


def languages(name: str = "split") -> LanguageSet:
    return build_languages(typed({"special_tokens": [MASK, SEP], **KINDS[name]}, LanguagesConfig), FOUR)


def objective(**settings: Any) -> TranslationLM:
    return TranslationLM(typed(settings, TranslationLM.Config))


def stream(language_set: LanguageSet, games: int = 24, **more: Any) -> Stream:
    return stream_of(corpus(FOUR, 0, Split.train, 10 * games), language_set, batch_size=games, seed=5, **more)


def small(language_set: LanguageSet, mask: AttentionMask, **shape: Any) -> GPT:
    return build_model(ModelConfig(n_layer=2, n_head=2, d_model=16, mask=mask, **shape), language_set).initialize(0)


def batch_of(one: TranslationLM, source: Stream, step: int) -> TranslationBatch:
    batch = one.batch(source, step)
    assert isinstance(batch, TranslationBatch)
    return batch


def slowly(source: Stream, step: int, config: TranslationLM.Config, row: int) -> list[tuple[int, int, int]]:
    """(token, position, target) of a row of two games by the definition."""
    language_set, game = source.language_set, source.games(step)
    played = [move for move in game.moves[row].tolist() if move >= 0]
    unified = language_set.output is OutputVocabulary.unified
    full, n = config.attention is AttentionMask.full, len(language_set.languages)

    def number(at: int, counter: int) -> float:
        place = (step * source.batch_size + row) * max(language_set.max_tokens, FOUR.n_moves) + at
        return (int(random_bits(derive(5, "masks"), torch.tensor(place), counter)) + 0.5) / 2**32

    orders = [(one, other) for one in range(n) for other in range(n) if one != other]
    halves = []
    for half, language in enumerate(orders[int(number(0, 6) * len(orders))]):
        spoken = language_set.languages[language]
        pool, cells = sorted(spoken.ids), []
        written = list(enumerate(played))
        if spoken.traits.order == "inversion":
            written.reverse()
        words = [(ply, move, token) for ply, move in written for token in spoken.words[move]]
        for at, (ply, move, token) in enumerate(words):
            read, target = token, IGNORE
            if full and number(ply, 3 * half) < config.rate:
                target, fate = move if unified else token, number(at, 3 * half + 1)
                if fate < config.random:
                    read = pool[int(number(at, 3 * half + 2) * len(pool))]
                elif fate < 1 - config.kept:
                    read = language_set.special(MASK)
            if not full and at + 1 < len(words):
                _, following, after = words[at + 1]
                target = after if not unified else following if ply != words[at + 1][0] else IGNORE
            cells.append((read, at, target))
        halves.append((cells, words))
    opening = (halves[1][1][0][1] if unified else halves[1][1][0][2]) if not full else IGNORE
    return [*halves[0][0], (language_set.special(SEP), 0, opening), *halves[1][0]]


ADMITTED = [(x, mask) for x in sorted(KINDS) for mask in AttentionMask if (x, mask) != ("reordered", "causal")]


@pytest.mark.parametrize(("name", "attention"), ADMITTED)
def test_batches_and_loss_are_those_of_the_definition(name: str, attention: AttentionMask) -> None:
    language_set, tlm = languages(name), objective(attention=attention.value, share=0.4)
    source, model = stream(language_set), small(language_set, attention)
    main = CausalLM() if attention is AttentionMask.causal else MaskedLM()
    for step in (0, 7):
        batch, plain = batch_of(tlm, source, step), main.batch(source, step)
        assert len(batch.pairs.tokens) == 10
        assert torch.equal(batch.single.text.tokens, plain.text.tokens[10:])
        assert torch.equal(batch.single.targets, plain.targets[10:])
        alone = main.loss(model, batch.single)
        total, count = alone.sum, int(alone.count)
        for row in range(10):
            cells = slowly(source, step, tlm.config, row)
            found = [column[row].tolist() for column in batch.pairs[:3]]
            for column, wanted, padding in zip(found, zip(*cells, strict=True), (PAD, None, IGNORE), strict=True):
                assert column[: len(cells)] == list(wanted)
                assert padding is None or set(column[len(cells) :]) <= {padding}
            tokens, positions, _ = (torch.tensor([column]) for column in map(list, zip(*cells, strict=True)))
            logits = model(Inputs(tokens, positions)).logits[0]
            for place, (_, _, target) in enumerate(cells):
                if target != IGNORE:
                    total, count = total - logits[place].log_softmax(-1)[target], count + 1
        loss = tlm.loss(model, batch)
        torch.testing.assert_close(loss.sum, total, rtol=1e-4, atol=1e-3)
        assert int(loss.count) == count


def test_a_case_worked_by_hand() -> None:
    """Games of two and three tokens in rows of three; the separator is 9 and predicts 4."""

    def labeled(tokens: list[int], targets: list[int]) -> LabeledBatch:
        nothing = torch.zeros(1, dtype=torch.int64)
        text = Batch(torch.tensor([tokens]), nothing, nothing.to(torch.int8), nothing, nothing)
        return LabeledBatch(text, torch.tensor([targets]))

    two, three = labeled([1, 2, PAD], [2, IGNORE, IGNORE]), labeled([4, 5, 6], [5, 6, IGNORE])
    after = torch.tensor([4])
    one = joined(two, three, 9, after, 7)
    assert one.tokens[0].tolist() == [1, 2, 9, 4, 5, 6, PAD]
    assert one.positions[0].tolist() == [0, 1, 0, 0, 1, 2, 0]
    assert one.targets[0].tolist() == [2, IGNORE, 4, 5, 6, IGNORE, IGNORE]
    other = joined(three, two, 9, after, 7)
    assert other.tokens[0].tolist() == [4, 5, 6, 9, 1, 2, PAD]
    assert other.positions[0].tolist() == [0, 1, 2, 0, 0, 1, 2]
    uniform = torch.tensor([0.0, 0.2, 0.4, 0.6, 0.7, 0.99])
    first, second = two_of(uniform, 3)
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]


def test_shares_and_orders_are_what_they_are_called() -> None:
    assert pairs_of(100, 0.3, 0, 1) == 30
    for size, processes in ((8, 4), (24, 3), (100, 4)):
        for share in (0.05, 0.25, 0.3, 1.0):
            each = [pairs_of(size, share, rank, processes) for rank in range(processes)]
            assert sum(each) == round(share * size)
            assert max(each) - min(each) <= 1
    first, second = two_of(torch.rand(12_000, generator=torch.Generator().manual_seed(0)), 4)
    counts = Counter(zip(first.tolist(), second.tolist(), strict=True))
    assert len(counts) == 12
    assert all(abs(count - 1000) < 150 for count in counts.values())


@pytest.mark.parametrize("attention", ["full", "causal"])
@pytest.mark.parametrize("size", [2, 3])
def test_processes_share_the_batches_of_one(size: int, attention: str) -> None:
    language_set = languages("split")
    for step, share in ((0, 1 / 24), (11, 0.3)):  # of the first, some process has no pair
        tlm = objective(attention=attention, share=share)
        model = small(language_set, tlm.attention)
        whole = batch_of(tlm, stream(language_set), step)
        parts = [batch_of(tlm, stream(language_set, share=(rank, size)), step) for rank in range(size)]
        for find in (lambda x: x.pairs.tokens, lambda x: x.pairs.targets, lambda x: x.single.targets):
            rows: list[Tensor] = [row for part in parts for row in find(part)]
            assert sorted(row.tolist() for row in rows) == sorted(row.tolist() for row in find(whole))
        totals = torch.stack([tlm.loss(model, part).numbers() for part in parts]).sum(0)
        torch.testing.assert_close(totals, tlm.loss(model, whole).numbers(), rtol=1e-5, atol=1e-3)
    assert not torch.equal(batch_of(tlm, stream(language_set), 1).pairs.tokens, whole.pairs.tokens)


@pytest.mark.parametrize("attention", ["full", "causal"])
def test_each_half_reads_the_other_and_a_causal_first_half_does_not(attention: str) -> None:
    language_set, tlm = languages("atomic"), objective(attention=attention, share=1.0)
    model, pairs = small(language_set, tlm.attention), batch_of(tlm, stream(language_set), 0).pairs
    at = int((pairs.tokens[0] == language_set.special(SEP)).nonzero())
    logits = model(Inputs(pairs.tokens[:1], pairs.positions[:1])).logits[0]
    for changed, read, seen in ((at + 3, slice(at), attention == "full"), (at - 3, slice(at + 1, None), True)):
        tokens = pairs.tokens[:1].clone()
        tokens[0, changed] = tokens[0, changed] % (language_set.vocabulary_size - 1) + 1
        other = model(Inputs(tokens, pairs.positions[:1])).logits[0]
        assert bool((other[read] != logits[read]).any()) == seen


def test_of_no_rows_of_a_sort_the_other_is_all() -> None:
    language_set = languages("atomic")
    every = batch_of(objective(share=1.0), stream(language_set), 0)
    assert len(every.single.targets) == 0
    model = small(language_set, AttentionMask.full)
    loss = objective(share=1.0).loss(model, every)
    loss.sum.backward()
    assert int(loss.count) == int((every.pairs.targets != IGNORE).sum())
    assert not bool(torch.isnan(model.head.weight.grad).any())  # type: ignore[union-attr, arg-type]


def test_plies_that_carry_no_loss_are_not_scored() -> None:
    language_set = languages("atomic")
    source = stream_of(Window(corpus(FOUR, 0, Split.train, 500), 4, 8), language_set, batch_size=50, seed=5)
    for settings in ({"rate": 1.0}, {"attention": "causal"}):
        pairs = batch_of(objective(share=1.0, **settings), source, 0).pairs
        scored = pairs.targets != IGNORE
        shift = 1 if settings.get("attention") else 0
        assert set(pairs.positions[scored].tolist()) == {ply - shift for ply in range(4, 8)}
        assert not bool(scored[pairs.tokens == language_set.special(SEP)].any())


def test_a_stream_of_one_language_has_no_pairs_and_a_batch_is_traced_whole() -> None:
    language_set, tlm = languages("split"), objective()
    source = stream(language_set)
    alone = tlm.batch(source.speaking(1), 2)
    assert isinstance(alone, LabeledBatch)
    assert torch.equal(alone.targets, MaskedLM().batch(source.speaking(1), 2).targets)
    model, batch = small(language_set, AttentionMask.full), tlm.batch(source, 0)
    traced = torch.compile(tlm.loss, backend="aot_eager", fullgraph=True, dynamic=False)
    for given in (batch, alone):
        torch.testing.assert_close(traced(model, given).sum, tlm.loss(model, given).sum)


def config(settings: dict[str, Any], **more: Any) -> TrainConfig:
    return typed({"objective": {"name": "tlm", **settings}, "board": {"size": 4}, **more}, TrainConfig)


def test_the_config_gives_the_model_its_mask_and_its_tokens() -> None:
    full, causal = config({}), config({"attention": "causal"})
    assert (full.model.mask, full.languages.special_tokens) == (AttentionMask.full, [MASK, SEP])
    assert (causal.model.mask, causal.languages.special_tokens) == (AttentionMask.causal, [SEP])
    assert identity(causal)["objective"] == {"name": "tlm", "attention": "causal"}
    assert (
        Pretrain(full).initial().n_positions
        == Pretrain(config({}, objective={"name": "masked_lm"})).initial().n_positions
    )


@pytest.mark.parametrize(
    ("settings", "more", "line"),
    [
        ({"share": 0.0}, {}, r"objective\.share: 0.0 is not positive"),
        ({"share": 1.5}, {}, r"objective\.share: 1.5 is above 1"),
        ({}, {"data": {"language_sampling": {"grouped": True}}}, r"data\.language_sampling\.grouped: the first rows"),
        ({"share": 0.001}, {}, r"objective\.share: 0.001 of 128 games a step is none"),
        ({"rate": 0.3, "attention": "causal"}, {}, r"objective\.rate: has no effect with objective\.attention=causal"),
        ({"softmax": "language"}, {}, r"objective\.softmax: a row of tlm has two languages"),
        ({}, {"languages": {"kinds": ["atomic"]}}, r"objective: tlm translates, and there is one language"),
        ({}, {"data": {"language_sampling": {"pairing": "disjoint"}}}, r"objective: tlm .* no game has a translation"),
        (
            {},
            {"data": {"domains": {"a": {}, "b": {"prefix": ["b1"]}}, "domain_of": {"atomic_0": "a", "atomic_1": "b"}}},
            r"objective: tlm .* languages with domains of their own share none",
        ),
        (
            {},
            {"model": {"separate": {"head": True}}},
            r"model\.separate: a row of tlm has two languages",
        ),
        (
            {"attention": "causal"},
            {"languages": {"traits": {"atomic_0": {"synonyms": 0.5}}}},
            r"objective: tlm knows one word for every move",
        ),
        (
            {"attention": "causal"},
            {"languages": {"traits": {"atomic_0": {"order": "inversion"}}}},
            r"objective: causal_lm needs the board after every prefix",
        ),
    ],
)
def test_mistakes_are_one_line_that_names_the_key(settings: dict[str, Any], more: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError, match=rf"^{line}"):
        Pretrain(config(settings, **more))


@pytest.mark.parametrize("attention", ["full", "causal"])
def test_from_a_training_to_its_evaluation(tmp_path: Path, attention: str) -> None:
    run = mothello.train(
        {
            "runs": str(tmp_path), "board": {"size": 4}, "model": {"n_layer": 1, "n_head": 2, "d_model": 16},
            "objective": {"name": "tlm", "attention": attention}, "auxiliary": {"align": {"weight": 10.0}},
            "data": {"games": 64, "batch_size": 32}, "evaluation": {"games": 4, "times": 1},
            "device": {"name": "cpu", "threads": 1, "precision": "fp32"},
        }
    )  # fmt: skip
    final = run.folder.read_results()["final"]
    assert ("val/masked_accuracy" in final) == (attention == "full")
    assert final["val/loss"] > 0


@pytest.mark.parametrize("attention", ["full", "causal"])
def test_every_token_says_its_language(attention: str) -> None:
    """The ids that no other language writes tell it; a model with language ids is trained on both halves."""
    source, made = stream(languages("atomic")), objective(attention=attention)
    pairs = made.batch(source, 0).pairs
    own = source.language_set.own_table
    written = (pairs.tokens != PAD) & (pairs.tokens < source.language_set.vocabulary_size)
    spoken = own[pairs.language, pairs.tokens.clamp(max=own.shape[1] - 1)]
    hidden_at_random = 0.1 if attention == "full" else 0.0
    assert float((spoken | ~written).double().mean()) >= 1 - hidden_at_random
    assert (pairs.language[:, 0] != pairs.language[:, -1]).all()
    model = small(source.language_set, made.attention, language_ids=True)
    loss = made.loss(model, made.batch(source, 0))
    (loss.sum / loss.count).backward()
    assert (model.language_embedding.weight.grad.abs().sum(1) > 0).all()
