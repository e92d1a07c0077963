"""How time and memory grow with games and languages: the figure of python -m benchmarks.growth."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mothello.report.style import LANGUAGE_COLORS, MUTED, canvas, legend_below, title


def _memory(axis: Axes, points: list[Mapping[str, float]]) -> None:
    """The process' peak, and what it held before any game: torch itself."""
    x = [point["n"] for point in points]
    axis.plot(x, [point["peak_mb"] for point in points], marker="o", color=LANGUAGE_COLORS[1], label="peak")
    base = [point["base_mb"] for point in points]
    axis.plot(x, base, marker="o", markersize=3, color="#9aa3ad", label="torch alone")
    axis.set(xscale="log", ylabel="MB", ylim=(0, 1.15 * max(point["peak_mb"] for point in points)))
    axis.legend(loc="lower right")


def growth_figure(numbers: Mapping[str, Any]) -> Figure:
    """Four panels: seconds and memory by games, tokens a second and memory by languages."""
    figure, (seconds, memory, tokens, more) = canvas(2, 5.2, rows=2)
    games, languages = numbers["games"], numbers["languages"]
    n = [point["n"] for point in games]
    seconds.plot(n, [point["seconds"] for point in games], marker="o", color=LANGUAGE_COLORS[0])
    seconds.set(xscale="log", yscale="log", xlabel="games", ylabel="seconds")
    title(seconds, f"Playing every game once, {numbers['board']}x{numbers['board']}")
    _memory(memory, games)
    memory.set(xlabel="games")
    title(memory, "Memory of that process")
    rate = [point["extra"] / point["seconds"] / 1e6 for point in languages]
    tokens.plot([point["n"] for point in languages], rate, marker="o", color=LANGUAGE_COLORS[0])
    tokens.set(xscale="log", xlabel="languages", ylabel="million tokens a second", ylim=(0, 1.15 * max(rate)))
    title(tokens, "Batches of the training stream")
    _memory(more, languages)
    more.set(xlabel="languages")
    title(more, "Memory of that process")
    return figure


def language_figure(points: Sequence[Mapping[str, Any]]) -> Figure:
    """Alignment of all pairs and layers by number of languages: forward passes, and time."""
    figure, (passes, time) = canvas(2, 2.9)
    n = [point["languages"] for point in points]
    passes.plot(n, [100 * point["passes"] / point["games"] for point in points], marker="o", color=LANGUAGE_COLORS[0])
    passes.set(xlabel="languages", ylabel="per 100 games", ylim=(0, None), xlim=(0, None))
    title(passes, "Forward passes")
    each = [1e3 * point["seconds"] / point["games"] for point in points]
    time.plot(n, each, marker="o", color=LANGUAGE_COLORS[1], label="measured")
    least = min(range(len(n)), key=n.__getitem__)
    line = [each[least] * m / n[least] for m in n]
    time.plot(n, line, color=MUTED, linestyle="--", linewidth=1, label="linear")
    square = [each[least] * (m / n[least]) ** 2 for m in n]
    time.plot(n, square, color=MUTED, linestyle=":", linewidth=1, label="square (pairs)")
    time.set(xlabel="languages", ylabel="ms a game", xscale="log", yscale="log")
    for axis in (passes, time):
        axis.set_xticks(n, [str(m) for m in n])
        axis.minorticks_off()
    time.yaxis.set_major_formatter("{x:g}")
    legend_below(figure, [time])
    title(time, "All pairs, layers and probes")
    return figure
