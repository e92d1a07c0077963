"""What single runs say of the predictions about them."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from studies import CRITERIA
from studies.data import MAPS, MIRRORS, records

LIMITS = CRITERIA.predictions
OUTCOMES = ("1.1", "1.2", "1.3", "control", "own_map", "2", "8")
"""1.1 to 1.3: mirror anchors; control: anchors that link a map outside the group do not align through one in it;
own_map: nor through the linked map; 2: anchors leave the map; 8: no map outside the group reads naive pairs."""


def with_outcomes(cells: pd.DataFrame, images: Mapping[str, float]) -> pd.DataFrame:
    """The cells with a column per OUTCOMES: True, False, or None where the run could not test it; with the agreement of
    boards with their image under the linked map; and with the place of the anchors. images: by map."""
    true = true_anchors(cells)
    rows = [
        row
        | dict.fromkeys(OUTCOMES)
        | {"image": images.get(row["link"]), **CRITERIA.placement.get(row["cell"], {})}
        | (_outcomes(row, images, true) if row["learned"] and row["probed"] else {})
        for row in records(cells)
    ]
    columns = [*cells, *OUTCOMES, "image", "place", "panel", "left"]
    return pd.DataFrame(rows, columns=columns).astype(cells.dtypes.to_dict())


def true_anchors(cells: pd.DataFrame) -> float | None:
    """What true anchors read raw, mean over seeds."""
    rows = cells[(cells.cell == "anchor_4") & cells.learned & cells.probed]
    return float(rows.raw.mean()) if len(rows) else None


def _outcomes(row: Mapping[str, Any], images: Mapping[str, float], true: float | None) -> dict[str, bool | None]:
    found: dict[str, bool | None] = {}
    if row["link"] in MIRRORS:
        found["1.1"] = row["winner"] == row["link"]
        found["1.2"] = None if true is None else row["best"] >= true - LIMITS["below_true_anchors"]
        found["1.3"] = row["raw"] <= images[row["link"]] + LIMITS["above_image"]
    elif row["link"] and row["link"] not in MAPS:
        found["control"] = row["winner"] == "none"
        if not pd.isna(row["linked_map"]):
            found["own_map"] = row["linked_map"] <= row["constant"]
    if row["cell"] in CRITERIA.placement and row["winner"] in MAPS:  # aligned in both directions through one map
        found["2"] = row["winner"] in CRITERIA.placement[row["cell"]]["left"]
    if not pd.isna(row["other_maps"]):
        found["8"] = max(row["other_maps"], row["other_maps_swapped"]) <= row["constant"]
    return found
