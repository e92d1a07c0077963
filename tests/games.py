"""Random games for tests."""

from collections.abc import Sequence

from jaxtyping import Int8, Int64
from torch import Tensor

from mothello.othello.board import Board
from mothello.othello.lazy_compile import Engine
from mothello.othello.random_play import RandomGames


def random_games(
    seed: int, indices: Int64[Tensor, " game"], board: Board, prefix: Sequence[int] = (), engine: Engine = Engine.auto
) -> Int8[Tensor, "game ply"]:
    """Uniform random games after an opening."""
    return RandomGames(board, seed, tuple(prefix)).games(indices, engine)
