"""The measure "distance": how far apart the languages are that a model was trained on, by their texts alone."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations

import torch

from mothello.bootstrap import Bootstrap
from mothello.config import check, ranged
from mothello.data.batch import make_batch
from mothello.data.split import Split, corpus
from mothello.languages.language import Language
from mothello.measures.distance.texts import edit_distance, information, token_move_counts
from mothello.measures.measure import MEASURES, Row, Subject
from mothello.rows import Table, format_table
from mothello.seeding import generator


@dataclass(kw_only=True)
class DistanceConfig:
    """Texts of the same games in every language."""

    name: str = "distance"
    games: int = ranged(100, low=2)
    """Games that are written in every language."""
    languages: int = ranged(20, low=1)
    """How many of the languages are compared, from the first on: the work grows with their square."""
    draws: int = ranged(1000, low=1)
    """Draws of the bootstrap over games."""

    def __post_init__(self) -> None:
        check(self, "distance")

    def shrunk(self, share: float) -> "DistanceConfig":
        """The same on a share of the games."""
        return replace(self, games=max(2, round(self.games * share)))


@MEASURES.register("distance")
class Distance:
    """Edit distance, vocabulary overlap and what tokens tell of moves, of every pair of languages; no model is read."""

    Config = DistanceConfig

    def __init__(self, config: DistanceConfig) -> None:
        self.config = config

    def __call__(self, subject: Subject) -> Iterator[Row]:
        n, languages = self.config.games, subject.language_set
        index = torch.arange(n)
        moves = corpus(subject.board, subject.corpus_seed, Split.probe, n).moves(index)
        names = subject.names[: self.config.languages]
        batches = [
            make_batch(moves, torch.full_like(index, which), languages, keys=index) for which in range(len(names))
        ]
        counts = [token_move_counts(batch, languages) for batch in batches]
        bootstrap = Bootstrap(n, self.config.draws, generator(0, "bootstrap"))
        head: Row = {"measure": "distance", "control": subject.control}
        for name, own in zip(names, counts, strict=True):
            yield head | {"quantity": "token_information", "language": name, "value": information(own), "n": n}
        for one, other in combinations(range(len(names)), 2):
            pair = head | {"source": names[one], "language": names[other]}
            mixed = counts[one] / counts[one].sum() + counts[other] / counts[other].sum()
            yield pair | {"quantity": "token_information", "value": information(mixed), "n": n}
            for quantity, value, of in _overlaps(languages.languages[one], languages.languages[other]):
                yield pair | {"quantity": quantity, "value": value, "n": of}
            texts = batches[one].tokens, batches[other].tokens
            for control, second in ((subject.control, texts[1]), ("unrelated", texts[1].roll(1, 0))):
                apart = edit_distance(texts[0], second).double()
                low, high = bootstrap(apart, torch.ones(n))
                interval = {"low": float(low), "high": float(high), "n": n}
                yield pair | {"quantity": "edit_distance", "control": control, "value": float(apart.mean())} | interval

    def summary(self, rows: Table) -> str:
        """Means over pairs, and over languages where there is one."""
        rows = rows[rows.control != "unrelated"]
        table = {str(name): {"mean": group.value.mean()} for name, group in rows.groupby("quantity", sort=False)}
        return f"distance of languages\n{format_table(table)}"


def _overlaps(one: Language, other: Language) -> Iterator[tuple[str, float, int]]:
    """Quantity, value and what it is a share of."""
    both = set(one.ids) | set(other.ids)
    yield "vocabulary_overlap", len(set(one.ids) & set(other.ids)) / len(both), len(both)
    words, n = set(other.stems), one.n_moves
    yield "word_overlap", sum(stem in words for stem in one.stems) / n, n
    yield "word_agreement", sum(x == y for x, y in zip(one.stems, other.stems, strict=True)) / n, n
