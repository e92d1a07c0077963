"""Proves: code-switched games hold the words, and objectives predict the tokens, that a slow reading of the definition says,
for every label, causal and masked, words of one and of several tokens; a case worked by hand; the shares are what they are
called; two labels of a place cost the mean of both; expected targets are those of the game's own language; a row never
outgrows the model; batches depend on seed and place alone, whatever processes there are; a stream that speaks one language
is not switched; mistakes are one line."""

from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from data.streams import sources_of
from torch import Tensor

import mothello
from mothello.cli.transfer import transfer
from mothello.config import typed
from mothello.data.batch import IGNORE, LabeledBatch
from mothello.data.code_switching import CodeSwitching, Label
from mothello.data.config import DataConfig
from mothello.data.split import Split, corpus
from mothello.data.stream import Stream
from mothello.errors import UserError
from mothello.languages.dictionary import covered_moves
from mothello.languages.language import PAD
from mothello.languages.language_set import LanguagesConfig, LanguageSet, build_languages
from mothello.model.build import build_model
from mothello.model.inputs import Inputs
from mothello.model.transformer import ModelConfig
from mothello.objectives.causal_lm import CausalLM, Targets
from mothello.objectives.dictionary import DictionaryLM
from mothello.objectives.masked_lm import MASK, MaskedLM
from mothello.objectives.tlm import SEP
from mothello.othello.board import Board
from mothello.othello.counter import random_bits
from mothello.seeding import derive
from mothello.stages.finetune import TransferCommand
from mothello.stages.pretrain import Pretrain, TrainConfig

FOUR = Board.of(4)
KINDS: dict[str, dict[str, Any]] = {
    "atomic": {"kinds": ["atomic*3"]},
    "mixed lengths": {"kinds": ["atomic", "compositional", "split"]},
    "anchored": {"kinds": ["atomic*2"], "anchors": {"overlap": 0.5}},
    "unified": {"kinds": ["atomic", "split"], "output": "unified"},
}
OFTEN = CodeSwitching(probability=0.6, coverage=0.8, cap=0.5)


def languages(name: str = "atomic") -> LanguageSet:
    return build_languages(typed({"special_tokens": [MASK, SEP], **KINDS[name]}, LanguagesConfig), FOUR)


def stream(made: LanguageSet, how: CodeSwitching = OFTEN, games: int = 24, **more: Any) -> Stream:
    data = DataConfig(batch_size=games, code_switching=how)
    return Stream(sources_of(corpus(FOUR, 0, Split.train, 10 * games), made), made, data, 5, **more)


def labeled_as(label: Label, **more: Any) -> CodeSwitching:
    return CodeSwitching(**{"probability": 0.6, "coverage": 0.8, "cap": 0.5} | more, label=label)


def slowly(source: Stream, step: int) -> list[list[tuple[int, list[int], int]]]:
    """Games of a batch as lists of (token, what it may be labeled with, language), by the definition. Two labels cost half
    each, none is not scored."""
    made, games, how = source.language_set, source.games(step), source.data.code_switching
    covered, n = covered_moves(FOUR, how.coverage, ""), len(made.languages)

    def number(row: int, ply: int, counter: int) -> float:
        place = torch.tensor((step * source.batch_size + row) * FOUR.n_moves + ply)
        return (int(random_bits(derive(5, "code switching"), place, counter)) + 0.5) / 2**32

    texts = []
    for row, (moves, language) in enumerate(zip(games.moves.tolist(), games.language.tolist(), strict=True)):
        own, played = made.languages[language], [move for move in moves if move >= 0]
        others = [(language + 1 + int(number(row, ply, 1) * (n - 1))) % n for ply in range(len(played))]
        wanted = [
            ply for ply, move in enumerate(played)
            if number(row, ply, 0) < how.probability and move in covered
            and made.languages[others[ply]].words[move] != own.words[move]
        ]  # fmt: skip
        wanted = sorted(wanted, key=lambda ply: number(row, ply, 0))[: int(how.cap * len(played))]
        room, text = made.max_tokens - sum(len(own.words[move]) for move in played), []
        for ply, move in enumerate(played):
            room -= max(0, len(made.languages[others[ply]].words[move]) - len(own.words[move])) * (ply in wanted)
            if ply not in wanted or room < 0:
                text += [(token, [token], language) for token in own.words[move]]
                continue
            for part, token in enumerate(made.languages[others[ply]].words[move]):
                original = [own.words[move][0]] if part == 0 else []
                labels = {
                    Label.foreign: [token], Label.original: original, Label.none: [],
                    Label.mixed: original if number(row, ply, 2) < 0.5 else [token], Label.both: [token, *original],
                }  # fmt: skip
                text.append((token, labels[how.label], others[ply]))
        texts.append(text)
    return texts


def check(batch: LabeledBatch, texts: list[Any], shift: int, scored: Tensor, classes: int) -> None:
    """The batch predicts what the texts say at the places that are scored. shift: 1 where the next token is predicted."""
    switched = 0
    for row, text in enumerate(texts):
        for place, (_, labels, language) in enumerate(text):
            at = place - shift
            if at < 0 or not scored[row, at]:
                continue
            target = int(batch.targets[row, at])
            assert (target == IGNORE) == (not labels)
            if labels:
                assert target == labels[0]
            if batch.expected is not None:
                half = torch.zeros(classes)
                for label in labels:
                    half[label] += 1 / len(labels)
                assert torch.equal(batch.expected[row, at], half)
            switched += language != int(batch.text.language[row])
    assert switched > 10


@pytest.mark.parametrize("label", Label)
@pytest.mark.parametrize("name", ["atomic", "mixed lengths", "anchored"])
def test_a_slow_reading_of_the_definition(name: str, label: Label) -> None:
    made = languages(name)
    source = stream(made, labeled_as(label))
    for step in (0, 3):
        texts = slowly(source, step)
        text = source.batch(step)
        for row, slow in enumerate(texts):
            assert text.tokens[row, : len(slow)].tolist() == [token for token, _, _ in slow]
            assert bool((text.tokens[row, len(slow) :] == PAD).all())
            assert text.switched is not None
            assert text.switched.language[row, : len(slow)].tolist() == [language for _, _, language in slow]
        causal = CausalLM().batch(source, step)
        everywhere = torch.ones_like(causal.targets, dtype=torch.bool)
        check(causal, texts, 1, everywhere, made.output_size)
        masked = MaskedLM(MaskedLM.Config(rate=0.5)).batch(source, step)
        pure = MaskedLM(MaskedLM.Config(rate=0.5)).batch(stream(made, labeled_as(Label.foreign)), step)  # same masks
        check(masked, texts, 0, pure.targets != IGNORE, made.output_size)
        assert torch.equal(masked.text.tokens, pure.text.tokens)


def test_two_labels_cost_the_mean_of_both_and_no_label_nothing() -> None:
    made = languages("mixed lengths")
    model = build_model(ModelConfig(n_layer=2, n_head=2, d_model=16), made).initialize(0)
    loss = CausalLM().loss(model, CausalLM().batch(stream(made, labeled_as(Label.both)), 0))
    texts = slowly(stream(made, labeled_as(Label.both)), 0)
    total, count = 0.0, 0
    for text in texts:
        tokens = torch.tensor([[token for token, _, _ in text]])
        logs = model(Inputs(tokens)).logits[0].detach().log_softmax(-1)
        for place, (_, labels, _) in islice(enumerate(text), 1, None):
            total -= sum(float(logs[place - 1, label]) for label in labels) / len(labels)
            count += 1
    assert int(loss.count) == count
    assert loss.sum.item() == pytest.approx(total, rel=1e-4)


def test_a_case_by_hand() -> None:
    """Two languages of one token a move and probability 1: every word is the other language's."""
    made = languages("anchored")
    how = CodeSwitching(probability=1.0, label=Label.original)
    batch = CausalLM().batch(stream(made, how), 0)
    language, moves = int(batch.text.language[0]), batch.text.moves[0].tolist()
    one, other = made.languages[language].words, made.languages[1 - language].words
    assert batch.text.tokens[0, :3].tolist() == [other[move][0] for move in moves[:3]]
    assert batch.targets[0, :2].tolist() == [one[move][0] for move in moves[1:3]]
    assert any(one[move] == other[move] for move in moves if move >= 0)  # an anchor is the same word in both


def test_the_shares_are_what_they_are_called() -> None:
    made = languages()

    def share(games: int = 2000, **settings: Any) -> tuple[Tensor, Tensor]:
        text = stream(made, CodeSwitching(**settings), games).batch(0)
        assert text.switched is not None
        return (text.switched.language != text.language.unsqueeze(1)) & (text.tokens != PAD), text.moves >= 0

    switched, played = share(probability=0.3)
    assert float(switched.sum() / played.sum()) == pytest.approx(0.3, abs=0.01)
    switched, played = share(probability=0.3, cap=0.25)
    assert bool((switched.sum(1) <= 0.25 * played.sum(1)).all())
    assert 0.15 < float(switched.sum() / played.sum()) < 0.25
    switched, played = share(probability=1.0, coverage=0.5)
    assert float(switched.sum() / played.sum()) == pytest.approx(0.5, abs=0.1)
    switched, _ = share(probability=1.0, cap=0.25)
    by_ply = switched.double().mean(0)[:11]
    assert float(by_ply.max() - by_ply.min()) < 0.06  # those that the cap leaves are no earlier than others


def test_words_of_every_other_language_are_as_likely() -> None:
    text = stream(languages(), CodeSwitching(probability=1.0), 3000).batch(0)
    assert text.switched is not None
    for language in range(3):
        spoken = text.switched.language[text.language == language][:, 0]
        counts = torch.bincount(spoken, minlength=3).double() / len(spoken)
        assert float(counts[language]) == 0
        assert float(counts.max()) == pytest.approx(0.5, abs=0.06)


def test_expected_targets_are_those_of_the_own_language() -> None:
    made = languages("mixed lengths")
    objective = CausalLM(CausalLM.Config(targets=Targets.expected))
    switched = objective.batch(stream(made, labeled_as(Label.original)), 0)
    pure = objective.batch(stream(made, CodeSwitching()), 0)
    assert switched.expected is not None
    assert pure.expected is not None
    ends, before = switched.text.move_ends, pure.text.move_ends
    compared = 0
    for row in range(len(ends)):
        for ply in range(int((ends[row] >= 0).sum()) - 1):
            ours, theirs = switched.expected[row, ends[row, ply]], pure.expected[row, before[row, ply]]
            torch.testing.assert_close(ours, theirs)
            compared += 1
    assert compared > 200
    scored = switched.targets != IGNORE
    torch.testing.assert_close(switched.expected.sum(-1), scored.float())


def test_a_row_never_outgrows_the_model() -> None:
    """Two languages that spell different moves long: a game of the long words of both would not fit."""
    made = build_languages(typed({"kinds": ["split*4"]}, LanguagesConfig), FOUR)
    longest = int(made.length_table.amax(0).sum())
    assert longest > made.max_tokens
    text = stream(made, CodeSwitching(probability=1.0), 500).batch(0)
    assert text.tokens.shape[1] == made.max_tokens
    assert text.switched is not None
    assert bool((text.switched.language != text.language.unsqueeze(1))[text.tokens != PAD].any())


def test_batches_depend_on_seed_and_place_alone() -> None:
    made = languages("mixed lengths")
    whole = stream(made).batch(3)
    stream_at_once = stream(made)
    stream_at_once.steps_at_once = 1
    assert torch.equal(stream_at_once.batch(3).tokens, whole.tokens)
    for rank in range(3):
        part = stream(made, share=(rank, 3)).batch(3)
        assert torch.equal(part.tokens, whole.tokens[rank::3])
        assert part.switched is not None
        assert whole.switched is not None
        assert torch.equal(part.switched.label, whole.switched.label[rank::3])
    assert not torch.equal(stream(made).batch(4).tokens, whole.tokens)  # control


def test_a_stream_that_speaks_one_language_is_not_switched() -> None:
    made = languages()
    text = stream(made).speaking(1).batch(0)
    assert text.switched is None
    assert bool(made.own_table[1][text.tokens[text.tokens != PAD]].all())
    assert not bool(made.own_table[1][stream(made).batch(0).tokens].all())  # control


def test_a_language_id_is_that_of_the_word() -> None:
    text = stream(languages()).batch(0)
    assert text.switched is not None
    assert torch.equal(Inputs.of(text).language, text.switched.language)


def test_the_dictionary_translates_the_word_as_it_is_written() -> None:
    made = languages("atomic")
    source = stream(made, labeled_as(Label.foreign))
    batch = DictionaryLM(DictionaryLM.Config(cross=1.0, rate=1.0, coverage=1.0)).batch(source, 0)
    assert not bool((batch.text.tokens == source.batch(0).tokens)[source.batch(0).tokens != PAD].any())


@pytest.mark.parametrize("label", ["foreign", "none"])
def test_a_unified_output_predicts_moves(label: str) -> None:
    made = languages("unified")
    batch = CausalLM().batch(stream(made, labeled_as(Label(label))), 0)
    following = batch.text.moves[:, 1:].long()
    scored = (batch.targets != IGNORE).sum()
    switched = batch.text.switched
    assert switched is not None
    ends = batch.text.move_ends[:, 1:]
    foreign = (switched.language != batch.text.language.unsqueeze(1)).gather(1, ends.clamp(min=0)) & (ends >= 0)
    left_out = int(foreign.sum()) if label == "none" else 0
    assert left_out > 0 or label == "foreign"
    assert int(scored) == int((following >= 0).sum()) - left_out


TINY: dict[str, Any] = {
    "board": {"size": 4}, "model": {"n_layer": 1, "n_head": 2, "d_model": 16}, "data": {"games": 64, "batch_size": 32},
    "evaluation": {"games": 4, "times": 1},
}  # fmt: skip
SWITCHING: dict[str, Any] = {"games": 64, "batch_size": 32, "code_switching": {"probability": 0.5}}


@pytest.mark.parametrize(
    ("config", "line"),
    [
        ({"data": {"code_switching": {"probability": 1.5}}}, "data.code_switching.probability: 1.5"),
        ({"data": {"code_switching": {"cap": 0.5}}}, "data.code_switching.cap: has no effect without"),
        ({"data": {"code_switching": {"probability": 0.5, "cap": 0.01}}}, "data.code_switching.cap: 0.01 of 12 moves is none"),
        ({"data": {"code_switching": {"probability": 0.5, "coverage": 0.01}}}, "data.code_switching.coverage: 0.01 of"),
        ({"data": {"code_switching": {"probability": 0.5, "label": "own"}}}, "data.code_switching.label: 'own' is not one of foreign, original"),
        ({"data": SWITCHING, "languages": {"kinds": ["atomic"]}}, "data.code_switching translates, and there is one language"),
        ({"data": SWITCHING, "languages": {"traits": {"atomic_0": {"synonyms": 0.5}}}}, "data.code_switching knows one word"),
        (
            {"data": SWITCHING | {"language_sampling": {"grouped": True}}, "model": {"separate": {"tokens": True}}},
            "data.code_switching: a game holds words of several languages; leave out model.separate",
        ),
        (
            {"data": SWITCHING | {"code_switching": {"probability": 0.5, "label": "both"}}, "languages": {"output": "unified"}},
            "data.code_switching.label: a move is one class",
        ),
        ({"data": SWITCHING, "objective": {"name": "causal_lm", "softmax": "language"}}, "objective.softmax: words of other"),
        ({"data": SWITCHING, "objective": {"name": "causal_lm", "targets": "expected"}}, "objective.targets: expected: of words"),
        (
            {
                "data": SWITCHING | {"code_switching": {"probability": 0.5, "label": "none"}},
                "objective": {"name": "dictionary", "variant": "target"},
            },
            "objective.variant: target predicts translations",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_mistakes_are_one_line(config: dict[str, Any], line: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as mistake:
        Pretrain(typed(TINY | config | {"runs": str(tmp_path)}, TrainConfig))
    assert str(mistake.value).startswith(line)
    assert "\n" not in str(mistake.value)
    assert not list(tmp_path.iterdir())


def test_fine_tuning_on_one_language_refuses_it(tmp_path: Path) -> None:
    quick = {"device": {"name": "cpu", "threads": 1, "precision": "fp32"}, "checkpoint_every": 0, "runs": str(tmp_path)}
    run = mothello.train(TINY | quick | {"data": SWITCHING, "objective": {"name": "causal_lm"}})
    with pytest.raises(UserError, match=r"data.code_switching: fine-tuning is on one language"):
        transfer(typed({"run": str(run.folder.path), "transfer": {"data": SWITCHING}}, TransferCommand))
