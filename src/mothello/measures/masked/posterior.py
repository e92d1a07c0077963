"""The exact posterior of one hidden move, given all other moves of its game, or of the part of it that is shown.

A replacement is possible if the whole game stays legal, sides passing where they must, and ends where it ended. A
replaced move changes every later board: later moves are checked anew and their probabilities are those on the new
boards. The posterior is the probability of the whole game with the replacement, normalized over replacements.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int8, Int64
from torch import Tensor

from mothello.data.batch import Context
from mothello.data.oracle import Oracle, log_likelihood
from mothello.othello.board import Board
from mothello.othello.replay import replay, squares_to_moves

_AT_ONCE = 512
"""Games whose probabilities are computed together: each takes [state, move] numbers."""
_NEVER = 1e-6
"""A probability up to which a game cannot have stopped: what is left of one that is spread over moves is rounding."""


class Hidden(NamedTuple):
    """Moves that are hidden, each by itself."""

    game: Int64[Tensor, " position"]
    ply: Int64[Tensor, " position"]
    last: Int64[Tensor, " position"]
    """The last ply that is shown."""
    part: Float[Tensor, " position"]
    """Which token of the word, where one alone is hidden: in 0..1."""


def draw_hidden(moves: Int8[Tensor, "game ply"], per_game: int, context: Context, draw: torch.Generator) -> Hidden:
    """``per_game`` moves of every game, each ply as likely. Where a prefix is shown, two plies before the last one are
    drawn: the earlier is hidden, and all after the later. Games of fewer than three moves have no such prefix."""
    whole, lengths = context is Context.game, (moves >= 0).sum(1)
    plies = torch.arange(moves.shape[1], device=moves.device)
    allowed = plies < (lengths if whole else lengths - 1).unsqueeze(1)
    order = torch.rand(len(moves), per_game, len(plies), generator=draw).to(moves.device)
    pairs = order.masked_fill(~allowed.unsqueeze(1), 2.0).argsort(-1)[..., :2]
    first, second = pairs.sort(-1).values.unbind(-1)
    first, second = (pairs[..., 0], (lengths - 1).unsqueeze(1).expand_as(first)) if whole else (first, second)
    drawn = lengths.unsqueeze(1).expand_as(first) > (0 if whole else 2)
    game = torch.arange(len(moves), device=moves.device).unsqueeze(1).expand_as(first)
    part = torch.rand(first.shape, generator=draw).to(moves.device)
    return Hidden(game[drawn], first[drawn], second[drawn], part[drawn])


class Posterior(NamedTuple):
    """What the other moves tell about a hidden one."""

    played: Int64[Tensor, " position"]
    """The move that was hidden."""
    open: Bool[Tensor, "position move"]
    """Squares that no other move of the game is on."""
    possible: Bool[Tensor, "position move"]
    """Moves that keep the game legal and end it where it ended."""
    p: Float[Tensor, "position move"]
    """Their probabilities, float64; nan where it is not known how the games were made."""


def posterior(moves: Int8[Tensor, "game ply"], hidden: Hidden, board: Board, oracle: Oracle | None) -> Posterior:
    """The posterior of every hidden move. oracle: of the play that the games are from.

    A game that its play cannot have ended where it ends was cut, and its end tells nothing. AssertionError for games
    that are not legal themselves.
    """
    states, plies = replay(moves, board), torch.arange(moves.shape[1], device=moves.device)
    assert bool((states.illegal_at < 0).all()), "the games are not legal themselves"
    shown = torch.where(plies > hidden.last.unsqueeze(1), -1, moves[hidden.game])
    played = shown.gather(1, hidden.ply.unsqueeze(1)).long()
    used = torch.zeros(len(shown), board.n_moves + 1, dtype=torch.bool, device=moves.device)
    used.scatter_(1, torch.where(shown >= 0, shown.long(), board.n_moves), True)
    free = ~used[:, :-1].scatter(1, played, False)
    legal = squares_to_moves(states.legal[hidden.game, hidden.ply], board)
    position, move = (free & legal).nonzero().unbind(1)
    games = shown[position].scatter(1, hidden.ply[position].unsqueeze(1), move.to(moves.dtype).unsqueeze(1))
    over = states.legal[hidden.game, hidden.last + 1] == 0
    good = torch.cat([_stays_legal(some, ends, board) for some, ends in _parts(games, over[position])])
    position, move, games = position[good], move[good], games[good]
    possible = torch.zeros_like(free)
    possible[position, move] = True
    if oracle is None:
        unknown = torch.full(free.shape, torch.nan, dtype=torch.float64, device=moves.device)
        return Posterior(played.squeeze(1), free, possible, unknown)
    begun = torch.full(free.shape, -torch.inf, dtype=torch.float64, device=moves.device)
    stopped = torch.zeros_like(begun)
    chances = [_chances(some, oracle) for some in games.split(_AT_ONCE)]
    begun[position, move], stopped[position, move] = torch.cat(chances, 1)
    ended = stopped.gather(1, played) > _NEVER
    return Posterior(
        played.squeeze(1), free, possible, (begun + torch.where(ended, stopped.clamp(min=0).log(), 0.0)).softmax(1)
    )


def _parts(games: Tensor, over: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    return zip(games.split(8 * _AT_ONCE), over.split(8 * _AT_ONCE), strict=True)


def _stays_legal(games: Int8[Tensor, "game ply"], over: Bool[Tensor, " game"], board: Board) -> Bool[Tensor, " game"]:
    """Whether a game is legal, and over after its last move where it has to be."""
    states = replay(games, board)
    return (states.illegal_at < 0) & ((states.legal[:, -1] == 0) | ~over)


def _chances(games: Int8[Tensor, "game ply"], oracle: Oracle) -> Float[Tensor, "2 game"]:
    """Log probability that a game begins with these moves, and the probability that it stops after them."""
    predicted = oracle(games).double()
    going_on = predicted[torch.arange(len(games), device=games.device), (games >= 0).sum(1)].sum(-1)
    return torch.stack([log_likelihood(games, predicted)[:, -1], 1 - going_on])
