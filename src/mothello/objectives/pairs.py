"""Which languages an objective of two languages reads in a step."""

from dataclasses import dataclass, field
from itertools import combinations

from mothello.errors import UserError, keyed
from mothello.languages.language_set import LanguageSet


@dataclass(kw_only=True)
class PairsConfig:
    """Two languages a step, all pairs in turn."""

    languages: list[str] = field(default_factory=list)
    """Languages that are realigned, two in a step, all pairs in turn; by default all."""
    pivot: str = ""
    """A language that is in every pair; by default none."""

    def pairs(self, language_set: LanguageSet) -> list[tuple[int, int]]:
        """Pairs of languages, by default all; with a pivot those that it is in. UserError names what is no language, or
        leaves no pair."""
        with keyed("languages: "):
            chosen = [language_set.index(name) for name in self.languages] or list(range(len(language_set.languages)))
        pairs = [(one, other) for one, other in combinations(chosen, 2) if one != other]
        if self.pivot:
            with keyed("pivot: "):
                center = language_set.index(self.pivot)
            pairs = [pair for pair in pairs if center in pair]
            if len(chosen) == 2 and pairs:
                raise UserError("pivot: has no effect with two languages; leave it out")
        if not pairs or len(set(chosen)) < len(chosen):
            raise UserError(f"{'pivot' if self.pivot else 'languages'}: two different languages are needed")
        return pairs

    def pair_at(self, step: int, language_set: LanguageSet) -> tuple[int, int]:
        """The languages whose turn it is."""
        pairs = self.pairs(language_set)
        return pairs[step % len(pairs)]
