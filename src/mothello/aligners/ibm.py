"""Links by a statistical model of translation, learned from parallel texts alone, as fast_align does."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Int8, Int64
from torch import Tensor

from mothello.aligners.aligner import ALIGNERS, Links, Side, one_to_one, side
from mothello.aligners.em import TEXTS_AT_ONCE, Prior, Table, best, fit
from mothello.aligners.symmetrize import Symmetrization, symmetrized
from mothello.config import ranged
from mothello.data.batch import in_language
from mothello.errors import UserError
from mothello.languages.language_set import LanguageSet
from mothello.seeding import generator


@ALIGNERS.register("ibm")
class IBMAligner:
    """IBM model 1 or 2, fitted in both directions and symmetrized."""

    @dataclass(kw_only=True)
    class Config:
        """The null word, the tension and the rounds are fast_align's."""

        name: str = "ibm"
        pairs: int = ranged(1000, low=1)
        """Parallel games that it learns from."""
        prefixes: bool = False
        """It learns from beginnings of games, of random length. Whole games hold nearly every move, so that which words
        occur together says little: there only the places tell, which model 1 does not know."""
        model: int = ranged(2, 1, 2)
        """1: a translation may stand anywhere. 2: it is likelier to stand at the same place of the text."""
        tension: float = ranged(4.0, above=0)
        """How much likelier, with model 2: exp(-tension * difference of the places as shares of the texts)."""
        null: float = ranged(0.08, above=0, high=0.99)
        """Probability that a word translates none."""
        iterations: int = ranged(5, low=1)
        """Rounds of EM."""
        symmetrization: Symmetrization = Symmetrization.grow_diag
        """What becomes of links that only one direction has: intersection, union or grow_diag."""
        one_to_one: bool = True
        """Keep a link only where it is the only one of both its words, as published."""

        def __post_init__(self) -> None:
            if self.model == 1 and self.tension != 4:
                raise UserError("tension: has no effect on model 1, which knows no places; leave it out")

        def shrunk(self, share: float) -> "IBMAligner.Config":
            """The same with a share of the games, for a dry run."""
            return replace(self, pairs=max(1, round(self.pairs * share)))

    reads_states = False

    def __init__(self, config: Config, language_set: LanguageSet, pair: tuple[int, int]) -> None:
        self.config, self.language_set, self.pair = config, language_set, pair
        self.prior = Prior(config.null, config.tension if config.model == 2 else 0.0)
        self.tables: list[Table] = []
        """p(word of the second language | word of the first), and the other way around."""

    @property
    def games(self) -> int:
        return self.config.pairs

    def fit(self, moves: Int8[Tensor, "game ply"]) -> None:
        """EM in both directions. The beginnings, where they are asked for, depend on the order of the games."""
        if self.config.prefixes:
            moves = beginnings(moves)
        texts = [self._texts(moves, language) for language in self.pair]
        sizes = [int(ids.max()) + 1 for ids in self.language_set.word_id_table[list(self.pair)]]
        self.tables = [
            fit(texts[a], texts[b], (sizes[a], sizes[b]), self.prior, self.config.iterations)
            for a, b in ((0, 1), (1, 0))
        ]

    def _texts(self, moves: Int8[Tensor, "game ply"], language: int) -> Int64[Tensor, "game place"]:
        parts = (in_language(some, language, self.language_set) for some in moves.split(TEXTS_AT_ONCE))
        return torch.cat([written(side(part, self.language_set)) for part in parts])

    def links(self, one: Side, other: Side) -> Links:
        """The likeliest translations in both directions, together."""
        assert self.tables, "fit it first"
        source, target = written(one), written(other)
        forth = best(self.tables[0], self.prior, source, target)
        back = best(self.tables[1], self.prior, target, source).transpose(1, 2)
        found = symmetrized(forth, back, self.config.symmetrization)
        found = found.gather(1, one.place.unsqueeze(2).expand_as(found))
        found = found.gather(2, other.place.unsqueeze(1).expand_as(found))
        return one_to_one(found) if self.config.one_to_one else found


def written(text: Side) -> Int64[Tensor, "game place"]:
    """The words of every game in the order in which they are written, -1 after the end."""
    return torch.empty_like(text.word).scatter_(1, text.place, text.word)


def beginnings(moves: Int8[Tensor, "game ply"]) -> Int8[Tensor, "game ply"]:
    """The games up to a random ply, each as likely."""
    share = torch.rand(len(moves), 1, generator=generator(0, "beginnings"), dtype=torch.float64).to(moves.device)
    last = (share * (moves >= 0).sum(1, keepdim=True)).long()
    return moves.masked_fill(torch.arange(moves.shape[1], device=moves.device) > last, -1)
