"""Curves and points of trainings and probes: each figure is a function table -> Figure (tables of table.py)."""

from textwrap import fill
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from mothello.report.style import CURVES, INK, LANGUAGE_COLORS, MUTED, WIDTH, canvas, colors, legend_below, looks, title
from mothello.report.table import masked

THOUSANDS = FuncFormatter(
    lambda value, _: f"{value / 1e6:g} M" if value >= 1e6 else f"{value / 1e3:g} k" if value else "0"
)


def seeds(axis: Axes, data: pd.DataFrame, x: str, y: str, **style: Any) -> None:
    """The mean over runs as a line, with a marker at some of its points; with several runs every one of them as a thin
    line too."""
    data = data.dropna(subset=[y]) if y in data else data[:0]
    if data.empty:
        return
    if data["run"].nunique() > 1:
        for _, run in data.groupby("run"):
            single = run.groupby(x)[y].mean()
            axis.plot(single.index.to_numpy(), single.to_numpy(), color=style.get("color"), linewidth=0.7, alpha=0.35)
    mean = data.groupby(x)[y].mean()
    axis.plot(mean.index.to_numpy(), mean.to_numpy(), markevery=max(1, len(mean) // 8), **style)


def level(axis: Axes, value: float, label: str, color: str = MUTED) -> None:
    """A dashed line at a height."""
    axis.axhline(value, color=color, linewidth=1.1, linestyle=(0, (4, 3)), zorder=1, label=label)


LEGAL = "Strict top-1 legality"
FLOOR = "floor (loss), chance (legality)"


def training_curves(training: pd.DataFrame) -> Figure:
    """Loss against games seen with its floor, and strict top-1 legality with chance, a line per label; of hidden moves,
    the share of guesses that are possible. The training loss is drawn, too, while the labels are few."""
    figure, axes = canvas(2, 3.5, sharex=True)
    (loss, legal), drawn = axes, looks(training)
    thin = len(drawn) <= CURVES // 2 and "train_loss" in training
    for label, look in drawn.items():
        data = training[training.label == label]
        if thin:
            seeds(loss, data, "games", "train_loss", color=look["color"], linewidth=0.9, alpha=0.45)
        seeds(loss, data, "games", "loss", label=label, **look)
        seeds(legal, data, "games", "top1", label=label, **look)
    for value in sorted(set(training["floor"].dropna().round(3))) if "floor" in training else ():
        level(loss, value, FLOOR)
    if "chance" in training:
        for value in sorted(set(training.groupby("label").chance.mean().dropna().round(2))):
            level(legal, value, FLOOR)
    title(loss, "Validation loss (thin: training loss)" if thin else "Validation loss")
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
    for label, look in looks(training).items():
        for index, (_, run) in enumerate(training[training.label == label].groupby("run")):
            minutes, illegal = (run["train_seconds"] / 60).to_numpy(), (1 - run["top1"]).to_numpy()
            axis.plot(minutes, illegal, **look, linewidth=1.4, markevery=[-1], label="" if index else label)
    for wrong in (0.025, 0.01):
        axis.axhline(wrong, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        axis.annotate(f"{1 - wrong:.1%}", (0.005, wrong), xycoords=("axes fraction", "data"), va="bottom", color=MUTED)
    axis.set(yscale="log", xlabel="minutes of training", ylabel="positions answered illegally")
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    title(axis, "Time to skill")
    legend_below(figure, [axis])
    return figure


def ply_curves(plies: pd.DataFrame) -> Figure:
    """Strict legality of the next move by ply, a line per label (mean over languages)."""
    figure, (axis,) = canvas(1, 2.9)
    for label, look in looks(plies).items():
        seeds(axis, plies[plies.label == label], "ply", "value", label=label, **look)
    low = float(plies["value"].min())
    axis.set(
        xlabel="ply after which the move is predicted", ylabel="strict legality", ylim=(max(0.0, low - 0.05), 1.02)
    )
    axis.set_xlim(0.5, plies["ply"].max() + 0.5)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=16))
    legend_below(figure, [axis])
    return figure


_LINES: dict[str, tuple[str, str, str, Any, str | None, float]] = {
    "own": ("own", "trained", "own language", "-", None, 3.6),
    "across": ("across", "trained", "other language", "-", INK, 1.6),
    "best": ("across_best_map", "trained", "other language, best map", (0, (1, 1.2)), LANGUAGE_COLORS[3], 1.8),
    "random": ("own", "random_weights", "random weights", (0, (5, 2)), LANGUAGE_COLORS[5], 1.3),
}
"""Quantity, control, label, dashes, color (None: the label's) and width of every line over layers."""


def of_kind(table: pd.DataFrame, probe: str, target: str) -> pd.DataFrame:
    """The rows of one kind of probe and its baselines, of the labels that have it."""
    data = table[(table.measure == "probe") & (table.target == target) & table.probe.isin([probe, ""])]
    return data[data.label.isin(data.label[data.probe == probe])]


def layer_curves(data: pd.DataFrame) -> Figure:
    """Accuracy by layer, a panel per label: own, across, across under the best map, constant, orbit reader, random
    weights. data: of_kind."""
    palette = colors(data)
    columns = 3 if len(palette) in (5, 6) else min(4, len(palette))
    rows = -(-len(palette) // columns)
    width = WIDTH if len(palette) > 2 else 3.3 * len(palette)
    figure, axes = canvas(columns, 0.6 + 2.4 * rows, rows, width=width, sharey=True)
    for axis, (label, color) in zip(axes, palette.items(), strict=False):
        _layer_panel(axis, data[data.label == label], color)
        title(axis, fill(label, 26))
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
