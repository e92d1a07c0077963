"""The language of each game: whether corpora are parallel, disjoint or drawn, and the share of each language."""

from dataclasses import dataclass, field
from enum import StrEnum
from itertools import accumulate, pairwise

import torch
from jaxtyping import Int64
from torch import Tensor

from mothello.config import check, ranged, without_effect
from mothello.data.corpus import draw
from mothello.errors import UserError
from mothello.othello.counter import random_bits
from mothello.seeding import derive


class Pairing(StrEnum):
    """``drawn``: a language is drawn at every visit of a game, so that corpora become parallel in effect (the published
    protocol). ``parallel``: every game once in every language, in turn over the epochs. ``disjoint``: a game and its
    mirror images belong to one language, so that no game has a translation; where languages have domains of their own,
    each index belongs to one language."""

    drawn = "drawn"
    parallel = "parallel"
    disjoint = "disjoint"


@dataclass(kw_only=True)
class LanguageSampling:
    """Assignment of games to languages."""

    pairing: Pairing = Pairing.drawn
    shares: list[float] = field(default_factory=list)
    """Relative amount of text per language, in the order of the languages; by default equal."""
    shares_end: list[float] = field(default_factory=list)
    """The same at the end of training: probabilities move there in a straight line. Empty: they stay."""
    alpha: float = ranged(1.0, 0, 10)
    """Languages are drawn in proportion to share^alpha; 0 is uniform."""
    grouped: bool = False
    """Every batch holds the languages in exact shares, sorted by language: what separate parts of a model need."""

    def __post_init__(self) -> None:
        check(self, "data.language_sampling")
        if not (self.shares or self.shares_end):
            without_effect(self, "data.language_sampling", "without data.language_sampling.shares", "alpha")
        for key, shares in (("shares", self.shares), ("shares_end", self.shares_end)):
            if any(not share > 0 for share in shares):
                raise UserError(f"data.language_sampling.{key}: {shares} are not all positive")
        if self.shares_end and (self.pairing is not Pairing.drawn or self.grouped):
            raise UserError(
                "data.language_sampling.shares_end: only languages that are drawn at every visit change their shares; "
                "leave out pairing and grouped"
            )
        if self.pairing is Pairing.parallel and self.grouped:
            raise UserError("data.language_sampling.grouped: parallel games change languages in turn; choose drawn")
        if self.pairing is Pairing.parallel and self.shares:
            raise UserError(
                "data.language_sampling.shares: parallel corpora hold every game in every language; leave shares out"
            )

    def sizes(self, n: int, batch_size: int, share: tuple[int, int] = (0, 1)) -> tuple[int, ...]:
        """Games of each of n languages in a grouped batch. share: (rank, processes), of which this one has every
        ``processes``-th game. UserError where a language has none."""
        rank, processes = share
        before = [-(-max(0, end - rank) // processes) for end in (0, *self.ends(n, batch_size))]
        sizes = tuple(end - start for start, end in pairwise(before))
        if not all(sizes):
            raise UserError("data.batch_size: too few games for one of every language (data.language_sampling.grouped)")
        return sizes

    def ends(self, n: int, batch_size: int) -> list[int]:
        """Where the rows of each language end in a grouped batch."""
        return [round(batch_size * total) for total in accumulate(self.weights(n))]

    def weights(self, n: int, end: bool = False) -> list[float]:
        """Probability of each of n languages, at the start or at the end. UserError unless there are n shares."""
        key, shares = ("shares_end", self.shares_end) if end and self.shares_end else ("shares", self.shares)
        if shares and len(shares) != n:
            raise UserError(f"data.language_sampling.{key}: {len(shares)} shares for {n} languages")
        given = shares or [1.0] * n
        powers = [(share / max(given)) ** self.alpha for share in given]
        if not all(power / sum(powers) > 2**-32 for power in powers):
            line = f"{min(given):g} is never drawn, compared with {max(given):g}"
            raise UserError(f"data.language_sampling.{key}: {line}")
        return [power / sum(powers) for power in powers]

    def drawn(self, bits: Int64[Tensor, " game"], rows: Int64[Tensor, " game"], total: int, n: int) -> Tensor:
        """Language of each row by 32 random bits. rows: places in the stream, of ``total`` in all."""
        if not self.shares_end:
            return draw(bits, self.weights(n))
        first, last = (torch.tensor(self.weights(n, end), dtype=torch.float64) for end in (False, True))
        done = (rows.clamp(max=total - 1).double() / max(1, total - 1)).unsqueeze(1)
        start, end = (weights.cumsum(0)[:-1].to(rows.device) for weights in (first, last))
        bounds = start + (end - start) * done
        return (bits.unsqueeze(1) >= bounds * 2**32).sum(1)

    def check_epochs(self, epochs: float, n: int) -> None:
        """UserError unless parallel pairing visits every game in every language equally often."""
        if self.pairing is Pairing.parallel and epochs % n:
            raise UserError(
                f"data.epochs: {epochs:g} is not a multiple of {n}; with parallel pairing every epoch visits each game "
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
    total: int = 1,
) -> Int64[Tensor, " game"]:
    """Language of each row of a stream.

    rows: places in the endless stream. games: a number for the game at each place: its index, or a code of its moves
    where one game may have several indices. total: rows of the whole training. The training seed decides the languages
    drawn at a visit; the corpus seed decides the language that a game belongs to (disjoint) or starts with (parallel).
    """
    if how.pairing is Pairing.drawn:
        return how.drawn(random_bits(derive(seed, "language"), rows, 0), rows, total, n)
    owner = draw(random_bits(derive(corpus_seed, "owner"), games, 0), how.weights(n))
    return owner if how.pairing is Pairing.disjoint else (owner + epochs) % n
