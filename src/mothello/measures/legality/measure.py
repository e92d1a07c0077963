"""The measure "legality": is the move that a model plays next legal? Exact, in every language."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from tqdm import tqdm

from mothello.bootstrap import Bootstrap
from mothello.compiling import Compiled
from mothello.config import check, ranged
from mothello.data.split import Split, corpus
from mothello.measures.legality.estimate import Counts, count_legality, rules
from mothello.measures.measure import MEASURES, Row, Subject
from mothello.rows import Table, format_table
from mothello.seeding import generator
from mothello.training.device import autocast

BY_PLY = ("top1", "mass", "chance")
"""Columns that are also reported ply by ply."""


@dataclass(kw_only=True)
class LegalityConfig:
    """Strict legality of the next move, exact."""

    name: str = "legality"
    games: int = ranged(400, low=2)
    """Games; the next move is predicted after every ply."""
    draws: int = ranged(1000, low=1)
    """Draws of the bootstrap over games."""

    def __post_init__(self) -> None:
        check(self, "legality")

    def shrunk(self, share: float) -> "LegalityConfig":
        """The same on a share of the games."""
        return replace(self, games=max(2, round(self.games * share)))


@MEASURES.register("legality")
class Legality:
    """Every column of exact legality in every language, with intervals over games."""

    Config = LegalityConfig

    def __init__(self, config: LegalityConfig) -> None:
        self.config = config

    def __call__(self, subject: Subject) -> Iterator[Row]:
        subject.check_causal("measures: legality")
        subject.language_set.require_board("measures: legality")
        games = corpus(subject.board, subject.corpus_seed, Split.probe, self.config.games)
        moves = games.moves(torch.arange(self.config.games, device=subject.device))
        truth = rules(moves, subject.language_set)
        bootstrap = Bootstrap(len(moves), self.config.draws, generator(0, "bootstrap"))
        model: Any = Compiled(subject.model, "legality", must=True) if subject.compiled else subject.model
        for index, name in enumerate(tqdm(subject.names, desc="legality", unit="language", mininterval=1)):
            with autocast(moves.device, subject.precision):
                counts = count_legality(model, moves, subject.language_set, index, exact=True, truth=truth)
            yield from self._rows(counts, bootstrap, name, subject.control)

    def _rows(self, counts: Counts, bootstrap: Bootstrap, language: str, control: str) -> Iterator[Row]:
        plies = counts.scored.sum(1).cpu()
        for column, values in counts.columns.items():
            chance = column == "chance"
            head: Row = {
                "measure": "legality", "quantity": "top1" if chance else column,
                "control": column if chance else control, "language": language, "n": len(values),
            }  # fmt: skip
            low, high = bootstrap(values.sum(1).cpu(), plies)
            yield head | {"value": counts.mean(column), "low": float(low), "high": float(high)}
            for ply, value in enumerate(counts.by_ply(column) if column in BY_PLY else [], start=1):
                if value is not None:
                    yield head | {"ply": ply, "value": value}

    def summary(self, rows: Table) -> str:
        """Legality by language."""
        rows = rows[rows.ply.isna()]
        names = rows.quantity.where(rows.control != "chance", "chance")
        table = {
            str(language): dict(zip(names[group.index], group.value, strict=True))
            for language, group in rows.groupby("language", sort=False)
        }
        return f"legality\n{format_table(table)}"
