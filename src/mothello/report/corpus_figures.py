"""Figures of a corpus: each is a function of the numbers that scripts/corpus.py counts."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from mothello.report.style import LANGUAGE_COLORS, MUTED, canvas, legend_below, title


def _colors(numbers: Mapping[str, Any]) -> dict[str, str]:
    """A color per corpus; the last one, with which the others are compared, is gray."""
    names = list(numbers["corpora"])
    colors = {name: LANGUAGE_COLORS[i % len(LANGUAGE_COLORS)] for i, name in enumerate(names)}
    return colors | {names[-1]: MUTED}


def _label(numbers: Mapping[str, Any], name: str) -> str:
    return name if name in numbers["divergence"] else f"{name} {numbers['against']}"


def lengths_and_passes(numbers: Mapping[str, Any]) -> Figure:
    """Shares of games by their number of plies (logarithmic) and by their number of passes."""
    figure, (length, passes) = canvas(2, 3.2)
    corpora, colors = numbers["corpora"], _colors(numbers)
    lowest = min(int(np.flatnonzero(row["lengths"])[0]) for row in corpora.values())
    width = 0.8 / len(corpora)
    for place, (name, row) in enumerate(corpora.items()):
        shift = (place - (len(corpora) - 1) / 2) * width
        for axis, key, first in ((length, "lengths", lowest), (passes, "passes", 0)):
            share = np.array(row[key]) / max(1, sum(row[key]))
            x = np.arange(first, int(np.flatnonzero(share)[-1]) + 1)
            axis.bar(x + shift, share[x], width, color=colors[name], label=_label(numbers, name))
    title(length, "Length")
    title(passes, "Passes")
    length.set(xlabel="plies of a game", ylabel="share of games", yscale="log")
    passes.set(xlabel="passes in a game", ylabel="share of games")
    for axis in (length, passes):
        axis.xaxis.set_major_locator(MaxNLocator(9, integer=True))
    passes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    legend_below(figure, [length])
    return figure


def by_ply(numbers: Mapping[str, Any]) -> Figure:
    """Legal moves, entropy floor, passes and divergence of moves before each ply. A dotted floor is an upper bound."""
    figure, (legal, floor, passed, away) = canvas(4, 2.8)
    for name, row in numbers["corpora"].items():
        alive = np.array(row["alive"]) > 0.001
        ply, style = np.arange(1, len(alive) + 1)[alive], dict[str, Any](color=_colors(numbers)[name])
        nats, error = (np.array(row["floor"][key], dtype=float)[alive] for key in ("nats", "standard_error"))
        legal.plot(ply, np.array(row["legal"])[alive], label=_label(numbers, name), **style)
        floor.plot(ply, nats, linestyle=":" if row["floor"]["kind"] == "bound" else "-", **style)
        floor.fill_between(ply, nats - 1.96 * error, nats + 1.96 * error, alpha=0.2, linewidth=0, **style)
        passed.plot(ply, np.array(row["passed"])[alive], **style)
        if name in numbers["divergence"]:
            away.plot(ply, np.array(numbers["divergence"][name]["moves_by_ply"], dtype=float)[alive], **style)
    panels = {legal: "Legal moves", floor: "Floor, nats", passed: "Share after a pass", away: "Divergence, nats"}
    for axis, text in panels.items():
        title(axis, text)
        axis.set(xlabel="ply", ylim=(0, None))
        axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    legend_below(figure, [legal])
    return figure
