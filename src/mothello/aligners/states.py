"""Links by a model's own states: words whose states are nearest to each other."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Int8
from torch import Tensor

from mothello.aligners.aligner import ALIGNERS, Links, Side, one_to_one
from mothello.config import ranged
from mothello.languages.language_set import LanguageSet


@ALIGNERS.register("self")
class SelfAligner:
    """Links two words that are each other's likeliest translation, by the cosine of their states in one layer.

    The score of a pair is the product of two softmaxes over the words of its game: that of the second language's, given
    the word of the first, and the other way around (after Dou and Neubig 2021). A tie is no link.
    """

    @dataclass(kw_only=True)
    class Config:
        """Which states, and what is near."""

        name: str = "self"
        layer: int = ranged(-1, low=-1)
        """The layer whose states are compared: 0 for the embeddings, -1 for the last. Who asks for links reads them."""
        temperature: float = ranged(0.1, above=0)
        """Cosines are divided by it before the softmax."""
        threshold: float = ranged(1e-3, low=0, high=1)
        """Pairs of a lower score are no links."""

    reads_states = True
    games = 0

    def __init__(self, config: Config, language_set: LanguageSet, pair: tuple[int, int]) -> None:
        self.config = config

    def fit(self, moves: Int8[Tensor, "game ply"]) -> None:
        """Nothing is learned."""

    def links(self, one: Side, other: Side) -> Links:
        """Both sides have states."""
        assert one.states is not None
        assert other.states is not None
        first, second = (F.normalize(states.float(), dim=-1) for states in (one.states, other.states))
        possible = one.played.unsqueeze(2) & other.played.unsqueeze(1)
        logits = (first @ second.transpose(1, 2) / self.config.temperature).masked_fill(~possible, -torch.inf)
        score = (logits.softmax(1) * logits.softmax(2)).masked_fill(~possible, 0)
        nearest = (score == score.amax(1, keepdim=True)) & (score == score.amax(2, keepdim=True))
        return one_to_one(nearest & (score > self.config.threshold))
