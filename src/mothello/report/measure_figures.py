"""Curves over layers of alignment without probes, and of interventions: functions table -> Figure.

The table is that of table.py.
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mothello.report.figures import seeds
from mothello.report.style import INK, MUTED, canvas, colors, legend_below, title

STATES = {
    "cosine": "Centered cosine",
    "cka_within_ply": "Linear CKA within a ply",
    "retrieval_same_ply": "Retrieval P@1 at one ply",
    "retrieval_strong": "Strong retrieval P@1",
    "procrustes": "P@1 after a rotation",
}
"""Quantities that have a panel."""
EDITS = {"flip_error": "A disc flipped", "erase_error": "A disc erased"}
PATCHES = {"patch_last_error": "Another game's last state", "patch_all_error": "All its states"}


def state_curves(table: pd.DataFrame) -> Figure:
    """A panel per quantity, a line per label (mean over pairs); dashed random weights; dotted unrelated or chance."""
    data = table[table.measure == "alignment"]
    figure, axes = canvas(3, 5.6, rows=2, sharex=True)
    for axis, (quantity, name) in zip(axes, STATES.items(), strict=False):
        values = data[data.quantity == quantity]
        for label, color in colors(data).items():
            rows = values[(values.label == label) & (values["map"] == "identity")]
            seeds(axis, rows[rows.control == "trained"], "layer", "value", color=color, label=label)
            random = rows[rows.control == "random_weights"]
            seeds(axis, random, "layer", "value", color=color, linestyle=(0, (4, 2)), linewidth=1.1)
            other = rows[rows.control == "unrelated"]
            seeds(axis, other, "layer", "value", color=color, linestyle=":", linewidth=1.1)
        chance = values[values.control == "chance"]
        if len(chance):
            axis.axhline(chance.value.mean(), color=MUTED, linewidth=1, linestyle=":")
        title(axis, name)
        axis.set(ylim=(min(-0.02, float(values.value.min()) - 0.02), 1.03))
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axis in axes[len(STATES) :]:
        axis.set_visible(False)
    for axis in axes[2:5]:
        axis.set(xlabel="after layer (0: embeddings)")
        axis.tick_params(labelbottom=True)
    axes[5].plot([], [], color=MUTED, linestyle=(0, (4, 2)), linewidth=1.1, label="random weights")
    axes[5].plot([], [], color=MUTED, linestyle=":", linewidth=1.1, label="unrelated games, or chance")
    legend_below(figure, axes)
    return figure


def causal_curves(table: pd.DataFrame) -> Figure:
    """Errors after interventions (above) and patching (below) by layer: a column per quantity, colors per label."""
    present = set(table.measure)
    rows = [EDITS] * ("causal" in present) + [PATCHES] * ("patching" in present)
    figure, axes = canvas(2, 0.6 + 2.7 * len(rows), rows=len(rows), sharey="row")
    for axis, (quantity, name) in zip(axes, [item for row in rows for item in row.items()], strict=True):
        _errors(axis, table[table.quantity == quantity])
        title(axis, name)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.set(xlabel="edited after layer (0: embeddings)")
    for axis in axes[::2]:  # the other shares its scale
        axis.autoscale(axis="y")
        axis.set_ylim(bottom=0)
        axis.set_ylabel("false and missed moves")
    styles = {"within a language": "-", "across languages": (0, (4, 2)), "random direction": ":"}
    for label, dashes in styles.items():
        axes[0].plot([], [], color=INK, linestyle=dashes, linewidth=1.4, label=label)
    axes[0].plot([], [], color=MUTED, linewidth=1, label="no intervention; the boards as they are (thin)")
    legend_below(figure, axes, columns=4)
    return figure


def _errors(axis: Axes, data: pd.DataFrame) -> None:
    for label, color in colors(data).items():
        rows = data[data.label == label]
        made = rows[(rows.control == "trained") & (rows["map"] == "identity")]
        within = made.source == made.language
        seeds(axis, made[within], "layer", "value", color=color, label=label)
        seeds(axis, made[~within], "layer", "value", color=color, linestyle=(0, (4, 2)), linewidth=1.5)
        random = rows[rows.control == "random"]
        seeds(axis, random, "layer", "value", color=color, linestyle=":", linewidth=1.2)
        for control, width in (("null", 1.2), ("floor", 0.7)):
            level = rows[rows.control == control].value
            if len(level):
                axis.axhline(level.mean(), color=color, linewidth=width, alpha=0.6, zorder=1)
