"""Traits: what sets a language apart from others of its kind, beyond its words.

Every language has a *lexicon*, a list of words: that of every move, second words of the moves with a synonym, and the
markers. A *spelling* is a move as it is written once: one of its words, with the markers that the board calls for. A
language without traits has one spelling per move, its word.
"""

from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from typing import Any, NamedTuple

from mothello.config import ranged, without_effect
from mothello.errors import UserError

FLIP_BINS = (1, 2, 3, 5)
"""The lowest number of turned discs that each flip-count marker stands for."""


class Order(StrEnum):
    """The order in which the plies of a game are written. ``reversal``: reversed inside consecutive windows of
    ``window`` plies (an odd window keeps which side moved at which place, but for passes). ``inversion``: the last ply
    first. ``permutation``: anew in every game, a control."""

    forward = "forward"
    reversal = "reversal"
    inversion = "inversion"
    permutation = "permutation"


class Phrase(StrEnum):
    column_row = "column_row"
    row_column = "row_column"


class Marker(StrEnum):
    """Where a marker stands: before or after the word of every move."""

    absent = "absent"
    before = "before"
    after = "after"


@dataclass(kw_only=True)
class Traits:
    """How one language differs from its kind."""

    order: Order = Order.forward
    window: int = ranged(2, low=2)
    """Plies of a window of ``order=reversal``; a shorter last window is reversed as it is."""
    phrase: Phrase = Phrase.column_row
    """Order of a compositional language's two tokens. A word shared by an anchor keeps its first language's."""
    mover: Marker = Marker.absent
    """A token that tells which side moves."""
    flips: Marker = Marker.absent
    """A token that tells how many discs the move turns: 1, 2, 3 to 4, more. Of two markers on one side, the mover's
    comes first."""
    synonyms: float = ranged(0.0, 0, 1)
    """Share of moves with a second word; which of the two is written is drawn at every occurrence, one half each."""
    homonyms: float = ranged(0.0, 0, 1)
    """Share of moves that share their word with another move of the language, in pairs of moves that are no anchors."""

    def check(self, key: str, kind: Any) -> None:
        """UserError for settings that change nothing, or that the kind of the language has no use for."""
        if self.order is not Order.reversal:
            without_effect(self, key, "without order=reversal", "window")
        if self.phrase is not Phrase.column_row and not getattr(kind, "composed", False):
            raise UserError(f"{key}.phrase: needs a compositional language, whose words are a column and a row")

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Values that a spelling tells apart: sides, bins of turned discs, words of a move."""
        present = self.mover is not Marker.absent, self.flips is not Marker.absent, self.synonyms > 0
        return tuple(n if there else 1 for n, there in zip((2, len(FLIP_BINS), 2), present, strict=True))  # type: ignore[return-value]

    @property
    def n_forms(self) -> int:
        """Spellings of a move with two words."""
        sides, bins, words = self.sizes
        return sides * bins * words

    @property
    def hides_board(self) -> str:
        """The trait that keeps a prefix of the text from fixing the board, as KEY=VALUE; empty where none does."""
        if self.order is not Order.forward:
            return f"order={self.order}"
        return f"homonyms={self.homonyms:g}" if self.homonyms else ""


class Form(NamedTuple):
    """What a spelling tells besides the move; form k of a language is the k-th of :func:`forms`."""

    mover: int
    """0 white, 1 black, -1 where the language has no such marker."""
    flips: int
    """Bin of the number of turned discs, -1 where the language has no such marker."""
    word: int
    """0 the move's first word, 1 its second one."""


def forms(traits: Traits) -> list[Form]:
    """All forms, the word varying fastest, the mover slowest."""
    sides, bins, words = traits.sizes
    told = ([-1] if n == 1 else range(n) for n in (sides, bins))
    return [Form(*form) for form in product(*told, range(words))]


def stem(word: tuple[int, ...], traits: Traits) -> tuple[int, ...]:
    """A spelling without its markers."""
    before, after = ([traits.mover, traits.flips].count(side) for side in (Marker.before, Marker.after))
    return word[before : len(word) - after]
