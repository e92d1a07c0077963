"""What a corpus is, drawn: each figure is a function of the numbers that scripts/corpus.py counts."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter

from mothello.report.style import ACCURACY, INK, LANGUAGE_COLOURS, MUTED, WIDTH, canvas, legend_below, lighter, title

Corpora = Mapping[str, Mapping[str, Any]]


def _colours(corpora: Corpora) -> dict[str, str]:
    """A colour per corpus; the one held against is grey."""
    names = [name for name in corpora if name != "against"]
    found = {name: LANGUAGE_COLOURS[i % len(LANGUAGE_COLOURS)] for i, name in enumerate(names)}
    return found | {"against": "#9aa3ad"}


def _shares(counts: list[int]) -> np.ndarray:
    return np.array(counts) / max(1, sum(counts))


def lengths_and_passes(corpora: Corpora, label: Mapping[str, str]) -> Figure:
    """Games by their number of plies and by their number of passes."""
    figure, (length, passes) = canvas(2, 3.2)
    colours = _colours(corpora)
    low = min(int(np.flatnonzero(_shares(row["lengths"]) > 5e-4)[0]) for row in corpora.values())
    most = max(int(np.flatnonzero(np.array(row["passes"]))[-1]) for row in corpora.values())
    width = 0.8 / len(corpora)
    for place, (name, row) in enumerate(corpora.items()):
        shift = (place - (len(corpora) - 1) / 2) * width
        x = np.arange(low, len(row["lengths"]))
        style: dict[str, Any] = {"width": width, "color": colours[name], "label": label[name]}
        length.bar(x + shift, _shares(row["lengths"])[low:], **style)
        passes.bar(np.arange(most + 1) + shift, _shares(row["passes"])[: most + 1], **style)
    title(length, "Length")
    title(passes, "Passes")
    length.set(xlabel="plies of a game", ylabel="share of games", yscale="log", ylim=(3e-4, 1.3))
    passes.set(xlabel="passes in a game", ylabel="share of games")
    passes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    for axis in (length, passes):
        axis.xaxis.set_major_locator(MaxNLocator(9, integer=True))
        axis.grid(axis="x", visible=False)
    legend_below(figure, [length])
    return figure


def by_ply(corpora: Corpora, label: Mapping[str, str]) -> Figure:
    """Legal moves, entropy floor and passes before each ply."""
    figure, (legal, floor, passed) = canvas(3, 3.2)
    for name, colour in _colours(corpora).items():
        if name not in corpora:
            continue
        row = corpora[name]
        ply = np.arange(1, len(row["legal"]) + 1)
        here = np.array(row["alive"]) > 0.001
        legal.plot(ply[here], np.array(row["legal"])[here], color=colour, label=label[name])
        nats = np.array(row["floor"]["nats"], dtype=float)[here]
        error = 1.96 * np.array(row["floor"]["standard_error"], dtype=float)[here]
        bound = row["floor"]["kind"] == "bound"
        floor.plot(ply[here], nats, color=colour, label=label[name], linestyle=":" if bound else "-")
        floor.fill_between(ply[here], nats - error, nats + error, color=colour, alpha=0.2, linewidth=0)
        passed.plot(ply[here], np.array(row["passed"])[here], color=colour, label=label[name])
    title(legal, "Legal moves")
    title(floor, "Floor: entropy of the move")
    title(passed, "A pass just before")
    legal.set(xlabel="ply", ylabel="mean number", ylim=(0, None))
    floor.set(xlabel="ply", ylabel="nats", ylim=(0, None))
    passed.set(xlabel="ply", ylabel="share of games", ylim=(0, None))
    passed.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    for axis in (legal, floor, passed):
        axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    legend_below(figure, [legal])
    return figure


def _children(openings: list[Mapping[str, Any]], start: list[str]) -> list[tuple[str, int]]:
    depth = len(start)
    inside = [node for node in openings if len(node["moves"]) == depth + 1 and node["moves"][:depth] == start]
    return [(node["moves"][-1], node["games"]) for node in inside]


def opening_tree(openings: list[Mapping[str, Any]], games: int) -> Figure:
    """The first plies as nested bars: an opening is as wide as its share of the games."""
    depth = max(len(node["moves"]) for node in openings)
    figure, (axis,) = canvas(1, 0.5 + 0.52 * depth)
    firsts = {name: i for i, (name, _) in enumerate(_children(openings, []))}

    def draw(start: list[str], left: float) -> None:
        for name, count in _children(openings, start):
            moves, width = [*start, name], count / games
            shade = lighter(LANGUAGE_COLOURS[firsts[moves[0]] % len(LANGUAGE_COLOURS)], 0.25 + 0.22 * len(start))
            box = Rectangle((left, -len(moves)), width, 0.94, facecolor=shade, edgecolor="white", linewidth=0.8)
            axis.add_patch(box)
            if width > 0.017:
                axis.text(left + width / 2, -len(moves) + 0.47, name, ha="center", va="center", fontsize=8, color=INK)
            if len(moves) < depth:
                draw(moves, left)
            left += width

    draw([], 0.0)
    axis.set(xlim=(0, 1), ylim=(-depth, 0), xlabel="share of games")
    axis.set_yticks([0.47 - d for d in range(1, depth + 1)], [f"ply {d}" for d in range(1, depth + 1)])
    axis.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axis.grid(visible=False)
    axis.spines[["left", "bottom"]].set_visible(False)
    axis.tick_params(length=0)
    return figure


def occupancy(row: Mapping[str, Any], size: int) -> Figure:
    """How often each square holds a disc, at four moments of the games."""
    table = np.array(row["occupied"])
    last = int(np.flatnonzero(np.array(row["alive"]) > 0.5)[-1])
    plies = [round(last * share) for share in (0.25, 0.5, 0.75, 1)]
    figure, axes = canvas(4, 2.5, width=WIDTH)
    for axis, ply in zip(axes, plies, strict=True):
        image = axis.imshow(table[ply].reshape(size, size), cmap=ACCURACY, vmin=0, vmax=1)
        axis.set_xticks(range(size), list("abcdefgh"[:size]), fontsize=7)
        axis.set_yticks(range(size), [str(i + 1) for i in range(size)], fontsize=7)
        axis.tick_params(length=0)
        axis.grid(visible=False)
        title(axis, f"before ply {ply + 1}")
    bar = figure.colorbar(image, ax=axes, shrink=0.8, aspect=18, pad=0.01)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, colors=MUTED)
    return figure


def _divergence_panel(axis: Axes, found: Corpora, key: str, colours: Mapping[str, str]) -> None:
    for name, row in found.items():
        values = np.array(row[key], dtype=float)
        axis.plot(np.arange(1, len(values) + 1), values, color=colours[name], label=name)
    axis.set(xlabel="ply", ylabel="nats", ylim=(0, None))
    axis.xaxis.set_major_locator(MaxNLocator(7, integer=True))


def divergences(found: Corpora, corpora: Corpora) -> Figure:
    """Jensen-Shannon divergence by ply from the corpus held against, of moves and of boards."""
    figure, axes = canvas(2, 3.0)
    for axis, key, name in zip(axes, ("moves_by_ply", "boards_by_ply"), ("Moves", "Boards"), strict=True):
        _divergence_panel(axis, found, key, _colours(corpora))
        title(axis, name)
    legend_below(figure, axes)
    return figure
