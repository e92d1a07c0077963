"""The oracle of a corpus: the true distribution of the next move before every ply of a game.

A corpus that knows how its games were made has an oracle; floors, exact 4x4 probabilities and mixtures follow from it.
Games outside the corpus are accepted (they arise when tokens are decoded in another language); rows after the first
impossible move are undefined.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int8, Int64
from torch import Tensor

from mothello.othello.bits import popcount
from mothello.othello.board import Board, signed
from mothello.othello.facts import Rule
from mothello.othello.policy import PolicyConfig, probabilities
from mothello.othello.replay import replay, squares_to_moves

Moves = Int8[Tensor, "game ply"] | Int64[Tensor, "game ply"]
Oracle = Callable[[Moves], Float[Tensor, "game state move"]]
"""Moves [game, ply] -> float64 probabilities [game, ply + 1, move] on their device; state t is the state before ply t.
A row sums to the probability that the game continues: 0 after the end, less than 1 where the game may end (in a mixture
some of whose sources end early)."""


def play_oracle(
    board: Board, prefix: Sequence[int] = (), policy: PolicyConfig | None = None, rule: Rule | None = None
) -> Oracle:
    """The oracle of random play under a policy (by default uniform over the legal moves), after a known opening, with
    a rule of what may follow some beginnings."""
    policy = policy or PolicyConfig()

    def oracle(moves: Moves) -> Float[Tensor, "game state move"]:
        played = replay(moves, board)
        legal = played.legal
        for ply, move in enumerate(prefix):
            legal[:, ply] &= signed(1 << board.moves[move])
        if rule and rule.plies <= moves.shape[1]:
            legal[:, rule.plies] = rule.follow(moves[:, : rule.plies], legal[:, rule.plies])
        if policy.uniform:
            share = 1 / popcount(legal).clamp(min=1).double()
            return torch.where(squares_to_moves(legal, board), share.unsqueeze(-1), 0.0)
        own = torch.where(played.black_to_move, played.black, played.white)
        opponent = played.black ^ played.white ^ own
        flat = probabilities(own.flatten(), opponent.flatten(), legal.flatten(), board, policy)
        return flat.view(*legal.shape, board.n_moves)

    return oracle


_GAMES = 512
"""Games whose choices are spread over moves together: more do not fit a CPU's cache."""


def shares(choices: Int64[Tensor, "game state"], board: Board) -> Float[Tensor, "game state move"]:
    """Bitboards -> the uniform distribution over their squares, float32; zeros where there is none."""
    share = (1 / popcount(choices).clamp(min=1).double()).float().unsqueeze(-1)
    bits = torch.tensor([signed(1 << square) for square in board.moves], device=choices.device)
    result = torch.empty(*choices.shape, board.n_moves, device=choices.device)
    step = _GAMES if choices.device.type == "cpu" else max(1, len(choices))
    for start in range(0, len(choices), step):
        part = slice(start, start + step)
        torch.mul((choices[part].unsqueeze(-1) & bits) != 0, share[part], out=result[part])
    return result


def given_a_move(predicted: Float[Tensor, "*batch move"]) -> Float[Tensor, "*batch move"]:
    """The distribution given that the game continues; zero rows stay zero."""
    return predicted / predicted.sum(-1, keepdim=True).clamp(min=1e-300)


def log_likelihood(moves: Moves, predicted: Float[Tensor, "game state move"]) -> Float[Tensor, "game state"]:
    """Log probability of the moves before every state, float64; -inf after an impossible move."""
    played = moves.long()
    p = predicted[:, :-1].gather(2, played.clamp(min=0).unsqueeze(2)).squeeze(2)
    steps = torch.where(played >= 0, p.log(), 0.0)
    return F.pad(steps.cumsum(1), (1, 0))


def mixed(oracles: Sequence[Oracle], weights: Sequence[float]) -> Oracle:
    """The oracle of a mixture: the moves so far decide how likely each source is."""
    prior = torch.tensor(weights, dtype=torch.float64)
    prior = (prior / prior.sum()).log()

    def oracle(moves: Moves) -> Float[Tensor, "game state move"]:
        each = [source(moves) for source in oracles]
        seen = torch.stack([p + log_likelihood(moves, e) for p, e in zip(prior.tolist(), each, strict=True)])
        return (torch.stack(each) * seen.softmax(0).nan_to_num(0.0).unsqueeze(-1)).sum(0)

    return oracle
