"""The page's section on what happened along a training: a narrow figure per label, and a table of onsets."""

from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mothello.othello.symmetry import OPENING_MAPS, OTHER_MAPS
from mothello.report.along import alignment, onset, own, pair_onsets, skill
from mothello.report.figures import LEGAL, THOUSANDS, level, seeds
from mothello.report.markup import image, table
from mothello.report.probe_sections import Panel
from mothello.report.style import INK, MAP_COLORS, MUTED, canvas, colors, legend_below, title

PHONE = 4.6
"""Inches of a figure that is read on a phone."""


def trajectories(along: pd.DataFrame) -> dict[str, Any]:
    """A figure per label whose runs were measured at several steps, and the onsets of every run. along: along_of."""
    legal, aligned, read, lines = skill(along), alignment(along), own(along), list[list[Any]]()
    panels = []
    for label, color in colors(along).items():
        skilled, near, inside = (part[part.label == label] for part in (legal, aligned, read))
        drawing = along_curves(skilled, near, inside, color)
        panels.append(Panel(image(drawing, f"Skill and alignment by games, {label}"), f"{label}."))
        each = pd.concat([skilled, near])[["run", "seed"]].drop_duplicates()
        lines += [[label, str(seed), *_onsets(skilled, near, run)] for run, seed in each.itertuples(index=False)]
    head = ["run", "seed", "legality from", "alignment from", "pairs", "through"]
    return {"along": panels, "onsets": table(head, lines)} if panels else {}


def _onsets(legal: pd.DataFrame, aligned: pd.DataFrame, run: str) -> list[Any]:
    """Games until the mean language is legal above chance; until the median pair is aligned; how many are; the maps."""
    legal, aligned = legal[legal.run == run], aligned[aligned.run == run]
    begun = [x for _, one in legal.groupby("language") if (x := onset(one)) is not None]
    found, pairs = pair_onsets(aligned), len(aligned[["source", "language"]].drop_duplicates())
    maps = Counter(name for _, name in found.values())
    first = [f"{median(x):,.0f}" if x else None for x in (begun, [games for games, _ in found.values()])]
    return [*first, f"{len(found)} of {pairs}", ", ".join(f"{name}: {n}" for name, n in maps.items()) or None]


def along_curves(legal: pd.DataFrame, aligned: pd.DataFrame, read: pd.DataFrame, color: str) -> Figure:
    """Above strict legality, below what a language's states say of the other through every map, against games; dotted
    where each run's onset is."""
    shown = [part for part in (legal, aligned) if len(part)]
    figure, axes = canvas(1, 0.9 + 2.6 * len(shown), len(shown), width=PHONE, sharex=True)
    for axis, part in zip(axes, shown, strict=True):
        (_legality if part is legal else _maps)(axis, part, color)
        axis.set(xscale="log", ylim=(min(0.0, float(part.value.min())), 1.02))
        axis.xaxis.set_major_formatter(THOUSANDS)
    if len(aligned) and len(read):
        seeds(axes[-1], read, "games", "value", color=color, linewidth=2.6, label="own language")
        title(axes[-1], "Cells read in another language")
    axes[-1].set(xlabel="games seen")
    legend_below(figure, axes, columns=2)
    return figure


def _legality(axis: Axes, points: pd.DataFrame, color: str) -> None:
    seeds(axis, points, "games", "value", color=color, linewidth=2.6)
    level(axis, points.null.mean(), "null")
    title(axis, LEGAL)
    _dotted(axis, [onset(one) for _, one in points.groupby(["run", "language"])])


def _maps(axis: Axes, points: pd.DataFrame, color: str) -> None:
    for index, name in enumerate(OTHER_MAPS):
        label = "the four other maps" if index == 0 else f"_{name}"
        seeds(axis, points[points["map"] == name], "games", "value", color="#b6bdc6", linewidth=1.0, label=label)
    for name in OPENING_MAPS:
        seeds(axis, points[points["map"] == name], "games", "value", color=MAP_COLORS[name], label=name)
    null = points.groupby("games").null.mean()
    axis.plot(null.index.to_numpy(), null.to_numpy(), color=MUTED, linewidth=1.1, linestyle=(0, (4, 3)), label="null")
    title(axis, "Retrieval in another language")
    found = [[x for x, _ in pair_onsets(one).values()] for _, one in points.groupby("run")]
    _dotted(axis, [median(games) if games else None for games in found])


def _dotted(axis: Axes, games: Sequence[float | None]) -> None:
    for index, at in enumerate(x for x in games if x is not None):
        axis.axvline(at, color=INK, linewidth=1.0, linestyle=":", label="_" if index else "onset")
