"""The page's sections on the symmetry of the opening: mirror anchors, placement, naive pairs, run by run."""

from collections.abc import Mapping

import pandas as pd

from mothello.report.results.cells import MAPS
from mothello.report.results.judgement import BANDS, NOT_REACHED
from mothello.report.results.markdown import decimal, mean, middle, over_seeds, table
from mothello.report.results.table1 import winners

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
MIRROR_NAMES = {
    "anchor_4": "true anchors", "mirror_rot180": "rot180", "mirror_main": "main", "mirror_anti": "anti",
    "mirror_columns": "columns",
}  # fmt: skip
PLACES = {
    "anchor_1": "1, off the diagonals", "anchor_1_main": "1, on main", "anchor_1_anti": "1, on anti",
    "anchor_2": "2, off the diagonals", "anchor_2_main": "2, on main", "anchor_2_each": "2, one on each diagonal",
}  # fmt: skip
SHORT = {
    "anchor_1": "1, off", "anchor_1_main": "1, main", "anchor_1_anti": "1, anti", "anchor_2": "2, off",
    "anchor_2_main": "2, main", "anchor_2_each": "2, each",
}  # fmt: skip
"""The cells of mirror_anchors and anchor_placement, in words; of anchor_placement, over a narrow panel."""


def held(value: bool | None) -> str:
    """None: it could not be tested."""
    return "open" if value is None else "held" if value else "failed"


def linked(cells: pd.DataFrame) -> pd.DataFrame:
    """The runs of mirror_anchors that were probed, with ``told``, the map that their anchors tell."""
    of = cells[cells.cell.str.startswith("mirror_") & cells.raw.notna()]
    return of.assign(told=of.cell.str.removeprefix("mirror_"))


def mirror_judgements(row: pd.Series, image: float, true: float | None) -> list[bool | None]:
    """Predictions 1.1 to 1.3 of a run whose anchors tell a map of the group; None for a model below the bar."""
    if not row.reached:
        return [None] * 3
    return [
        row.winner == row.told,
        None if true is None else row.best >= true - NEAR_TRUE,
        row.raw <= image + ABOVE_IMAGE,
    ]


def true_anchors(cells: pd.DataFrame) -> float | None:
    """What true anchors read raw, mean over seeds."""
    found = over_seeds(cells[(cells.cell == "anchor_4") & cells.reached].raw)
    return found.mean if found else None


def mirror_table(cells: pd.DataFrame, images: Mapping[str, float]) -> str:
    """Every run whose anchors tell a map of the group, with the three predictions. images: agreement of boards with
    their image."""
    true, of = true_anchors(cells), linked(cells)
    head = [
        "anchors link s with", "seed", "strict", *MAPS, "own", "constant", "agreement with the image",
        "aligned through", "1.1 aligned through the map", "1.2 as true anchors", "1.3 raw like the image",
    ]  # fmt: skip
    rows = []
    for _, row in of[of.told.isin(MAPS)].iterrows():
        numbers = [_bold(row[name], name == row.told) for name in MAPS]
        ends = [decimal(row.own), decimal(row.constant), decimal(images[row.told]), row.winner]
        judged = (held(x) for x in mirror_judgements(row, images[row.told], true))
        rows.append([row.told, row.seed, decimal(row.legal), *numbers, *ends, *judged])
    if not rows:
        return NOTHING
    seeds = int(cells[cells.cell == "anchor_4"].raw.notna().sum())
    return f"True anchors (`anchor_4`, {seeds} seeds) read {decimal(true)} raw.\n\n{table(head, rows)}"


def control_judgement(row: pd.Series) -> bool | None:
    """The negative control of prediction 1: aligned through none of the four maps. None below the bar."""
    return bool(row.winner == "none") if row.reached else None


def own_map_judgement(row: pd.Series) -> bool | None:
    """The control once more, asked afterwards: not aligned through the map that its anchors tell."""
    known = row.reached and not pd.isna(row.told_kept)
    return bool(row.told_kept <= max(row.constant, row.null)) if known else None


def outside_judgement(row: pd.Series) -> bool | None:
    """Prediction 8: aligned through none of the maps outside the group either, which is to read no more than the best
    constant. None below the bar, or where they were not read."""
    read = [row.outside_kept, row.outside_exchanged]
    return None if not row.reached or any(pd.isna(x) for x in read) else bool(max(read) <= row.constant)


def control_table(cells: pd.DataFrame, naive: pd.DataFrame) -> str:
    """The negative control: anchors that tell a map which exchanges the colours of the opening. naive: the naive pairs
    of the same budget."""
    of = linked(cells)
    of = of[~of.told.isin(MAPS)]
    head = [
        "anchors link s with", "seed", "strict", *MAPS, "not aligned", "under that map", "its colours exchanged", "own",
        "constant", "other games, 95%",
    ]  # fmt: skip
    rows = [
        [row.told, row.seed, *(decimal(row[key]) for key in ("legal", *MAPS)),
         held(control_judgement(row)) if row.reached else NOT_REACHED,
         *(decimal(row[key]) for key in ("told_kept", "told_exchanged", "own", "constant", "null"))]
        for _, row in of.iterrows()
    ]  # fmt: skip
    if not rows:
        return ""
    known = naive[(naive.cell == "naive") & naive.raw.notna()]
    beside = f"; naive pairs {middle(known.best)}: {winners(known)}" if len(known) else ""
    stays = int((of.winner == "none").sum())
    text = (
        "The negative control, a map that does not fix the opening but exchanges its colours. Under the best of the "
        f"four maps that do, these pairs read {mean(of.best)} and {stays} of {len(of)} are not aligned{beside}. "
        f"{_control_found(of)}"
    )
    return f"{text}\n\n{table(head, rows)}"


def _control_found(of: pd.DataFrame) -> str:
    """What the map itself says, which no prediction asked for."""
    read = of[of.told_kept.notna()]
    through = read[[own_map_judgement(row) is False for _, row in read.iterrows()]]
    if read.empty:
        return "The map itself was not read."
    if through.empty:
        return "Nor do they align through that map itself."
    share = (through.told_kept - through.constant) / (through.own - through.constant)
    partly = int((share <= BANDS[1]).sum())
    found = f"But read under that map itself, {len(through)} of {len(read)} are aligned"
    found += f", {partly} of them partly" if partly else ""
    return (
        f"{found} ({' '.join(decimal(x) for x in through.told_kept)}): anchors tie two languages through a map that "
        "does not fix the opening, too. Which discs a move flips is the same in every mirror, and only the four discs "
        "of the opening differ. So it is no negative control, and 1.1 to 1.3 show that anchors can tie two languages "
        "through a mirror, not that the opening decides which maps are open: that rests on the pairs and families "
        "without anchors."
    )


def _bold(value: float, strong: bool) -> str:
    return f"**{decimal(value)}**" if strong else decimal(value)


def verdict(cells: pd.DataFrame) -> str:
    """Mirror anchors in a sentence or two."""
    mirrored = linked(cells[cells.reached.astype(bool)])
    inside = mirrored[mirrored.told.isin(MAPS)]
    if inside.empty:
        return NOTHING
    through = inside[inside.winner == inside.told]
    outside = mirrored[~mirrored.told.isin(MAPS)]
    control = "The negative control was not run."
    if len(outside):
        stays = int((outside.winner == "none").sum())
        control = f"Of {len(outside)} runs with a map outside the group, {stays} did not align through one in it."
        if stays < len(outside):
            control += f" The others: {winners(outside[outside.winner != 'none'])}."
        if outside.told_kept.notna().any():
            control += f" Under the map that they told they read {mean(outside.told_kept)}"
            passes = any(own_map_judgement(row) is False for _, row in outside.iterrows())
            control += ", so anchors tie languages through other maps, too." if passes else "."
    numbers = (
        f"raw {decimal(inside.raw.mean())}, best map {decimal(inside.best.mean())}, own {decimal(inside.own.mean())}"
    )
    return (
        f"{len(through)} of {len(inside)} runs aligned through the map that their anchors told ({numbers}). {control}"
    )


def placement_table(cells: pd.DataFrame) -> str:
    """Every run of anchor_placement: the winning map beside those that its anchors leave."""
    head = [
        "anchors", "seed", "strict", "layer", *MAPS, "own", "constant", "aligned through",
        "maps that the anchors leave", "prediction 2",
    ]  # fmt: skip
    rows = []
    for name, left in LEFT.items():
        for _, row in cells[(cells.cell == name) & cells.raw.notna()].iterrows():
            shown = [decimal(row.legal), f"{row.layer:.0f}", *(decimal(row[key]) for key in (*MAPS, "own", "constant"))]
            maps = ", ".join(sorted(left, key=MAPS.index))
            rows.append([PLACES[name], row.seed, *shown, row.winner, maps, held(left_judgement(row, left))])
    return table(head, rows) if rows else NOTHING


def placement_verdict(cells: pd.DataFrame) -> str:
    """What anchors on one diagonal leave, in a sentence or two; empty before any was run."""
    of = cells[cells.reached.astype(bool) & cells.raw.notna() & cells.cell.isin(list(LEFT))]
    free = of[of.cell.map(lambda name: len(LEFT.get(name, ())) > 1)]
    if free.empty:
        return ""
    bound, mirrored = of[~of.index.isin(free.index)], free[free.winner.isin(MAPS[1:])]
    said = f"Of {len(free)} runs with all anchors on one diagonal, {len(mirrored)} aligned through a reflection"
    if len(mirrored):
        said += f" (raw {middle(mirrored.raw)}, best map {middle(mirrored.best)})"
    beside = f", {int((free.winner == 'identity').sum())} as they are."
    if len(bound):
        same = int((bound.winner == "identity").sum())
        beside += f" Of the {len(bound)} with anchors off the diagonals or on each, {same} aligned as they are."
    return said + beside


def left_judgement(row: pd.Series, left: set[str]) -> bool | None:
    """Prediction 2 of a run: open where it is below the bar or not aligned in both directions through one map."""
    return row.winner in left if row.winner in MAPS and row.reached else None


def naive_table(cells: pd.DataFrame) -> str:
    """Every naive atomic pair: which map won."""
    head = [
        "seed", "strict", *MAPS, "own", "best map, random weights", "constant", "other games, 95%", "aligned through",
        "recovered", "maps outside the group", "their colours exchanged",
    ]  # fmt: skip
    of = cells[(cells.cell == "naive") & cells.raw.notna()]
    rows = [
        [row.seed, *(decimal(row[key]) for key in ("legal", *MAPS, "own", "random_across", "constant", "null")),
         row.winner, f"{row.recovered:.0%}", decimal(row.outside_kept), decimal(row.outside_exchanged)]
        for _, row in of.iterrows()
    ]  # fmt: skip
    if not rows:
        return NOTHING
    note = "recovered: how far the best map gets from the best constant to what the probe reads in its own language; "
    note += "other games: the best of the four maps on readings paired with other games; maps outside the group: the "
    note += "best of the four that exchange the colours of the opening"
    return f"{len(of)} seeds, aligned through: {winners(of)}.\n\n{table(head, rows)}\n\n*{note}.*"
