"""Softmax policies: random play that prefers some legal moves, exactly reproducible and with known probabilities.

A move's score is ``flips * (discs it turns) + mobility * (replies it leaves) + corners * (1 on a corner)``; moves are
drawn from the softmax of score / temperature. Everything is integer arithmetic: scores in 1/1024 nats below the best
move, their exponentials from a table in units of 2^-24. So games agree on every device, in every batch, and the
probabilities that a floor needs are those that were drawn from.
"""

from dataclasses import dataclass
from functools import cache
from math import exp
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from mothello.othello.board import Board, signed
from mothello.othello.lazy_compile import Engine, LazyCompiled
from mothello.othello.rules import Bits, flips, legal_moves, popcount, select

_UNIT = 1024
_ONE = 1 << 24
_TABLE = [round(exp(-k / _UNIT) * _ONE) for k in range(18 * _UNIT)]


@dataclass(kw_only=True, unsafe_hash=True)
class PolicyConfig:
    """What random play prefers; all zero is uniform over the legal moves."""

    flips: float = 0.0
    """Nats per disc turned, at temperature 1."""
    mobility: float = 0.0
    """Nats per reply left to the opponent; negative prefers to leave few."""
    corners: float = 0.0
    """Nats for a corner."""
    temperature: float = 1.0
    """Divides all three: towards 0 the best move is always played, towards infinity play is uniform."""

    def __post_init__(self) -> None:
        if not 1e-3 <= self.temperature <= 1e6:
            raise ValueError(f"policy.temperature: {self.temperature} is outside 0.001..1000000")
        for name in ("flips", "mobility", "corners"):
            if not abs(getattr(self, name)) <= 1000:
                raise ValueError(f"policy.{name}: {getattr(self, name)} is outside -1000..1000")

    @property
    def units(self) -> tuple[int, int, int]:
        """Coefficients of flips, mobility and corners in 1/1024 nats."""
        return tuple(round(x / self.temperature * _UNIT) for x in (self.flips, self.mobility, self.corners))  # type: ignore[return-value]

    @property
    def uniform(self) -> bool:
        return not any(self.units)


class Options(NamedTuple):
    """Every legal move of every position, one after another, game by game and square by square."""

    game: Int64[Tensor, " option"]
    square: Int64[Tensor, " option"]
    weight: Int64[Tensor, " option"]
    """Probability within the game, up to a factor; the best move has 2^24."""


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


def pick(found: Options, uniform: Bits) -> Bits:
    """One legal move per game as a bitboard, drawn by 32 random bits a game; zero where nothing is legal."""
    total = torch.zeros_like(uniform).index_add_(0, found.game, found.weight)
    threshold = total * uniform >> 32
    before = found.weight.cumsum(0) - found.weight
    before = before - (total.cumsum(0) - total)[found.game]
    drawn = (before <= threshold[found.game]) & (threshold[found.game] < before + found.weight)
    return torch.zeros_like(uniform).index_add_(0, found.game, drawn.long() << found.square)


def probabilities(
    own: Bits, opponent: Bits, legal: Bits, board: Board, policy: PolicyConfig
) -> Float[Tensor, "game move"]:
    """Probability of every move in a batch of positions, float64; zero rows where nothing is legal."""
    found = options(own, opponent, legal, board, policy)
    result = torch.zeros(len(legal), 64, dtype=torch.float64, device=legal.device)
    result.index_put_((found.game, found.square), found.weight.double())
    result = result[:, list(board.moves)]
    return result / result.sum(1, keepdim=True).clamp(min=1)
