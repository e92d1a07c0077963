"""Streams and labels in one line each: what the tests of data share."""

from collections.abc import Sequence

from mothello.data.config import DataConfig
from mothello.data.corpus import Corpus
from mothello.data.language_sampling import LanguageSampling
from mothello.data.sources import Sources
from mothello.data.stream import Stream
from mothello.languages.language_set import LanguageSet


def sources_of(games: Corpus | Sequence[Corpus] | Sources, language_set: LanguageSet) -> Sources:
    """One corpus for all languages, or one per language, in which the same object is the same corpus."""
    if isinstance(games, Sources):
        return games
    if not isinstance(games, Sequence):
        return Sources.shared(games, len(language_set.languages))
    distinct = list(dict.fromkeys(games))
    return Sources(distinct, [distinct.index(corpus) for corpus in games])


def stream_of(
    games: Corpus | Sequence[Corpus] | Sources,
    language_set: LanguageSet,
    batch_size: int,
    seed: int,
    how: LanguageSampling | None = None,
    corpus_seed: int = 0,
    share: tuple[int, int] = (0, 1),
) -> Stream:
    data = DataConfig(batch_size=batch_size, language_sampling=how or LanguageSampling(), corpus_seed=corpus_seed)
    return Stream(sources_of(games, language_set), language_set, data, seed, share=share)
