"""Which language a game is written in: whether corpora are parallel, disjoint or merely alike, and in what shares."""

from dataclasses import dataclass, field
from enum import StrEnum

from jaxtyping import Int64
from torch import Tensor

from mothello.data.corpus import draw
from mothello.errors import UserError
from mothello.othello.counter import random_bits
from mothello.seeding import derive


class Pairing(StrEnum):
    """``drawn``: at every visit anew, so that corpora become parallel in effect (the published protocol).
    ``parallel``: every game once in every language, in turn over the epochs.
    ``disjoint``: a game belongs to one language for ever, and so do its mirror images: no sentence has a translation.
    Where languages have domains of their own it is the index that belongs to a language."""

    drawn = "drawn"
    parallel = "parallel"
    disjoint = "disjoint"


@dataclass(kw_only=True)
class LanguageSampling:
    """How games are given to languages."""

    pairing: Pairing = Pairing.drawn
    shares: list[float] = field(default_factory=list)
    """Relative amount of each language's text, in the order of the languages; by default all the same."""
    alpha: float = 1.0
    """Languages are drawn in proportion to share^alpha: 1 as they are, 0 uniformly, between the two evens out."""

    def __post_init__(self) -> None:
        if any(not share > 0 for share in self.shares):
            raise UserError(f"data.language_sampling.shares: {self.shares} are not all positive")
        if not 0 <= self.alpha <= 10:
            raise UserError(f"data.language_sampling.alpha: {self.alpha} is outside 0..10")
        if self.pairing is Pairing.parallel and self.shares:
            raise UserError(
                "data.language_sampling.shares: parallel corpora hold every game in every language; leave shares out"
            )

    def weights(self, n: int) -> list[float]:
        """Probability of each of n languages. UserError when the shares are of another number."""
        if self.shares and len(self.shares) != n:
            raise UserError(f"data.language_sampling.shares: {len(self.shares)} shares for {n} languages")
        powers = [share**self.alpha for share in self.shares or [1.0] * n]
        return [power / sum(powers) for power in powers]

    def check_epochs(self, epochs: float, n: int) -> None:
        """UserError unless parallel pairing visits every game in every language equally often."""
        if self.pairing is Pairing.parallel and epochs % n:
            raise UserError(
                f"data.epochs: {epochs:g} is no multiple of {n}; with parallel pairing every epoch visits each game "
                f"in one of the {n} languages, in turn"
            )


def languages_of(
    rows: Int64[Tensor, " game"],
    games: Int64[Tensor, " game"],
    epochs: Int64[Tensor, " game"],
    how: LanguageSampling,
    n: int,
    seed: int,
    corpus_seed: int = 0,
) -> Int64[Tensor, " game"]:
    """Language of each row of a stream.

    rows: places in the endless stream. games: what tells the game at each, in the given epoch: its index, or (where
    the same game may stand at several) a code of its moves. The seed decides what is drawn at a visit; which language a
    game belongs to (disjoint) or starts with (parallel) is the corpus' own.
    """
    if how.pairing is Pairing.drawn:
        return draw(random_bits(derive(seed, "language"), rows, 0), how.weights(n))
    owner = draw(random_bits(derive(corpus_seed, "owner"), games, 0), how.weights(n))
    return owner if how.pairing is Pairing.disjoint else (owner + epochs) % n
