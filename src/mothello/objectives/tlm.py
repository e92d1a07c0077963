"""Translation language modeling: some rows hold a game twice, in two languages, so that a hidden move of one half can
be read in the other (TLM, Lample and Conneau 2019). All other rows are those of the masked or causal LM.

A row of two games is text, separator, text. Positions restart at the separator and at the token after it, so that a
model needs no more of them; rows of two games are wider, and read apart from the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from mothello.config import ranged, without_effect
from mothello.data.batch import IGNORE, Batch, LabeledBatch, make_batch, rows
from mothello.data.config import DataConfig
from mothello.data.floor import Floor, unknown
from mothello.data.language_sampling import Pairing
from mothello.data.oracle import Oracle
from mothello.data.sources import Sources
from mothello.data.stream import Stream
from mothello.errors import UserError
from mothello.languages.dictionary import require_several
from mothello.languages.language import PAD
from mothello.languages.language_set import LanguageSet, OutputVocabulary
from mothello.model.config import ModelConfig
from mothello.model.inputs import AttentionMask, Inputs
from mothello.model.transformer import GPT
from mothello.objectives.causal_lm import CausalLM, label
from mothello.objectives.cross_entropy import Softmax, cross_entropy, loss_of, scored
from mothello.objectives.masked_lm import MASK, MaskedLM, uniform_numbers
from mothello.objectives.objective import OBJECTIVES, Evaluation, Loss

SEP = "sep"
"""Name of the special token between two games."""


class Pairs(NamedTuple):
    """Rows of one game in two languages."""

    tokens: Int64[Tensor, "game token"]
    positions: Int64[Tensor, "game token"]
    targets: Int64[Tensor, "game token"]
    language: Int64[Tensor, "game token"]
    """Of every token; the separator is the first one's."""

    @property
    def text(self) -> "Pairs":
        """The rows themselves."""
        return self


class TranslationBatch(NamedTuple):
    """Games in one language, and games in two."""

    single: LabeledBatch
    pairs: Pairs


def pairs_of(batch_size: int, share: float, rank: int, processes: int) -> int:
    """How many of a process's rows of a batch hold two games, its first ones: in all the first round(share *
    batch_size) rows of every batch, so that shapes are the same in every step."""
    return -(-max(0, round(share * batch_size) - rank) // processes)


def two_of(uniform: Tensor, n: int) -> tuple[Int64[Tensor, " game"], Int64[Tensor, " game"]]:
    """Two languages of n in an order, all pairs as likely. uniform: a number in 0..1 per game."""
    drawn = (uniform * (n * (n - 1))).long()
    first, second = drawn // (n - 1), drawn % (n - 1)
    return first, second + (second >= first)


def joined(
    first: LabeledBatch, second: LabeledBatch, separator: int, after: Int64[Tensor, " game"], width: int
) -> Pairs:
    """Rows of two labeled games with a separator between them. after: the target at the separator."""
    place = torch.arange(first.targets.shape[1], device=after.device).expand_as(first.targets)
    length = (first.text.tokens != PAD).sum(1, keepdim=True)
    column = torch.arange(width, device=after.device)
    source = torch.where(column < length, column, column + place.shape[1] - length).clamp(max=2 * place.shape[1] + 1)

    def row(one: Tensor, between: Tensor | int, other: Tensor, padding: int) -> Tensor:
        middle = torch.as_tensor(between, device=one.device).expand(len(one)).unsqueeze(1)
        return F.pad(torch.cat([one, middle, other], 1), (0, 1), value=padding).gather(1, source)

    one, other = (half.text.language.unsqueeze(1) for half in (first, second))
    return Pairs(
        row(first.text.tokens, separator, second.text.tokens, PAD),
        row(place, 0, place, 0),
        row(first.targets, after, second.targets, IGNORE),
        torch.where(column <= length, one, other),
    )


@OBJECTIVES.register("tlm")
class TranslationLM:
    """The masked or causal LM, with rows that hold one game in two languages."""

    @dataclass(kw_only=True)
    class Config(MaskedLM.Config):
        """Both halves of a row are masked as a row of the masked LM is."""

        name: str = "tlm"
        share: float = ranged(0.25, above=0, high=1)
        """Share of rows that hold a game in two languages. Both and their order are drawn for every row, all as
        likely."""
        attention: AttentionMask = AttentionMask.full
        """full: hidden tokens of both halves are predicted. causal: next tokens of both halves."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if self.softmax is Softmax.language:
                raise UserError("objective.softmax: a row of tlm has two languages; leave it out")
            if self.attention is AttentionMask.causal:
                masking = ("rate", "kept", "random", "pool", "whole_word")
                without_effect(self, "objective", "with objective.attention=causal", *masking)

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or self.Config()
        self.attention = self.config.attention
        self.masked = MaskedLM(self.config) if self.attention is AttentionMask.full else None
        self.special_tokens = (MASK, SEP) if self.masked else (SEP,)
        self.evaluation = Evaluation.masked if self.masked else Evaluation.legality
        self.single: MaskedLM | CausalLM = self.masked or CausalLM()

    def check(self, games: Sources, data: DataConfig, language_set: LanguageSet) -> None:
        """UserError where games have no translations, a row would not tell them, or no row holds two."""
        require_several(language_set, "objective: tlm")
        self.single.check(games, data, language_set)
        language_set.require_one_spelling("objective: tlm")
        if data.language_sampling.pairing is Pairing.disjoint:
            why = "no game has a translation with data.language_sampling.pairing=disjoint; choose drawn or parallel"
            raise UserError(f"objective: tlm reads games in two languages; {why}")
        if len(games.corpora) > 1:
            why = "languages with domains of their own share none; leave data.domain_of out"
            raise UserError(f"objective: tlm reads games in two languages; {why}")
        if data.language_sampling.grouped:
            raise UserError(
                "data.language_sampling.grouped: the first rows of a batch hold two languages; leave it out"
            )
        pairs = round(self.config.share * data.batch_size)
        if pairs == data.batch_size and data.code_switching.probability:
            why = "rows of tlm in two languages are not switched, and objective.share leaves no others"
            raise UserError(f"data.code_switching: {why}; leave it out")
        if not pairs:
            raise UserError(f"objective.share: {self.config.share:g} of {data.batch_size} games a step is none")

    def check_model(self, model: ModelConfig) -> None:
        """UserError where parts of the model are a language's own."""
        if model.separate:
            raise UserError("model.separate: a row of tlm has two languages; leave it out")

    def batch(self, stream: Stream, step: int) -> TranslationBatch | LabeledBatch:
        """The stream's games, some of them in two languages; none of a stream that speaks one language."""
        single = self.single.batch(stream, step)
        if stream.only is not None:
            return single
        first = pairs_of(stream.batch_size, self.config.share, stream.rank, stream.processes)
        return TranslationBatch(rows(single, slice(first, None)), self._pairs(stream, step, first))

    def _pairs(self, stream: Stream, step: int, n: int) -> Pairs:
        """The first n games of a step, each in two languages."""
        languages, games = stream.language_set, rows(stream.games(step), slice(n))
        lengths = sorted(language.max_tokens for language in languages.languages)
        spoken = two_of(_numbers(stream, step, n, 6, 1, 0).squeeze(1), len(lengths))
        texts = [
            make_batch(games.moves, language, languages, games.first_scored, stream.width, games.indices)
            for language in spoken
        ]
        if self.masked:
            first, second = (
                self.masked.hide(text, languages, partial(_numbers, stream, step, n, 3 * half))
                for half, text in enumerate(texts)
            )
            after = torch.full_like(games.language, IGNORE)
        else:
            first, second = (label(text, languages) for text in texts)
            after = _opening(texts[1], languages)
        return joined(first, second, languages.special(SEP), after, sum(lengths[-2:]) + 1)

    def counts(self, batch: TranslationBatch | LabeledBatch) -> dict[str, Int64[Tensor, ""]]:
        """Of the loss."""
        if isinstance(batch, LabeledBatch):
            return scored(batch)
        return {"": torch.stack([(part.targets != IGNORE).sum() for part in batch]).sum()}

    def loss(self, model: GPT, batch: TranslationBatch | LabeledBatch) -> Loss:
        """In nats, over the places that have a target, of both sorts of rows."""
        if isinstance(batch, LabeledBatch):
            return cross_entropy(model, batch)
        losses = [cross_entropy(model, batch.single)] if len(batch.single.targets) else []
        if len(batch.pairs.tokens):
            logits = model(Inputs(batch.pairs.tokens, batch.pairs.positions, language=batch.pairs.language)).logits
            losses.append(loss_of(logits, batch.pairs.targets))
        return Loss(torch.stack([one.sum for one in losses]).sum(), torch.stack([one.count for one in losses]).sum())

    def floor(
        self, batch: Any, language_set: LanguageSet, oracles: Sequence[Oracle], weights: Sequence[float] | None = None
    ) -> Floor:
        """That of the causal LM on games in one language; of rows of two games none is known."""
        if isinstance(batch, TranslationBatch):
            return unknown("a game in two languages says everything twice")
        return self.single.floor(batch, language_set, oracles, weights)


def _numbers(stream: Stream, step: int, n: int, first: int, width: int, counter: int) -> Float[Tensor, "game place"]:
    """Numbers in 0..1 for the first n rows of a step; counters begin at ``first``."""
    return uniform_numbers(stream, step, width, first + counter)[:n]


def _opening(text: Batch, language_set: LanguageSet) -> Int64[Tensor, " game"]:
    """What a causal model predicts before a game: its first token, or move of a unified output."""
    unified = language_set.output is OutputVocabulary.unified
    first = text.moves[:, 0].long() if unified else text.tokens[:, 0]
    return torch.where((text.first_scored > 0) | (text.moves[:, 0] < 0), IGNORE, first)
