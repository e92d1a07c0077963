"""The page's section on what happened along a training: a narrow figure per label, and a table of onsets."""

from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mothello.othello.symmetry import OPENING_MAPS, OTHER_MAPS
from mothello.report.along import ENTRIES, Curves, curves_of, onset, pair_onsets
from mothello.report.figures import LEGAL, THOUSANDS, level, seeds
from mothello.report.markup import image, table
from mothello.report.panels import Panel
from mothello.report.runs import Run
from mothello.report.style import EDGE, INK, MAP_COLORS, MAP_DASHES, MUTED, canvas, colors, legend_below, title

PHONE = 4.6
"""Inches of a figure that is read on a phone."""
ENTRY_NAMES = dict(zip(ENTRIES, ("moves of the dictionary", "moves held out of it"), strict=True))


def trajectories(along: pd.DataFrame, runs: Sequence[Run] = ()) -> dict[str, Any]:
    """A figure per label whose runs were measured at several steps, and the onsets of every run. along: along_of; runs:
    those that it is of, whose forks are named."""
    curves, lines, panels = curves_of(along), list[list[Any]](), list[Panel]()
    forks = {str(run.path): int(run.config.get("at") or 0) for run in runs if run.config.get("fork")}
    for label, color in colors(along).items():
        shown = curves.of("label", label)
        each = pd.concat([shown.legal, shown.aligned])[["run", "seed"]].drop_duplicates()
        begun = sorted({forks[run] for run in each.run if run in forks})
        caption = f"{label}, a fork at step {begun[0]:,}: its curve begins there." if begun else f"{label}."
        drawing = along_curves(shown, color)
        panels.append(Panel(image(drawing, f"Skill and alignment by games, {label}"), caption))
        lines += [[label, str(seed), *_onsets(shown.of("run", run))] for run, seed in each.itertuples(index=False)]
    head = ["run", "seed", "legality from", "alignment from", "pairs", "through"]
    return {"along": panels, "onsets": table(head, lines)} if panels else {}


def _onsets(curves: Curves) -> list[Any]:
    """Games until the mean language is legal above chance; until the median pair is aligned; how many are; the maps."""
    begun = [x for _, one in curves.legal.groupby("language") if (x := onset(one)) is not None]
    found, pairs = pair_onsets(curves.best), len(curves.best[["source", "language"]].drop_duplicates())
    maps = Counter(name for _, name in found.values())
    first = [f"{median(x):,.0f}" if x else None for x in (begun, [games for games, _ in found.values()])]
    share = f"{len(found)} of {pairs}" if pairs else None
    return [*first, share, ", ".join(f"{name}: {n}" for name, n in maps.items()) or None]


def along_curves(curves: Curves, color: str) -> Figure:
    """Above strict legality, below what a language's states say of the other through every map, against games; dotted
    where each run's onset is; last the embeddings of a dictionary's moves and of the others."""
    parts = ((curves.legal, _legality), (curves.aligned, _maps), (curves.entries, _entries))
    shown = [(part, draw) for part, draw in parts if len(part)]
    figure, axes = canvas(1, 0.9 + 2.6 * len(shown), len(shown), width=PHONE, sharex=True)
    for axis, (part, draw) in zip(axes, shown, strict=True):
        draw(axis, curves, color)
        axis.set(xscale="log", ylim=(min(0.0, float(part.value.min())), 1.02))
        axis.xaxis.set_major_formatter(THOUSANDS)
    axes[-1].set(xlabel="games seen")
    legend_below(figure, axes, columns=2)
    return figure


def _legality(axis: Axes, curves: Curves, color: str) -> None:
    points = curves.legal
    seeds(axis, points, "games", "value", color=color, linewidth=2.6)
    level(axis, points.null.mean(), "null")
    title(axis, LEGAL)
    _dotted(axis, [onset(one) for _, one in points.groupby(["run", "language"])])


def _maps(axis: Axes, curves: Curves, color: str) -> None:
    points, best = curves.aligned, curves.best
    for index, name in enumerate(OTHER_MAPS):
        label = "the four other maps" if index == 0 else f"_{name}"
        seeds(axis, points[points["map"] == name], "games", "value", color=EDGE, linewidth=1.0, label=label)
    for name in OPENING_MAPS:
        look = {"color": MAP_COLORS[name], "linestyle": MAP_DASHES[name]}
        seeds(axis, points[points["map"] == name], "games", "value", label=name, **look)
    null = best.groupby("games").null.mean()
    axis.plot(null.index.to_numpy(), null.to_numpy(), color=MUTED, linewidth=1.1, linestyle=(0, (4, 3)), label="null")
    seeds(axis, curves.own, "games", "value", color=color, linewidth=2.6, label="own language")
    title(axis, "Cells read in another language" if len(curves.own) else "Retrieval in another language")
    found = [[x for x, _ in pair_onsets(one).values()] for _, one in best.groupby("run")]
    _dotted(axis, [median(games) if games else None for games in found])


def _entries(axis: Axes, curves: Curves, color: str) -> None:
    for (target, label), style in zip(ENTRY_NAMES.items(), ("-", (0, (4, 2))), strict=True):
        points = curves.entries[curves.entries.target == target]
        seeds(axis, points, "games", "value", color=color, linestyle=style, label=label)
    title(axis, "Nearest embedding is the same move")


def _dotted(axis: Axes, games: Sequence[float | None]) -> None:
    for index, at in enumerate(x for x in games if x is not None):
        axis.axvline(at, color=INK, linewidth=1.0, linestyle=":", label="_" if index else "onset")
