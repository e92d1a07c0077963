"""Atomic languages: one token of its own for every move."""

from mothello.othello.board import Board


def atomic_words(board: Board) -> list[tuple[int, ...]]:
    """Local ids 0 .. n_moves - 1, one per move."""
    return [(move,) for move in range(board.n_moves)]
