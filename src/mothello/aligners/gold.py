"""The true links: a ply of a game is linked with itself."""

from dataclasses import dataclass

import torch
from jaxtyping import Int8
from torch import Tensor

from mothello.aligners.aligner import ALIGNERS, Links, Side
from mothello.languages.language_set import LanguageSet


@ALIGNERS.register("gold")
class Gold:
    """Every ply with itself, whatever is written of it."""

    @dataclass(kw_only=True)
    class Config:
        """Nothing to set."""

        name: str = "gold"

    reads_states = False
    games = 0

    def __init__(self, config: Config, language_set: LanguageSet, pair: tuple[int, int]) -> None: ...

    def fit(self, moves: Int8[Tensor, "game ply"]) -> None:
        """Nothing is learned."""

    def links(self, one: Side, other: Side) -> Links:
        """The diagonal, as far as both games go."""
        return torch.diag_embed(one.played & other.played)
