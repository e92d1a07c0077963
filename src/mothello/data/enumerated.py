"""The 4x4 board: all its games with their exact probabilities."""

from collections.abc import Sequence
from functools import cached_property, lru_cache

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int8, Int64
from torch import Tensor

from mothello.data.corpus import WholeGames
from mothello.data.oracle import Moves, Oracle, log_likelihood, play_oracle
from mothello.data.orbit import orbit_hash, prefix_codes
from mothello.errors import UserError
from mothello.othello.board import Board
from mothello.othello.counter import random_bits
from mothello.othello.policy import PolicyConfig
from mothello.othello.rules import Position, advance, start_position


@lru_cache(maxsize=1)
def all_games(board: Board) -> tuple[Int8[Tensor, "game ply"], Float[Tensor, " game"]]:
    """Every complete game of the 4x4 board, and its exact probability under uniform random play (float64)."""
    if board.size != 4:
        raise UserError(f"board: only the 4x4 board can be enumerated, not {board.name}")
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


def probabilities_of(moves: Moves, oracle: Oracle) -> Float[Tensor, " game"]:
    """Probability of each whole game under an oracle, float64."""
    parts = [log_likelihood(part, oracle(part))[:, -1] for part in moves.split(4096)]
    return torch.cat(parts).exp()


def _openings(moves: Moves) -> Int64[Tensor, "game state"]:
    """A number for the moves before each state."""
    return F.pad(prefix_codes(moves), (1, 0))


def tree_oracle(games: Moves, probability: Float[Tensor, " game"], n_moves: int) -> Oracle:
    """The distribution of the next move under a listed distribution over 4x4 games."""
    codes = _openings(games)
    levels = []
    for state in range(games.shape[1]):
        opening, row = codes[:, state].unique(return_inverse=True)
        mass = torch.zeros(len(opening), n_moves + 1, dtype=torch.float64)
        following = torch.where(games[:, state] >= 0, games[:, state].long(), n_moves)
        mass.index_put_((row, following), probability, accumulate=True)
        levels.append((opening, (mass / mass.sum(1, keepdim=True).clamp(min=1e-300))[:, :n_moves]))

    def predict(moves: Moves) -> Float[Tensor, "game state move"]:
        codes = _openings(moves)
        result = torch.zeros(len(moves), moves.shape[1] + 1, n_moves, dtype=torch.float64, device=moves.device)
        for state, level in enumerate(levels[: moves.shape[1] + 1]):
            opening, share = (table.to(moves.device) for table in level)
            row = torch.searchsorted(opening, codes[:, state].contiguous()).clamp(max=len(opening) - 1)
            result[:, state] = torch.where((opening[row] == codes[:, state]).unsqueeze(1), share[row], 0.0)
        return result

    return predict


class EnumeratedPlay(WholeGames):
    """Random play on the 4x4 board, restricted to the games of one part of a split.

    Each index draws a game from the exact distribution by a random number of its own, so games repeat as in random
    play. part: (low, high) in 0..1, the hash values of orbits that belong to the part.
    """

    def __init__(
        self,
        board: Board,
        seed: int,
        size: int,
        part: tuple[float, float],
        prefix: Sequence[int] = (),
        policy: PolicyConfig | None = None,
    ) -> None:
        self.board, self.seed, self.size = board, seed, size
        moves, probability = all_games(board)
        if policy is not None and not policy.uniform:
            probability = probabilities_of(moves, play_oracle(board, (), policy))
        hashed = orbit_hash(moves, board).double() / 2**32
        keep = (hashed >= part[0]) & (hashed < part[1])
        for ply, move in enumerate(prefix):
            keep &= moves[:, ply] == move
        keep &= probability > 0
        if not bool(keep.any()):
            raise UserError("prefix: not legal; no game of the 4x4 board begins so")
        self.games = moves[keep]
        self.probability = probability[keep] / probability[keep].sum()
        self.cumulative = probability[keep].cumsum(0) / probability[keep].sum()

    def __len__(self) -> int:
        return self.size

    def moves(self, indices: Int64[Tensor, " game"]) -> Int8[Tensor, "game ply"]:
        uniform = (random_bits(self.seed, indices.cpu(), 0).double() + 0.5) / 2**32
        place = torch.searchsorted(self.cumulative, uniform).clamp(max=len(self.games) - 1)
        return self.games[place].to(indices.device)

    @cached_property
    def oracle(self) -> Oracle:
        return tree_oracle(self.games, self.probability, self.board.n_moves)
