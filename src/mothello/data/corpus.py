"""Corpora: games by index."""

from collections.abc import Sequence
from math import ceil
from typing import Protocol

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int8, Int64
from torch import Tensor

from mothello.data.oracle import Moves, Oracle, mixed, play_oracle, shares
from mothello.errors import UserError
from mothello.othello.board import Board
from mothello.othello.counter import random_bits
from mothello.othello.facts import Rule
from mothello.othello.policy import PolicyConfig
from mothello.othello.random_play import Played, RandomGames


class Corpus(Protocol):
    """Games by index. All methods are pure functions of the indices."""

    board: Board

    def __len__(self) -> int: ...

    def moves(self, indices: Int64[Tensor, " game"]) -> Int8[Tensor, "game ply"]:
        """Move indices, negative after the end of a game."""
        ...

    def first_scored(self, indices: Int64[Tensor, " game"]) -> Int64[Tensor, " game"]:
        """First ply of each game that carries loss, 0 for whole games."""
        ...

    @property
    def oracle(self) -> Oracle | None:
        """The true distribution of the next move; None where it is unknown (recorded games)."""
        ...

    def law(self, indices: Int64[Tensor, " game"], moves: Moves) -> Float[Tensor, "game state move"]:
        """What each move of these games was drawn from: the oracle's distribution, or where the index tells more than
        the moves before, such as the source, the distribution given that; float32. Only where there is an oracle."""
        ...


class WithOracle:
    """Base of corpora whose indices tell no more than the moves."""

    @property
    def oracle(self) -> Oracle | None:
        """Not known, where a corpus does not say otherwise."""
        return None

    def law(self, indices: Int64[Tensor, " game"], moves: Moves) -> Float[Tensor, "game state move"]:
        assert self.oracle is not None, "the distribution of these games is not known"
        return self.oracle(moves).float()


class WholeGames(WithOracle):
    """Base of corpora all of whose plies carry loss."""

    def first_scored(self, indices: Int64[Tensor, " game"]) -> Int64[Tensor, " game"]:
        return torch.zeros_like(indices)


class RandomPlay(WholeGames):
    """Random legal games, uniform or under a policy, from a seed and a first index. Nothing is stored.

    rule: what may follow some beginnings; all other games are those of the play without it."""

    def __init__(
        self,
        board: Board,
        seed: int,
        size: int,
        first: int = 0,
        prefix: Sequence[int] = (),
        policy: PolicyConfig | None = None,
        rule: Rule | None = None,
    ) -> None:
        self.board, self.size, self.first = board, size, first
        self.play = RandomGames(board, seed, tuple(prefix), policy or PolicyConfig(), rule)
        self._last: tuple[Tensor, Played] | None = None
        """Once a law was asked for: the indices of the games played last, ascending, and these games."""
        self._keep = False

    def __len__(self) -> int:
        return self.size

    def moves(self, indices: Int64[Tensor, " game"]) -> Int8[Tensor, "game ply"]:
        if not self._keep:
            return self.play.games(indices + self.first)
        played, order = self.play.played(indices + self.first), indices.argsort()
        self._last = indices[order], Played(*(field[order] for field in played))
        return played.moves

    def law(self, indices: Int64[Tensor, " game"], moves: Moves) -> Float[Tensor, "game state move"]:
        """Of the games played last, what playing left behind; of others, what a replay finds."""
        self._keep = self.play.policy.uniform
        if self._last and len(self._last[0]) and moves.shape[1] == self.board.n_moves:
            known, games = self._last
            place = torch.searchsorted(known, indices).clamp(max=len(known) - 1)
            same = (games.moves[place] == moves) | (moves < 0)
            if torch.equal(known[place], indices) and bool(same.all()):
                return shares(F.pad(games.choices[place], (0, 1)), self.board)
        return self.oracle(moves).float()

    @property
    def oracle(self) -> Oracle:
        return play_oracle(self.board, self.play.prefix, self.play.policy, self.play.rule)


class Window:
    """The early or late plies of another corpus' games.

    Games end before ply ``last``. Plies before ``first`` carry no loss; they are written because they decide the board.
    """

    def __init__(self, games: Corpus, first: int, last: int) -> None:
        self.games, self.board, self.first, self.last = games, games.board, first, last
        if not 0 <= first < last <= self.board.n_moves:
            raise UserError(f"plies: [{first}, {last}] is not a range within 0..{self.board.n_moves}")

    def __len__(self) -> int:
        return len(self.games)

    def moves(self, indices: Int64[Tensor, " game"]) -> Int8[Tensor, "game ply"]:
        moves = self.games.moves(indices).clone()
        moves[:, self.last :] = -1
        return moves

    def first_scored(self, indices: Int64[Tensor, " game"]) -> Int64[Tensor, " game"]:
        return self.games.first_scored(indices).clamp(min=self.first)

    @property
    def oracle(self) -> Oracle | None:
        inner = self.games.oracle
        if inner is None:
            return None

        return lambda moves: self._cut(inner(moves))

    def law(self, indices: Int64[Tensor, " game"], moves: Moves) -> Float[Tensor, "game state move"]:
        return self._cut(self.games.law(indices, moves))

    def _cut(self, predicted: Float[Tensor, "game state move"]) -> Float[Tensor, "game state move"]:
        predicted[:, self.last :] = 0
        return predicted


class Mixture:
    """Several corpora in given proportions. A random number per index decides the source; the game is the source's game
    of that index (modulo its size: games of a short source repeat)."""

    def __init__(self, sources: Sequence[Corpus], weights: Sequence[float], seed: int, size: int) -> None:
        assert len(sources) == len(weights) > 0
        self.sources, self.weights, self.seed, self.size = list(sources), list(weights), seed, size
        self.board = sources[0].board

    def __len__(self) -> int:
        return self.size

    def source(self, indices: Int64[Tensor, " game"]) -> Int64[Tensor, " game"]:
        """Index of each game's source."""
        return draw(random_bits(self.seed, indices, 0), self.weights)

    def moves(self, indices: Int64[Tensor, " game"]) -> Int8[Tensor, "game ply"]:
        source = self.source(indices)
        moves = torch.full((len(indices), self.board.n_moves), -1, dtype=torch.int8, device=indices.device)
        for k, games in enumerate(self.sources):
            rows = source == k
            if bool(rows.any()):
                moves[rows] = games.moves(indices[rows] % len(games))
        return moves

    def first_scored(self, indices: Int64[Tensor, " game"]) -> Int64[Tensor, " game"]:
        each = torch.stack([games.first_scored(indices % len(games)) for games in self.sources])
        return each.gather(0, self.source(indices).unsqueeze(0)).squeeze(0)

    @property
    def oracle(self) -> Oracle | None:
        each = [games.oracle for games in self.sources]
        known = [oracle for oracle in each if oracle is not None]
        return mixed(known, self.weights) if len(known) == len(each) else None

    def law(self, indices: Int64[Tensor, " game"], moves: Moves) -> Float[Tensor, "game state move"]:
        """Each game's own source's."""
        source = self.source(indices)
        shape = len(moves), moves.shape[1] + 1, self.board.n_moves
        result = torch.zeros(shape, device=moves.device)
        for k, games in enumerate(self.sources):
            rows = source == k
            result[rows] = games.law(indices[rows] % len(games), moves[rows])
        return result


def draw(bits: Int64[Tensor, " *batch"], weights: Sequence[float]) -> Int64[Tensor, " *batch"]:
    """Index drawn in proportion to the weights by 32 random bits, equal on every device."""
    total = sum(weights)
    # rounded up, less a little because equal shares do not add up exactly
    bounds = [ceil(sum(weights[:k]) / total * 2**32 - 1e-4) for k in range(1, len(weights))]
    return torch.bucketize(bits, torch.tensor(bounds, dtype=torch.int64, device=bits.device), right=True)


class Consecutive(WholeGames):
    """Corpora one after the other."""

    def __init__(self, parts: Sequence[Corpus]) -> None:
        self.board, self.parts = parts[0].board, list(parts)

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def moves(self, indices: Int64[Tensor, " game"]) -> Int8[Tensor, "game ply"]:
        result, first = None, 0
        for part in self.parts:
            inside = ((indices >= first) & (indices < first + len(part))).nonzero().flatten()
            moves = part.moves(indices[inside] - first)
            if result is None:
                result = moves.new_full((len(indices), moves.shape[1]), -1)
            result[inside] = moves
            first += len(part)
        assert result is not None
        return result
