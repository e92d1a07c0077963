"""Curves along a fine-tuning: functions table -> Figure, the tables those of table.transfer."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mothello.report.figures import level, seeds
from mothello.report.style import LANGUAGE_COLORS, WIDTH, canvas, colors, legend_below, title


def _panels(rows: pd.DataFrame) -> tuple[Figure, list[Axes], list[Any]]:
    """A figure with a panel of legality by step per label and source, the panels, and the rows of each."""
    groups = list(rows.groupby(["label", "source"], sort=False))
    columns = min(3, len(groups))
    lines = -(-len(groups) // columns)
    figure, axes = canvas(columns, 0.6 + 3.0 * lines, lines, width=WIDTH if len(groups) > 1 else 6.4, sharey=True)
    for axis, ((label, source), _) in zip(axes, groups, strict=False):
        title(axis, f"{label}\nfine-tuned on {source}")
        axis.set(xlabel="fine-tuning step")
    for axis in axes[len(groups) :]:
        axis.set_visible(False)
    axes[0].set(ylabel="strict top-1 legality", ylim=(0, 1.02))
    return figure, axes[: len(groups)], groups


def transfer_curves(trained: pd.DataFrame, scratch: pd.DataFrame, chance: float | None = None) -> Figure:
    """Strict legality along fine-tuning, a panel per label and source language; the source is the heavy line, dashed
    the same fine-tuning from random weights."""
    figure, axes, groups = _panels(trained)
    for axis, ((label, source), data) in zip(axes, groups, strict=True):
        control = scratch[(scratch.label == label) & (scratch.source == source)]
        _transfer_panel(axis, data, control, str(source))
        if chance is not None:
            level(axis, chance, "chance")
    same = trained.groupby(["label", "source"]).language.agg(frozenset).reset_index()
    if same.language.nunique() == same.source.nunique() == 1:
        legend_below(figure, axes[:1])
    else:  # a color is another language elsewhere
        for axis in axes:
            axis.legend(loc="lower right", frameon=False, fontsize=8)
    return figure


def _transfer_panel(axis: Axes, data: pd.DataFrame, scratch: pd.DataFrame, source: str) -> None:
    """Up to eight languages get a color each, more share one gray."""
    names = list(dict.fromkeys(data.language))
    many = len(names) > len(LANGUAGE_COLORS)
    for index, name in enumerate(sorted(names, key=lambda x: x != source)):
        color = "#9aa3ad" if many and index else LANGUAGE_COLORS[index]
        label = f"{name} (source)" if name == source else name
        if many and index:
            label = "every other language" if index == 1 else f"_{name}"
        width = 2.6 if name == source else 1.5
        seeds(axis, data[data.language == name], "step", "value", color=color, linewidth=width, label=label)
        control = scratch[scratch.language == name]
        named = "the same from random weights" if name == source and len(control) else None
        dashes = {"linestyle": (0, (4, 2)), "linewidth": 0.6 * width}
        seeds(axis, control, "step", "value", color=color, label=named, **dashes)


def answer_curves(answers: dict[str, pd.DataFrame], chance: float) -> Figure:
    """Strict legality of the other languages along fine-tuning, a panel per label and source, by what the answer is
    chosen among (the keys)."""
    figure, axes, groups = _panels(next(iter(answers.values())))
    for axis, ((label, source), _) in zip(axes, groups, strict=True):
        for color, (among, data) in zip(LANGUAGE_COLORS, answers.items(), strict=False):
            own = data[(data.label == label) & (data.source == source) & (data.language != source)]
            seeds(axis, own, "step", "value", color=color, label=among)
        level(axis, chance, "chance")
    legend_below(figure, axes[:1])
    return figure


def retrieval_curves(rows: pd.DataFrame) -> Figure:
    """Retrieval between source and targets by fine-tuning step, a line per label."""
    figure, (axis,) = canvas(1, 2.8, width=6.4)
    for label, color in colors(rows).items():
        seeds(axis, rows[rows.label == label], "step", "value", color=color, label=label)
    axis.set(xlabel="fine-tuning step", ylabel="P@1", ylim=(0, 1.03))
    legend_below(figure, [axis])
    return figure
