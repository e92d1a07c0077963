"""Curves along a fine-tuning: functions table -> Figure, the tables those of table.transfer and table.tasks."""

from textwrap import fill
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mothello.report.figures import level, seeds
from mothello.report.style import (
    CURVES,
    INK,
    LANGUAGE_COLORS,
    MARKERS,
    MUTED,
    WIDTH,
    canvas,
    legend_below,
    looks,
    title,
)

GUESSES = {"constant": "guessed from the ply", "constant_by_move": "guessed from the move"}


def _panels(
    rows: pd.DataFrame, ylabel: str = "strict top-1 legality", *more: str
) -> tuple[Figure, list[Axes], list[Any]]:
    """A figure with a panel by step per label and source (and ``more``), the panels, and the rows of each."""
    groups = list(rows.groupby(["label", "source", *more], sort=False))
    columns = min(3, len(groups))
    lines = -(-len(groups) // columns)
    figure, axes = canvas(columns, 0.6 + 3.0 * lines, lines, width=WIDTH if len(groups) > 1 else 6.4, sharey=True)
    for axis, ((label, source, *also), _) in zip(axes, groups, strict=False):
        title(axis, "\n".join(fill(str(x), 34) for x in (label, f"fine-tuned on {source}", *also)))
        axis.set(xlabel="fine-tuning step")
    for axis in axes[len(groups) :]:
        axis.set_visible(False)
    axes[0].set(ylabel=ylabel, ylim=(0, 1.02))
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
    _legend(figure, axes, trained)
    return figure


def task_curves(rows: pd.DataFrame) -> Figure:
    """Labels read right along fine-tuning on a task, a panel per label, source and task; the source is the heavy line,
    dashed a head on random weights, and level what is guessed from the ply or the move."""
    along = rows[(rows.quantity == "task_accuracy") & rows.step.notna()]
    trained, random = (along[along.control == name] for name in ("trained", "random_weights"))
    keys = ["label", "source", "target"]
    figure, axes, groups = _panels(trained, "labels read right", "target")
    for axis, (key, data) in zip(axes, groups, strict=True):
        own = (part[(part[keys] == list(key)).all(axis=1)] for part in (random, along))
        control, everything = own
        _transfer_panel(axis, data, control, str(key[1]), "a head on random weights")
        for (name, said), color in zip(GUESSES.items(), (MUTED, INK), strict=True):
            level(axis, everything[everything.control == name].value.mean(), said, color)
    _legend(figure, axes, trained)
    return figure


def _legend(figure: Figure, axes: list[Axes], rows: pd.DataFrame) -> None:
    """One for all panels where a color is the same language in all of them."""
    same = rows.groupby(["label", "source"]).language.agg(frozenset).reset_index()
    if same.language.nunique() == same.source.nunique() == 1:
        legend_below(figure, axes[:1])
    else:
        for axis in axes:
            axis.legend(loc="lower right", frameon=False, fontsize=8)


def _transfer_panel(
    axis: Axes, data: pd.DataFrame, scratch: pd.DataFrame, source: str, called: str = "the same from random weights"
) -> None:
    """Up to four languages get a color each, more share one gray. called: what the dashed curves are."""
    names = list(dict.fromkeys(data.language))
    many = len(names) > CURVES // 2
    for index, name in enumerate(sorted(names, key=lambda x: x != source)):
        color = LANGUAGE_COLORS[5] if many and index else LANGUAGE_COLORS[index]
        label = f"{name} (source)" if name == source else name
        if many and index:
            label = "every other language" if index == 1 else f"_{name}"
        width = 2.6 if name == source else 1.5
        marker = {"marker": MARKERS[min(index, CURVES // 2)], "markersize": 4}
        seeds(axis, data[data.language == name], "step", "value", color=color, linewidth=width, label=label, **marker)
        control = scratch[scratch.language == name]
        named = called if name == source and len(control) else None
        dashes = {"linestyle": (0, (4, 2)), "linewidth": 0.6 * width}
        seeds(axis, control, "step", "value", color=color, label=named, **dashes)


def answer_curves(answers: dict[str, pd.DataFrame], chance: float) -> Figure:
    """Strict legality of the other languages along fine-tuning, a panel per label and source, by what the answer is
    chosen among (the keys)."""
    figure, axes, groups = _panels(next(iter(answers.values())))
    for axis, ((label, source), _) in zip(axes, groups, strict=True):
        for color, marker, (among, data) in zip(LANGUAGE_COLORS, MARKERS, answers.items(), strict=False):
            own = data[(data.label == label) & (data.source == source) & (data.language != source)]
            seeds(axis, own, "step", "value", color=color, marker=marker, markersize=4, label=among)
        level(axis, chance, "chance")
    legend_below(figure, axes[:1])
    return figure


def retrieval_curves(rows: pd.DataFrame) -> Figure:
    """Retrieval between source and targets by fine-tuning step, a line per label."""
    figure, (axis,) = canvas(1, 2.8, width=6.4)
    for label, look in looks(rows).items():
        seeds(axis, rows[rows.label == label], "step", "value", label=label, **look)
    axis.set(xlabel="fine-tuning step", ylabel="P@1", ylim=(0, 1.03))
    legend_below(figure, [axis])
    return figure
