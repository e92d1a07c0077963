"""What one run says of a prediction: held, failed, or open where it could not test it."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from studies import CRITERIA
from studies.data import MAPS
from studies.numbers import over_seeds

LIMITS = CRITERIA.predictions
LEFT = {
    "anchor_1": ["identity"], "anchor_2": ["identity"], "anchor_2_each": ["identity"],
    "anchor_1_main": ["identity", "main"], "anchor_2_main": ["identity", "main"], "anchor_1_anti": ["identity", "anti"],
}  # fmt: skip
"""Cells of anchor_placement -> the maps that their anchors leave."""

Record = Mapping[str, Any]
"""A row of data.CELLS."""


def word(outcome: bool | str | None) -> str:
    return outcome if isinstance(outcome, str) else "open" if outcome is None else "held" if outcome else "failed"


def linked(cells: pd.DataFrame) -> pd.DataFrame:
    """The probed runs of mirror_anchors, with ``link``, the map that their anchors link a move through."""
    rows = cells[cells.cell.str.startswith("mirror_") & cells.raw.notna()]
    return rows.assign(link=rows.cell.str.removeprefix("mirror_"))


def true_anchors(cells: pd.DataFrame) -> float | None:
    """What true anchors read raw, mean over seeds."""
    value = over_seeds(cells[(cells.cell == "anchor_4") & cells.learned].raw)
    return value.mean if value else None


def mirror_outcomes(row: Record, image: float, true: float | None) -> list[bool | None]:
    """1.1 to 1.3 of a run whose anchors link a map of the group; None below the bar."""
    if not row["learned"]:
        return [None] * 3
    as_true = None if true is None else row["best"] >= true - LIMITS["below_true_anchors"]
    return [row["winner"] == row["link"], as_true, row["raw"] <= image + LIMITS["above_image"]]


def control_outcome(row: Record) -> bool | None:
    """The negative control of 1: aligned through none of the four maps."""
    return row["winner"] == "none" if row["learned"] else None


def own_map_outcome(row: Record) -> bool | None:
    """The control once more, asked afterwards: not aligned through the map that its anchors link."""
    known = row["learned"] and not pd.isna(row["linked_map"])
    return row["linked_map"] <= max(row["constant"], row["null"]) if known else None


def left_outcome(row: Record) -> bool | None:
    """2, of a run; open where it is not aligned in both directions through one map."""
    return row["winner"] in LEFT[row["cell"]] if row["winner"] in MAPS and row["learned"] else None


def outside_outcome(row: Record) -> bool | None:
    """8, of a naive pair: no map outside the group reads more than the best constant."""
    read = [row["other_maps"], row["other_maps_swapped"]]
    return None if not row["learned"] or any(map(pd.isna, read)) else max(read) <= row["constant"]
