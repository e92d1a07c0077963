"""Studies that change one thing about naive pairs: how often they align, and through which map.

A run is *settled* when all of its ordered pairs are aligned or divided (two domains). All probed runs count, also those
below the bar: the budget is what these studies hold fixed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from studies.numbers import mean, middle, out_of, over_seeds, percent

HEADINGS = {
    "when": "What drives alignment",
    "asymmetry": "How asymmetric the games must be",
    "recipe": "Recipe or game",
    "parallel": "Parallel games",
}
"""Studies of one factor, in the order of the page."""


def begun(cells: pd.DataFrame) -> bool:
    """Whether there is something to compare: probed runs of two cells."""
    return cells[cells.probed].cell.nunique() > 1


def table(cells: pd.DataFrame, planned: Mapping[str, Sequence[int]]) -> list[dict[str, Any]]:
    """A row per cell that is asked for."""
    rows = []
    for name, seeds in planned.items():
        same = cells[(cells.cell == name) & cells.probed].sort_values("seed")
        far = over_seeds(same.recovered)
        if len(seeds):
            rows.append({
                "cell": name, "verdict, by seed": ", ".join(same.verdict) or "-",
                "settled": f"{int(same.settled.sum())} of {len(same)}" if len(same) else "-",
                "recovered": percent(far.mean) if far else "-", "raw": middle(same.raw), "best map": middle(same.best),
                "own": mean(same.own), "strict": mean(same.strict), "excess nats": mean(same.excess),
                "seeds": out_of(len(same), len(seeds)),
            })  # fmt: skip
    return rows


def baselines(cells: pd.DataFrame) -> list[dict[str, Any]]:
    """What a reading must beat, over all runs of a study."""
    rows = cells[cells.probed]
    names = {"best constant": "constant", "orbit reader": "orbit", "random weights, best map": "random_across",
             "random weights, own language": "random_own"}  # fmt: skip
    return [{label: mean(rows[name]) for label, name in names.items()}] if len(rows) else []
