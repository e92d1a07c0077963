"""Realignment: the states of words that are translations of each other become alike, and unlike those of all other
words (Gaschi et al. 2023). It is added to another objective, or is all that a stage trains (mothello.stages.realign).

Games that begin alike have the same states there, in a causal model, and no model tells a word's partner from its
copies: the least loss is above zero, and is the lower the smaller the batch.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from mothello.aligners.aligner import Aligner, Links, build_aligner, side, typed_aligner
from mothello.config import ranged
from mothello.data.batch import Batch, Groups, at_moves, rows
from mothello.data.config import DataConfig
from mothello.data.language_sampling import Pairing
from mothello.data.oracle import Oracle
from mothello.data.sources import Sources
from mothello.data.stream import Stream
from mothello.errors import UserError, keyed
from mothello.languages.dictionary import require_several
from mothello.languages.language_set import LanguageSet
from mothello.model.config import ModelConfig
from mothello.model.inputs import AttentionMask, Inputs
from mothello.model.separate import up_to
from mothello.model.transformer import GPT
from mothello.objectives.contrastive import Negatives, Projection, contrastive_loss
from mothello.objectives.objective import OBJECTIVES, Loss
from mothello.objectives.pairs import PairsConfig
from mothello.othello.counter import random_bits
from mothello.seeding import derive


class ParallelBatch(NamedTuple):
    """The same games in two languages, row by row, and which of their words are linked."""

    one: Batch
    other: Batch
    links: Links


@dataclass(kw_only=True)
class RealignConfig(PairsConfig):
    """Which words are linked, and what of them is compared."""

    name: str = "realign"
    aligner: Any = field(default_factory=lambda: {"name": "gold"})
    """What links words: a name in ALIGNERS with its settings."""
    layers: list[str] = field(default_factory=lambda: ["last"])
    """Layers whose states are compared; the loss is their mean: last, penultimate, middle, or numbers, 0 for the
    embeddings."""
    negatives: Negatives = Negatives.strong
    """What a word's partner is told from. strong: all words of both languages in the batch but the word itself. weak:
    those of the other language."""
    temperature: float = ranged(0.1, above=0)
    """Cosines are divided by it."""
    games: int = ranged(16, low=0)
    """Games of a step whose words are compared, its first ones; 0 for all. The number of scores is its square."""
    shuffled: bool = False
    """Control: links are shuffled within each game. The same words have links, to other words."""

    key: ClassVar[str] = "objective."
    """Where the settings stand; of an auxiliary one it is replaced (mothello.objectives.combined)."""

    def __post_init__(self) -> None:
        self.aligner = typed_aligner(self.aligner, f"{self.key}aligner")


def layers_of(names: Sequence[str], n_layer: int) -> list[int]:
    """The layers of names or numbers, 0 the embeddings. UserError for one that does not exist, or is there twice."""
    named = {"last": n_layer, "penultimate": n_layer - 1, "middle": (n_layer + 1) // 2}
    named |= {str(layer): layer for layer in range(n_layer + 1)}
    for name in names:
        if name not in named:
            raise UserError(f"layers: {name!r} is none of last, penultimate, middle, 0..{n_layer}")
    found = [named[name] for name in names]
    if not found or len(set(found)) < len(found):
        raise UserError(f"layers: [{', '.join(names)}] names {'a layer twice' if found else 'no layer'}")
    return found


def shuffled(links: Links, numbers: Float[Tensor, "game ply"]) -> Links:
    """The links with the linked words of the second side in the order of ``numbers``."""
    unlinked = ~links.any(1)
    place = torch.arange(links.shape[2], device=links.device).expand_as(unlinked)
    now = torch.where(unlinked, links.shape[2] + place, place).argsort(dim=1)
    instead = torch.where(unlinked, torch.inf, numbers).argsort(dim=1, stable=True)
    one, other = (order.unsqueeze(1).expand_as(links) for order in (now, instead))
    return torch.zeros_like(links).scatter(2, one, links.gather(2, other))


def states_of(model: GPT, text: Batch, layers: Sequence[int]) -> list[Float[Tensor, "game ply d_model"]]:
    """The residual stream after some layers at each move's last token, differentiable."""
    return [at_moves(x.unsqueeze(0), text)[0] for x in model.residuals(Inputs.of(text), layers)]


def _first(text: Batch, n: int) -> Batch:
    """The first n games of a batch in one language."""
    assert text.groups is not None
    return rows(text, slice(n))._replace(groups=Groups(tuple(n * (size > 0) for size in text.groups.sizes)))


@OBJECTIVES.register("realign")
class Realign:
    """Minus the log softmax of a linked word's partner among the words of a batch, by the cosine of projected states:
    of both words of every link. With several processes the candidates are those of a process's own games."""

    Config: Any = RealignConfig
    attention: AttentionMask | None = None
    auxiliary_only = True

    def __init__(self, config: RealignConfig | None = None, key: str = RealignConfig.key) -> None:
        """key: put before the keys of the settings in messages."""
        self.config, self.key = config or RealignConfig(), key
        self._aligners: dict[tuple[int, int], Aligner] = {}

    def check(self, games: Sources, data: DataConfig, language_set: LanguageSet) -> None:
        """UserError with one language, games that have no translation, or an aligner that does not fit them."""
        config, key, text = self.config, self.key, "realignment reads games in two languages"
        require_several(language_set, f"{key}aligner")
        if data.language_sampling.pairing is Pairing.disjoint:
            why = "no game has a translation with data.language_sampling.pairing=disjoint; choose drawn or parallel"
            raise UserError(f"{key}aligner: {text}; {why}")
        if len(games.corpora) > 1:
            why = "languages with domains of their own share none; leave data.domain_of out"
            raise UserError(f"{key}aligner: {text}; {why}")
        with keyed(key):
            pairs = config.pairs(language_set)
        if config.games > data.batch_size:
            raise UserError(f"{key}games: {config.games} of data.batch_size={data.batch_size} games; 0 for all")
        for pair in pairs:
            aligner = build_aligner(config.aligner, language_set, pair, f"{key}aligner")
            if aligner.reads_states:
                why = "links words by a model's states, which realignment changes; choose another"
                raise UserError(f"{key}aligner: {config.aligner.name} {why}")

    def check_model(self, model: ModelConfig) -> None:
        """UserError where a layer does not exist."""
        with keyed(self.key):
            layers_of(self.config.layers, model.n_layer)

    def check_frozen(self, model: GPT, frozen: Collection[str]) -> None:
        """UserError where all that the states are made from is frozen."""
        top = max(layers_of(self.config.layers, model.config.n_layer))
        if frozen and set(up_to(model, top)) <= set(frozen):
            raise UserError(f"{self.key}layers: all that layer {top} is made from is frozen; nothing is realigned")

    def add_head(self, model: GPT, seed: int) -> None:
        """The projection."""
        model.projection_head = Projection(model.config.d_model).initialize(seed)

    def batch(self, stream: Stream, step: int) -> ParallelBatch:
        """The first games of the stream's step in the two languages whose turn it is, whatever language the stream
        speaks."""
        config, languages = self.config, stream.language_set
        pair = config.pair_at(step, languages)
        n = -(-max(0, (config.games or stream.batch_size) - stream.rank) // stream.processes)
        texts = [_first(text, n) for text in stream.pairs(step, *pair)]
        links = self._aligner(stream, pair).links(*(side(text, languages) for text in texts))
        if config.shuffled:
            plies = torch.arange(links.shape[2], device=stream.device)
            places = stream.rows(step)[:n].unsqueeze(1) * links.shape[2] + plies
            links = shuffled(links, random_bits(derive(stream.seed, "shuffled links"), places, 0).double())
        return ParallelBatch(texts[0], texts[1], links)

    def _aligner(self, stream: Stream, pair: tuple[int, int]) -> Aligner:
        """The aligner of a pair, fitted on the first games of the stream, at most all of them."""
        if pair not in self._aligners:
            aligner = build_aligner(self.config.aligner, stream.language_set, pair, f"{self.key}aligner")
            if aligner.games:
                first = torch.arange(min(aligner.games, stream.size), device=stream.device)
                aligner.fit(stream.sources[pair[0]].moves(first))
            self._aligners[pair] = aligner
        return self._aligners[pair]

    def loss(self, model: GPT, batch: ParallelBatch) -> Loss:
        """In nats, over twice the number of links."""
        assert model.projection_head is not None, "a model with a projection"
        layers, config = layers_of(self.config.layers, model.config.n_layer), self.config
        played = torch.stack([batch.one.moves >= 0, batch.other.moves >= 0])
        one, other = (map(model.projection_head, states_of(model, text, layers)) for text in (batch.one, batch.other))
        losses = [
            contrastive_loss(*pair, played, batch.links, config.negatives, config.temperature)
            for pair in zip(one, other, strict=True)
        ]
        return Loss(torch.stack([loss.sum for loss in losses]).mean(), losses[0].count)

    def floor(
        self, batch: Any, language_set: LanguageSet, oracles: Sequence[Oracle], weights: Sequence[float] | None
    ) -> None:
        """Not known."""
