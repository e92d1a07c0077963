"""The corpus of each language."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mothello.data.corpus import Corpus


@dataclass(frozen=True)
class Sources:
    """Corpora, and the one of each language: ``sources[language]``. Languages of one corpus may share games."""

    corpora: Sequence[Corpus]
    of_language: Sequence[int]
    """Index of each language's corpus."""

    @staticmethod
    def shared(corpus: Corpus, languages: int) -> "Sources":
        """One corpus for all languages."""
        return Sources([corpus], [0] * languages)

    def __getitem__(self, language: int) -> Corpus:
        return self.corpora[self.of_language[language]]

    def __len__(self) -> int:
        return len(self.of_language)

    def __iter__(self) -> Iterator[Corpus]:
        return (self[language] for language in range(len(self)))

    @property
    def games(self) -> int:
        """Games of the smallest corpus."""
        return min(map(len, self.corpora))
