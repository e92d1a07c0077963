"""Word alignment without text: every word is read by itself, and the vectors of a move's words in two languages become
alike, and unlike those of all other words (the first stage of PreAlign, Li et al. 2024).

A word has a vector at every level of the model: the sum over its tokens of the embedding, of the residual stream after
a block, or of the rows of the output head. It is added to another objective, or is all that a stage trains
(mothello.stages.align_words): of random weights before any text, or at any point of a training.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from mothello.config import ranged
from mothello.data.batch import IGNORE, Groups
from mothello.data.config import DataConfig
from mothello.data.oracle import Oracle
from mothello.data.sources import Sources
from mothello.data.stream import Stream
from mothello.errors import UserError, keyed
from mothello.languages.dictionary import dictionary, require_several
from mothello.languages.language import PAD
from mothello.languages.language_set import LanguageSet, OutputVocabulary
from mothello.model.config import ModelConfig
from mothello.model.inputs import AttentionMask, Inputs
from mothello.model.separate import own_parts
from mothello.model.transformer import GPT
from mothello.objectives.align import word_vectors
from mothello.objectives.causal_lm import next_token_targets
from mothello.objectives.contrastive import Negatives, contrastive_loss
from mothello.objectives.objective import OBJECTIVES, Loss, Part
from mothello.objectives.pairs import PairsConfig
from mothello.seeding import generator


class Level(StrEnum):
    """input: the token embedding. blocks: the residual stream after every block. output: the rows of the head."""

    input = "input"
    blocks = "blocks"
    output = "output"


@dataclass(kw_only=True)
class AlignWordsConfig(PairsConfig):
    """Which words are aligned, where, and how."""

    name: str = "align_words"
    levels: list[Level] = field(default_factory=list)
    """Where words are compared: input, blocks, output; by default each that the model has. The loss is the mean over
    embedding, blocks and head."""
    coverage: float = ranged(1.0, above=0, high=1)
    """Share of moves in the dictionary; a larger share contains a smaller one. Other words are not read at all."""
    temperature: float = ranged(0.1, above=0)
    """Cosines are divided by it."""
    spelling: float = ranged(10.0, low=0)
    """Weight of predicting the further tokens of a word from those before, which keeps words of shared tokens apart;
    of words of one token, and in masked models, there are none. Published: alignment has weight .1 beside it."""
    shuffled: bool = False
    """Control: every word's partner is the word of another move of the dictionary, the same in all steps."""

    key: ClassVar[str] = "objective."
    """Where the settings stand; of an auxiliary one it is replaced (mothello.objectives.combined)."""


class Words(NamedTuple):
    """The words of two languages, one a row: all moves of the one, then all of the other."""

    tokens: Int64[Tensor, "word part"]
    """PAD after short words."""
    language: Int64[Tensor, " word"]
    targets: Int64[Tensor, "word part"]
    """Token to predict after each, IGNORE where none is."""
    entries: Bool[Tensor, " move"]
    """Whether the move is in the dictionary."""
    partner: Int64[Tensor, " move"]
    """The move whose word in the other language is the partner of the one's."""
    groups: Groups
    head: bool
    """Whether the output head has rows of words: a unified output vocabulary has not."""


@OBJECTIVES.register("align_words")
class AlignWords:
    """Minus the log softmax of a word's partner among the words of both languages in the dictionary, by the cosine of
    their vectors: of both words of every entry, without those that are written alike. No game is read."""

    Config: Any = AlignWordsConfig
    attention: AttentionMask | None = None
    auxiliary_only = True

    def __init__(self, config: AlignWordsConfig | None = None, key: str = AlignWordsConfig.key) -> None:
        """key: put before the keys of the settings in messages."""
        self.config, self.key = config or AlignWordsConfig(), key
        self._words: dict[tuple[LanguageSet, tuple[int, int], str], Words] = {}

    def check(self, games: Sources, data: DataConfig, language_set: LanguageSet) -> None:
        """UserError with one language, several spellings, no entry, or an output that has no words."""
        config, key = self.config, self.key
        require_several(language_set, f"{key}coverage")
        language_set.require_one_spelling(f"{key}coverage")
        if len(set(config.levels)) < len(config.levels):
            raise UserError(f"{key}levels: [{', '.join(config.levels)}] names a level twice")
        if Level.output in config.levels and language_set.output is OutputVocabulary.unified:
            raise UserError(f"{key}levels: output: a unified output vocabulary has no words of languages; leave it out")
        with keyed(key):
            pairs = config.pairs(language_set)
        entries = dictionary(language_set, config.coverage, f"{key}coverage")
        for one, other in pairs:
            if int(entries[one, other].sum()) < 2:
                names = " and ".join(language_set.names[i] for i in (one, other))
                raise UserError(f"{key}coverage: a word is told from others, and {names} have fewer than two entries")

    def check_model(self, model: ModelConfig) -> None:
        """UserError where the head has no rows of its own."""
        if Level.output in self.config.levels and model.tied:
            raise UserError(f"{self.key}levels: output: with model.tied it is the embedding; leave it out")

    def check_frozen(self, model: GPT, frozen: Collection[str]) -> None:
        """UserError where all is frozen."""
        if set(frozen) >= {name for name, _ in model.named_parameters()}:
            raise UserError(f"{self.key}levels: all weights are frozen; no word is aligned")

    def batch(self, stream: Stream, step: int) -> Words:
        """The words of the two languages whose turn it is, the same in every process; no game is drawn."""
        pair = self.config.pair_at(step, stream.language_set)
        return self.words(stream.language_set, (min(pair), max(pair)), stream.device)

    def words(self, languages: LanguageSet, pair: tuple[int, int], device: torch.device) -> Words:
        """Of two languages, by their indices in ascending order; made once."""
        key = languages, pair, str(device)
        if key not in self._words:
            self._words[key] = self._words_of(languages, pair, device)
        return self._words[key]

    def _words_of(self, languages: LanguageSet, pair: tuple[int, int], device: torch.device) -> Words:
        n = languages.board.n_moves
        entries = dictionary(languages, self.config.coverage, f"{self.key}coverage")[pair[0], pair[1]]
        partner = torch.arange(n)
        if self.config.shuffled:
            known = entries.nonzero().squeeze(1)
            known = known[torch.randperm(len(known), generator=generator(0, "shuffled words", languages.board.name))]
            partner[known] = known.roll(1)
        tokens = languages.table("word_table", torch.device("cpu"))[pair, :n].flatten(0, 1)
        targets = torch.where(entries.repeat(2).unsqueeze(1), next_token_targets(tokens), IGNORE)
        head = languages.output is not OutputVocabulary.unified
        targets = targets if head else torch.full_like(targets, IGNORE)
        spoken = torch.tensor(pair).repeat_interleave(n)
        groups = Groups(tuple(n * (index in pair) for index in range(len(languages.languages))))
        tokens, spoken, targets = tokens.to(device), spoken.to(device), targets.to(device)
        return Words(tokens, spoken, targets, entries.to(device), partner.to(device), groups, head)

    def loss(self, model: GPT, batch: Words) -> Loss:
        """In nats, over twice the number of entries; its part spelling over the tokens that are predicted."""
        output = model(Inputs(batch.tokens, language=batch.language, groups=batch.groups), hidden=True)
        assert output.hidden is not None
        there = batch.entries.expand(2, 1, -1)
        links = (F.one_hot(batch.partner, len(batch.entries)).bool() & batch.entries.unsqueeze(1)).unsqueeze(0)
        losses = [
            contrastive_loss(x[:1], x[1:], there, links, Negatives.strong, self.config.temperature)
            for x in self.vectors(model, batch, output.hidden).values()
        ]
        targets = batch.targets
        if model.config.mask is not AttentionMask.causal:
            targets = torch.full_like(targets, IGNORE)
        logits = output.logits.float().flatten(0, 1)
        spelled = F.cross_entropy(logits, targets.flatten(), ignore_index=IGNORE, reduction="sum")
        part = Part(spelled, (targets != IGNORE).sum(), self.config.spelling)
        return Loss(torch.stack([x.sum for x in losses]).mean(), losses[0].count, {"spelling": part})

    def levels(self, model: GPT, head: bool) -> list[Level]:
        """Those asked for, or all that there are. head: whether its rows are words."""
        return self.config.levels or [Level.input, Level.blocks, *[Level.output] * (head and not model.config.tied)]

    def vectors(
        self, model: GPT, batch: Words, hidden: Float[Tensor, "layer word part d_model"]
    ) -> dict[str, Float[Tensor, "2 move d_model"]]:
        """Of every word, in both languages, at each level: input, block_1, ..., output."""
        pair = [index for index, size in enumerate(batch.groups.sizes) if size]
        words, there = batch.tokens.unflatten(0, (2, -1)), (batch.tokens != PAD).unsqueeze(-1)
        levels = self.levels(model, batch.head)

        def rows(module: nn.Module) -> Float[Tensor, "2 move d_model"]:
            tables = own_parts(module)
            return word_vectors([tables[index % len(tables)] for index in pair], words)

        found = {"input": rows(model.token_embedding)} if Level.input in levels else {}
        for block in range(1, len(hidden)) if Level.blocks in levels else ():
            found[f"block_{block}"] = (hidden[block] * there).sum(1).unflatten(0, (2, -1))
        return found | ({"output": rows(model.head)} if Level.output in levels else {})

    @torch.no_grad()
    def found(self, model: GPT, languages: LanguageSet) -> dict[str, float]:
        """Share of words whose nearest one, by cosine, among all words of the other language is their partner: by
        level, of the dictionary and of words held out; mean over pairs of languages and both directions."""
        hits: dict[str, list[Tensor]] = {}
        for pair in self.config.pairs(languages):
            batch = self.words(languages, (min(pair), max(pair)), model.device)
            hidden = model(Inputs(batch.tokens, language=batch.language, groups=batch.groups), hidden=True).hidden
            assert hidden is not None
            every = dictionary(languages, 1.0, f"{self.key}coverage").to(model.device)[pair[0], pair[1]]
            parts = {"dictionary": batch.entries, "held_out": every & ~batch.entries}
            for level, vectors in self.vectors(model, batch, hidden).items():
                one, other = F.normalize(vectors.float(), dim=-1)
                scores, back = one @ other.T, batch.partner.argsort()
                right = torch.stack([scores.argmax(1) == batch.partner, scores.argmax(0) == back])
                for part, chosen in parts.items():
                    hits.setdefault(f"{level}/{part}", []).append(right[:, chosen].flatten())
        return {name: float(torch.cat(x).double().mean()) for name, x in hits.items() if sum(map(len, x))}

    def floor(
        self, batch: Any, language_set: LanguageSet, oracles: Sequence[Oracle], weights: Sequence[float] | None
    ) -> None:
        """Not known."""
