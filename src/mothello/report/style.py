"""The look of every figure: a hue per sharing, a marker and dashes per label, quiet axes, a legend that fits."""

from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from mothello.othello.symmetry import OPENING_MAPS

INK, MUTED, GRID, EDGE, PAPER = "#22262b", "#6b7480", "#e4e7eb", "#b6bdc6", "#ffffff"
DARK, LIGHT = "#1b1f24", "#fbfbf8"
"""Ink on light cells and light ink on dark ones: the same on a dark page, where INK and PAPER change places."""
WIDTH = 9.6
"""Inches of a figure as wide as the page's text."""

LANGUAGE_COLORS = ("#2a6f97", "#c8553d", "#e0a526", "#4b2a55", "#6fc0c9", "#7f8894", "#6e3216", "#c58fd6")
"""Apart for eyes without red or green receptors, too (tests/report/test_style.py)."""
SHARING_COLORS = dict(
    zip(("unified", "naive", "anchors", "single"), (*LANGUAGE_COLORS[:3], LANGUAGE_COLORS[5]), strict=True)
)
ROLE_COLORS = SHARING_COLORS | {"anchor": SHARING_COLORS["anchors"]}
MAP_COLORS = dict(zip(OPENING_MAPS, LANGUAGE_COLORS, strict=False))
MAP_DASHES = dict(zip(OPENING_MAPS, ("-", (0, (6, 1.5)), (0, (3, 1.2)), (0, (5, 1.2, 1, 1.2))), strict=True))
ACCURACY = LinearSegmentedColormap.from_list("accuracy", ["#fbf8f1", "#d9e6e4", "#7fb3c0", "#2a6f97", "#0b2f4a"])
DASHES = ("-", (0, (4, 2)), (0, (1.2, 1.4)), (0, (5, 1.5, 1, 1.5)))
MARKERS = "os^Dv*PX"
CURVES = len(MARKERS)
"""Curves of one panel, at most."""

RC: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": EDGE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "text.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.9,
    "svg.fonttype": "none",
    "svg.hashsalt": "mothello",
}


def canvas(columns: int, height: float, rows: int = 1, width: float = WIDTH, **more: Any) -> tuple[Figure, list[Axes]]:
    """A figure and its axes, row by row."""
    with matplotlib.rc_context(RC):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, **more)
    return figure, list(axes.ravel())


def whole(figure: Figure, pad: float = 0.04) -> Bbox:
    """The box in inches that holds all that is drawn, to be saved as bbox_inches: no figure is clipped. The layout is
    made once and kept."""
    renderer, layout = FigureCanvasAgg(figure).get_renderer(), figure.get_layout_engine()
    if layout is not None:
        layout.execute(figure)
        figure.set_layout_engine("none")
    for artist in figure.findobj(lambda x: not x.get_in_layout()):  # drawn, too, though the layout leaves it alone
        artist.set_in_layout(True)
    return figure.get_tightbbox(renderer).padded(pad)


def save(figure: Figure, file: Any, **more: Any) -> None:
    """The whole figure as a PNG that is sharp on a dense screen."""
    with matplotlib.rc_context(RC):
        figure.savefig(file, dpi=200, bbox_inches=whole(figure), **more)


def _sharings(table: pd.DataFrame) -> dict[str, str]:
    """Label -> sharing, of a table with both columns."""
    return {str(x): str(y) for x, y in table[["label", "sharing"]].drop_duplicates("label").itertuples(index=False)}


def colors(table: pd.DataFrame) -> dict[str, str]:
    """A color per label of a table with columns label and sharing; labels of one sharing are shades of one color."""
    return {label: look["color"] for label, look in looks(table).items()}


def looks(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Color, dashes and marker of every label's curve: the sharing is the hue; within it shade, dashes and marker
    differ, so that curves are told apart without their color."""
    seen: dict[str, int] = {}
    result = {}
    for place, (label, sharing) in enumerate(_sharings(table).items()):
        step = seen[sharing] = seen.get(sharing, -1) + 1
        color = lighter(SHARING_COLORS.get(sharing, MUTED), (0.0, 0.3, 0.5)[step % 3])
        marker = MARKERS[place % len(MARKERS)]
        result[label] = {"color": color, "linestyle": DASHES[step % len(DASHES)], "marker": marker, "markersize": 4}
    return result


def split(table: pd.DataFrame, most: int = CURVES) -> Iterator[tuple[str, pd.DataFrame]]:
    """A table in parts of at most ``most`` labels, and what each holds, such as "naive, 1 of 4"; labels of one sharing
    stay together where all do not fit. One part is called nothing."""
    sharings = _sharings(table)
    if len(sharings) <= most:
        yield "", table
        return
    for sharing in dict.fromkeys(sharings.values()):
        labels = [label for label, own in sharings.items() if own == sharing]
        count = -(-len(labels) // most)
        for part in range(count):
            shown = labels[part * len(labels) // count : (part + 1) * len(labels) // count]
            yield f"{sharing}, {part + 1} of {count}" if count > 1 else sharing, table[table.label.isin(shown)]


def lighter(color: str, share: float) -> str:
    """The color mixed with that share of white."""
    return to_hex(LinearSegmentedColormap.from_list("lighter", [color, "white"])(share))


def title(axis: Axes, text: str) -> None:
    """A panel's title, at its left edge."""
    axis.set_title(text, loc="left", fontsize=10, fontweight="bold", color=INK)


def legend_below(figure: Figure, axes: Sequence[Axes], columns: int = 6) -> None:
    """One legend under the panels, every label once, in as many columns as the figure is wide enough for."""
    handles: dict[str, Any] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    renderer = FigureCanvasAgg(figure).get_renderer()
    for count in range(min(columns, len(handles)), 0, -1):
        legend = figure.legend(
            list(handles.values()), list(handles), loc="outside lower center", ncols=count, frameon=False,
            fontsize=8.5, labelcolor=INK, handlelength=2.6,
        )  # fmt: skip
        if count == 1 or legend.get_window_extent(renderer).width <= figure.bbox.width:
            break
        legend.remove()
