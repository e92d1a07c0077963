"""Figures of the results page. Tables are those of cells.py and probes.py."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mothello.report.results.cells import MAPS
from mothello.report.style import INK, LANGUAGE_COLOURS, MUTED, ROLE_COLOURS, canvas, legend_below, title

RAW, BEST = "#2a6f97", "#c8553d"
_DASHES = (0, (4, 3))


def _points(axis: Axes, x: float, values: pd.Series, colour: str, label: str, hollow: bool = False) -> None:
    """Every seed a point, side by side; their mean a bar."""
    spread = [0.05 * (i - (len(values) - 1) / 2) for i in range(len(values))]
    face = "none" if hollow else colour
    axis.scatter([x + s for s in spread], values, s=26, facecolors=face, edgecolors=colour, zorder=3, label=label)
    axis.plot([x - 0.16, x + 0.16], [values.mean()] * 2, color=colour, linewidth=1.4, zorder=2)


def _level(axis: Axes, value: float, label: str) -> None:
    axis.axhline(value, color=MUTED, linewidth=1.1, linestyle=_DASHES, zorder=1, label=label)


def anchor_figure(cells: pd.DataFrame) -> Figure:
    """Table 1: raw and best-map accuracy of every seed by number of anchors, a panel per pair of kinds."""
    of = cells[cells.raw.notna() & cells.role.isin(["naive", "anchor", "unified"])]
    pairs = [p for p in ("atomic + atomic", "atomic + split", "atomic + compositional") if (of.pair == p).any()]
    figure, axes = canvas(max(1, len(pairs)), 3.6, sharey=True)
    for axis, pair in zip(axes, pairs, strict=False):
        here = of[of.pair == pair]
        place = here.anchors.map({0: 0, 1: 1, 2: 2, 4: 3}).where(here.role != "unified", 4)
        for x, group in here.groupby(place):
            _points(axis, x - 0.14, group.raw, RAW, "raw")
            _points(axis, x + 0.14, group.best, BEST, "best map", hollow=True)
            axis.plot([x - 0.34, x + 0.34], [group.own.mean()] * 2, color=INK, linewidth=1, label="own language")
        _level(axis, here.constant.mean(), "best constant")
        _level(axis, here.random_weights.mean(), "random weights, own language")
        axis.lines[-1].set_linestyle(":")
        ticks = {0: "0", 1: "1", 2: "2", 3: "4", 4: "unified"}
        shown = sorted(place.dropna().unique())
        axis.set_xticks(shown, [ticks[int(x)] for x in shown])
        axis.set(xlabel="anchors")
        title(axis, pair)
    axes[0].set_ylabel("cells read right across languages")
    legend_below(figure, axes)
    return figure


def between(name: str, winners: pd.Series) -> str:
    """The map that lies between this one and the one that all pairs are aligned through (the identity where they are
    not, or differ): what an aligned probe reads under this map is the agreement of boards with their image under it."""
    g = MAPS.index(winners.iloc[0]) if winners.nunique() == 1 and winners.iloc[0] in MAPS else 0
    return MAPS[MAPS.index(name) ^ g]  # the product of the group, as indices: each map undoes itself


def map_figure(cells: pd.DataFrame, names: Mapping[str, str], images: Mapping[str, float]) -> Figure:
    """Accuracy across languages under each of the four maps, a panel per cell. names: cell -> the panel's title."""
    found = [name for name in names if (cells.cell == name).any()]
    figure, axes = canvas(max(1, len(found)), 3.1, sharey=True)
    for axis, name in zip(axes, found, strict=False):
        here = cells[(cells.cell == name) & cells.raw.notna()]
        for x, g in enumerate(MAPS):
            won = here.winner == g
            _points(axis, x, here[g][won], BEST, "best map, aligned")
            _points(axis, x, here[g][~won], RAW, "other maps")
            level = images.get(between(g, here.winner)) if (here.winner != "none").all() else None
            if level is not None:
                axis.plot(
                    [x - 0.3, x + 0.3], [level] * 2, color="#d69a1e", linewidth=1.2, label="boards and their image"
                )
        told, ticks = here.told_kept.dropna(), ["id", "rot", "main", "anti"]
        if len(told):  # a map outside the group, which anchors tell
            _points(axis, len(MAPS), told, BEST, "the map told", hollow=True)
            ticks.append("told")
        axis.plot([-0.4, len(ticks) - 0.6], [here.own.mean()] * 2, color=INK, linewidth=1, label="own language")
        _level(axis, here.constant.mean(), "best constant")
        axis.set_xticks(range(len(ticks)), ticks)
        title(axis, names[name])
    axes[0].set_ylabel("cells read right\nacross languages")
    legend_below(figure, axes)
    return figure


MAP_COLOURS = dict(zip(MAPS, LANGUAGE_COLOURS, strict=False)) | {"mixed": LANGUAGE_COLOURS[4], "none": MUTED}


def emergence_figure(of: pd.DataFrame) -> Figure:
    """Best-map accuracy of naive languages by games, a panel per number of languages and width. of: many.naive_rows."""
    panels = list(of.groupby(["pairs", -of.width]))
    figure, axes = canvas(len(panels), 3.2, sharey=True, width_ratios=[max(1.5, g.games.nunique()) for _, g in panels])
    for axis, (_, group) in zip(axes, panels, strict=True):
        places = {games: x for x, games in enumerate(sorted(group.games.unique()))}
        for games, here in group.sort_values("seed").groupby("games"):
            x = places[games]
            spread = [0.05 * (i - (len(here) - 1) / 2) for i in range(len(here))]
            for shift, (_, row) in zip(spread, here.iterrows(), strict=True):
                label = {"none": "not aligned", "mixed": "aligned, several maps"}.get(
                    row.winner, f"aligned: {row.winner}"
                )
                axis.scatter(x + shift, row.best, s=30, color=MAP_COLOURS[row.winner], zorder=3, label=label)
            axis.plot([x - 0.34, x + 0.34], [here.own.mean()] * 2, color=INK, linewidth=1, label="own language")
        _level(axis, group.constant.mean(), "best constant")
        axis.set_xticks(list(places.values()), [f"{games / 1e6:.3g} M" for games in places])
        axis.set(xlabel="games", xlim=(-0.5, len(places) - 0.5))
        title(axis, f"{group.pair.iloc[0]}\nwidth {group.width.iloc[0]}")
    axes[0].set_ylabel("cells read right\nunder the best map")
    legend_below(figure, axes)
    return figure


def probe_figure(rows: pd.DataFrame, cell: str) -> Figure:
    """Own-language accuracy by layer: MLP and linear, absolute and relative colours, with random weights."""
    figure, axes = canvas(2, 3.2, sharey=True)
    for axis, target in zip(axes, ("absolute", "relative"), strict=True):
        for colour, probe in zip(LANGUAGE_COLOURS, ("mlp", "linear"), strict=False):
            for control, style in (("trained", "-"), ("random_weights", ":"), ("shuffled", "--")):
                of = rows[
                    (rows.cell == cell) & (rows.target == target) & (rows.probe == probe) & (rows.control == control)
                ]
                mean = of.groupby("layer").value.mean()
                if len(mean):
                    label = probe if control == "trained" else f"{probe}, {control.replace('_', ' ')}"
                    axis.plot(mean.index, mean, style, color=colour, marker="o", markersize=3.5, label=label)
        title(axis, f"{target} colours" if target == "absolute" else "mine / theirs / empty")
        axis.set(xlabel="layer")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[0].set_ylabel("cells read right")
    legend_below(figure, axes)
    return figure


def change_figure(rows: pd.DataFrame) -> Figure:
    """Fine-tuning: the course of source and target, every seed a line, a panel per regime."""
    regimes = [name for name in ("naive", "anchor", "unified") if (rows.role == name).any()]
    figure, axes = canvas(max(1, len(regimes)), 3.2, sharey=True)
    for axis, regime in zip(axes, regimes, strict=False):
        of = rows[rows.role == regime]
        for colour, part in ((ROLE_COLOURS["unified"], "source"), (ROLE_COLOURS["naive"], "target")):
            for _, row in of[of.part == part].iterrows():
                axis.plot(row.steps, row.curve, color=colour, marker="o", markersize=3, label=part)
                own = f"{part}, own tokens only"
                axis.plot(row.steps, row.own_curve, color=colour, linewidth=1, linestyle=":", label=own)
        axis.set(xlabel="fine-tuning step")
        title(axis, {"anchor": "8 anchors", "unified": "unified output"}.get(regime, regime))
    axes[0].set_ylabel("strict top-1 legality")
    legend_below(figure, axes)
    return figure
