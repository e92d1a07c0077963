"""What every section of the report draws from: the tables of a set of runs, computed once."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mothello.report import tables
from mothello.report.regimes import by_regime
from mothello.report.runs import Run
from mothello.report.statistics import Headline, headline

_PREFERRED = (("mlp", "absolute"), ("linear", "absolute"))


@dataclass(frozen=True)
class Material:
    """Tables as in tables.py; probe and target are the ones of the headline (mlp on absolute colours if measured)."""

    groups: dict[str, list[Run]]
    training: pd.DataFrame
    legality: pd.DataFrame
    plies: pd.DataFrame
    alignment: pd.DataFrame
    headline: pd.DataFrame
    tidy: pd.DataFrame
    transfer: pd.DataFrame
    probe: str
    target: str
    heads: dict[str, Headline]

    def layers(self, regime: str) -> list[int]:
        """The headline's layer of every seed."""
        rows = self.headline.query("regime == @regime and probe == @self.probe and target == @self.target")
        return [int(layer) for layer in rows.layer]


def gather(runs: Sequence[Run]) -> Material:
    """The tables of some runs."""
    heads = tables.headline_table(runs)
    measured = list(dict.fromkeys(zip(heads.probe, heads.target, strict=True)))
    probe, target = next((pair for pair in _PREFERRED if pair in measured), (measured or [_PREFERRED[0]])[0])
    return Material(
        groups=by_regime(runs),
        training=tables.training_table(runs),
        legality=tables.legality_table(runs),
        plies=tables.ply_table(runs),
        alignment=tables.alignment_table(runs),
        headline=heads,
        tidy=tables.tidy_table(runs),
        transfer=tables.transfer_table(runs),
        probe=probe,
        target=target,
        heads=headline(heads, probe, target),
    )


def write_tables(material: Material, out: Path) -> list[str]:
    """Every table that has rows as OUT/NAME.csv; the names of the files."""
    names = []
    for name in ("training", "legality", "plies", "alignment", "headline", "transfer", "tidy"):
        table: pd.DataFrame = getattr(material, name)
        if len(table):
            table.to_csv(out / f"{name}.csv", index=False)
            names.append(f"{name}.csv")
    return names
