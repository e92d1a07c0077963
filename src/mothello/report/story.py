"""One figure that tells a study: for each of a few runs, what a probe reads in its own and in the other language, and
one board as it reads it from the other language."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mothello.report.board_figure import Drawn, draw_board, reading_of
from mothello.report.markup import image
from mothello.report.runs import Run
from mothello.report.sections import Groups, Summaries
from mothello.report.style import INK, MUTED, canvas, lighter, title

FEW = 5
"""Labels that one figure tells of."""


class Told(NamedTuple):
    """One label. own, across: a number per seed; baseline: the better of the best constant and random weights."""

    label: str
    color: str
    own: Sequence[float]
    across: Sequence[float]
    baseline: float
    board: Drawn


def story(truth: Drawn, labels: Sequence[Told]) -> Figure:
    """Above, a panel of bars per label, seeds as points; below, the true board and the reading of each."""
    figure, axes = canvas(1 + len(labels), 4.9, 2, height_ratios=(1.0, 1.15))
    above, below = axes[: 1 + len(labels)], axes[1 + len(labels) :]
    _explained(above[0])
    for axis, one in zip(above[1:], labels, strict=True):
        _bars(axis, one)
    for axis, drawn in zip(below, (truth, *(one.board for one in labels)), strict=True):
        axis.set_axis_off()
        draw_board(axis, drawn)
    return figure


def _explained(axis: Axes) -> None:
    """What the panels beside it show."""
    axis.set_axis_off()
    lines = (
        "Cells that a probe of one", "language reads right:", "in its own language,", "and in the other one.", "",
        "Dashed: what can be read", "without a trained model.",
    )  # fmt: skip
    axis.text(0.0, 0.97, "\n".join(lines), transform=axis.transAxes, va="top", color=MUTED, fontsize=9, linespacing=1.5)


def _bars(axis: Axes, one: Told) -> None:
    for place, (values, color) in enumerate(((one.own, one.color), (one.across, lighter(one.color, 0.55)))):
        mean = sum(values) / len(values)
        axis.bar(place, mean, 0.62, color=color)
        axis.scatter([place] * len(values), list(values), s=14, color=INK, zorder=3)
        axis.annotate(f"{mean:.2f}", (place, max(values)), (0, 4), textcoords="offset points", ha="center", color=INK)
    axis.axhline(one.baseline, color=INK, linewidth=1, linestyle=(0, (4, 3)), zorder=2)
    style: dict[str, Any] = {"labelsize": 9, "labelcolor": INK, "length": 0}
    axis.set_xticks([0, 1], ["own", "other"])
    axis.tick_params(axis="x", **style)
    axis.set(ylim=(0, 1.08), xlim=(-0.6, 1.6))
    axis.grid(axis="x", visible=False)
    title(axis, one.label)


def told(groups: Groups, summaries: Summaries, palette: Mapping[str, str]) -> dict[str, Any]:
    """All labels in one figure, with the latest board that was read in each: where they are few, and two languages."""
    examples = {label: _by_place(groups[label][0]) for label, x in summaries.items() if x["across"] is not None}
    common = set.intersection(*map(set, examples.values())) if examples else set()
    if not (1 < len(examples) == len(groups) <= FEW and common):
        return {}
    place, lines = max(common, key=lambda key: key[1]), []
    for label, kept in examples.items():
        example, summary = kept[place], summaries[label]
        other = next(name for name in example["readings"] if name != example["source"])
        drawn = reading_of("read from the other", example["readings"][other], example["truth"])
        baseline = max(x.mean for name in ("constant", "random_weights") if (x := summary[name]) is not None)
        own, across = (summary.heads[name].astype(float).tolist() for name in ("own", "across"))
        lines.append(Told(label, palette[label], own, across, baseline, drawn))
    truth = Drawn(f"the board after ply {place[1]}", example["truth"])
    return {"told": image(story(truth, lines), "What a probe reads in its own and in the other language")}


def _by_place(run: Run) -> dict[tuple[str, int], dict[str, Any]]:
    """A run's example boards by game and ply, those with two languages."""
    probed = run.measure("probes")
    return {(x["game"], x["ply"]): x for x in (probed.examples if probed else []) if len(x["readings"]) > 1}
