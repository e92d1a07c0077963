"""Softmax policies: random play that prefers some legal moves, exactly reproducible and with known probabilities.

A move's score is ``flips * (discs it turns) + mobility * (replies it leaves) + corners * (1 on a corner)``; moves are
drawn from the softmax of score / temperature. All arithmetic is on integers: scores in 1/1024 nats below the best move,
their exponentials from a table in units of 2^-24. Games therefore agree on every device and in every batch, and the
oracle knows the exact probabilities that they were drawn from.
"""

from dataclasses import dataclass
from functools import cache
from math import exp
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from mothello.config import check, ranged
from mothello.othello.bits import Bits, popcount, select
from mothello.othello.board import Board, signed
from mothello.othello.lazy_compile import Engine, LazyCompiled
from mothello.othello.rules import flips, legal_moves

_UNIT = 1024
_ONE = 1 << 24
_TABLE = [round(exp(-k / _UNIT) * _ONE) for k in range(18 * _UNIT)]


@dataclass(kw_only=True, unsafe_hash=True)
class PolicyConfig:
    """Preferences of random play; without any, play is uniform over the legal moves."""

    flips: float = ranged(0.0, -1000, 1000)
    """Nats per disc turned, at temperature 1."""
    mobility: float = ranged(0.0, -1000, 1000)
    """Nats per reply left to the opponent; a negative value prefers to leave few."""
    corners: float = ranged(0.0, -1000, 1000)
    """Nats for a corner."""
    temperature: float = ranged(1.0, 1e-3, 1e6)
    """Divisor of the three: near 0 the best move is always played, at large values play is uniform."""

    def __post_init__(self) -> None:
        check(self, "policy")

    @property
    def units(self) -> tuple[int, int, int]:
        """Coefficients of flips, mobility and corners in 1/1024 nats."""
        return tuple(round(x / self.temperature * _UNIT) for x in (self.flips, self.mobility, self.corners))  # type: ignore[return-value]

    @property
    def uniform(self) -> bool:
        return not any(self.units)


class Options(NamedTuple):
    """The legal moves of all positions in one list, by game, then by square."""

    game: Int64[Tensor, " option"]
    square: Int64[Tensor, " option"]
    weight: Int64[Tensor, " option"]
    """Probability within the position, up to a factor; the best move has 2^24."""


def _score(
    own: Bits, opponent: Bits, legal: Bits, rank: Bits, board: Board, units: tuple[int, int, int]
) -> tuple[Bits, Bits]:
    """(square, score) of the legal move of that rank."""
    square = select(legal, rank)
    move = torch.ones_like(square) << square
    per_flip, per_reply, per_corner = units
    turned = flips(move, own, opponent, board)
    score = popcount(turned) * per_flip
    if per_reply:
        score = score + popcount(legal_moves(opponent & ~turned, own | move | turned, board)) * per_reply
    corners = signed(sum(1 << board.squares[c] for c in (0, board.size - 1, -board.size, -1)))
    return square, torch.where(move & corners != 0, score + per_corner, score)


@cache
def _fused(board: Board, units: tuple[int, int, int], device: str) -> LazyCompiled:
    def score(own: Tensor, opponent: Tensor, legal: Tensor, rank: Tensor) -> tuple[Tensor, Tensor]:
        return _score(own, opponent, legal, rank, board, units)

    return LazyCompiled(score, f"move scores on {board.name} ({device})")


@cache
def _exponentials(device: torch.device) -> Int64[Tensor, " difference"]:
    return torch.tensor([*_TABLE, 0], device=device)


def options(
    own: Bits, opponent: Bits, legal: Bits, board: Board, policy: PolicyConfig, engine: Engine = Engine.eager
) -> Options:
    """The legal moves of a batch of positions with the policy's weights."""
    counts = popcount(legal)
    first = counts.cumsum(0) - counts
    game = torch.repeat_interleave(torch.arange(len(legal), device=legal.device), counts)
    rank = torch.arange(len(game), device=legal.device) - first[game]
    score = _fused(board, policy.units, legal.device.type).step(0, engine)
    square, scores = score(own[game], opponent[game], legal[game], rank)
    best = torch.full_like(legal, -(1 << 62)).scatter_reduce(0, game, scores, "amax")
    return Options(game, square, _exponentials(legal.device)[(best[game] - scores).clamp(max=len(_TABLE))])


def pick(moves: Options, uniform: Bits) -> Bits:
    """One legal move per game as a bitboard, drawn by 32 random bits per game; zero where no move is legal."""
    total = torch.zeros_like(uniform).index_add_(0, moves.game, moves.weight)
    threshold = total * uniform >> 32
    before = moves.weight.cumsum(0) - moves.weight
    before = before - (total.cumsum(0) - total)[moves.game]
    drawn = (before <= threshold[moves.game]) & (threshold[moves.game] < before + moves.weight)
    return torch.zeros_like(uniform).index_add_(0, moves.game, drawn.long() << moves.square)


def probabilities(
    own: Bits, opponent: Bits, legal: Bits, board: Board, policy: PolicyConfig
) -> Float[Tensor, "game move"]:
    """Probability of every move in a batch of positions, float64; zero rows where no move is legal."""
    moves = options(own, opponent, legal, board, policy)
    result = torch.zeros(len(legal), 64, dtype=torch.float64, device=legal.device)
    result.index_put_((moves.game, moves.square), moves.weight.double())
    result = result[:, list(board.moves)]
    return result / result.sum(1, keepdim=True).clamp(min=1)
