"""Squares as text ("d3"), games as text, and boards as SVG. No torch here."""

import re
from collections.abc import Iterable, Sequence
from functools import cache

from mothello.errors import UserError
from mothello.othello.board import Board

_SQUARE = re.compile(r"[a-h][1-8]")


def square_name(square: int) -> str:
    """Square 0..63 -> column letter and row digit, counted from the a1 corner at the top left."""
    return "abcdefgh"[square % 8] + str(square // 8 + 1)


def move_name(board: Board, move: int) -> str:
    """Move index -> text such as "d3"."""
    return square_name(board.moves[move])


def quoted(text: str) -> str:
    """A text in quotes, for a message: its beginning when it is long."""
    shown = repr(text[:41])
    return shown if len(shown) <= 42 else f"{shown[:38]}...{shown[-1]}"


def parse_move(text: str, board: Board) -> int:
    """Text such as "d3" -> move index. UserError unless it is a playable square."""
    name = text.strip().lower()
    if not _SQUARE.fullmatch(name):
        raise UserError(f"{quoted(text)} is not a square such as c2")
    column, row = "abcdefgh".index(name[0]), int(name[1]) - 1
    if column >= board.size or row >= board.size:
        raise UserError(f"{name} is off the {board.name} board")
    move = board.move_of_square[8 * row + column]
    if move < 0:
        raise UserError(f"{name} is a start square of the {board.name} board: it is never played")
    return move


@cache
def _moves(board: Board) -> dict[str, int]:
    return {square_name(square): move for move, square in enumerate(board.moves)}


def plain_moves(text: str, board: Board) -> list[int]:
    """Text of squares and blanks such as "d3c5 d6" -> move indices. KeyError for anything else."""
    moves, compact = _moves(board), "".join(text.lower().split())
    return [moves[compact[i : i + 2]] for i in range(0, len(compact), 2)]


def parse_game(text: str, board: Board) -> list[int]:
    """Text such as "d3c5 d6" -> move indices, not checked against the rules (``replay`` does that)."""
    try:
        return plain_moves(text, board)
    except KeyError:
        compact = "".join(text.lower().split())
    if len(compact) % 2:
        raise UserError(f"{quoted(text)} has half a move")
    return [parse_move(compact[i : i + 2], board) for i in range(0, len(compact), 2)]


def game_text(moves: Iterable[int], board: Board) -> str:
    """Move indices, negative after the end -> "d3 c5 d6 ..."."""
    names = []
    for move in moves:
        if move < 0:
            break
        names.append(move_name(board, int(move)))
    return " ".join(names)


def svg_board(
    cells: Sequence[int],
    board: Board,
    wrong: Sequence[bool] | None = None,
    last: int | None = None,
    cell: int = 26,
    legal: Sequence[int] = (),
) -> str:
    """An inline SVG of a board.

    cells: one class per cell, 0 white, 1 empty, 2 black. wrong: cells that are misread, framed. last: square of
    the last move, marked with a dot. cell: pixels per cell. legal: squares of the legal moves, marked with a ring.
    """
    n, margin = board.size, 16
    side, middles = n * cell + margin + 2, [margin + (i + 0.5) * cell for i in range(n)]
    names = [f'<text x="{x:g}" y="11">{"abcdefgh"[i]}</text><text x="7" y="{x + 3.5:g}">{i + 1}</text>'
             for i, x in enumerate(middles)]  # fmt: skip
    lines = "".join(
        f"M{margin + i * cell} {margin}v{n * cell}M{margin} {margin + i * cell}h{n * cell}" for i in range(n + 1)
    )
    discs: dict[int, list[str]] = {0: [], 2: []}
    frames, marks, white, black = [], [], "#fbfbf8", "#1b1f24"
    for index, kind in enumerate(cells):
        x, y = margin + index % n * cell, margin + index // n * cell
        middle = f'<circle cx="{x + cell / 2:g}" cy="{y + cell / 2:g}"'
        if wrong is not None and wrong[index]:
            frames.append(f'<rect x="{x + 1.5:g}" y="{y + 1.5:g}" width="{cell - 3}" height="{cell - 3}"/>')
        if kind != 1:
            discs[kind].append(f'{middle} r="{cell * 0.36:.1f}"/>')
        if board.squares[index] in legal:
            marks.append(f'{middle} r="{cell * 0.14:.1f}" fill="none" stroke="#2a6f97" stroke-width="1.5"/>')
        if last is not None and board.squares[index] == last:
            ink = black if kind == 0 else white
            marks.append(f'{middle} r="{cell * 0.12:.1f}" fill="{ink}"/>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{side}" height="{side}" viewBox="0 0 {side} {side}" '
        f'role="img" font-family="sans-serif" font-size="10"><g text-anchor="middle" fill="#808894">'
        f"{''.join(names)}</g>"
        f'<rect x="{margin}" y="{margin}" width="{n * cell}" height="{n * cell}" fill="#e9ecef"/>'
        f'<path d="{lines}" stroke="#b9c2cb"/>'
        f'<g fill="#c8553d" fill-opacity=".18" stroke="#c8553d" stroke-width="2">{"".join(frames)}</g>'
        f'<g stroke="{black}" stroke-width=".6"><g fill="{white}">{"".join(discs[0])}</g>'
        f'<g fill="{black}">{"".join(discs[2])}</g></g>'
        f"{''.join(marks)}</svg>"
    )
