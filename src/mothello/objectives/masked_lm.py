"""Masked language modeling: some tokens of a game are hidden, and predicted from all others (Devlin et al. 2019).

With a unified output vocabulary a scored token predicts the move that its word spells: once where the word is one
token, at every scored token of a longer word.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from mothello.config import check, ranged
from mothello.data.batch import IGNORE, Batch, LabeledBatch
from mothello.data.config import DataConfig
from mothello.data.floor import Floor, unknown
from mothello.data.oracle import Oracle
from mothello.data.sources import Sources
from mothello.data.stream import Stream
from mothello.data.words import Words, words_of
from mothello.errors import UserError
from mothello.languages.language import PAD
from mothello.languages.language_set import LanguageSet, OutputVocabulary
from mothello.model.config import ModelConfig
from mothello.model.inputs import AttentionMask
from mothello.model.transformer import GPT
from mothello.objectives.cross_entropy import Softmax, check_softmax, cross_entropy, halves, predicted_among, scored
from mothello.objectives.objective import OBJECTIVES, Evaluation, Loss
from mothello.othello.counter import random_bits
from mothello.seeding import derive

MASK = "mask"
"""Name of the special token that stands for a hidden one."""


class Pool(StrEnum):
    """Where random tokens come from: the game's own language, or all languages."""

    own = "own"
    joint = "joint"


def scored_tokens(
    batch: Batch, words: Words, uniform: Float[Tensor, "game ply"], rate: float, whole_word: bool
) -> Bool[Tensor, "game token"]:
    """The tokens to predict; each is one with probability ``rate``, padding and plies that carry no loss never.

    uniform: a number in 0..1 per ply. whole_word: below ``rate``, all tokens of the word. Else token k of a word alone,
    where the number is in [k rate, (k + 1) rate).
    """
    drawn = uniform.gather(1, words.ply)
    chosen = drawn < rate if whole_word else (drawn / rate).floor() == words.part
    return chosen & (batch.tokens != PAD) & (words.ply >= batch.first_scored.unsqueeze(1))


def random_tokens(
    batch: Batch, uniform: Float[Tensor, "game token"], pool: Pool, language_set: LanguageSet
) -> Int64[Tensor, "game token"]:
    """A token at every place, each of the pool as likely. uniform: a number in 0..1 per place."""
    if pool is Pool.joint:
        return 1 + (uniform * (language_set.vocabulary_size - 1)).long()
    ids = language_set.table("id_table", uniform.device)[batch.language]
    return ids.gather(1, (uniform * (ids != PAD).sum(1, keepdim=True)).long())


def uniform_numbers(stream: Stream, step: int, width: int, counter: int) -> Float[Tensor, "game place"]:
    """Numbers in 0..1 for ``width`` places of every row of a step: functions of the stream's seed and the row's place
    in the endless stream, whatever the number of processes and the device."""
    stride = max(stream.language_set.max_tokens, stream.language_set.board.n_moves)
    places = stream.rows(step).unsqueeze(1) * stride + torch.arange(width, device=stream.device)
    return (random_bits(derive(stream.seed, "masks"), places, counter).double() + 0.5) / 2**32


Numbers = Callable[[int, int], Float[Tensor, "game place"]]
"""(places, counter) -> a number in 0..1 for every place of every row."""


@OBJECTIVES.register("masked_lm")
class MaskedLM:
    """Cross-entropy of the tokens that were chosen; most of them are hidden."""

    @dataclass(kw_only=True)
    class Config:
        """Which tokens are predicted, and what the model reads in their place."""

        name: str = "masked_lm"
        rate: float = ranged(0.15, above=0, high=1)
        """Share of tokens that are scored."""
        kept: float = ranged(0.1, 0, 1)
        """Of these, the share that the model reads as they are."""
        random: float = ranged(0.1, 0, 1)
        """Of these, the share that is replaced by a random token; all others are replaced by the mask token. Each token
        of a word by itself, as in BERT's whole word masking."""
        pool: Pool = Pool.own
        """Where random tokens come from: the game's own language (own) or all languages (joint)."""
        whole_word: bool = True
        """Of a word of several tokens all are scored, or one alone."""
        softmax: Softmax = Softmax.all
        """What a token is predicted among: all tokens, or those of the language that the game is written in."""

        def __post_init__(self) -> None:
            check(self, "objective")
            if self.kept + self.random > 1:
                raise UserError(f"objective.random: {self.random} and kept={self.kept} are more than all scored tokens")

    attention = AttentionMask.full
    special_tokens = (MASK,)
    evaluation = Evaluation.masked

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or self.Config()

    def check(self, games: Sources, data: DataConfig, language_set: LanguageSet) -> None:
        """UserError where a setting has no effect, or too few words can be scored."""
        config, longest = self.config, language_set.max_word
        check_softmax(config.softmax, language_set, data)
        if config.pool is Pool.joint and (len(language_set.languages) == 1 or not config.random):
            why = "without random tokens" if not config.random else "with one language"
            raise UserError(f"objective.pool: has no effect {why}; leave it out")
        if not config.whole_word:
            if longest == 1:
                raise UserError("objective.whole_word: has no effect where every word is one token; leave it out")
            if config.rate * longest > 1:
                line = f"of a word of {longest} tokens one alone is scored at most, a share of {1 / longest:.3g}"
                raise UserError(f"objective.rate: {config.rate} is too much: {line}")

    def check_model(self, model: ModelConfig) -> None:
        """UserError where a token of another language has no vector."""
        if self.config.pool is Pool.joint and model.separate.tokens:
            line = "with model.separate.tokens a token has a vector in its own language alone; leave it out"
            raise UserError(f"objective.pool: {line}")

    def batch(self, stream: Stream, step: int) -> LabeledBatch:
        """The stream's games with tokens hidden; the targets are what they were."""
        return self.hide(stream.batch(step), stream.language_set, partial(uniform_numbers, stream, step))

    def hide(self, text: Batch, languages: LanguageSet, numbers: Numbers) -> LabeledBatch:
        """Games with tokens hidden. numbers: counters 0 to 2 are drawn."""
        config, words, width = self.config, words_of(text), text.tokens.shape[1]
        drawn = numbers(text.moves.shape[1], 0)
        scored = scored_tokens(text, words, drawn, config.rate, config.whole_word)
        fate = numbers(width, 1)
        random = random_tokens(text, numbers(width, 2), config.pool, languages)
        instead = torch.where(fate < config.random, random, languages.special(MASK))
        tokens = torch.where(scored & (fate < 1 - config.kept), instead, text.tokens)
        unified = languages.output is OutputVocabulary.unified
        classes = text.moves.long().gather(1, words.ply) if unified else text.labels
        targets = torch.where(scored & (text.labels != IGNORE), classes, IGNORE)
        expected = halves(targets, text.second_labels, languages.output_size)
        labeled = LabeledBatch(text._replace(tokens=tokens), targets, expected)
        return predicted_among(labeled, config.softmax, languages)

    def counts(self, batch: LabeledBatch) -> dict[str, Int64[Tensor, ""]]:
        """Of the loss."""
        return scored(batch)

    def loss(self, model: GPT, batch: LabeledBatch) -> Loss:
        """In nats, over the scored tokens."""
        return cross_entropy(model, batch)

    def floor(
        self, batch: LabeledBatch, language_set: LanguageSet, oracles: Sequence[Oracle], weights: Sequence[float] | None
    ) -> Floor:
        """Not known: several moves are hidden, any token may be a random one, and the posterior of all of them together
        has no short form. That of one hidden move has: the measure "masked"."""
        return unknown("several moves are hidden at once; the measure masked hides one, and knows its floor")
