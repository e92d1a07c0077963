"""Vocabularies of others: which id of theirs stands for each move."""

from enum import StrEnum

from mothello.errors import UserError
from mothello.interop.tensors import KEY
from mothello.othello.board import Board


class Order(StrEnum):
    """How the ids of a vocabulary follow each other; 0 is padding in all of them.

    othello_world: the playable squares by row letter and column digit, a1 a2 ..., which is the transpose of the house's
    order; several languages one after the other. metaothello: all squares row by row, then the pass. mothello: the
    house's own, the playable squares row by row.
    """

    othello_world = "othello_world"
    metaothello = "metaothello"
    mothello = "mothello"


def ids_of(order: Order, board: Board, rows: int) -> list[list[int]]:
    """The id of every move, for each language. rows: ids of the file, padding included. UserError where they do not
    fit the board."""
    n, size = board.n_moves, board.size
    if order is Order.metaothello:
        if rows != size * size + 2:
            raise UserError(f"{KEY}: {rows} tokens; vocabulary=metaothello has {size * size + 2} on {board.name}")
        return [[1 + size * (square // 8) + square % 8 for square in board.moves]]
    if rows < 2 or (rows - 1) % n:
        line = f"vocabulary={order} has {n} for each language on {board.name}, and one for padding"
        raise UserError(f"{KEY}: {rows} tokens; {line}")
    ranks = list(range(n))
    if order is Order.othello_world:
        by_letter = sorted(board.moves, key=lambda square: (square % 8, square // 8))
        ranks = [by_letter.index(square) for square in board.moves]
    return [[1 + n * language + rank for rank in ranks] for language in range((rows - 1) // n)]
