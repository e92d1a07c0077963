"""Strict replay of games, in bulk."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Int8, Int64
from torch import Tensor

from mothello.othello.board import Board
from mothello.othello.rules import Position, advance, start_position


class Replay(NamedTuple):
    """Every position of a batch of games, as int64 bitboards. State t is the position before ply t; the last state
    follows the last move.

    A game repeats its last state after its end or its first illegal move; ``lengths`` counts the moves played.
    """

    black: Int64[Tensor, "game state"]
    white: Int64[Tensor, "game state"]
    black_to_move: Bool[Tensor, "game state"]
    legal: Int64[Tensor, "game state"]
    lengths: Int64[Tensor, " game"]
    illegal_at: Int64[Tensor, " game"]


def replay(moves: Int8[Tensor, "game ply"] | Int64[Tensor, "game ply"], board: Board) -> Replay:
    """Replay games strictly: a move must be legal for the side to move, which passes only when it has no move.

    moves: move indices, negative after the end. ``illegal_at`` is the first ply that breaks a rule (a move after the
    end does), -1 for a legal game. After the last move the opponent of the side that moved last is to move.
    """
    moves = moves.long()
    n, plies = moves.shape
    squares = torch.tensor(board.moves, dtype=torch.int64, device=moves.device)
    position = start_position(board, n, moves.device)
    states = [position]
    alive = torch.ones(n, dtype=torch.bool, device=moves.device)
    illegal_at = torch.full((n,), -1, dtype=torch.int64, device=moves.device)
    lengths = torch.zeros(n, dtype=torch.int64, device=moves.device)
    for ply in range(plies):
        given = moves[:, ply] >= 0
        known = given & (moves[:, ply] < board.n_moves)
        square = squares[torch.where(known, moves[:, ply], 0)]
        legal = known & (position.legal >> square & 1).bool()
        illegal_at = torch.where(alive & given & ~legal, ply, illegal_at)
        alive = alive & legal
        position = advance(position, alive.long() << square, board)
        lengths = lengths + alive
        states.append(position)
    given = moves >= 0
    late = given & ((~given).cumsum(1) > 0)  # a move after the end
    first_late = torch.where(late, torch.arange(plies, device=moves.device), plies).amin(1) if plies else lengths
    illegal_at = torch.where((illegal_at < 0) & late.any(1), first_late, illegal_at)
    stacked = Position(*(torch.stack(field, 1) for field in zip(*states, strict=True)))
    return Replay(
        torch.where(stacked.black, stacked.own, stacked.opponent),
        torch.where(stacked.black, stacked.opponent, stacked.own),
        stacked.black,
        stacked.legal,
        lengths,
        illegal_at,
    )


def squares_to_moves(bits: Int64[Tensor, " *batch"], board: Board) -> Bool[Tensor, "*batch move"]:
    """Bitboards -> a mask over the moves."""
    squares = torch.tensor(board.moves, dtype=torch.int64, device=bits.device)
    return (bits.unsqueeze(-1) >> squares & 1).bool()


def squares_to_cells(bits: Int64[Tensor, " *batch"], board: Board) -> Bool[Tensor, "*batch cell"]:
    """Bitboards -> a mask over the cells."""
    squares = torch.tensor(board.squares, dtype=torch.int64, device=bits.device)
    return (bits.unsqueeze(-1) >> squares & 1).bool()
