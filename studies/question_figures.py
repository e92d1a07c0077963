"""The two figures of the page of the question."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from mothello.report.style import LANGUAGE_COLORS, MUTED, canvas, legend_below, title
from studies.correlation import Correlation
from studies.points import ALIGNMENTS, BLIND, MAPS, ROTATIONS

MARKERS = "osD^vP"
LOOKS = {BLIND: "o", MAPS: "D", ROTATIONS: "s"}
LOWEST = -1.0
"""Where a reading far below the best constant's is drawn, and a loss greater than the source's gain."""


def point_figure(known: pd.DataFrame, found: Mapping[str, Correlation]) -> Figure:
    """How much the others follow by the alignment that predicts it best and by three more; color and marker by what was
    taught."""
    names = dict.fromkeys([*list(found)[:1], "retrieval_best_map", "probe_best_map", "neighbours"])
    figure, axes = canvas(len(names), 3.2, sharey=True)
    for axis, name in zip(axes, names, strict=True):
        for number, (task, part) in enumerate(known.groupby("task")):
            look: Mapping[str, Any] = {"marker": MARKERS[number % len(MARKERS)], "label": str(task)}
            color = LANGUAGE_COLORS[number % len(LANGUAGE_COLORS)]
            follows = part.follows.clip(lower=LOWEST)
            axis.scatter(part[name].clip(lower=LOWEST), follows, s=16, color=color, alpha=0.6, **look)
        axis.axhline(0, color=MUTED, linewidth=1, linestyle=":")
        axis.set(xlabel="alignment before")
        title(axis, ALIGNMENTS[name].label)
    axes[0].set_ylabel("gain of the others / of the source")
    legend_below(figure, axes)
    return figure


def measure_figure(found: Mapping[str, Correlation]) -> Figure:
    """Every alignment's correlation with its interval, the highest on top."""
    figure, (axis,) = canvas(1, 3.2)
    names = list(reversed(list(found)))
    for place, name in enumerate(names):
        one = found[name]
        sees = ALIGNMENTS[name].sees
        color, marker = LANGUAGE_COLORS[list(LOOKS).index(sees)], LOOKS[sees]
        axis.plot([one.low, one.high], [place, place], color=color, linewidth=1.5)
        axis.scatter(one.value, place, color=color, marker=marker, label=sees)
    axis.axvline(0, color=MUTED, linewidth=1, linestyle=":")
    axis.set_yticks(range(len(found)), [ALIGNMENTS[name].label for name in names])
    axis.set(xlabel="Spearman's correlation with how much the others follow, 95% over settings")
    legend_below(figure, [axis])
    return figure
