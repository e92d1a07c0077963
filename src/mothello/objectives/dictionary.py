"""The masked LM with a dictionary: where a move is to be predicted, its translation may stand for it, or be what is
predicted (DICT-MLM, Chaudhary et al. 2020, as Tang et al. 2022 compare it).

Whole words are replaced, so a move's words must be of one length in all languages. A game of a stream that speaks one
language (evaluation, fine-tuning) has no translations: there it is the masked LM.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from mothello.config import ranged
from mothello.data.batch import IGNORE, Batch, LabeledBatch
from mothello.data.code_switching import Label
from mothello.data.config import DataConfig
from mothello.data.floor import Floor
from mothello.data.oracle import Oracle
from mothello.data.sources import Sources
from mothello.data.stream import Stream
from mothello.data.words import words_of
from mothello.errors import UserError
from mothello.languages.dictionary import dictionary, require_several
from mothello.languages.language_set import LanguageSet, OutputVocabulary
from mothello.model.config import ModelConfig
from mothello.model.inputs import AttentionMask
from mothello.model.transformer import GPT
from mothello.objectives.cross_entropy import Softmax, cross_entropy, scored
from mothello.objectives.masked_lm import MASK, MaskedLM, Numbers, uniform_numbers
from mothello.objectives.objective import OBJECTIVES, Evaluation, Loss
from mothello.othello.notation import move_name

KEY = "objective: dictionary"


class Variant(StrEnum):
    """What becomes of a cross-lingual word. released: the model reads its translation; without an entry it stays
    visible, to be copied, as in the code of Tang et al. corrected: without an entry it is masked. target: it is masked
    and its translation predicted (Chaudhary et al.); without an entry it is hidden as the masked LM hides it."""

    released = "released"
    corrected = "corrected"
    target = "target"


class Translations(NamedTuple):
    """Of every token, as if its word were cross-lingual."""

    known: Bool[Tensor, "game token"]
    """Whether its word has an entry."""
    tokens: Int64[Tensor, "game token"]
    """The token at its place of the translation, where there is one."""
    crosses: Bool[Tensor, "game token"]
    """Whether its word is cross-lingual, if it is scored."""


@OBJECTIVES.register("dictionary")
class DictionaryLM:
    """Cross-entropy of chosen words, some of them read or predicted in translation."""

    @dataclass(kw_only=True)
    class Config(MaskedLM.Config):
        """Words are chosen as by the masked LM, which hides those that are not cross-lingual."""

        name: str = "dictionary"
        cross: float = ranged(0.5, above=0, high=1)
        """Share of scored words that are cross-lingual. The other language is drawn for every word, each as likely."""
        coverage: float = ranged(1.0, above=0, high=1)
        """Share of moves in the dictionary; a larger share contains a smaller one."""
        variant: Variant = Variant.released

        def __post_init__(self) -> None:
            super().__post_init__()
            if not self.whole_word:
                raise UserError("objective.whole_word: a dictionary replaces whole words; leave it out")
            if self.variant is Variant.target and self.softmax is Softmax.language:
                raise UserError("objective.softmax: a target that is translated is of another language; leave it out")

    attention = AttentionMask.full
    special_tokens = (MASK,)
    evaluation = Evaluation.masked

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or self.Config()
        self.masked = MaskedLM(self.config)

    def check(self, games: Sources, data: DataConfig, language_set: LanguageSet) -> None:
        """UserError where words have no translation of their length, or a setting has no effect."""
        require_several(language_set, KEY)
        language_set.require_one_spelling(KEY)
        self.masked.check(games, data, language_set)
        if self.config.variant is Variant.target and language_set.output is OutputVocabulary.unified:
            line = "the target is the move in either language with a unified output vocabulary"
            raise UserError(f"objective.variant: {line}; choose corrected")
        if self.config.variant is Variant.target and data.code_switching.label is not Label.foreign:
            raise UserError("objective.variant: target predicts translations, and so does data.code_switching.label")
        known = dictionary(language_set, self.config.coverage, "objective.coverage").any(0).any(0)
        lengths = language_set.length_table[:, : len(known)]
        if bool((uneven := (lengths != lengths[0]).any(0) & known).any()):
            move = int(uneven.int().argmax())
            other = int((lengths[:, move] != lengths[0, move]).int().argmax())
            line = ", ".join(f"{int(lengths[i, move])} in {language_set.names[i]}" for i in (0, other))
            raise UserError(f"{KEY} needs words of one length; {move_name(language_set.board, move)} has {line}")

    def check_model(self, model: ModelConfig) -> None:
        """UserError where parts of the model are a language's own."""
        if model.separate:
            raise UserError("model.separate: a row of dictionary holds words of two languages; leave it out")

    def batch(self, stream: Stream, step: int) -> LabeledBatch:
        """The masked LM's batch, with cross-lingual words in it."""
        labeled, text, languages = self.masked.batch(stream, step), stream.batch(step), stream.language_set
        if stream.only is not None:
            return labeled
        found = self._translations(text, languages, partial(uniform_numbers, stream, step))
        crossing = found.crosses & (labeled.targets != IGNORE)
        known, unknown = crossing & found.known, crossing & ~found.known
        tokens, targets = labeled.text.tokens, labeled.targets
        mask = torch.full_like(tokens, languages.special(MASK))
        if self.config.variant is Variant.target:
            tokens, targets = torch.where(known, mask, tokens), torch.where(known, found.tokens, targets)
        else:
            instead = text.tokens if self.config.variant is Variant.released else mask
            tokens = torch.where(known, found.tokens, torch.where(unknown, instead, tokens))
        return labeled._replace(text=labeled.text._replace(tokens=tokens), targets=targets)

    def _translations(self, text: Batch, languages: LanguageSet, numbers: Numbers) -> Translations:
        """numbers: counters 3 and 4 are drawn."""
        words, n, device = words_of(text), len(languages.languages), text.tokens.device
        entries = dictionary(languages, self.config.coverage, "objective.coverage").to(device)
        crosses, drawn = (numbers(text.moves.shape[1], counter).gather(1, words.ply) for counter in (3, 4))
        own = text.language.unsqueeze(1) if text.switched is None else text.switched.language
        other = (own + 1 + (drawn * (n - 1)).long()) % n
        move = text.moves.long().gather(1, words.ply).clamp(min=0)
        part = words.part.clamp(0, languages.max_word - 1)  # of padding it means nothing
        tokens = languages.table("word_table", device)[other, move, part]
        return Translations(entries[own, other, move], tokens, crosses < self.config.cross)

    def counts(self, batch: LabeledBatch) -> dict[str, Int64[Tensor, ""]]:
        """Of the loss."""
        return scored(batch)

    def loss(self, model: GPT, batch: LabeledBatch) -> Loss:
        """In nats, over the scored tokens."""
        return cross_entropy(model, batch)

    def floor(
        self, batch: LabeledBatch, language_set: LanguageSet, oracles: Sequence[Oracle], weights: Sequence[float] | None
    ) -> Floor:
        """Not known, as that of the masked LM."""
        return self.masked.floor(batch, language_set, oracles, weights)
