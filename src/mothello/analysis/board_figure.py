"""Boards as a figure: discs, and in other cells a shade (a probability); wrong cells of a reading are framed."""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle

from mothello.analysis.style import INK, canvas

GREEN, LINE, WRONG, LEGAL = "#dfeae2", "#b9c9be", "#c8553d", "#2a6f97"


class Drawn(NamedTuple):
    """One board: cells 0 white, 1 empty, 2 black, row by row from the top; shade 0..1 and framed cells may be given."""

    title: str
    cells: Sequence[int]
    shade: Sequence[float] = ()
    framed: Sequence[bool] = ()


def boards_figure(boards: Sequence[Sequence[Drawn]]) -> Figure:
    """Rows of boards."""
    columns = max(map(len, boards))
    figure, axes = canvas(columns, 2.3 * len(boards) + 0.2, len(boards), width=min(9.6, 2.2 * columns + 0.4))
    for axis in axes:
        axis.set_axis_off()
    for i, row in enumerate(boards):
        for j, board in enumerate(row):
            _draw(axes[i * columns + j], board)
    return figure


def _draw(axis: Axes, board: Drawn) -> None:
    n = round(len(board.cells) ** 0.5)
    for cell, value in enumerate(board.cells):
        x, y = cell % n, n - 1 - cell // n
        axis.add_patch(Rectangle((x, y), 1, 1, facecolor=GREEN, edgecolor=LINE, linewidth=0.8))
        if board.shade and board.shade[cell] > 0:
            axis.add_patch(Rectangle((x, y), 1, 1, facecolor=LEGAL, alpha=min(1.0, board.shade[cell]), linewidth=0))
            if board.shade[cell] >= 0.005:
                text = f"{board.shade[cell]:.2f}".replace("0.", ".", 1)
                axis.text(x + 0.5, y + 0.5, text, ha="center", va="center", fontsize=7, color=INK)
        if value != 1:
            axis.add_patch(Circle((x + 0.5, y + 0.5), 0.38, facecolor=INK if value == 2 else "white", edgecolor=INK))
        if board.framed and board.framed[cell]:
            inner = Rectangle((x + 0.06, y + 0.06), 0.88, 0.88, facecolor="none", edgecolor=WRONG, linewidth=1.6)
            axis.add_patch(inner)
    axis.set(xlim=(0, n), ylim=(0, n), aspect="equal")
    axis.set_title(board.title, fontsize=8.5, color=INK)
