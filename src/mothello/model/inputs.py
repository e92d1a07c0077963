"""The only way into a model."""

from enum import StrEnum
from typing import NamedTuple

from jaxtyping import Bool, Int64
from torch import Tensor

from mothello.data.batch import Batch, Groups


class AttentionMask(StrEnum):
    """What a position may attend to unless the inputs say: those before it and itself, or all that are not padding."""

    causal = "causal"
    full = "full"


class Inputs(NamedTuple):
    """Rows of tokens and how to read them. Whatever is None takes its default.

    Shapes: B games, T tokens.
    """

    tokens: Int64[Tensor, "B T"]
    positions: Int64[Tensor, "B T"] | None = None
    """By default 0, 1, 2, ..."""
    mask: Bool[Tensor, "*B T T"] | None = None
    """Which positions a query may attend to (True); by default what the model's attention allows."""
    language: Int64[Tensor, "*game_or_token"] | None = None
    """Index of the language per game, or per token where languages are mixed within a game."""
    groups: Groups | None = None
    """Where the games are sorted by language: how many each has."""

    @staticmethod
    def of(batch: Batch) -> "Inputs":
        """The rows of a batch."""
        language = batch.language if batch.switched is None else batch.switched.language
        return Inputs(batch.tokens, language=language, groups=batch.groups)
