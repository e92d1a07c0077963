"""Random play in bulk, and strict replay of games.

``random_games(seed, indices)`` is a pure function: the moves of game ``index`` depend on nothing but the seed
and the index, so a corpus is a seed and a size. The random bits of a ply come from a counter-based generator,
splitmix64's finaliser (Steele, Lea, Flood 2014) applied twice to a counter, in wrapping int64 arithmetic: the same
numbers on every device. Uniform choice among n moves is ``(n * u) >> 32`` for 32 random bits, its bias below n / 2^32.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int8, Int64
from torch import Tensor

from mothello.othello.bitboard import legal_moves, play, popcount, select
from mothello.othello.board import Board, signed

GENERATOR_VERSION = 1
"""Part of every run's identity: raised whenever a (seed, index) would give another game."""

_GAMMA = signed(0x9E3779B97F4A7C15)
_MIX = (signed(0xBF58476D1CE4E5B9), signed(0x94D049BB133111EB))
_WORD = (1 << 64) - 1


def _mix(x: Tensor) -> Tensor:
    """splitmix64's finaliser on int64; the masks make the arithmetic shifts logical."""
    x = (x ^ (x >> 30 & 0x3FFFFFFFF)) * _MIX[0]
    x = (x ^ (x >> 27 & 0x1FFFFFFFFF)) * _MIX[1]
    return x ^ (x >> 31 & 0x1FFFFFFFF)


def random_bits(seed: int, index: Int64[Tensor, " *batch"], counter: int) -> Int64[Tensor, " *batch"]:
    """32 random bits (0 .. 2^32 - 1) that depend on the seed, the index and the counter alone."""
    key = signed((seed * 0xD1342543DE82EF95 + 0x2545F4914F6CDD1D) & _WORD)
    offset = signed((counter + 1) * (_GAMMA & _WORD) & _WORD)
    return _mix(_mix(index * _GAMMA + key) + offset) >> 32 & 0xFFFFFFFF


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


def random_games(
    seed: int, indices: Int64[Tensor, " game"], board: Board, prefix: Sequence[int] = ()
) -> Int8[Tensor, "game ply"]:
    """Uniform random legal games: moves [game, ply], -1 after the end; passes are not written.

    prefix: moves every game starts with; play goes on at random from there, which is the distribution of
    random games filtered for the prefix. ValueError when the prefix is not legal.
    """
    if len(prefix) > board.n_moves or not all(0 <= move < board.n_moves for move in prefix):
        raise ValueError(f"prefix: a move index is outside 0..{board.n_moves - 1}, or there are too many")
    position = start_position(board, len(indices), indices.device)
    moves = torch.full((len(indices), board.n_moves), -1, dtype=torch.int8, device=indices.device)
    move_of_square = torch.tensor(board.move_of_square, dtype=torch.int8, device=indices.device)
    for ply in range(board.n_moves):
        count = popcount(position.legal)
        if ply < len(prefix):
            square = torch.full_like(position.legal, board.moves[prefix[ply]])
            if not bool((position.legal >> square & 1).all()):
                raise ValueError(f"prefix: move {ply + 1} is not legal")
        else:
            square = select(position.legal, random_bits(seed, indices, ply) * count >> 32)
        alive = count > 0
        moves[:, ply] = torch.where(alive, move_of_square[square & 63], -1)
        position = advance(position, alive.long() << (square & 63), board)
    return moves


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
