"""Draws docs/idea.png, the picture of the README: one game, two languages, one model, one probe, one board.

The game, its tokens and the board are real: python docs/idea.py
"""

from pathlib import Path

import matplotlib
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Polygon, Rectangle

from mothello.languages.language_set import LanguagesConfig, build_languages
from mothello.othello.board import Board
from mothello.othello.notation import move_name
from mothello.othello.random_play import random_games
from mothello.othello.replay import replay
from mothello.report.style import INK, LANGUAGE_COLORS, MUTED, RC

PLIES = 6
BLUE, RED = LANGUAGE_COLORS[:2]
FELT = "#5b8c5a"


def box(axis: Axes, x: float, y: float, text: str, color: str, fill: str = "white") -> None:
    """A small rounded box with a word in it."""
    axis.add_patch(
        FancyBboxPatch((x, y), 0.40, 0.36, boxstyle="round,pad=0,rounding_size=.06", fc=fill, ec=color, lw=1.1)
    )
    axis.text(x + 0.2, y + 0.17, text, ha="center", va="center", fontsize=9, color=color)


def arrow(axis: Axes, start: tuple[float, float], end: tuple[float, float], color: str, bend: float = 0.0) -> None:
    """An arrow that bends by a share of its length."""
    style = f"arc3,rad={bend}"
    axis.add_patch(
        FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=11, color=color, lw=1.5, connectionstyle=style)
    )


def draw_row(axis: Axes, y: float, title: str, words: list[str], color: str) -> None:
    axis.text(0.0, y + 0.5, title, color=color, fontsize=9.5, va="bottom")
    for ply, word in enumerate(words):
        box(axis, 0.48 * ply, y + 0.08, word, color)
    axis.text(0.48 * PLIES + 0.02, y + 0.24, "...", color=color, va="center")


def draw_model(axis: Axes) -> None:
    """Three blocks on one residual stream, which both languages share."""
    axis.text(5.05, 3.32, "one model", ha="center", color=INK, fontsize=9.5)
    axis.add_patch(
        FancyBboxPatch((4.1, 0.62), 1.9, 2.5, boxstyle="round,pad=0,rounding_size=.12", fc="#f4f6f8", ec="#b6bdc6")
    )
    axis.add_patch(Rectangle((4.1, 1.70), 2.15, 0.10, fc=BLUE, ec="none", alpha=0.9))
    axis.add_patch(Rectangle((4.1, 1.60), 2.15, 0.10, fc=RED, ec="none", alpha=0.9))
    for block in range(3):
        x = 4.28 + 0.58 * block
        axis.add_patch(
            FancyBboxPatch(
                (x, 0.85), 0.38, 1.7, boxstyle="round,pad=0,rounding_size=.05", fc="white", ec=MUTED, alpha=0.85
            )
        )
    axis.text(5.05, 2.72, "residual stream", ha="center", color=MUTED, fontsize=8.5)


def draw_probe(axis: Axes) -> None:
    axis.text(7.0, 3.32, "one probe", ha="center", color=INK, fontsize=9.5)
    axis.add_patch(
        Polygon([(6.7, 1.45), (6.7, 1.95), (7.3, 2.45), (7.3, 0.95)], closed=True, fc="#fbf8f1", ec=INK, lw=1.1)
    )
    axis.text(7.0, 0.62, "fitted on A,\nread on A and B", ha="center", va="top", color=MUTED, fontsize=8.5)


def draw_board(axis: Axes, cells: list[int], size: int) -> None:
    axis.text(9.0, 3.32, "one board?", ha="center", color=INK, fontsize=9.5)
    side, left, bottom = 2.4 / size, 7.8, 0.5
    axis.add_patch(Rectangle((left, bottom), 2.4, 2.4, fc=FELT, ec=INK, lw=1))
    for cell, state in enumerate(cells):
        row, column = divmod(cell, size)
        x, y = left + side * column, bottom + 2.4 - side * (row + 1)
        axis.add_patch(Rectangle((x, y), side, side, fill=False, ec="white", lw=0.5, alpha=0.6))
        if state:
            color = "black" if state > 0 else "white"
            axis.add_patch(Circle((x + side / 2, y + side / 2), 0.38 * side, fc=color, ec=INK, lw=0.6))


def idea() -> Figure:
    """The picture, from the first game of seed 0 on 6x6."""
    board = Board.of(6)
    languages = build_languages(LanguagesConfig(kinds=["atomic*2"]), board).languages
    moves = random_games(0, torch.arange(1), board)[:, :PLIES]
    after = replay(moves, board)
    black, white = (int(side[0, PLIES]) for side in (after.black, after.white))
    cells = [(black >> square & 1) - (white >> square & 1) for square in board.squares]
    plies = moves[0].tolist()
    with matplotlib.rc_context(RC):
        figure = Figure(figsize=(9.6, 3.45))
        axis = figure.add_axes((0.01, 0.01, 0.98, 0.98))
        axis.set(xlim=(-0.1, 10.4), ylim=(0, 3.75), aspect="equal")
        axis.axis("off")
        draw_row(axis, 2.5, "one game", [move_name(board, move) for move in plies], INK)
        for language, y, name, color in ((languages[0], 1.4, "A", BLUE), (languages[1], 0.3, "B", RED)):
            words = [str(language.words[move][0]) for move in plies]
            draw_row(axis, y, f"written in language {name}: token ids", words, color)
        draw_model(axis)
        draw_probe(axis)
        draw_board(axis, cells, board.size)
        arrow(axis, (3.25, 1.66), (4.08, 1.76), BLUE)
        arrow(axis, (3.25, 0.56), (4.08, 1.62), RED, -0.15)
        arrow(axis, (6.25, 1.70), (6.68, 1.70), INK)
        arrow(axis, (7.33, 1.70), (7.76, 1.70), INK)
    return figure


if __name__ == "__main__":
    idea().savefig(Path(__file__).with_suffix(".png"), dpi=150)
