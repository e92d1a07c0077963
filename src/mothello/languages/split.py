"""Split languages: one to ``longest`` tokens of its own for every move, lengths uniform."""

import torch

from mothello.othello.board import Board
from mothello.seeding import generator


def split_words(board: Board, seed: int, name: str, longest: int = 3) -> list[tuple[int, ...]]:
    """Local ids, consecutive along the moves. The lengths depend on the vocabulary seed and the language's name."""
    draw = generator(seed, "vocabulary", "split", name)
    lengths = torch.randint(1, longest + 1, (board.n_moves,), generator=draw).tolist()
    starts = [sum(lengths[:move]) for move in range(board.n_moves)]
    return [tuple(range(start, start + n)) for start, n in zip(starts, lengths, strict=True)]
