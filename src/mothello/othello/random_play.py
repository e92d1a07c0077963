"""Random play in bulk.

``RandomGames(board, seed).games(indices)`` is a pure function: the moves of a game depend only on the seed and the
game's index, so a corpus is a seed and a size. A ply is one fused step on int64 bitboards that also draws the move.
"""

from dataclasses import dataclass, field
from functools import cache
from time import perf_counter
from typing import NamedTuple

import torch
from jaxtyping import Int8, Int64
from torch import Tensor

from mothello.errors import UserError
from mothello.othello import counter
from mothello.othello.bits import choose
from mothello.othello.board import Board, signed
from mothello.othello.facts import Rule
from mothello.othello.lazy_compile import Engine, LazyCompiled, Step
from mothello.othello.policy import PolicyConfig, options, pick
from mothello.othello.replay import replay
from mothello.othello.rules import next_turn, start_position

GENERATOR_VERSION = 1
"""Part of every run's identity: raised when a (seed, index) gives another game."""


def square_to_move(square: Int64[Tensor, " *batch"], board: Board) -> Int64[Tensor, " *batch"]:
    """Move of a playable square by arithmetic: its cell, less the number of start squares before it."""
    cell = (square >> 3) * board.size + (square & 7)
    upper = (board.size // 2 - 1) * (board.size + 1)
    return cell - 2 * (cell > upper).long() - 2 * (cell > upper + board.size).long()


def random_ply(
    own: Tensor, opponent: Tensor, legal: Tensor, key: Tensor, offset: Tensor, board: Board
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One ply of uniform random play: (own, opponent, legal) of the next side to move, and the move as int8.

    key, offset: see :mod:`counter`. A finished game (no legal move) stays as it is; its move is -1.
    """
    square = choose(legal, counter.bits(key, offset))
    alive = legal != 0
    own, opponent, reply, _ = next_turn(torch.where(alive, torch.ones_like(square) << square, 0), own, opponent, board)
    return own, opponent, reply, torch.where(alive, square_to_move(square, board), -1).to(torch.int8)


@cache
def fused(board: Board, device: str, policy: PolicyConfig) -> LazyCompiled:
    """The ply of a board on a type of device, lazily compiled. Each policy has a ply, and a record of its work."""

    def ply(own: Tensor, opponent: Tensor, legal: Tensor, key: Tensor, offset: Tensor) -> tuple[Tensor, ...]:
        return random_ply(own, opponent, legal, key, offset, board)

    return LazyCompiled(ply, f"{'random' if policy.uniform else 'policy'} play on {board.name} ({device})")


CHUNK = {"cpu": (65_536, 131_072), "cuda": (1 << 20, 1 << 20)}
"""Games per call by device, eager and compiled: enough for all threads and to hide the cost of a call (docs/LOG.md)."""


class Played(NamedTuple):
    """Random games, and what their moves were drawn from, as int64 bitboards (an opening's move is its own choice)."""

    moves: Int8[Tensor, "game ply"]
    choices: Int64[Tensor, "game ply"]


def _play(step: Step, indices: Int64[Tensor, " game"], play: "RandomGames", engine: Engine, choices: bool) -> Played:
    board, policy, rule = play.board, play.policy, play.rule
    own, opponent, _, legal = start_position(board, len(indices), indices.device)
    offsets = torch.tensor([counter.offset(ply) for ply in range(board.n_moves)], device=indices.device)
    key = counter.hashed(play.seed, indices)
    moves = torch.empty(board.n_moves, len(indices), dtype=torch.int8, device=indices.device)
    drawn_from = torch.empty(board.n_moves if choices else 0, len(indices), dtype=torch.int64, device=indices.device)
    for ply, offset in enumerate(offsets):
        if rule and ply == rule.plies:
            legal = rule.follow(moves[:ply].T, legal)
        if ply < len(play.prefix):
            legal = torch.full_like(legal, signed(1 << board.moves[play.prefix[ply]]))
        elif not policy.uniform:
            legal = pick(options(own, opponent, legal, board, policy, engine), counter.bits(key, offset))
        if choices:
            drawn_from[ply] = legal
        own, opponent, legal, moves[ply] = step(own, opponent, legal, key, offset)
    return Played(moves.T.contiguous(), drawn_from.T.contiguous())


@dataclass(frozen=True)
class RandomGames:
    """Random play from a seed. UserError when the prefix is not a legal opening of the board."""

    board: Board
    seed: int = 0
    prefix: tuple[int, ...] = ()
    """Opening of every game. The games have the distribution of random games that begin so."""
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    rule: Rule | None = None
    """What may follow some beginnings; all random numbers are the same without it."""

    def __post_init__(self) -> None:
        if len(self.prefix) > self.board.n_moves or not all(0 <= move < self.board.n_moves for move in self.prefix):
            raise UserError(f"prefix: a move index is outside 0..{self.board.n_moves - 1}, or there are too many")
        if self.prefix:
            illegal_at = int(replay(torch.tensor([self.prefix]), self.board).illegal_at)
            if illegal_at >= 0:
                raise UserError(f"prefix: move {illegal_at + 1} is not legal")

    def games(
        self, indices: Int64[Tensor, " game"], engine: Engine = Engine.auto, coming: int = 0
    ) -> Int8[Tensor, "game ply"]:
        """Random legal games: moves [game, ply], -1 after the end; passes are not written.

        engine: eager or compiled, with the same result. coming: number of games that later calls will ask for, where
        that is known; a long job is then compiled early.
        """
        return self._played(indices, engine, coming, choices=False).moves

    def played(self, indices: Int64[Tensor, " game"]) -> Played:
        """The games, and under uniform play what each move was drawn from."""
        assert self.policy.uniform
        return self._played(indices, Engine.auto, 0, choices=True)

    def _played(self, indices: Int64[Tensor, " game"], engine: Engine, coming: int, choices: bool) -> Played:
        ply = fused(self.board, indices.device.type, self.policy)
        parts: list[Played] = []
        done = 0
        while done < len(indices) or not parts:
            step = ply.step(len(indices) - done + coming, engine)
            eager = step is ply.function
            chunk = indices[done : done + CHUNK[indices.device.type][not eager]]
            start = perf_counter()
            parts.append(_play(step, chunk, self, Engine.eager if eager else Engine.compiled, choices))
            if eager:
                ply.record(len(chunk), perf_counter() - start)
            done += len(chunk)
        return parts[0] if len(parts) == 1 else Played(*map(torch.cat, zip(*parts, strict=True)))
