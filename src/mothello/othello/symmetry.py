"""The eight symmetries of the square, and the four of them that leave the colored start position unchanged.

Random play commutes with those four, so text alone identifies languages with disjoint vocabularies only up to them:
every alignment number is therefore also reported under each of these maps. No torch here.
"""

from functools import cache

from mothello.errors import UserError
from mothello.othello.board import Board

OPENING_MAPS = ("identity", "rot180", "main", "anti")
"""Maps that fix the colored start position; "main" and "anti" are the reflections in the two diagonals."""

OTHER_MAPS = ("rot90", "rot270", "columns", "rows")
"""Maps that exchange the colors of the start position: negative controls ("columns" mirrors a <-> h)."""

ALL_MAPS = OPENING_MAPS + OTHER_MAPS


def _image(name: str, row: int, column: int, last: int) -> tuple[int, int]:
    return {
        "identity": (row, column),
        "rot180": (last - row, last - column),
        "main": (column, row),
        "anti": (last - column, last - row),
        "rot90": (column, last - row),
        "rot270": (last - column, row),
        "columns": (row, last - column),
        "rows": (last - row, column),
    }[name]


@cache
def square_map(board: Board, name: str) -> tuple[int, ...]:
    """g(square) for every cell of the board, in cell order."""
    if name not in ALL_MAPS:
        raise UserError(f"symmetry: {name!r} is not one of {', '.join(ALL_MAPS)}")
    images = (_image(name, square // 8, square % 8, board.size - 1) for square in board.squares)
    return tuple(8 * row + column for row, column in images)


@cache
def cell_map(board: Board, name: str) -> tuple[int, ...]:
    """g(cell) for every cell: ``image[..., cell_map] = state`` moves a board, cell c going to g(c)."""
    cell_of = {square: cell for cell, square in enumerate(board.squares)}
    return tuple(cell_of[square] for square in square_map(board, name))


@cache
def move_map(board: Board, name: str) -> tuple[int, ...]:
    """g(move) for every move; the four start squares are mapped among themselves by all eight maps."""
    image = dict(zip(board.squares, square_map(board, name), strict=True))
    return tuple(board.move_of_square[image[square]] for square in board.moves)


@cache
def compose(g: str, h: str) -> str:
    """Name of the map that applies h, then g."""
    first, second = (cell_map(Board.of(8), name) for name in (h, g))
    both = tuple(second[cell] for cell in first)
    return next(name for name in ALL_MAPS if cell_map(Board.of(8), name) == both)
