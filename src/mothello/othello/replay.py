"""Positions in bulk, and strict replay of games."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Int8, Int64
from torch import Tensor

from mothello.othello.board import Board
from mothello.othello.rules import legal_moves, play


class Position(NamedTuple):
    """A batch of positions seen by the side to move: bitboards, and whether that side is black."""

    own: Int64[Tensor, " *batch"]
    opponent: Int64[Tensor, " *batch"]
    black: Bool[Tensor, " *batch"]
    legal: Int64[Tensor, " *batch"]


def start_position(board: Board, n: int, device: torch.device | str = "cpu") -> Position:
    """The start position, n times: black to move."""
    black, white = (torch.full((n,), bits, dtype=torch.int64, device=device) for bits in board.start)
    mover = torch.ones(n, dtype=torch.bool, device=device)
    return Position(black, white, mover, legal_moves(black, white, board))


def advance(position: Position, move: Int64[Tensor, " *batch"], board: Board) -> Position:
    """Play single-bit bitboards and pass where needed; where ``move`` is zero the position stays as it is."""
    own, opponent = play(move, position.own, position.opponent, board)
    reply, again = legal_moves(opponent, own, board), legal_moves(own, opponent, board)
    swap = (reply != 0) | (again == 0)  # the reply passes only when the side that moved can go on
    swap = swap & (move != 0)
    return Position(
        torch.where(swap, opponent, own),
        torch.where(swap, own, opponent),
        position.black ^ swap,
        torch.where(swap, reply, again),
    )


class Replay(NamedTuple):
    """Every position of a batch of games. State t is the one before ply t; the last follows the last move.

    Finished games (and games from their first illegal move on) repeat their last state; ``lengths`` says how many
    plies count. All bitboards are int64.
    """

    black: Int64[Tensor, "game state"]
    white: Int64[Tensor, "game state"]
    black_to_move: Bool[Tensor, "game state"]
    legal: Int64[Tensor, "game state"]
    lengths: Int64[Tensor, " game"]
    illegal_at: Int64[Tensor, " game"]


def replay(moves: Int8[Tensor, "game ply"] | Int64[Tensor, "game ply"], board: Board) -> Replay:
    """Strict replay: a move must be legal for the side to move, which passes only when it has no move.

    moves: [game, ply] move indices, negative after the end. ``illegal_at`` is the first ply that breaks a rule
    (a move after the end counts), -1 for a legal game; from there on the states stand still. ``lengths`` counts
    the moves played. After the last move the mover is the opponent of the side that moved last.
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
    late = given & ((~given).cumsum(1) > 0)  # a move behind the end
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
