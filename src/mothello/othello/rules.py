"""The whole game of Othello on batches of int64 bitboards: start, legal moves, flips, passes.

Pure functions without branches, on any device.

A position is a pair of bitboards (own discs, opponent's discs); bit ``8 * row + column`` is a square::

        a  b  c  d  e  f  g  h
     1  0  1  2  3  4  5  6  7          a shift by 1 moves along a row, by 8 along a column,
     2  8  9 10 ...                     by 9 and 7 along the two diagonals
     ...
     8 56 ...             63            bit 63 is the sign: no shifted value ever holds it

A disc on an edge can never be flipped across it, so the opponent's discs are masked to the inner squares before every
shift: no shift wraps around, and smaller boards need no code of their own.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Int64
from torch import Tensor, where

from mothello.othello.bits import Bits
from mothello.othello.board import Board


def _shift(bits: Tensor, step: int) -> Tensor:
    return bits << step if step > 0 else bits >> -step


def _run(start: Tensor, inner: Tensor, step: int, board: Board) -> Tensor:
    """Discs of ``inner`` in an unbroken line from ``start`` along ``step``, start excluded."""
    run = _shift(start, step) & inner
    for _ in range(board.size - 3):
        run = run | _shift(run, step) & inner
    return run


def legal_moves(own: Bits, opponent: Bits, board: Board) -> Bits:
    """Squares where the side that owns ``own`` may play, as bitboards."""
    reached = own & 0
    for step, mask in board.directions:
        reached = reached | _shift(_run(own, opponent & mask, step, board), step)
    return reached & ~(own | opponent)


def flips(move: Bits, own: Bits, opponent: Bits, board: Board) -> Bits:
    """Discs turned by playing the single-bit bitboard ``move`` (zero turns nothing)."""
    turned = own & 0
    for step, mask in board.directions:
        run = _run(move, opponent & mask, step, board)
        turned = turned | where(_shift(run, step) & own != 0, run, 0)  # the disc that ends the run is one's own
    return turned


def brackets(move: Bits, own: Bits, opponent: Bits, board: Board) -> Int64[Tensor, "*batch direction"]:
    """The disc of one's own that closes the line of turned discs, as a bitboard, along each of ``board.directions``;
    zero where the move turns nothing."""
    runs = (_shift(_run(move, opponent & mask, step, board), step) for step, mask in board.directions)
    return torch.stack([run & own for run in runs], -1)


def apply_move(move: Bits, own: Bits, opponent: Bits, board: Board) -> tuple[Bits, Bits]:
    """Bitboards (own, opponent) after the move, still seen by the side that moved."""
    turned = flips(move, own, opponent, board)
    return own | move | turned, opponent & ~turned


def next_turn(move: Bits, own: Bits, opponent: Bits, board: Board) -> tuple[Bits, Bits, Bits, Bool[Tensor, " *batch"]]:
    """Apply the move, and pass where the reply has no legal move.

    Returns (own, opponent, legal moves) of the side to move next, and whether it is the other side. A side passes only
    when its opponent can move: after the end of a game the other side is to move. Where ``move`` is zero the position
    stays as it is.
    """
    own, opponent = apply_move(move, own, opponent, board)
    reply, again = legal_moves(opponent, own, board), legal_moves(own, opponent, board)
    swap = ((reply != 0) | (again == 0)) & (move != 0)
    return where(swap, opponent, own), where(swap, own, opponent), where(swap, reply, again), swap


class Position(NamedTuple):
    """A batch of positions seen by the side to move: bitboards, whether that side is black, its legal moves."""

    own: Bits
    opponent: Bits
    black: Bool[Tensor, " *batch"]
    legal: Bits


def start_position(board: Board, n: int, device: torch.device | str = "cpu") -> Position:
    """The start position, n times: black to move."""
    black, white = (torch.full((n,), bits, dtype=torch.int64, device=device) for bits in board.start)
    return Position(black, white, torch.ones(n, dtype=torch.bool, device=device), legal_moves(black, white, board))


def advance(position: Position, move: Bits, board: Board) -> Position:
    """The positions after single-bit bitboards are played; see :func:`next_turn`."""
    own, opponent, legal, swap = next_turn(move, position.own, position.opponent, board)
    return Position(own, opponent, position.black ^ swap, legal)
