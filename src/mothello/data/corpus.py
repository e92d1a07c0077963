"""Corpora: anything that has a length and gives the moves of any of its games."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

import torch
from jaxtyping import Float, Int8, Int64
from torch import Tensor

from mothello.othello.board import Board
from mothello.othello.counter import random_bits
from mothello.othello.replay import Position, advance, start_position
from mothello.othello.rollout import random_games
from mothello.othello.symmetry import OPENING_MAPS, move_map


class Corpus(Protocol):
    """Games by index. ``moves`` is a pure function of the indices; negative moves follow the end of a game."""

    board: Board

    def __len__(self) -> int: ...

    def moves(self, indices: Int64[Tensor, " game"]) -> Int8[Tensor, "game ply"]: ...


class RandomPlay:
    """Uniform random legal games; a seed, a first index and a size. Nothing is stored."""

    def __init__(self, board: Board, seed: int, size: int, first: int = 0, prefix: Sequence[int] = ()) -> None:
        self.board, self.seed, self.size, self.first, self.prefix = board, seed, size, first, tuple(prefix)
        random_games(seed, torch.zeros(1, dtype=torch.int64), board, self.prefix)  # an illegal prefix raises here

    def __len__(self) -> int:
        return self.size

    def moves(self, indices: Int64[Tensor, " game"]) -> Int8[Tensor, "game ply"]:
        return random_games(self.seed, indices + self.first, self.board, self.prefix)


@lru_cache(maxsize=1)
def all_games(board: Board) -> tuple[Int8[Tensor, "game ply"], Float[Tensor, " game"]]:
    """Every complete game of the 4x4 board, with its exact probability under uniform random play (float64)."""
    if board.size != 4:
        raise ValueError(f"board: only the 4x4 board can be enumerated, not {board.name}")
    position = start_position(board, 1)
    moves = torch.full((1, board.n_moves), -1, dtype=torch.int8)
    probability = torch.ones(1, dtype=torch.float64)
    squares = torch.tensor(board.moves)
    for ply in range(board.n_moves):
        open_moves = (position.legal.unsqueeze(1) >> squares & 1).bool()
        over = ~open_moves.any(1)
        game, move = torch.cat([open_moves, over.unsqueeze(1)], 1).nonzero(as_tuple=True)
        played = move < board.n_moves
        count = open_moves.sum(1).clamp(min=1)
        probability = probability[game] / count[game]
        moves = moves[game].clone()
        moves[:, ply] = torch.where(played, move, -1).to(torch.int8)
        bit = played.long() << squares[move.clamp(max=board.n_moves - 1)]
        position = advance(Position(*(field[game] for field in position)), bit, board)
    return moves, probability


def orbit_hash(moves: Int8[Tensor, "game ply"], board: Board) -> Int64[Tensor, " game"]:
    """A hash (32 bits) of each game that is the same for its images under the symmetries of the opening."""
    images = []
    for name in OPENING_MAPS:
        image = torch.tensor((*move_map(board, name), -1))[moves.long()]
        code = torch.zeros(len(moves), dtype=torch.int64)
        for ply in range(moves.shape[1]):
            code = code * 1_000_003 + image[:, ply] + 2
        images.append(code)
    return random_bits(0, torch.stack(images).min(0).values, 0)


class EnumeratedPlay:
    """Uniform random play on the 4x4 board, conditioned on the game lying in one part of a hash split.

    Game ``index`` is drawn from the exact distribution by its own random number, so repeats occur as in random play.
    part: (low, high) in 0..1, the slice of hash values that this corpus owns.
    """

    def __init__(
        self, board: Board, seed: int, size: int, part: tuple[float, float], prefix: Sequence[int] = ()
    ) -> None:
        self.board, self.seed, self.size = board, seed, size
        moves, probability = all_games(board)
        hashed = orbit_hash(moves, board).double() / 2**32
        keep = (hashed >= part[0]) & (hashed < part[1])
        for ply, move in enumerate(prefix):
            keep &= moves[:, ply] == move
        if not bool(keep.any()):
            raise ValueError("prefix: not legal; no game of the 4x4 board starts like this")
        self.games = moves[keep]
        self.cumulative = probability[keep].cumsum(0) / probability[keep].sum()

    def __len__(self) -> int:
        return self.size

    def moves(self, indices: Int64[Tensor, " game"]) -> Int8[Tensor, "game ply"]:
        uniform = (random_bits(self.seed, indices.cpu(), 0).double() + 0.5) / 2**32
        place = torch.searchsorted(self.cumulative, uniform).clamp(max=len(self.games) - 1)
        return self.games[place].to(indices.device)
