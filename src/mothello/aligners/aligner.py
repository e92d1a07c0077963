"""The door of the aligners: two parallel texts go in, links between their words come out."""

from typing import Any, ClassVar, NamedTuple, Protocol

import torch
from jaxtyping import Bool, Float, Int8, Int64
from torch import Tensor

from mothello.data.batch import Batch
from mothello.errors import below
from mothello.languages.language_set import LanguageSet
from mothello.registry import Registry

Links = Bool[Tensor, "game ply ply"]
"""[g, i, j]: ply i of the first side is linked with ply j of the second. After the end of a game there are none."""


class Side(NamedTuple):
    """One language of a batch of parallel games: row g of both sides is one game."""

    batch: Batch
    word: Int64[Tensor, "game ply"]
    """The word that is written for each ply, among the language's distinct words; -1 after the end."""
    place: Int64[Tensor, "game ply"]
    """Place of the ply among the words of its game as they are written; after the end its own."""
    states: Float[Tensor, "game ply d_model"] | None = None
    """A model's states of one layer at each word's last token, where an aligner reads them."""

    @property
    def played(self) -> Bool[Tensor, "game ply"]:
        """Whether the game has that ply."""
        return self.word >= 0


class Aligner(Protocol):
    """Links the words of two languages. ``Config`` is a dataclass whose field ``name`` is its name in ALIGNERS.

    A Config may have a method ``shrunk(share)``: the same, learned from that share of the games, for a dry run.
    """

    Config: ClassVar[Any]
    reads_states: ClassVar[bool]
    """Whether it needs the states of both sides."""

    def __init__(self, config: Any, language_set: LanguageSet, pair: tuple[int, int]) -> None:
        """pair: indices of the first and the second language. UserError for settings that do not fit them."""

    @property
    def games(self) -> int:
        """Parallel games that it learns from; 0 where nothing is learned."""
        ...

    def fit(self, moves: Int8[Tensor, "game ply"]) -> None:
        """Learn from games, which it writes in both languages itself. The same games give the same links."""

    def links(self, one: Side, other: Side) -> Links:
        """The links of parallel games. Plies of different lengths, such as those of unrelated games, are allowed."""
        ...


ALIGNERS: Registry[Aligner] = Registry("aligner")


def typed_aligner(settings: Any, key: str) -> Any:
    """An aligner's name, or its name with settings -> its Config. UserError names the key, below ``key``."""
    with below(key):
        return ALIGNERS.typed(settings, key)


def build_aligner(config: Any, language_set: LanguageSet, pair: tuple[int, int], key: str) -> Aligner:
    """The aligner of a Config for two languages, not yet fitted. UserError names the key of what does not fit them,
    below ``key``."""
    with below(key):
        return ALIGNERS.get(config.name)(config, language_set, pair)


def side(batch: Batch, language_set: LanguageSet, states: Float[Tensor, "game ply d_model"] | None = None) -> Side:
    """What aligners read of games in one language, without code-switching."""
    assert batch.switched is None, "a switched word is none of its game's language"
    moves = batch.moves.long()
    played, last = moves >= 0, batch.tokens.shape[1]
    spelling = language_set.spellings_of(batch.tokens, batch.move_ends, moves, batch.language)
    ids = language_set.table("word_id_table", moves.device)
    word = torch.where(played, ids[batch.language.unsqueeze(1), spelling.clamp(min=0)], -1)
    place = torch.where(played, batch.move_ends, last).argsort(dim=1, stable=True).argsort(dim=1)
    return Side(batch, word, place, states)


def one_to_one(links: Links) -> Links:
    """The links that are the only one of both their words."""
    return links & (links.sum(1, keepdim=True) == 1) & (links.sum(2, keepdim=True) == 1)
