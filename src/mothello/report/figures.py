"""Curves and points: each figure is a function table -> Figure. Tables are those of tables.py."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from mothello.report.style import INK, LANGUAGE_COLOURS, MUTED, canvas, colours, legend_below, title

_THOUSANDS = FuncFormatter(
    lambda value, _: f"{value / 1e6:g} M" if value >= 1e6 else f"{value / 1e3:g} k" if value else "0"
)


def seeds(axis: Axes, data: pd.DataFrame, x: str, y: str, **style: Any) -> None:
    """The mean over runs as a line; with several runs every one of them as a thin line too."""
    data = data.dropna(subset=[y])
    if data.empty:
        return
    if data["run"].nunique() > 1:
        for _, run in data.groupby("run"):
            single = run.groupby(x)[y].mean()
            axis.plot(single.index.to_numpy(), single.to_numpy(), color=style.get("color"), linewidth=0.7, alpha=0.35)
    mean = data.groupby(x)[y].mean()
    axis.plot(mean.index.to_numpy(), mean.to_numpy(), **style)


def _level(axis: Axes, value: float, label: str, colour: str = MUTED) -> None:
    axis.axhline(value, color=colour, linewidth=1.1, linestyle=(0, (4, 3)), zorder=1, label=label)


def training_curves(training: pd.DataFrame) -> Figure:
    """Loss against games seen with its floor, and strict top-1 legality with chance, a line per regime."""
    figure, axes = canvas(2, 3.5)
    loss, legal = axes
    for regime, colour in colours(training).items():
        data = training[training.regime == regime]
        if "train/loss" in data:
            seeds(loss, data, "games", "train/loss", color=colour, linewidth=0.9, alpha=0.45)
        seeds(loss, data, "games", "val/loss", color=colour, marker="o", markersize=3.5, label=regime)
        seeds(legal, data, "games", "val/top1", color=colour, marker="o", markersize=3.5, label=regime)
    for value in sorted(set(training["val/floor"].dropna().round(3))):
        _level(loss, value, "floor (loss) or chance (legality)")
    _level(legal, training["val/chance"].mean(), "floor (loss) or chance (legality)")
    title(loss, "Validation loss (thin: training loss)")
    title(legal, "Strict top-1 legality")
    loss.set(ylabel="nats per token", xlabel="games seen")
    legal.set(ylabel="share of positions", xlabel="games seen", ylim=(0, 1.02))
    for axis in axes:
        axis.xaxis.set_major_formatter(_THOUSANDS)
        axis.xaxis.set_major_locator(MaxNLocator(6))
    legend_below(figure, axes)
    return figure


def skill_curves(training: pd.DataFrame) -> Figure:
    """Strict top-1 legality against minutes of training, every run a line: how long a skill takes."""
    figure, (axis,) = canvas(1, 3.4)
    for regime, colour in colours(training).items():
        data = training[training.regime == regime].dropna(subset=["val/top1", "train/seconds"])
        for index, (_, run) in enumerate(data.groupby("run")):
            minutes, illegal = (run["train/seconds"] / 60).to_numpy(), (1 - run["val/top1"]).to_numpy()
            axis.plot(minutes, illegal, color=colour, marker="o", markersize=3, label="" if index else regime)
    for wrong in (0.025, 0.01):
        axis.axhline(wrong, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        axis.annotate(f"{1 - wrong:.1%}", (0.005, wrong), xycoords=("axes fraction", "data"), va="bottom", color=MUTED)
    axis.set(yscale="log", xlabel="minutes of training", ylabel="share of positions answered illegally")
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    title(axis, "Time to skill")
    legend_below(figure, [axis])
    return figure


def ply_curves(plies: pd.DataFrame) -> Figure:
    """Strict legality of the next move by ply, a line per regime (mean over languages)."""
    figure, (axis,) = canvas(1, 2.9)
    for regime, colour in colours(plies).items():
        data = plies[plies.regime == regime]
        seeds(axis, data, "ply", "top1", color=colour, label=regime)
    low = float(plies["top1"].min())
    axis.set(
        xlabel="ply after which the move is predicted", ylabel="strict legality", ylim=(max(0.0, low - 0.05), 1.02)
    )
    axis.set_xlim(0.5, plies["ply"].max() + 0.5)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=16))
    legend_below(figure, [axis])
    return figure


_POINTS = {
    "own": ("own language", "o", True),
    "cross": ("other language", "o", False),
    "cross_best_map": ("other language, best map", "D", False),
}


def headline_points(heads: pd.DataFrame, probe: str, target: str) -> Figure:
    """One row per regime, every seed a point: own, cross, cross under the best map; ticks for the two baselines."""
    chosen = heads[(heads.probe == probe) & (heads.target == target)]
    palette = colours(chosen)
    figure, (axis,) = canvas(1, 0.9 + 0.5 * len(palette))
    for row, (regime, colour) in enumerate(palette.items()):
        data = chosen[chosen.regime == regime]
        ends = data[["own", "cross"]].mean()
        axis.plot(ends.tolist(), [row, row], color=colour, alpha=0.35, linewidth=5, solid_capstyle="round", zorder=1)
        for column, shape in (("constant", "|"), ("random_weights", "x")):
            label = {"constant": "best constant", "random_weights": "random weights"}[column]
            axis.scatter(
                data[column], [row] * len(data), marker=shape, s=110 if shape == "|" else 36, color=MUTED, label=label
            )
        for column, (_, marker, filled) in _POINTS.items():
            face = colour if filled else "white"
            size = 26 if marker == "D" else 58
            axis.scatter(
                data[column], [row] * len(data), marker=marker, s=size, facecolor=face, edgecolor=colour, linewidth=1.6,
                zorder=4 if marker == "D" else 3,
            )  # fmt: skip
    for label, marker, filled in _POINTS.values():
        axis.scatter(
            [], [], marker=marker, facecolor=INK if filled else "white", edgecolor=INK, linewidth=1.6, label=label
        )
    axis.set_yticks(range(len(palette)), list(palette))
    axis.tick_params(axis="y", labelsize=10, labelcolor=INK, length=0)
    axis.set(ylim=(len(palette) - 0.5, -0.5), xlabel="share of cells read correctly")
    axis.spines["left"].set_visible(False)
    axis.grid(axis="y", visible=False)
    legend_below(figure, [axis])
    return figure


_LINES = {
    "own": ("own language", "-"),
    "cross": ("other language", "-"),
    "best": ("other language, best map", (0, (1, 1.2))),
    "random_weights": ("random weights", (0, (5, 2))),
}


def layer_curves(alignment: pd.DataFrame, probe: str, target: str) -> Figure:
    """Accuracy per layer, a panel per regime: own, cross, cross under the best map, constant, random weights."""
    data = alignment[(alignment.probe == probe) & (alignment.target == target)]
    palette = colours(data)
    columns = min(4, len(palette))
    rows = -(-len(palette) // columns)
    figure, axes = canvas(columns, 0.6 + 2.7 * rows, rows, sharey=True)
    for axis, (regime, colour) in zip(axes, palette.items(), strict=False):
        _layer_panel(axis, data[data.regime == regime], colour)
        title(axis, regime)
        axis.set(xlabel="after layer (0: embeddings)")
    for axis in axes[len(palette) :]:
        axis.set_visible(False)
    axes[0].set_ylabel("share of cells read correctly")
    legend_below(figure, axes[: len(palette)])
    return figure


def _layer_panel(axis: Axes, data: pd.DataFrame, colour: str) -> None:
    pairs = data[data["map"] == "identity"]
    own, other = pairs[pairs.source == pairs.language], pairs[pairs.source != pairs.language]
    series = {
        "own": own.assign(value=own.accuracy),
        "cross": other.assign(value=other.accuracy),
        "best": other.assign(value=other.best_accuracy),
        "random_weights": own.assign(value=pd.to_numeric(own.random_weights, errors="coerce")),
    }
    shades = {"own": colour, "cross": INK, "best": "#8e5ea2", "random_weights": "#9aa3ad"}
    widths = {"own": 3.6, "cross": 1.6, "best": 1.8, "random_weights": 1.3}
    for name, (label, dashes) in _LINES.items():
        seeds(
            axis,
            series[name],
            "layer",
            "value",
            color=shades[name],
            linestyle=dashes,
            linewidth=widths[name],
            label=label,
        )
    axis.axhline(data["constant"].mean(), color=MUTED, linewidth=1.0, linestyle=":", label="best constant")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))


def transfer_curves(transfers: pd.DataFrame, chance: float | None = None) -> Figure:
    """Strict legality along fine-tuning, a panel per regime and source language; the source is the heavy line, dashed
    the same fine-tuning from random weights."""
    groups = list(transfers.groupby(["regime", "source"], sort=False))
    columns = min(3, max(2, len(groups)))
    rows = -(-len(groups) // columns)
    width = None if len(groups) > 1 else 6.4
    figure, axes = canvas(
        columns if len(groups) > 1 else 1, 0.6 + 3.0 * rows, rows, **({"width": width} if width else {}), sharey=True
    )
    for axis, ((regime, source), data) in zip(axes, groups, strict=False):
        _transfer_panel(axis, data, str(source))
        title(axis, f"{regime}\nfine-tuned on {source}")
        axis.set(xlabel="fine-tuning step")
        if chance is not None:
            _level(axis, chance, "chance")
    for axis in axes[len(groups) :]:
        axis.set_visible(False)
    axes[0].set(ylabel="strict top-1 legality", ylim=(0, 1.02))
    same = transfers.groupby(["regime", "source"]).language.agg(frozenset).reset_index()
    if same.language.nunique() == same.source.nunique() == 1:
        legend_below(figure, axes[:1])
    else:  # a colour is another language elsewhere
        for axis in axes[: len(groups)]:
            axis.legend(loc="lower right", frameon=False, fontsize=8)
    return figure


def _transfer_panel(axis: Axes, data: pd.DataFrame, source: str) -> None:
    """Up to eight languages get a colour each, more share one grey."""
    data = data.assign(run=data.run + "/" + data.transfer)
    names = list(dict.fromkeys(data.language))
    for index, name in enumerate(sorted(names, key=lambda x: x != source)):
        colour = LANGUAGE_COLOURS[index] if len(names) <= len(LANGUAGE_COLOURS) or not index else "#9aa3ad"
        label = f"{name} (source)" if name == source else name
        if index > 1 and len(names) > len(LANGUAGE_COLOURS):
            label = "_" + label
        elif index == 1 and len(names) > len(LANGUAGE_COLOURS):
            label = "every other language"
        width = 2.6 if name == source else 1.5
        own = data[data.language == name]
        seeds(axis, own, "step", "top1", color=colour, linewidth=width, label=label)
        dashed = {"linestyle": (0, (4, 2)), "linewidth": 0.6 * width}
        label = "the same from random weights" if name == source and own.scratch.notna().any() else None
        seeds(axis, own.astype({"scratch": float}), "step", "scratch", color=colour, label=label, **dashed)


def retrieval_along(watched: pd.DataFrame) -> Figure:
    """Retrieval between source and targets by fine-tuning step, a line per regime."""
    figure, (axis,) = canvas(1, 2.8, width=6.4)
    for regime, colour in colours(watched).items():
        data = watched[watched.regime == regime]
        seeds(axis, data, "step", "value", color=colour, label=regime)
    axis.set(xlabel="fine-tuning step", ylabel="P@1", ylim=(0, 1.03))
    legend_below(figure, [axis])
    return figure
