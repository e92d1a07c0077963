"""The look of every figure: one color per label, quiet axes, text as paths so that a page needs no font."""

from collections.abc import Sequence
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure

from mothello.othello.symmetry import OPENING_MAPS

INK, MUTED, GRID = "#22262b", "#6b7480", "#e4e7eb"
WIDTH = 9.6
"""Inches of a figure as wide as the page's text."""

SHARING_COLORS = {"naive": "#c8553d", "anchors": "#d69a1e", "unified": "#2a6f97", "single": "#5f6b7a"}
ROLE_COLORS = SHARING_COLORS | {"anchor": SHARING_COLORS["anchors"]}
LANGUAGE_COLORS = ("#2a6f97", "#c8553d", "#5b8c5a", "#8e5ea2", "#d69a1e", "#3c9d9b", "#a05a2c", "#b0487f")
MAP_COLORS = dict(zip(OPENING_MAPS, LANGUAGE_COLORS, strict=False))
ACCURACY = LinearSegmentedColormap.from_list("accuracy", ["#fbf8f1", "#d9e6e4", "#7fb3c0", "#2a6f97", "#0b2f4a"])

RC: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": "#b6bdc6",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "text.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.9,
    "svg.fonttype": "path",
    "svg.hashsalt": "mothello",
}


def canvas(columns: int, height: float, rows: int = 1, width: float = WIDTH, **more: Any) -> tuple[Figure, list[Axes]]:
    """A figure and its axes, row by row."""
    with matplotlib.rc_context(RC):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, **more)
    return figure, list(axes.ravel())


def colors(table: pd.DataFrame) -> dict[str, str]:
    """A color per label of a table with columns label and sharing; labels of one sharing are shades of one color."""
    sharings = table.drop_duplicates("label").set_index("label")["sharing"].to_dict()
    seen: dict[str, int] = {}
    result = {}
    for label, sharing in sharings.items():
        step = seen.get(sharing, 0)
        seen[sharing] = step + 1
        result[str(label)] = lighter(SHARING_COLORS.get(sharing, MUTED), 1 - 0.72 ** (step % 4))
    return result


def lighter(color: str, share: float) -> str:
    """The color mixed with that share of white."""
    return to_hex(LinearSegmentedColormap.from_list("lighter", [color, "white"])(share))


def title(axis: Axes, text: str) -> None:
    """A panel's title, at its left edge."""
    axis.set_title(text, loc="left", fontsize=10, fontweight="bold", color=INK)


def legend_below(figure: Figure, axes: Sequence[Axes], columns: int = 6) -> None:
    """One legend under the panels, every label once."""
    handles: dict[str, Any] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    if handles:
        figure.legend(
            list(handles.values()), list(handles), loc="outside lower center", ncols=min(columns, len(handles)),
            frameon=False, fontsize=8.5, labelcolor=INK,
        )  # fmt: skip
