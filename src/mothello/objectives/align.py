"""Dictionary alignment, added to a main objective: the vectors of a move's words in two languages become parallel
(ALIGN-MLM, Tang et al. 2022). The whole dictionary is in every step; there are no negatives and no text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from mothello.config import ranged
from mothello.data.config import DataConfig
from mothello.data.oracle import Oracle
from mothello.data.sources import Sources
from mothello.data.stream import Stream
from mothello.errors import UserError
from mothello.languages.dictionary import dictionary, require_several
from mothello.languages.language import PAD
from mothello.languages.language_set import LanguageSet, OutputVocabulary
from mothello.model.config import ModelConfig
from mothello.model.separate import own_parts
from mothello.model.transformer import GPT
from mothello.objectives.objective import OBJECTIVES, Loss

KEY = "auxiliary.align"


class Site(StrEnum):
    """Whose rows are aligned: the token embedding's, the output head's, or each of them."""

    input = "input"
    output = "output"
    both = "both"


class Dictionary(NamedTuple):
    """The entries, the same in every step and process."""

    words: Int64[Tensor, "language move part"]
    """Token ids, PAD after short words."""
    pairs: Int64[Tensor, "2 pair"]
    """The languages of every pair."""
    entries: Bool[Tensor, "pair move"]
    """Whether the move has an entry."""


def word_vectors(tables: Sequence[Any], words: Int64[Tensor, "language move part"]) -> Float[Tensor, "language move D"]:
    """The vector of every word: the mean of its tokens' rows. tables: modules with a weight [token D], one for all
    languages or one each."""
    read = [F.embedding(own, tables[index % len(tables)].weight) for index, own in enumerate(words)]
    there = (words != PAD).unsqueeze(-1)
    return (torch.stack(read) * there).sum(2) / there.sum(2)


@OBJECTIVES.register("align")
class Align:
    """Minus the mean cosine of the words of a move in two languages, over all pairs of languages and all moves of the
    dictionary. Words that two languages write alike have cosine 1 and are left out."""

    @dataclass(kw_only=True)
    class Config:
        """Its authors chose weight 10 of .1, 1, 10 and 100."""

        name: str = "align"
        coverage: float = ranged(1.0, above=0, high=1)
        """Share of moves in the dictionary; a larger share contains a smaller one."""
        site: Site = Site.input
        """Whose rows are aligned: input (token embedding), output (head) or both."""

    attention = None
    auxiliary_only = True

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or self.Config()

    def check(self, games: Sources, data: DataConfig, language_set: LanguageSet) -> None:
        """UserError with one language, several spellings, no entry, or an output that has no words."""
        require_several(language_set, KEY)
        language_set.require_one_spelling(KEY)
        if self.config.site is not Site.input and language_set.output is OutputVocabulary.unified:
            raise UserError(f"{KEY}.site: a unified output vocabulary has no words of languages; leave it out")
        dictionary(language_set, self.config.coverage, f"{KEY}.coverage")

    def check_model(self, model: ModelConfig) -> None:
        """UserError where the head has no rows of its own."""
        if self.config.site is not Site.input and model.tied:
            raise UserError(f"{KEY}.site: has no effect with model.tied, whose head is the embedding; leave it out")

    def batch(self, stream: Stream, step: int) -> Dictionary:
        """The dictionary; no game is drawn."""
        languages, device = stream.language_set, stream.device
        entries = dictionary(languages, self.config.coverage, f"{KEY}.coverage").to(device)
        words = languages.table("word_table", device)
        pairs = torch.triu_indices(len(words), len(words), 1, device=device)
        return Dictionary(words, pairs, entries[pairs[0], pairs[1]])

    def loss(self, model: GPT, batch: Dictionary) -> Loss:
        """Minus the cosines, -1 to 1 an entry and site."""
        modules = {Site.input: [model.token_embedding], Site.output: [model.head]}
        cosines = []
        for module in modules.get(self.config.site, [model.token_embedding, model.head]):
            vectors = word_vectors(own_parts(module), batch.words).float()
            cosines.append(F.cosine_similarity(vectors[batch.pairs[0]], vectors[batch.pairs[1]], dim=-1))
        return Loss(-(sum(cosines) * batch.entries).sum(), len(cosines) * batch.entries.sum())

    def floor(
        self, batch: Any, language_set: LanguageSet, oracles: Sequence[Oracle], weights: Sequence[float] | None
    ) -> None:
        """Unknown: it is added to another objective, whose floor counts."""
        return
