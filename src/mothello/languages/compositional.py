"""Compositional languages: a column token, then a row token."""

from mothello.othello.board import Board


def compositional_words(board: Board) -> list[tuple[int, ...]]:
    """Local ids: 0 .. size - 1 for the columns, size .. 2 size - 1 for the rows."""
    return [(square % 8, board.size + square // 8) for square in board.moves]
