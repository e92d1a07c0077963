"""Which positions are compared: early plies repeat from game to game, so only different openings count as different."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Int8, Int64
from torch import Tensor

from mothello.data.orbit import prefix_codes
from mothello.othello.board import Board
from mothello.othello.symmetry import move_map


class Pool(NamedTuple):
    """Positions by game and ply; no two were reached by the same moves."""

    game: Int64[Tensor, " row"]
    ply: Int64[Tensor, " row"]


def draw_positions(moves: Int8[Tensor, "game ply"], size: int, generator: torch.Generator) -> Pool:
    """Up to ``size`` positions reached by different moves, drawn without replacement, in order of game and ply."""
    played = moves >= 0
    order = torch.randperm(moves.numel(), generator=generator).to(moves.device)
    order = order[played.flatten()[order]]
    codes = prefix_codes(moves).flatten()[order]
    _, group = torch.unique(codes, return_inverse=True)
    first = torch.full((int(group.max()) + 1,), len(group), device=moves.device)
    first.scatter_reduce_(0, group, torch.arange(len(group), device=moves.device), "amin")
    chosen = order[first.sort().values[:size]].sort().values
    return Pool(chosen // moves.shape[1], chosen % moves.shape[1])


def same_ply(pool: Pool) -> Bool[Tensor, "row row"]:
    """Pairs at the same ply: among them, positions say nothing."""
    return pool.ply.unsqueeze(0) == pool.ply.unsqueeze(1)


def same_square(pool: Pool, moves: Int8[Tensor, "game ply"]) -> Bool[Tensor, "row row"]:
    """Pairs whose last move is the same square: among them, the last token says nothing."""
    last = moves[pool.game, pool.ply]
    return last.unsqueeze(0) == last.unsqueeze(1)


def permutations_within_ply(pool: Pool, draws: int, generator: torch.Generator) -> Int64[Tensor, "draw row"]:
    """Permutations of the positions, each among those at its ply: such pairs have nothing but the ply in common."""
    shuffled = (pool.ply.cpu() + torch.rand(draws, len(pool.ply), generator=generator, dtype=torch.float64)).argsort(1)
    ordered = pool.ply.cpu().argsort(stable=True)
    return torch.empty_like(shuffled).scatter_(1, ordered.expand_as(shuffled), shuffled).to(pool.ply.device)


def mirrored(moves: Int8[Tensor, "game ply"], board: Board, name: str) -> Int8[Tensor, "game ply"]:
    """The games as a symmetry of the board shows them."""
    image = torch.tensor(move_map(board, name), dtype=moves.dtype, device=moves.device)
    return torch.where(moves >= 0, image[moves.long().clamp(min=0)], moves)
