"""The figure on top of the page: what probes read in their own language and in the other ones, a row per label."""

from collections.abc import Iterator, Mapping, Sequence
from textwrap import fill, wrap
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mothello.report.style import INK, MUTED, PAPER, SHARING_COLORS, canvas

SHARED = {"naive": "no common token", "anchors": "some common tokens", "unified": "one vocabulary of answers"}
"""Sharing -> what it is."""
FEW, SOME = 8, 20
"""Labels up to which they stand in one column, and in two; more stand in three."""
LONG = 26
"""Characters of a line of a label."""
NARROW, BROAD = 3.2, 4.2
"""Inches of a column, and of the only one, which a phone still shows whole."""


class Row(NamedTuple):
    """A heading, or a label with a row per trained model (the columns of Headline)."""

    text: str
    heads: pd.DataFrame | None = None

    @property
    def lines(self) -> int:
        return len(wrap(self.text, LONG)) if self.heads is not None else 1


def overview(heads: pd.DataFrame, boards: Mapping[str, str] | None = None) -> list[Figure]:
    """A narrow figure per column of labels, all with one scale, to stand side by side or one below the other. heads: of
    pretrained models, one probe and target; those of one language are left out. boards: label -> board, where these
    differ."""
    heads = heads[heads.across.notna()]
    rows = list(_rows(heads, boards or {}))
    labels = heads.label.nunique()
    columns = 1 if labels <= FEW else 2 if labels <= SOME else 3
    shown = heads[["own", "across", "across_best_map", "orbit", "constant"]].astype(float)
    limits = float(shown.min().min()) - 0.03, float(shown.max().max()) + 0.03
    return [_column(part, limits, columns == 1) for part in _parts(rows, columns)]


def _rows(heads: pd.DataFrame, boards: Mapping[str, str]) -> Iterator[Row]:
    """By board and sharing, under a heading each; within one, those that read most across languages come first."""
    data = heads.assign(board=heads.label.map(boards).fillna(""), reads=pd.to_numeric(heads.across_best_map))
    for (board, sharing), group in data.groupby(["board", "sharing"], sort=False):
        yield Row(f"{board} {sharing}: {SHARED[str(sharing)]}".strip())
        order = group.groupby("label", sort=False).reads.mean().sort_values(ascending=False, kind="stable").index
        yield from (Row(str(label), group[group.label == label]) for label in order)


def _parts(rows: Sequence[Row], columns: int) -> Iterator[list[Row]]:
    """Columns of about as many lines; no heading is the last of one, and one that goes on is repeated."""
    most, heading = (sum(row.lines for row in rows) + columns - 1) / columns, rows[0]
    part, left = list[Row](), columns - 1
    for row in rows:
        begins = row.heads is None
        heading = row if begins else heading
        if left and part and sum(x.lines for x in part) + begins >= most:
            yield part
            part, left = [] if begins else [Row(f"{heading.text.partition(':')[0]}, continued")], left - 1
        part.append(row)
    yield part


def _column(rows: Sequence[Row], limits: tuple[float, float], only: bool) -> Figure:
    unit, lines = (0.27 if only else 0.185), sum(row.lines for row in rows)
    figure, (axis,) = canvas(1, 0.45 + unit * lines, width=BROAD if only else NARROW)
    place, ticks = 0.0, dict[float, str]()
    for row in rows:
        middle = place + (row.lines - 1) / 2
        place += row.lines
        if row.heads is None:
            where: dict[str, Any] = {"xycoords": ("figure fraction", "data"), "va": "center", "in_layout": False}
            axis.annotate(row.text, (0, middle), fontsize=8, fontweight="bold", color=INK, **where)
            continue
        _drawn(axis, middle, row.heads)
        ticks[middle] = fill(row.text, LONG)
    axis.set_yticks(list(ticks), list(ticks.values()))
    axis.tick_params(axis="y", labelsize=9 if only else 8, labelcolor=INK, length=0)
    axis.tick_params(axis="x", labelsize=8)
    axis.set(ylim=(lines - 0.5, -0.5), xlim=limits)
    axis.set_xlabel("share of the board's cells read right", fontsize=8)
    axis.spines["left"].set_visible(False)
    axis.grid(axis="y", visible=False)
    return figure


MARKS: tuple[dict[str, Any], ...] = (
    {"marker": "|", "s": 90, "linewidth": 2.2},
    {"marker": "o", "s": 24, "linewidth": 1.2},
    {"marker": "D", "s": 20, "linewidth": 1.2},
    {"marker": "x", "s": 18, "linewidth": 1.1},
)
KEY = {
    "|": "own language", "\u25cb": "other language, as it is", "\u25c6": "other language, through the best map",
    "\u00d7": "orbit reader, which tells no map from another",
}  # fmt: skip
"""The marks as text, and what they mean."""


def _drawn(axis: Axes, place: float, heads: pd.DataFrame) -> None:
    """A label's models: a bar from reading as it is to reading through the best map, and a mark for every number."""
    color = SHARING_COLORS.get(str(heads.sharing.iloc[0]), MUTED)
    values = heads[["own", "across", "across_best_map", "orbit", "constant"]].astype(float)
    ends = values[["across", "across_best_map"]].mean().tolist()
    axis.plot(ends, [place] * 2, color=color, alpha=0.3, linewidth=4, solid_capstyle="round", zorder=1)
    filled = (INK, PAPER, color, MUTED)
    shown = (values.own, values.across, values.across_best_map, values.orbit.fillna(values.constant))
    for (numbers, face), style in zip(zip(shown, filled, strict=True), MARKS, strict=True):
        edge: dict[str, Any] = {"facecolor": face, "edgecolor": color} if style["marker"] in "oD" else {"color": face}
        axis.scatter(numbers, [place] * len(numbers), zorder=3, **style, **edge)
