"""The page's sections on the symmetry of the opening: predictions beside what was found."""

from collections.abc import Mapping

import pandas as pd

from mothello.analysis.markdown import decimal, ours, over_seeds, table
from mothello.analysis.results_table1 import winners

MAPS = ("identity", "rot180", "main", "anti")
NOTHING = "Not run yet."
NEAR_TRUE = 0.05
"""How far below true anchors the mirrored ones may read (prediction 1.2)."""
ABOVE_IMAGE = 0.03
"""How far above the agreement with the image the raw number may lie (prediction 1.3)."""
LEFT = {
    "anchor_1": {"identity"}, "anchor_2": {"identity"}, "anchor_2_each": {"identity"},
    "anchor_1_main": {"identity", "main"}, "anchor_2_main": {"identity", "main"}, "anchor_1_anti": {"identity", "anti"},
}  # fmt: skip
"""The maps that anchors leave."""


def held(value: bool | None) -> str:
    return "-" if value is None else "held" if value else "failed"


def mirror_table(cells: pd.DataFrame, images: Mapping[str, float]) -> str:
    """Every run of mirror_anchors with the three predictions. images: agreement of boards with their image."""
    true = over_seeds(cells[cells.cell == "anchor_4"].raw)
    head = [
        "anchors link s with", "seed", *MAPS, "own", "constant", "agreement with the image", "aligned through",
        "1.1 aligned through the map", "1.2 as true anchors", "1.3 raw like the image",
    ]  # fmt: skip
    rows = []
    for _, row in cells[cells.cell.str.startswith("mirror_") & cells.raw.notna()].iterrows():
        g = row.cell.removeprefix("mirror_")
        image = images.get(g)
        numbers = [_bold(row[name], name == g) for name in MAPS]
        shown = [g, row.seed, *numbers, decimal(row.own), decimal(row.constant), decimal(image), row.winner]
        if image is None:
            rows.append([*shown, f"not aligned: {held(row.winner == 'none')}", "-", "-"])
            continue
        judged = [
            row.winner == g and row.aligned == row.pairs,
            None if true is None else row[g] >= true.mean - NEAR_TRUE,
            row.raw <= image + ABOVE_IMAGE,
        ]
        rows.append([*shown, *map(held, judged)])
    if not rows:
        return ""
    reference = f"True anchors (`anchor_4`, {true.n if true else 0} seeds) read {ours(true)} raw."
    return f"{reference}\n\n{table(head, rows)}"


def _bold(value: float, strong: bool) -> str:
    return f"**{decimal(value)}**" if strong else decimal(value)


def verdict(cells: pd.DataFrame) -> str:
    """Prediction 1 in a sentence."""
    mirrored = cells[cells.cell.str.startswith("mirror_") & cells.raw.notna()]
    inside = mirrored[mirrored.cell != "mirror_columns"]
    if inside.empty:
        return NOTHING
    through = inside[inside.winner == inside.cell.str.removeprefix("mirror_")]
    outside = mirrored[mirrored.cell == "mirror_columns"]
    control = "The negative control was not run."
    if len(outside):
        stays = int((outside.winner == "none").sum())
        control = f"Of {len(outside)} runs with a map outside the group, {stays} did not align."
        if stays < len(outside):
            control += f" The others: {winners(outside[outside.winner != 'none'])}."
    return f"{len(through)} of {len(inside)} runs aligned through the map that their anchors told. {control}"


def placement_table(cells: pd.DataFrame) -> str:
    """Every run of anchor_placement: the winning map beside those that its anchors leave."""
    head = [
        "anchors",
        "seed",
        *MAPS,
        "own",
        "constant",
        "aligned through",
        "maps that the anchors leave",
        "prediction 2",
    ]
    rows = []
    for name, left in LEFT.items():
        for _, row in cells[(cells.cell == name) & cells.raw.notna()].iterrows():
            judged = None if row.winner == "none" else row.winner in left
            shown = [decimal(row[key]) for key in (*MAPS, "own", "constant")]
            rows.append([name, row.seed, *shown, row.winner, ", ".join(sorted(left, key=MAPS.index)), held(judged)])
    return table(head, rows) if rows else NOTHING


def naive_table(cells: pd.DataFrame) -> str:
    """Every naive atomic pair: which map won."""
    head = ["run", "seed", *MAPS, "own", "constant", "unrelated games", "aligned through"]
    of = cells[(cells.role == "naive") & (cells.pair == "atomic + atomic") & (cells.prefix == "") & cells.raw.notna()]
    of = of[of.cell == "naive"]
    rows = [
        [row.cell, row.seed, *(decimal(row[key]) for key in (*MAPS, "own", "constant", "null")), row.winner]
        for _, row in of.iterrows()
    ]
    return f"Winning maps over {len(of)} seeds: {winners(of)}.\n\n{table(head, rows)}"
