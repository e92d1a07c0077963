"""Proves: the masked LM scores and hides what a slow reading of its definition does, token by token, for every kind of
language, and its loss is that of the rows one by one; a case worked by hand; the shares are what they are called; padding
and plies without loss are never scored; batches depend on seed and place alone, whatever processes there are; the mask
token is read and never predicted, and moves no other weight; a resumed run is the uninterrupted one."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from data.streams import stream_of
from hypothesis import given
from hypothesis import strategies as st
from objectives.slow_loss import check
from torch import Tensor
from training.loops import EVERY_STEP, Killed, plan, same

import mothello
from mothello.cli.measure import measure, schema
from mothello.config import identity, typed
from mothello.data.batch import IGNORE, Batch, Context, LabeledBatch
from mothello.data.corpus import Window
from mothello.data.split import Split, corpus
from mothello.data.stream import Stream
from mothello.data.words import words_of
from mothello.errors import UserError
from mothello.languages.language import PAD
from mothello.languages.language_set import LanguagesConfig, LanguageSet, OutputVocabulary, build_languages
from mothello.measures.legality.measure import Legality, LegalityConfig
from mothello.measures.masked.measure import Masked, MaskedConfig
from mothello.model.build import build_model, outline
from mothello.model.inputs import AttentionMask, Inputs
from mothello.model.transformer import GPT, ModelConfig
from mothello.objectives.combined import build_objective
from mothello.objectives.masked_lm import MASK, MaskedLM, Pool, scored_tokens
from mothello.othello.board import Board
from mothello.othello.counter import random_bits
from mothello.report.page import write_report
from mothello.report.runs import find_runs
from mothello.seeding import derive
from mothello.stages.pretrain import Pretrain, TrainConfig
from mothello.training.distributed import World
from mothello.training.loop import train

FOUR = Board.of(4)
KINDS: dict[str, dict[str, Any]] = {
    "atomic": {"kinds": ["atomic*2"]},
    "split": {"kinds": ["split", "atomic"]},
    "compositional": {"kinds": ["compositional*2"]},
    "unified": {"kinds": ["split", "compositional"], "output": OutputVocabulary.unified},
}


def languages(name: str = "split") -> LanguageSet:
    return build_languages(LanguagesConfig(special_tokens=[MASK], **KINDS[name]), FOUR)


def objective(**settings: Any) -> MaskedLM:
    return MaskedLM(MaskedLM.Config(**settings))


def stream(language_set: LanguageSet, games: int = 24, **more: Any) -> Stream:
    return stream_of(corpus(FOUR, 0, Split.train, 10 * games), language_set, batch_size=games, seed=5, **more)


def small(language_set: LanguageSet, **shape: Any) -> GPT:
    config = ModelConfig(n_layer=2, n_head=2, d_model=16, mask=AttentionMask.full, **shape)
    return build_model(config, language_set).initialize(0)


def slowly(source: Stream, step: int, config: MaskedLM.Config) -> tuple[Tensor, Tensor]:
    """Tokens and targets of a batch by the definition, one token at a time."""
    language_set, games = source.language_set, source.games(step)
    tokens = torch.full((len(games.moves), language_set.max_tokens), PAD)
    targets = torch.full_like(tokens, IGNORE)

    def number(row: int, at: int, counter: int) -> float:
        place = (step * source.batch_size + row) * max(language_set.max_tokens, FOUR.n_moves) + at
        return (int(random_bits(derive(5, "masks"), torch.tensor(place), counter)) + 0.5) / 2**32

    for row, (moves, language) in enumerate(zip(games.moves.tolist(), games.language.tolist(), strict=True)):
        at, spoken = 0, language_set.languages[language]
        pool = sorted(spoken.ids) if config.pool is Pool.own else list(range(1, language_set.vocabulary_size))
        for ply, move in enumerate(moves):
            chance = number(row, ply, 0)
            for part, token in enumerate(spoken.words[move] if move >= 0 else ()):
                low, high = (0.0, config.rate) if config.whole_word else (part * config.rate, (part + 1) * config.rate)
                tokens[row, at] = token
                if low <= chance < high:
                    unified = language_set.output is OutputVocabulary.unified
                    targets[row, at] = move if unified else token
                    fate = number(row, at, 1)
                    if fate < config.random:
                        tokens[row, at] = pool[int(number(row, at, 2) * len(pool))]
                    elif fate < 1 - config.kept:
                        tokens[row, at] = language_set.vocabulary_size
                at += 1
    return tokens, targets


@pytest.mark.parametrize("settings", [{}, {"whole_word": False, "rate": 0.3}, {"pool": Pool.joint, "random": 0.4}])
@pytest.mark.parametrize("name", sorted(KINDS))
def test_batches_and_loss_are_those_of_the_definition(name: str, settings: dict[str, Any]) -> None:
    language_set, masked = languages(name), objective(**settings)
    source, model = stream(language_set), small(language_set)
    for step in (0, 7):
        check(masked, model, masked.batch(source, step), *slowly(source, step, masked.config))


def test_a_case_worked_by_hand() -> None:
    """Words of 1, 2 and 3 tokens, then padding; rate 1/4."""
    moves, ends = torch.tensor([[4, 0, 9, -1]], dtype=torch.int8), torch.tensor([[0, 2, 5, -1]])
    tokens = torch.tensor([[11, 21, 22, 31, 32, 33, PAD]])
    batch = Batch(tokens, ends, moves, torch.tensor([0]), torch.tensor([0]))
    words = words_of(batch)
    assert words.ply[0, :6].tolist() == [0, 1, 1, 2, 2, 2]
    assert words.part[0, :6].tolist() == [0, 0, 1, 0, 1, 2]
    uniform = torch.tensor([[0.30, 0.20, 0.60, 0.01]])

    def chosen(whole: bool, first: int = 0) -> list[int]:
        some = batch._replace(first_scored=torch.tensor([first]))
        return scored_tokens(some, words, uniform, 0.25, whole)[0].nonzero().flatten().tolist()

    assert chosen(whole=True) == [1, 2]
    assert chosen(whole=False) == [1, 5]  # .30: token 1 of a word of one; .20: token 0; .60: token 2
    assert chosen(whole=False, first=2) == [5]


@given(st.floats(0.05, 0.3), st.booleans())
def test_of_a_word_all_tokens_are_scored_or_one_alone(rate: float, whole: bool) -> None:
    source = stream(languages("split"))
    text = source.batch(0)
    words = words_of(text)
    uniform = torch.rand(text.moves.shape, generator=torch.Generator().manual_seed(int(rate * 1e6)))
    scored = scored_tokens(text, words, uniform, rate, whole)
    lengths = source.language_set.length_table[text.language.unsqueeze(1), text.moves.long().clamp(min=0)]
    per_word = torch.zeros_like(lengths).scatter_add(1, words.ply, scored.long())
    assert set(per_word.unique().tolist()) <= ({0, 1, 2, 3} if whole else {0, 1})
    assert not whole or bool(((per_word == 0) | (per_word == lengths)).all())
    assert not bool(scored[text.tokens == PAD].any())


@pytest.mark.parametrize("whole", [True, False])
def test_the_shares_are_what_they_are_called(whole: bool) -> None:
    language_set = languages("split")
    source, masked = stream(language_set, 2000), objective(whole_word=whole, random=0.2, kept=0.1, rate=0.2)
    batch, plain = masked.batch(source, 0), source.batch(0)
    scored, read = batch.targets != IGNORE, plain.tokens != PAD
    n = int(scored.sum())
    assert n / int(read.sum()) == pytest.approx(0.2, abs=0.01)
    assert int((batch.text.tokens == language_set.special(MASK)).sum()) / n == pytest.approx(0.7, abs=0.015)
    random = scored & (batch.text.tokens != plain.tokens) & (batch.text.tokens != language_set.special(MASK))
    assert int(random.sum()) / n == pytest.approx(0.2, abs=0.02)  # a random token may be the same by chance
    assert torch.equal(batch.text.tokens[~scored], plain.tokens[~scored])
    own = language_set.own_table[plain.language.unsqueeze(1).expand_as(random)[random], batch.text.tokens[random]]
    assert bool(own.all())
    joint = objective(pool=Pool.joint, random=0.9, kept=0.0).batch(source, 0)
    counts = joint.text.tokens[joint.targets != IGNORE].bincount(minlength=language_set.vocabulary_size)
    assert int(counts[PAD]) == 0
    assert int(counts[1 : language_set.vocabulary_size].min()) > 0
    everywhere = objective(rate=1.0, random=1.0, kept=0.0).batch(source, 0).text
    for language, spoken in enumerate(language_set.languages):  # every token of the pool is as likely
        rows = (plain.language == language).unsqueeze(1) & read
        share = everywhere.tokens[rows].bincount(minlength=language_set.vocabulary_size) / int(rows.sum())
        assert float((share[list(spoken.ids)] * len(spoken.ids) - 1).abs().max()) < 0.15


def test_plies_that_carry_no_loss_are_not_scored() -> None:
    language_set = languages("split")
    games = Window(corpus(FOUR, 0, Split.train, 500), 4, 8)
    source = stream_of(games, language_set, batch_size=500, seed=5)
    batch = objective(rate=1.0).batch(source, 0)
    words = words_of(batch.text)
    scored = batch.targets != IGNORE
    assert set(words.ply[scored].tolist()) == {4, 5, 6, 7}


@pytest.mark.parametrize("size", [2, 3])
def test_processes_share_the_batches_of_one(size: int) -> None:
    language_set = languages("split")
    whole = stream(language_set)
    for step in (0, 3, 11):
        expected = objective().batch(whole, step)
        for rank in range(size):
            part = objective().batch(stream(language_set, share=(rank, size)), step)
            assert torch.equal(part.text.tokens, expected.text.tokens[rank::size])
            assert torch.equal(part.targets, expected.targets[rank::size])
    again, later = (
        objective().batch(stream(language_set), 3),
        objective().batch(stream(language_set), 13),
    )  # an epoch on
    assert torch.equal(again.targets, objective().batch(whole, 3).targets)
    assert not torch.equal(again.targets != IGNORE, later.targets != IGNORE)


@pytest.mark.parametrize("tied", [False, True])
def test_the_mask_token_is_read_and_never_predicted(tied: bool) -> None:
    with_mask, without = languages("split"), build_languages(LanguagesConfig(kinds=["split", "atomic"]), FOUR)
    model, plain = small(with_mask, tied=tied), small(without, tied=tied)
    assert outline(model.config, with_mask).n_parameters == model.n_parameters == plain.n_parameters + 16
    assert with_mask.special(MASK) == without.vocabulary_size == with_mask.vocabulary_size
    for (name, one), other in zip(model.named_parameters(), plain.parameters(), strict=True):
        assert torch.equal(one[: len(other)], other), name  # an added token moves no other weight
    batch = objective().batch(stream(with_mask), 0)
    logits = model(Inputs.of(batch.text)).logits
    assert logits.shape[-1] == without.vocabulary_size
    text = stream(without).batch(0)
    torch.testing.assert_close(model(Inputs.of(text)).logits, plain(Inputs.of(text)).logits)
    objective().loss(model, batch).sum.backward()
    assert model.token_embedding.weight.grad is not None
    assert float(model.token_embedding.weight.grad[-1].abs().max()) > 0
    with pytest.raises(UserError, match="without a mask token"):
        without.special(MASK)


def test_of_a_softmax_over_the_language_other_tokens_are_not_part() -> None:
    language_set = languages("split")
    batch = objective(softmax="language").batch(stream(language_set), 0)
    model = small(language_set)
    logits, total = model(Inputs.of(batch.text)).logits, torch.tensor(0.0)
    for row, language in enumerate(batch.text.language.tolist()):
        own = list(language_set.languages[language].ids)
        for place in (batch.targets[row] != IGNORE).nonzero().flatten().tolist():
            target = torch.tensor(own.index(int(batch.targets[row, place])))
            total = total + F.cross_entropy(logits[row, place, own], target)
    torch.testing.assert_close(objective(softmax="language").loss(model, batch).sum, total, rtol=1e-4, atol=1e-3)


def config(settings: dict[str, Any], **more: Any) -> TrainConfig:
    return typed({"objective": {"name": "masked_lm", **settings}, "board": {"size": 4}, **more}, TrainConfig)


def test_the_config_gives_the_model_its_mask_and_its_token() -> None:
    found = config({})
    assert found.model.mask is AttentionMask.full
    assert found.languages.special_tokens == [MASK]
    assert identity(found) == {"objective": {"name": "masked_lm"}, "board": {"size": 4}}
    assert typed({}, TrainConfig).languages.special_tokens == []
    assert build_objective("masked_lm").attention is AttentionMask.full
    with pytest.raises(UserError, match=r"^auxiliary\.masked_lm: needs full attention; causal_lm has causal"):
        typed({"auxiliary": {"masked_lm": {}}}, TrainConfig)
    with pytest.raises(UserError, match=r"^languages\.special_tokens: no objective needs 'other'"):
        Pretrain(config({}, languages={"special_tokens": ["other"]}))


@pytest.mark.parametrize(
    ("settings", "kinds", "line"),
    [
        ({"rate": 0.0}, ["atomic*2"], "rate: 0.0 is not positive"),
        ({"rate": 1.5}, ["atomic*2"], "rate: 1.5 is above 1"),
        ({"kept": 0.7, "random": 0.6}, ["atomic*2"], "random: 0.6 and kept=0.7 are more than all"),
        ({"pool": "joint"}, ["atomic"], "pool: has no effect with one language"),
        ({"pool": "joint", "random": 0.0}, ["atomic*2"], "pool: has no effect without random tokens"),
        ({"whole_word": False}, ["atomic*2"], "whole_word: has no effect where every word is one token"),
        ({"whole_word": False, "rate": 0.4}, ["split*2"], "rate: 0.4 is too much: of a word of 3 tokens one alone"),
        ({"softmax": "language"}, ["atomic"], "softmax: has no effect with one language"),
        ({"raet": 0.4}, ["atomic"], "raet: unknown key; choices: name, rate, kept, random, pool, whole_word, softmax"),
    ],
)
def test_mistakes_are_one_line_that_names_the_key(settings: dict[str, Any], kinds: list[str], line: str) -> None:
    with pytest.raises(UserError, match=rf"^objective\.{line}"):
        Pretrain(config(settings, languages={"kinds": kinds}))


def test_a_resumed_run_is_the_uninterrupted_one(tmp_path: Path) -> None:
    language_set = languages("split")

    def go(folder: str, stop: int | None = None) -> GPT:
        source, model = stream(language_set), small(language_set, dropout=0.1)

        def batch_of(step: int) -> LabeledBatch:
            if step == stop:
                raise Killed
            return objective().batch(source, step)

        train(model, batch_of, plan(tmp_path / folder, 12, objective=objective(), checkpoint_every=EVERY_STEP))
        return model

    whole = go("whole")
    with pytest.raises(Killed):
        go("parts", stop=7)
    assert same(go("parts"), whole)


ORDERS = {
    "split_0": {"order": "inversion"},
    "compositional_0": {"order": "reversal", "window": 3},
    "atomic_0": {"order": "permutation"},
}


def test_words_of_plies_that_are_written_in_another_order() -> None:
    """Every token is the part that it is said to be of the word of the ply that it is said to be of."""
    config = typed(
        {"kinds": ["split", "compositional", "atomic"], "special_tokens": [MASK], "traits": ORDERS}, LanguagesConfig
    )
    language_set = build_languages(config, FOUR)
    batch = stream(language_set).batch(0)
    words = words_of(batch)
    for row, language in enumerate(batch.language.tolist()):
        spelled = language_set.languages[language].words
        for place, token in enumerate(batch.tokens[row].tolist()):
            if token != PAD:
                move = int(batch.moves[row, words.ply[row, place]])
                assert spelled[move][int(words.part[row, place])] == token


def test_a_masked_model_of_reordered_languages(tmp_path: Path) -> None:
    """Legality is not defined there; hidden moves of whole games are, and the board is read at every ply."""
    content = {
        "runs": str(tmp_path), "board": {"size": 4}, "model": {"n_layer": 1, "n_head": 2, "d_model": 16},
        "languages": {"kinds": ["atomic*2"], "traits": {"atomic_1": {"order": "inversion"}}},
        "objective": {"name": "masked_lm"}, "data": {"games": 64, "batch_size": 32},
        "evaluation": {"games": 4, "times": 1}, "device": {"name": "cpu", "threads": 1, "precision": "fp32"},
    }  # fmt: skip
    run = mothello.train(content)
    final = run.folder.read_results()["final"]
    assert final["val/masked_accuracy"] == final["val/game_accuracy"]
    rows = list(Masked(MaskedConfig(games=8, draws=20))(run.subject()))
    assert {row["target"] for row in rows} == {"game"}
    with pytest.raises(UserError, match="legality"):
        list(Legality(LegalityConfig(games=4))(run.subject()))
    with pytest.raises(UserError, match="what is written before a move is not what was played before it"):
        run.subject().reading(Context.prefix, "probes.context")


@pytest.mark.parametrize(
    "traits",
    [
        {"homonyms": 0.5}, {"synonyms": 0.5, "mover": "before", "order": "reversal", "window": 3},
    ],
    ids=str,
)  # fmt: skip
def test_moves_of_several_words_and_words_of_several_moves_are_trained_on(
    traits: dict[str, Any], tmp_path: Path
) -> None:
    """The tokens as they are written are hidden and predicted; of their posterior nothing is known."""
    content: dict[str, Any] = {
        "device": {"name": "cpu", "threads": 1, "precision": "fp32"}, "checkpoint_every": 0, "runs": str(tmp_path),
        "board": {"size": 4}, "languages": {"traits": {"atomic_0": traits}}, "objective": {"name": "masked_lm", "rate": 0.3},
        "model": {"n_layer": 1, "n_head": 2, "d_model": 8}, "data": {"games": 64, "batch_size": 32},
        "evaluation": {"games": 4, "times": 1},
    }  # fmt: skip
    stage = Pretrain(typed(content, TrainConfig))
    objective = stage.objective()
    stream = stage.stream(torch.device("cpu"), World())
    batch, text = objective.batch(stream, 0), stream.batch(0)
    scored = batch.targets != IGNORE
    assert torch.equal(batch.targets[scored], text.tokens[scored])
    assert 0.1 < float(scored.sum() / (text.tokens != PAD).sum()) < 0.5
    run = mothello.train(content)
    results = run.folder.read_results()
    assert results["final"]["val/loss"] > 0
    assert "val/top1" not in results["final"]
    assert results["floors"]["atomic_0"]["nats"] is None
    assert results["floors"]["atomic_0"]["reason"].startswith("several moves are hidden at once")
    with pytest.raises(UserError, match="measures: masked knows one word for every move"):
        mothello.measure(run, "masked", {"games": 4})
    few = {"alignment": {"games": 4, "pool": 4, "draws": 2}}
    usual = measure(typed({"run": str(run.folder.path), "device": content["device"]} | few, schema()))
    assert Path(usual["folder"]).name.startswith("alignment-")  # nothing is asked that is not defined
    page = write_report(find_runs([str(tmp_path)]), tmp_path / "report", "words")
    assert "custom" in page.read_text()
