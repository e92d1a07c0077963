"""Facts: openings that one fixed legal move always follows, and as many others that are left alone.

Which they are is a property of the board and of the openings' length, not of a run: a run that was taught some, and one
that was taught none, are asked the same.
"""

from dataclasses import dataclass
from functools import cache, cached_property

import torch
from jaxtyping import Int8, Int64
from torch import Tensor

from mothello.config import ranged
from mothello.errors import UserError
from mothello.othello.bits import popcount
from mothello.othello.board import Board, signed
from mothello.othello.replay import squares_to_moves
from mothello.othello.rules import Position, advance, start_position
from mothello.othello.symmetry import OPENING_MAPS, move_map
from mothello.seeding import generator


@dataclass(kw_only=True)
class FactsConfig:
    """Openings that one fixed legal move always follows; by default none."""

    count: int = ranged(0, low=0)
    """How many there are. As many others, left alone, are there to compare with. A larger count contains a
    smaller one."""
    plies: int = ranged(4, 1, 6)
    """Length of the openings."""


@dataclass(frozen=True)
class Facts:
    """Different openings of one length, and the move that follows each."""

    board: Board
    openings: tuple[tuple[int, ...], ...]
    moves: tuple[int, ...]

    @property
    def plies(self) -> int:
        """Length of the openings."""
        return len(self.openings[0])

    @cached_property
    def _sorted(self) -> tuple[Int64[Tensor, " fact"], Int64[Tensor, " fact"]]:
        """Codes of the openings, ascending, and the bitboard of each one's move."""
        code, order = _codes(torch.tensor(self.openings), self.board).sort()
        return code, torch.tensor([signed(1 << self.board.moves[move]) for move in self.moves])[order]

    def follow(
        self, openings: Int8[Tensor, "game ply"] | Int64[Tensor, "game ply"], legal: Int64[Tensor, " game"]
    ) -> Int64[Tensor, " game"]:
        """Of the legal moves after openings of this length, as bitboards, those that may follow: after an opening of a
        fact its move alone."""
        known, move = (table.to(legal.device) for table in self._sorted)
        codes = _codes(openings, self.board)
        place = torch.searchsorted(known, codes).clamp(max=len(known) - 1)
        return torch.where(known[place] == codes, move[place], legal)


def _codes(openings: Tensor, board: Board) -> Int64[Tensor, " *batch"]:
    """A number for each opening of one length; -1 stands for no move."""
    place = (board.n_moves + 1) ** torch.arange(openings.shape[-1], device=openings.device)
    return ((openings.long() + 1) * place).sum(-1)


def _openings(board: Board, plies: int) -> tuple[Int64[Tensor, "opening ply"], Position]:
    """Every legal opening of that length, and the positions after them."""
    squares, position = torch.tensor(board.moves), start_position(board, 1)
    moves = torch.empty(1, 0, dtype=torch.int64)
    for _ in range(plies):
        row, move = squares_to_moves(position.legal, board).nonzero(as_tuple=True)
        moves = torch.cat([moves[row], move.unsqueeze(1)], 1)
        before = Position(*(field[row] for field in position))
        position = advance(before, torch.ones_like(move) << squares[move], board)
    return moves, position


@cache
def _candidates(board: Board, plies: int) -> Facts:
    """One opening of every orbit under the maps of the opening, in a fixed order, and a legal move after it, both drawn
    at random: of the openings whose board no other moves reach, and after which there is a choice."""
    moves, position = _openings(board, plies)
    black = torch.where(position.black, position.own, position.opponent)
    discs = torch.stack([black, position.own ^ position.opponent ^ black], 1)
    _, group, times = discs.unique(dim=0, return_inverse=True, return_counts=True)
    fit, draw = (times[group] == 1) & (popcount(position.legal) > 1), generator(0, "facts", board.name, plies)
    order = torch.randperm(len(moves), generator=draw)
    order = order[fit[order]]
    images = torch.tensor([move_map(board, name) for name in OPENING_MAPS])[:, moves[order]]
    _, orbit = _codes(images, board).amin(0).unique(return_inverse=True)
    first = torch.full_like(orbit, len(orbit)).scatter_reduce(0, orbit, torch.arange(len(orbit)), "amin")
    chosen = order[first[first < len(orbit)].sort().values]
    legal = squares_to_moves(position.legal[chosen], board)
    follows = torch.rand(legal.shape, generator=draw).masked_fill(~legal, -1).argmax(1)
    return Facts(board, tuple(map(tuple, moves[chosen].tolist())), tuple(follows.tolist()))


def facts(board: Board, config: FactsConfig, key: str = "facts.") -> tuple[Facts, Facts]:
    """Those that are taught, and as many that are not. No opening is the image of another, of either sort, under a map
    of the opening. UserError names the key where there are not enough. config: of one fact at least."""
    every = _candidates(board, config.plies)
    most, count = len(every.moves) // 2, config.count
    if count > most:
        raise UserError(f"{key}count: {count} is above {most}, the most of {config.plies} plies on {board.name}")
    taught, untaught = (
        Facts(board, every.openings[first : 2 * count : 2], every.moves[first : 2 * count : 2]) for first in (0, 1)
    )
    return taught, untaught
