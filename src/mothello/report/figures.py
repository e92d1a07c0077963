"""Curves and points of trainings and probes: each figure is a function table -> Figure (tables of table.py)."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from mothello.report.style import INK, MUTED, canvas, colors, legend_below, title
from mothello.report.table import masked

THOUSANDS = FuncFormatter(
    lambda value, _: f"{value / 1e6:g} M" if value >= 1e6 else f"{value / 1e3:g} k" if value else "0"
)


def seeds(axis: Axes, data: pd.DataFrame, x: str, y: str, **style: Any) -> None:
    """The mean over runs as a line; with several runs every one of them as a thin line too."""
    data = data.dropna(subset=[y]) if y in data else data[:0]
    if data.empty:
        return
    if data["run"].nunique() > 1:
        for _, run in data.groupby("run"):
            single = run.groupby(x)[y].mean()
            axis.plot(single.index.to_numpy(), single.to_numpy(), color=style.get("color"), linewidth=0.7, alpha=0.35)
    mean = data.groupby(x)[y].mean()
    axis.plot(mean.index.to_numpy(), mean.to_numpy(), **style)


def level(axis: Axes, value: float, label: str, color: str = MUTED) -> None:
    """A dashed line at a height."""
    axis.axhline(value, color=color, linewidth=1.1, linestyle=(0, (4, 3)), zorder=1, label=label)


LEGAL = "Strict top-1 legality"


def training_curves(training: pd.DataFrame) -> Figure:
    """Loss against games seen with its floor, and strict top-1 legality with chance, a line per label; of hidden moves,
    the share of guesses that are possible."""
    figure, axes = canvas(2, 3.5)
    loss, legal = axes
    for label, color in colors(training).items():
        data = training[training.label == label]
        if "train_loss" in data:
            seeds(loss, data, "games", "train_loss", color=color, linewidth=0.9, alpha=0.45)
        seeds(loss, data, "games", "loss", color=color, marker="o", markersize=3.5, label=label)
        seeds(legal, data, "games", "top1", color=color, marker="o", markersize=3.5, label=label)
    for value in sorted(set(training["floor"].dropna().round(3))) if "floor" in training else ():
        level(loss, value, "floor (loss) or chance (legality)")
    if "chance" in training:
        level(legal, training["chance"].mean(), "floor (loss) or chance (legality)")
    title(loss, "Validation loss (thin: training loss)")
    of_hidden = masked(training.dropna(subset=["top1"])) if "top1" in training else pd.Series([False])
    both = "Top-1: legal, or of hidden moves possible"
    title(legal, "Hidden moves: possible guesses" if of_hidden.all() else both if of_hidden.any() else LEGAL)
    loss.set(ylabel="nats per token", xlabel="games seen")
    legal.set(ylabel="share of positions", xlabel="games seen", ylim=(0, 1.02))
    for axis in axes:
        axis.xaxis.set_major_formatter(THOUSANDS)
        axis.xaxis.set_major_locator(MaxNLocator(6))
    legend_below(figure, axes)
    return figure


def skill_curves(training: pd.DataFrame) -> Figure:
    """Strict top-1 legality against minutes of training, a line per run: how long a skill takes. training:
    timed_legality."""
    figure, (axis,) = canvas(1, 3.4)
    for label, color in colors(training).items():
        for index, (_, run) in enumerate(training[training.label == label].groupby("run")):
            minutes, illegal = (run["train_seconds"] / 60).to_numpy(), (1 - run["top1"]).to_numpy()
            axis.plot(minutes, illegal, color=color, marker="o", markersize=3, label="" if index else label)
    for wrong in (0.025, 0.01):
        axis.axhline(wrong, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        axis.annotate(f"{1 - wrong:.1%}", (0.005, wrong), xycoords=("axes fraction", "data"), va="bottom", color=MUTED)
    axis.set(yscale="log", xlabel="minutes of training", ylabel="share of positions answered illegally")
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    title(axis, "Time to skill")
    legend_below(figure, [axis])
    return figure


def ply_curves(plies: pd.DataFrame) -> Figure:
    """Strict legality of the next move by ply, a line per label (mean over languages)."""
    figure, (axis,) = canvas(1, 2.9)
    for label, color in colors(plies).items():
        seeds(axis, plies[plies.label == label], "ply", "value", color=color, label=label)
    low = float(plies["value"].min())
    axis.set(
        xlabel="ply after which the move is predicted", ylabel="strict legality", ylim=(max(0.0, low - 0.05), 1.02)
    )
    axis.set_xlim(0.5, plies["ply"].max() + 0.5)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=16))
    legend_below(figure, [axis])
    return figure


_POINTS = {
    "own": ("own language", "o", True),
    "across": ("other language", "o", False),
    "across_best_map": ("other language, best map", "D", False),
}
_BASELINES = {
    "constant": ("best constant", "|", 110), "orbit": ("orbit reader", "+", 60),
    "random_weights": ("random weights", "x", 36),
}  # fmt: skip


def headline_points(heads: pd.DataFrame) -> Figure:
    """A row per label, every seed a point: own, across, across under the best map; ticks for the baselines."""
    palette = colors(heads)
    figure, (axis,) = canvas(1, 0.9 + 0.5 * len(palette))
    for row, (label, color) in enumerate(palette.items()):
        data = heads[heads.label == label].astype(dict.fromkeys((*_POINTS, *_BASELINES), float))
        places, ends = [row] * len(data), data[["own", "across"]].mean()
        axis.plot(ends.tolist(), [row, row], color=color, alpha=0.35, linewidth=5, solid_capstyle="round", zorder=1)
        for column, (name, shape, size) in _BASELINES.items():
            axis.scatter(data[column], places, marker=shape, s=size, color=MUTED, label=name)
        for column, (_, marker, filled) in _POINTS.items():
            style: dict[str, Any] = {"s": 26, "zorder": 4} if marker == "D" else {"s": 58, "zorder": 3}
            face = color if filled else "white"
            axis.scatter(data[column], places, marker=marker, facecolor=face, edgecolor=color, linewidth=1.6, **style)
    for name, marker, filled in _POINTS.values():
        face = INK if filled else "white"
        axis.scatter([], [], marker=marker, facecolor=face, edgecolor=INK, linewidth=1.6, label=name)
    axis.set_yticks(range(len(palette)), list(palette))
    axis.tick_params(axis="y", labelsize=10, labelcolor=INK, length=0)
    axis.set(ylim=(len(palette) - 0.5, -0.5), xlabel="share of cells read correctly")
    axis.spines["left"].set_visible(False)
    axis.grid(axis="y", visible=False)
    legend_below(figure, [axis])
    return figure


_LINES: dict[str, tuple[str, str, str, Any, str | None, float]] = {
    "own": ("own", "trained", "own language", "-", None, 3.6),
    "across": ("across", "trained", "other language", "-", INK, 1.6),
    "best": ("across_best_map", "trained", "other language, best map", (0, (1, 1.2)), "#8e5ea2", 1.8),
    "random": ("own", "random_weights", "random weights", (0, (5, 2)), "#9aa3ad", 1.3),
}
"""Quantity, control, label, dashes, color (None: the label's) and width of every line over layers."""


def layer_curves(table: pd.DataFrame, probe: str, target: str) -> Figure:
    """Accuracy by layer, a panel per label: own, across, across under the best map, constant, orbit reader, random
    weights."""
    data = table[(table.measure == "probe") & (table.target == target) & table.probe.isin([probe, ""])]
    palette = colors(data[data.probe == probe])
    columns = 3 if len(palette) in (5, 6) else min(4, len(palette))
    rows = -(-len(palette) // columns)
    figure, axes = canvas(columns, 0.6 + 2.7 * rows, rows, sharey=True)
    for axis, (label, color) in zip(axes, palette.items(), strict=False):
        _layer_panel(axis, data[data.label == label], color)
        title(axis, label)
        axis.set(xlabel="after layer (0: embeddings)")
    for axis in axes[len(palette) :]:
        axis.set_visible(False)
    axes[0].set_ylabel("share of cells read correctly")
    legend_below(figure, axes[: len(palette)])
    return figure


def _layer_panel(axis: Axes, data: pd.DataFrame, color: str) -> None:
    means = data[(data.language == "") & data.ply.isna()]
    for quantity, control, name, dashes, shade, width in _LINES.values():
        rows = means[(means.quantity == quantity) & (means.control == control) & means.layer.notna()]
        seeds(axis, rows, "layer", "value", color=shade or color, linestyle=dashes, linewidth=width, label=name)
    for control, name, dashes in (("constant", "best constant", ":"), ("orbit", "orbit reader", (0, (1, 3)))):
        values = means[(means.quantity == "accuracy") & (means.control == control)].value
        if len(values):
            axis.axhline(values.mean(), color=MUTED, linewidth=1.0, linestyle=dashes, label=name)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
