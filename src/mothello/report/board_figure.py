"""Boards as a figure: discs, and in other cells a shade (a probability); wrong cells of a reading are framed.
Or squares in the colors of their maps."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle

from mothello.othello.board import Board
from mothello.othello.notation import square_name
from mothello.othello.symmetry import cell_map
from mothello.report.style import DARK, INK, LIGHT, MAP_COLORS, canvas, legend_below

FELT, LINE, WRONG, LEGAL = "#e9ecef", "#b9c2cb", "#c8553d", "#2a6f97"


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
        for j, drawn in enumerate(row):
            draw_board(axes[i * columns + j], drawn)
    return figure


def draw_board(axis: Axes, drawn: Drawn) -> None:
    """A board on axes of its own."""
    n = round(len(drawn.cells) ** 0.5)
    for cell, value in enumerate(drawn.cells):
        x, y = cell % n, n - 1 - cell // n
        axis.add_patch(Rectangle((x, y), 1, 1, facecolor=FELT, edgecolor=LINE, linewidth=0.8))
        if drawn.shade and drawn.shade[cell] > 0:
            axis.add_patch(Rectangle((x, y), 1, 1, facecolor=LEGAL, alpha=min(1.0, drawn.shade[cell]), linewidth=0))
            if drawn.shade[cell] >= 0.005:
                ink = LIGHT if drawn.shade[cell] > 0.5 else DARK
                text = f"{drawn.shade[cell]:.2f}".replace("0.", ".", 1)
                axis.text(x + 0.5, y + 0.5, text, ha="center", va="center", fontsize=7, color=ink)
        if value != 1:
            axis.add_patch(Circle((x + 0.5, y + 0.5), 0.38, facecolor=DARK if value == 2 else LIGHT, edgecolor=DARK))
        if drawn.framed and drawn.framed[cell]:
            inner = Rectangle((x + 0.06, y + 0.06), 0.88, 0.88, facecolor="none", edgecolor=WRONG, linewidth=1.6)
            axis.add_patch(inner)
    axis.set(xlim=(0, n), ylim=(0, n), aspect="equal")
    axis.set_title(drawn.title, fontsize=8.5, color=INK)


def domain_boards(boards: Mapping[str, Mapping[str, str]], size: int) -> Figure:
    """Boards by title, every square in the color of its map. boards: title -> square (a1 ..) -> map."""
    columns = min(4, len(boards))
    rows = -(-len(boards) // columns)
    figure, axes = canvas(columns, 2.3 * rows + 0.5, rows, width=min(9.6, 2.2 * columns + 0.4))
    for axis in axes:
        axis.set_axis_off()
    for axis, (title, maps) in zip(axes, boards.items(), strict=False):
        for cell, square in enumerate(Board.of(size).squares):
            x, y, name = cell % size, size - 1 - cell // size, maps[square_name(square)]
            color = MAP_COLORS[name]
            axis.add_patch(Rectangle((x, y), 1, 1, facecolor=color, edgecolor="white", linewidth=0.8, label=name))
        axis.set(xlim=(0, size), ylim=(0, size), aspect="equal")
        axis.set_title(title, fontsize=8.5, color=INK)
    legend_below(figure, axes)
    return figure


def reading_boards(example: Mapping[str, Any], through: str = "") -> list[Drawn]:
    """A board and its readings, wrong cells framed. through: a map of the opening; other languages than the probe's own
    are also shown as they look through it."""
    truth = example["truth"]
    drawn = [Drawn(f"after ply {example['ply']}", truth)]
    for language, reading in example["readings"].items():
        drawn.append(reading_of(f"read from {language}", reading, truth))
        if through and language != example["source"]:
            image = cell_map(Board.of(round(len(truth) ** 0.5)), through)
            seen = [reading[cell] for cell in image]  # every map of the opening undoes itself
            drawn.append(reading_of(f"the same through {through}", seen, truth))
    return drawn


def reading_of(title: str, cells: Sequence[int], truth: Sequence[int]) -> Drawn:
    """A reading of a board, its wrong cells framed and counted in the title."""
    wrong = [a != b for a, b in zip(cells, truth, strict=True)]
    return Drawn(f"{title}: {len(truth) - sum(wrong)} right", cells, framed=wrong)
