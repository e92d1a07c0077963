"""Figures of the results page, from the tables of data.py."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from mothello.measures.probes.verdict import RECOVERED, TWO_DOMAINS
from mothello.report.style import INK, LANGUAGE_COLORS, MAP_COLORS, MUTED, ROLE_COLORS, canvas, legend_below, title
from studies import CRITERIA, answers
from studies.data import MAPS, MIRRORS, records
from studies.tables import SHARING

RAW, BEST, IMAGE = "#2a6f97", "#c8553d", "#d69a1e"
WINNER_COLORS = MAP_COLORS | {"mixed": LANGUAGE_COLORS[4], "none": MUTED}
MIRROR_PANELS = {"anchor_4": "true anchors"} | {f"mirror_{name}": name for name in (*MIRRORS, "columns")}
PLACEMENT_PANELS = {cell: place["panel"] for cell, place in CRITERIA.placement.items()}


def _spread(x: float, count: int) -> list[float]:
    """Places of the seeds at x, side by side."""
    return [x + 0.05 * (i - (count - 1) / 2) for i in range(count)]


def _points(axis: Axes, x: float, values: pd.Series, color: str, label: str, hollow: bool = False) -> None:
    """Every seed a point; their mean a bar."""
    face = "none" if hollow else color
    places = _spread(x, len(values))
    axis.scatter(places, values, s=26, facecolors=face, edgecolors=color, zorder=3, label=label)
    _bar(axis, x, values.mean(), color, 0.16, 1.4, zorder=2)


def _bar(axis: Axes, x: float, value: float, color: str, half: float, width: float = 1, **more: Any) -> None:
    axis.plot([x - half, x + half], [value] * 2, color=color, linewidth=width, **more)


def _level(axis: Axes, value: float, label: str, dashes: object = (0, (4, 3))) -> None:
    axis.axhline(value, color=MUTED, linewidth=1.1, linestyle=dashes, zorder=1, label=label)


def anchor_figure(cells: pd.DataFrame) -> Figure:
    """Table 1: raw and best-map accuracy of every seed by number of anchors, a panel per pair of kinds."""
    rows = cells[cells.probed & cells.sharing.isin(list(SHARING))]
    pairs = [
        name for name in ("atomic + atomic", "atomic + split", "atomic + compositional") if (rows.pair == name).any()
    ]
    figure, axes = canvas(max(1, len(pairs)), 3.6, sharey=True)
    ticks = {0: "0", 1: "1", 2: "2", 3: "4", 4: "unified"}
    for axis, pair in zip(axes, pairs, strict=False):
        same = rows[rows.pair == pair]
        places = same.anchors.map({0: 0, 1: 1, 2: 2, 4: 3}).where(same.sharing != "unified", 4)
        for x, group in same.groupby(places):
            _points(axis, x - 0.14, group.raw, RAW, "raw")
            _points(axis, x + 0.14, group.best, BEST, "best map", hollow=True)
            _bar(axis, x, group.own.mean(), INK, 0.34, label="own language")
        _level(axis, same.constant.mean(), "best constant")
        _level(axis, same.orbit.mean(), "orbit reader", ":")
        shown = sorted(places.dropna().unique())
        axis.set_xticks(shown, [ticks[int(x)] for x in shown])
        axis.set(xlabel="anchors")
        title(axis, pair)
    axes[0].set_ylabel("cells read right across languages")
    legend_below(figure, axes)
    return figure


def _between(name: str, winners: pd.Series) -> str:
    """The map that lies between this one and the one that all pairs are aligned through (the identity where they are
    not, or differ): what an aligned probe reads under this map is the agreement of boards with their image under it."""
    same = winners.nunique() == 1 and winners.iloc[0] in MAPS
    return MAPS[MAPS.index(name) ^ (MAPS.index(winners.iloc[0]) if same else 0)]  # the group's product, as indices


def map_figure(cells: pd.DataFrame, panels: Mapping[str, str], images: Mapping[str, float]) -> Figure:
    """Accuracy across languages under each of the four maps, a panel per cell. panels: cell -> title."""
    shown = [name for name in panels if (cells.cell == name).any()]
    figure, axes = canvas(max(1, len(shown)), 3.1, sharey=True)
    for axis, name in zip(axes, shown, strict=False):
        rows = cells[(cells.cell == name) & cells.probed]
        for x, g in enumerate(MAPS):
            won = rows.winner == g
            _points(axis, x, rows[g][won], BEST, "best map, aligned")
            _points(axis, x, rows[g][~won], RAW, "other maps")
            level = images.get(_between(g, rows.winner)) if (rows.winner != "none").all() else None
            if level is not None:
                _bar(axis, x, level, IMAGE, 0.3, 1.2, label="boards and their image")
        linked, ticks = rows.linked_map.dropna(), ["id", "rot", "main", "anti"]
        if len(linked):
            _points(axis, len(MAPS), linked, BEST, "the map linked", hollow=True)
            ticks.append("link")
        middle = (len(ticks) - 1) / 2
        _bar(axis, middle, rows.own.mean(), INK, middle + 0.4, label="own language")
        _level(axis, rows.constant.mean(), "best constant")
        axis.set_xticks(range(len(ticks)), ticks)
        title(axis, panels[name])
    axes[0].set_ylabel("cells read right\nacross languages")
    legend_below(figure, axes)
    return figure


FLOOR = -0.1
"""Where a reading no better than the orbit reader's is drawn."""


def graded_figure(panels: Sequence[tuple[str, str, Sequence[tuple[str, pd.DataFrame]]]]) -> Figure:
    """How far the best map gets from the orbit reader to the own language: every run a point, in the color of its map,
    whole where all pairs have one map. panels: title, label of the horizontal axis, (tick, runs) from left to right."""
    figure, axes = canvas(
        len(panels), 3.2, sharey=True, width_ratios=[max(1.5, len(places)) for _, _, places in panels]
    )
    for axis, (name, xlabel, places) in zip(axes, panels, strict=True):
        for x, (_, group) in enumerate(places):
            for place, row in zip(_spread(x, len(group)), records(group.sort_values("seed")), strict=True):
                _degree(axis, place, row)
        axis.axhline(
            RECOVERED, color=MUTED, linewidth=1.1, linestyle=(0, (4, 3)), zorder=1, label="one map from here on"
        )
        axis.axhline(0, color=MUTED, linewidth=1.1, linestyle=":", zorder=1, label="orbit reader, or below")
        axis.set_xticks(range(len(places)), [tick for tick, _ in places])
        axis.set(xlabel=xlabel, xlim=(-0.5, len(places) - 0.5), ylim=(FLOOR - 0.06, 1.06))
        axis.yaxis.set_major_formatter(PercentFormatter(1))
        title(axis, name)
    axes[0].set_ylabel("recovered across languages")
    legend_below(figure, axes)
    return figure


def _degree(axis: Axes, place: float, row: Mapping[str, Any]) -> None:
    far = max(float(row["recovered"] or 0), FLOOR) if row["recovered"] == row["recovered"] else FLOOR
    color, whole = WINNER_COLORS[row["winner"]], "(partly)" not in row["verdict"]
    divided = row["kinds"].get(TWO_DOMAINS, 0) > 0 and row["winner"] == "none"
    label = {"none": "two domains" if divided else "not aligned", "mixed": "several maps"}.get(
        row["winner"], row["winner"]
    )
    axis.scatter(
        place, far, s=34, marker="D" if divided else "o", facecolors=color if whole else "none", edgecolors=color,
        zorder=3, label=label if whole else f"{label}, partly",
    )  # fmt: skip


def emergence_figure(naive: pd.DataFrame) -> Figure:
    """Naive languages by games, a panel per number of languages and width."""
    panels = []
    for _, rows in naive.groupby(["pairs", -naive.width]):
        places = [(f"{group.games.iloc[0] / 1e6:.3g} M", group) for _, group in rows.groupby("games")]
        panels.append((f"{rows.pair.iloc[0]}\nwidth {rows.width.iloc[0]}", "games", places))
    return graded_figure(panels)


def factor_figure(cells: pd.DataFrame) -> Figure:
    """Naive pairs of a study of one factor, by cell."""
    places = [
        (str(name).removeprefix("naive_").replace("_", "\n"), rows) for name, rows in cells.groupby("cell", sort=False)
    ]
    return graded_figure([("", "", places)])


def probe_figure(errors: pd.DataFrame, cell: str) -> Figure:
    """Own-language accuracy by layer: MLP and linear, absolute and relative colors, with random weights."""
    figure, axes = canvas(2, 3.2, sharey=True)
    for axis, target in zip(axes, ("absolute", "relative"), strict=True):
        for color, probe in zip(LANGUAGE_COLORS, ("mlp", "linear"), strict=False):
            same = errors[(errors.cell == cell) & (errors.target == target) & (errors.probe == probe)]
            for control, style in (("trained", "-"), ("random_weights", ":"), ("shuffled", "--")):
                curve = 1 - same[same.control == control].groupby("layer").error.mean()
                if len(curve):
                    label = probe if control == "trained" else f"{probe}, {control.replace('_', ' ')}"
                    axis.plot(curve.index, curve, style, color=color, marker="o", markersize=3.5, label=label)
        title(axis, f"{target} colors" if target == "absolute" else "mine / theirs / empty")
        axis.set(xlabel="layer")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[0].set_ylabel("cells read right")
    legend_below(figure, axes)
    return figure


def change_figure(tuned: pd.DataFrame) -> Figure:
    """Fine-tuning: the course of source and target, every seed a line, a panel per kind of sharing."""
    shown = [name for name in SHARING if (tuned.sharing == name).any()]
    figure, axes = canvas(max(1, len(shown)), 3.2, sharey=True)
    for axis, sharing in zip(axes, shown, strict=False):
        for part, color in (("source", ROLE_COLORS["unified"]), ("target", ROLE_COLORS["naive"])):
            for _, row in tuned[(tuned.sharing == sharing) & (tuned.part == part)].iterrows():
                axis.plot(row.steps, row.curve, color=color, marker="o", markersize=3, label=part)
                label = f"{part}, own tokens only"
                axis.plot(row.steps, row.own_curve, color=color, linewidth=1, linestyle=":", label=label)
        axis.set(xlabel="fine-tuning step")
        title(axis, SHARING[sharing])
    axes[0].set_ylabel("strict top-1 legality")
    legend_below(figure, axes)
    return figure


def course_figure(courses: pd.DataFrame) -> Figure:
    """answers.courses during fine-tuning, our schedule: a panel per sharing and softmax, every seed a line."""
    rows = courses[(courses.schedule == "ours") & courses.sharing.isin(["naive", "anchors"])]
    panels = [(x, softmax) for x in ("naive", "anchors") for softmax in answers.SOFTMAX]
    panels = [(x, y) for x, y in panels if ((rows.sharing == x) & (rows.softmax == y)).any()]
    lines = {
        ("source", "its own tokens"): (ROLE_COLORS["unified"], "-"),
        ("target", "its own tokens"): (ROLE_COLORS["naive"], "-"),
        ("target", "the source's tokens"): (IMAGE, "--"),
    }
    figure, axes = canvas(max(1, len(panels)), 3.2, sharey=True)
    for axis, (sharing, softmax) in zip(axes, panels, strict=False):
        same = rows[(rows.sharing == sharing) & (rows.softmax == softmax)]
        for (part, among), (color, dashes) in lines.items():
            for _, row in same[(same.part == part) & (same.among == among)].iterrows():
                axis.plot(row.steps, row.curve, color=color, linestyle=dashes, label=f"{part}, in {among}")
        axis.set(xlabel="fine-tuning step")
        title(axis, f"{SHARING[sharing]}:\n{answers.SOFTMAX[softmax]}")
    axes[0].set_ylabel("strict top-1 legality")
    legend_below(figure, axes)
    return figure


def answer_figure(ratios: Mapping[tuple[str, str], pd.Series]) -> Figure:
    """What the target gains as a share of the source's gain, by (sharing, way): answers.ratios."""
    figure, axes = canvas(1, 3.6)
    axis, labels = axes[0], list(dict.fromkeys(sharing for sharing, _ in ratios))
    places = dict(zip(answers.WAYS, ((-0.25, RAW, False), (0.0, BEST, True), (0.25, IMAGE, False)), strict=True))
    for (sharing, way), values in ratios.items():
        shift, color, hollow = places[way]
        x = labels.index(sharing) + (0 if sharing == labels[-1] == "unified output" else shift)
        _points(axis, x, values, color, way, hollow)
    _level(axis, 0, "no change")
    _level(axis, 1, "as much as the source", ":")
    axis.set_xticks(range(len(labels)), labels)
    axis.set_xlim(-0.5, len(labels) - 0.5)
    axis.yaxis.set_major_formatter(PercentFormatter(1))
    axis.set_ylabel("gain of the other language")
    legend_below(figure, axes, columns=3)
    return figure
