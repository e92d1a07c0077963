"""What a perfect predictor knows: the probability of every next move before every ply of a game.

A corpus that knows how its games came about has a predictor; floors, exact 4x4 probabilities and mixtures need nothing
else. It also reads games that the corpus cannot hold (another language's reading of the same tokens): from the first
move on that could not happen, its rows mean nothing.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int8, Int64
from torch import Tensor

from mothello.othello.board import Board, signed
from mothello.othello.policy import PolicyConfig, probabilities
from mothello.othello.replay import replay, squares_to_moves

Moves = Int8[Tensor, "game ply"] | Int64[Tensor, "game ply"]
Predictor = Callable[[Moves], Float[Tensor, "game state move"]]
"""Moves [game, ply] -> float64 probabilities [game, ply + 1, move], on the CPU: state t is the one before ply t.
A row sums to the probability that the game goes on: zero where it is over, less than one where it may be (a mixture
some of whose sources end early). Whoever asks what follows, given that something does, divides by the sum."""


def play_predictor(board: Board, prefix: Sequence[int] = (), policy: PolicyConfig | None = None) -> Predictor:
    """Random play under a policy (uniform over legal moves by default), after a known opening."""
    policy = policy or PolicyConfig()

    def predict(moves: Moves) -> Float[Tensor, "game state move"]:
        played = replay(moves.cpu(), board)
        legal = played.legal
        for ply, move in enumerate(prefix):
            legal[:, ply] &= signed(1 << board.moves[move])
        if policy.uniform:
            may = squares_to_moves(legal, board).double()
            return may / may.sum(-1, keepdim=True).clamp(min=1)
        own = torch.where(played.black_to_move, played.black, played.white)
        opponent = played.black ^ played.white ^ own
        flat = probabilities(own.flatten(), opponent.flatten(), legal.flatten(), board, policy)
        return flat.view(*legal.shape, board.n_moves)

    return predict


def given_a_move(predicted: Float[Tensor, "*batch move"]) -> Float[Tensor, "*batch move"]:
    """What follows, given that something does; zero rows stay zero."""
    return predicted / predicted.sum(-1, keepdim=True).clamp(min=1e-300)


def log_likelihood(moves: Moves, predicted: Float[Tensor, "game state move"]) -> Float[Tensor, "game state"]:
    """Log probability of the moves before every state, float64; -inf once an impossible one was played."""
    played = moves.cpu().long()
    p = predicted[:, :-1].gather(2, played.clamp(min=0).unsqueeze(2)).squeeze(2)
    steps = torch.where(played >= 0, p.log(), 0.0)
    return torch.cat([torch.zeros(len(played), 1, dtype=torch.float64), steps.cumsum(1)], 1)


def mixed(predictors: Sequence[Predictor], weights: Sequence[float]) -> Predictor:
    """A game comes from one of several sources; what is played tells which, and so what comes next."""
    prior = torch.tensor(weights, dtype=torch.float64)
    prior = (prior / prior.sum()).log()

    def predict(moves: Moves) -> Float[Tensor, "game state move"]:
        each = [predictor(moves) for predictor in predictors]
        seen = torch.stack([p + log_likelihood(moves, e) for p, e in zip(prior, each, strict=True)])
        return (torch.stack(each) * seen.softmax(0).nan_to_num(0.0).unsqueeze(-1)).sum(0)

    return predict
