"""Curves over layers of alignment without probes, and of interventions: functions table -> Figure.

The table is that of table.py.
"""

from textwrap import fill
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mothello.report.figures import level, seeds
from mothello.report.style import DASHES, MUTED, canvas, colors, legend_below, looks, title

STATES = {
    "cosine": "Centered cosine",
    "cka_within_ply": "Linear CKA within a ply",
    "retrieval_same_ply": "Retrieval P@1 at one ply",
    "retrieval_strong": "Strong retrieval P@1",
    "procrustes": "P@1 after a rotation",
}
"""Quantities that have a panel."""
LABEL = 24
"""Characters of a line of a label."""
EDITS = {"flip_error": "A disc flipped", "erase_error": "A disc erased"}
PATCHES = {"patch_last_error": "Another game's last state", "patch_all_error": "All its states"}


MOST = 6
"""Labels that share a panel of states: with the controls, which are means over them, eight curves."""
CONTROLS: dict[str, tuple[str, Any]] = {
    "random_weights": ("random weights", DASHES[1]),
    "unrelated": ("unrelated games", DASHES[2]),
}


def state_curves(table: pd.DataFrame) -> Figure:
    """A panel per quantity, a line per label (mean over pairs); gray the means over labels of random weights and of
    unrelated games, and chance."""
    data = table[table.measure == "alignment"]
    figure, axes = canvas(3, 5.6, rows=2, sharex=True)
    for axis, (quantity, name) in zip(axes, STATES.items(), strict=False):
        values = data[data.quantity == quantity]
        for label, look in looks(data).items():
            rows = values[(values.label == label) & (values["map"] == "identity") & (values.control == "trained")]
            seeds(axis, rows, "layer", "value", label=label, **look)
        for control, (words, dashes) in CONTROLS.items():
            rows = values[(values.control == control) & values["map"].isin(["", "identity"])].assign(run="all")
            seeds(axis, rows, "layer", "value", color=MUTED, linestyle=dashes, linewidth=1.3, label=words)
        chance = values[values.control == "chance"]
        if len(chance):
            level(axis, chance.value.mean(), "chance")
        title(axis, name)
        axis.set(ylim=(min(-0.02, float(values.value.min()) - 0.02) if len(values) else 0, 1.03))
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axis in axes[len(STATES) :]:
        axis.set_visible(False)
    for axis in axes[2:5]:
        axis.set(xlabel="after layer (0: embeddings)")
        axis.tick_params(labelbottom=True)
    legend_below(figure, axes)
    return figure


def causal_curves(table: pd.DataFrame) -> Figure:
    """Errors by layer after interventions and patching: a row of panels per label, a column per quantity."""
    present = set(table.measure)
    shown = EDITS | PATCHES if present >= {"causal", "patching"} else EDITS if "causal" in present else PATCHES
    drawn = colors(table)
    figure, axes = canvas(len(shown), 0.8 + 2.2 * len(drawn), rows=len(drawn), sharey="row")
    for row, (label, color) in enumerate(drawn.items()):
        panels = axes[row * len(shown) : (row + 1) * len(shown)]
        for axis, (quantity, name) in zip(panels, shown.items(), strict=True):
            _errors(axis, table[(table.quantity == quantity) & (table.label == label)], color)
            title(axis, name if row == 0 else "")
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        panels[0].autoscale(axis="y")  # the others share its scale
        panels[0].set_ylim(bottom=0)
        panels[0].set_ylabel(f"{fill(label, LABEL)}\nfalse and missed moves")
    for axis in axes[-len(shown) :]:
        axis.set(xlabel="edited after layer")
    legend_below(figure, axes)
    return figure


def _errors(axis: Axes, rows: pd.DataFrame, color: str) -> None:
    """Of one label and quantity."""
    made = rows[(rows.control == "trained") & (rows["map"] == "identity")]
    within = made.source == made.language
    seeds(axis, made[within], "layer", "value", color=color, marker="o", markersize=4, label="within a language")
    dashed = {"linestyle": DASHES[1], "linewidth": 1.5, "marker": "s", "markersize": 3.5}
    seeds(axis, made[~within], "layer", "value", color=color, label="across languages, as they are", **dashed)
    random = rows[rows.control == "random"]
    seeds(axis, random, "layer", "value", color=MUTED, linestyle=DASHES[2], linewidth=1.4, label="random direction")
    for control, words, dashes in (("null", "no edit", DASHES[0]), ("floor", "boards as they are", DASHES[3])):
        value = rows[rows.control == control].value
        if len(value):
            axis.axhline(value.mean(), color=MUTED, linewidth=1.0, linestyle=dashes, zorder=1, label=words)
