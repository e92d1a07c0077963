"""Positions and an edit of each: one disc flipped or erased, such that other moves become legal."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Int8, Int64
from torch import Tensor

from mothello.othello.board import Board, signed
from mothello.othello.replay import replay, squares_to_cells, squares_to_moves
from mothello.othello.rules import legal_moves

EDITS = ("flip", "erase")
THEIRS, EMPTY, MINE = 0, 1, 2


class Cases(NamedTuple):
    """One edit of one position each. Classes are relative: 0 theirs, 1 empty, 2 mine; mine moves next."""

    game: Int64[Tensor, " case"]
    """Index of the game: cases of one game are not independent."""
    moves: Int8[Tensor, "case ply"]
    """The whole game; what follows the position is never read."""
    ply: Int64[Tensor, " case"]
    """The last move before the position, counted from 0."""
    cell: Int64[Tensor, " case"]
    old: Int64[Tensor, " case"]
    new: Int64[Tensor, " case"]
    legal: Bool[Tensor, "case move"]
    """Before the edit."""
    edited: Bool[Tensor, "case move"]
    """After it, the same side to move; another set, and never empty."""

    @property
    def erased(self) -> Bool[Tensor, " case"]:
        return self.new == EMPTY


def draw_cases(moves: Int8[Tensor, "game ply"], board: Board, n: int, generator: torch.Generator) -> Cases:
    """Up to ``n`` cases, half of them of either kind where possible, from all plies that a move follows.

    Every disc of every such position is a candidate; candidates that change nothing about the legal moves, or leave
    none, are no cases.
    """
    states = replay(moves, board)
    position = (moves[:, 1:] >= 0).nonzero()
    discs = squares_to_cells((states.black | states.white)[:, 1:], board)
    order = torch.randperm(len(position), generator=generator).to(moves.device)
    game, ply = position[order].unbind(1)
    at = (game, ply + 1)
    black = states.black_to_move[at]
    own = torch.where(black, states.black[at], states.white[at])
    opponent = torch.where(black, states.white[at], states.black[at])
    noise = torch.rand(len(order), board.n_cells, generator=generator).to(moves.device)
    cell = torch.where(discs[game, ply], noise, -1.0).argmax(1)  # a disc of the position, each as likely
    erase = (torch.arange(len(order), device=moves.device) % 2).bool()
    bits = torch.tensor([signed(1 << square) for square in board.squares], device=moves.device)[cell]
    mine = (own & bits) != 0
    changed_own = torch.where(mine, own & ~bits, torch.where(erase, own, own | bits))
    changed_opponent = torch.where(mine, torch.where(erase, opponent, opponent | bits), opponent & ~bits)
    playable = sum(1 << square for square in board.moves)  # a start square can be erased, and is still no move
    before, after = states.legal[at], legal_moves(changed_own, changed_opponent, board) & signed(playable)
    good = ((after != 0) & (after != before)).nonzero().flatten()
    half = [good[erase[good] == kind][: (n + 1 - kind) // 2] for kind in (False, True)]
    chosen = torch.cat(half).sort().values
    old = torch.where(mine, MINE, THEIRS)
    new = torch.where(erase, EMPTY, MINE + THEIRS - old)
    return Cases(
        game[chosen], moves[game[chosen]], ply[chosen], cell[chosen], old[chosen], new[chosen],
        squares_to_moves(before[chosen], board), squares_to_moves(after[chosen], board),
    )  # fmt: skip


def top_n_errors(log_p: Tensor, legal: Bool[Tensor, "case move"]) -> Int64[Tensor, " case"]:
    """False plus missed moves when the model names as many moves as are legal (Li et al. 2023): its N likeliest."""
    rank = log_p.argsort(dim=-1, descending=True, stable=True).argsort(dim=-1)
    named = rank < legal.sum(-1, keepdim=True)
    return (named != legal).sum(-1)
