"""Statistics of a corpus: lengths, passes, legal moves and floor by ply, openings, and divergence of two corpora."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int8, Int64
from torch import Tensor

from mothello.data.corpus import Corpus
from mothello.data.enumerated import all_games
from mothello.data.oracle import Oracle, given_a_move, log_likelihood, play_oracle
from mothello.othello.bits import popcount
from mothello.othello.board import Board
from mothello.othello.replay import replay, squares_to_cells

_AT_ONCE = 1024


class PlyFloor(NamedTuple):
    """Entropy of the next move before each ply, in nats, over the games that have that ply."""

    nats: Float[Tensor, " ply"]
    standard_error: Float[Tensor, " ply"]
    """Over games; zero where the floor is exact."""
    kind: str
    """exact (4x4, all games enumerated), sampled, or bound: the distribution of recorded games is unknown, so nats is
    the logarithm of the number of legal moves, an upper bound of the entropy."""


def _entropy(p: Float[Tensor, "*batch move"]) -> Float[Tensor, " *batch"]:
    return -torch.special.xlogy(p, p).sum(-1)


def _exact(board: Board, oracle: Oracle) -> Float[Tensor, " ply"]:
    """Mean over all openings, weighted by their probability."""
    games, _ = all_games(board)
    uniform = play_oracle(board)
    nats, mass = (torch.zeros(board.n_moves, dtype=torch.float64) for _ in range(2))
    for moves in games.split(4096):
        predicted, known = oracle(moves)[:, :-1], uniform(moves)
        # the uniform probabilities of an opening's completions add up to that of the opening
        share = log_likelihood(moves, known)[:, -1:]
        opening = log_likelihood(moves, oracle(moves))[:, :-1] - log_likelihood(moves, known)[:, :-1]
        weight = (share + opening).exp() * predicted.sum(-1)
        nats += (weight * _entropy(given_a_move(predicted))).sum(0)
        mass += weight.sum(0)
    return nats / mass


def ply_floor(games: Corpus, n: int) -> PlyFloor:
    """The floor of a corpus by ply; where games cannot be enumerated, an estimate from the first n games."""
    board, oracle = games.board, games.oracle
    if board.size == 4 and oracle is not None:
        exact = _exact(board, oracle)
        return PlyFloor(exact, torch.zeros_like(exact), "exact")
    mean, error = sampled_floor(games, oracle or play_oracle(board), n)
    return PlyFloor(mean, error, "sampled" if oracle is not None else "bound")


def sampled_floor(games: Corpus, known: Oracle, n: int) -> tuple[Float[Tensor, " ply"], Float[Tensor, " ply"]]:
    """Mean entropy of the next move before each ply of the first n games, and its standard error over games."""
    board = games.board
    total, square, count = (torch.zeros(board.n_moves, dtype=torch.float64) for _ in range(3))
    for indices in torch.arange(min(n, len(games))).split(_AT_ONCE):
        moves = games.moves(indices)
        nats = _entropy(given_a_move(known(moves)[:, :-1]))
        scored = torch.arange(board.n_moves) >= games.first_scored(indices).unsqueeze(1)
        played = (scored & (moves >= 0)).double()
        total, square, count = total + (nats * played).sum(0), square + (nats**2 * played).sum(0), count + played.sum(0)
    mean = total / count
    spread = (square / count - mean**2).clamp(min=0) / (count - 1).clamp(min=1)
    return mean, spread.sqrt()


class Counts(NamedTuple):
    """Counts over a sample of games; counts of several samples can be added."""

    lengths: Tensor
    """[length] games of each number of plies."""
    passes: Tensor
    """[passes] games of each number of passes."""
    played: Tensor
    """[ply, move] games with each move at each ply."""
    legal: Tensor
    """[ply] sum of legal moves over the games that have the ply."""
    passed: Tensor
    """[ply] games with a pass just before the ply."""
    discs: Tensor
    """[ply, cell, color] games with a white or black disc on each cell before each ply."""


def count(moves: Int8[Tensor, "game ply"], board: Board, first_scored: Int64[Tensor, " game"] | None = None) -> Counts:
    """The counts of games; counts by ply leave out plies that carry no loss."""
    games, written = replay(moves, board), moves >= 0
    black = games.black_to_move[:, :-1]
    skipped = torch.cat([torch.zeros_like(black[:, :1]), black[:, 1:] == black[:, :-1]], 1) & written
    ply = torch.arange(board.n_moves).expand(moves.shape)
    played = written if first_scored is None else written & (ply >= first_scored.unsqueeze(1))
    passed = skipped & played
    table = torch.zeros(board.n_moves, board.n_moves, dtype=torch.int64)
    table.index_put_((ply[played], moves[played].long()), torch.ones(()).long(), accumulate=True)
    discs = [squares_to_cells(c[:, :-1], board) & played.unsqueeze(-1) for c in (games.white, games.black)]
    return Counts(
        torch.bincount(written.sum(1), minlength=board.n_moves + 1),
        torch.bincount(skipped.sum(1), minlength=board.n_moves + 1),
        table,
        (popcount(games.legal[:, :-1]) * played).sum(0),
        passed.sum(0),
        torch.stack([color.sum(0) for color in discs], -1),
    )


def count_corpus(games: Corpus, first: int, last: int) -> Counts:
    """The counts of the games first .. last - 1."""
    chunks = torch.arange(first, last).split(_AT_ONCE)
    parts = [count(games.moves(indices), games.board, games.first_scored(indices)) for indices in chunks]
    return Counts(*(torch.stack(field).sum(0) for field in zip(*parts, strict=True)))


class Divergence(NamedTuple):
    """Jensen-Shannon divergence between two samples of games, in nats (0 .. log 2 = 0.693)."""

    moves: float
    """Of the move at each ply: mean over plies, weighted by the share of games that have the ply."""
    boards: float
    """Of the content of each cell (white, empty, black) before each ply: the same mean."""
    common: float
    """Share of plies that both samples have; at 0 the divergences are nan."""
    moves_by_ply: Float[Tensor, " ply"]
    boards_by_ply: Float[Tensor, " ply"]


def _js(p: Tensor, q: Tensor) -> Tensor:
    """Jensen-Shannon divergence of counts along the last axis."""
    p, q = (x.double() / x.sum(-1, keepdim=True).clamp(min=1) for x in (p, q))
    middle = (p + q) / 2
    return _entropy(middle) - (_entropy(p) + _entropy(q)) / 2


def _contents(counts: Counts) -> Tensor:
    games = counts.played.sum(1).view(-1, 1, 1)
    return torch.cat([counts.discs, games - counts.discs.sum(-1, keepdim=True)], -1)


def divergence(one: Counts, other: Counts) -> Divergence:
    """Divergence of two samples of games at the plies that both have."""
    plies = [counts.played.sum(1) for counts in (one, other)]
    weight = torch.minimum(*(n.double() / n.sum() for n in plies))
    moves = _js(one.played, other.played)
    boards = _js(_contents(one), _contents(other)).mean(-1)
    total = weight.sum()  # zero where nothing is common: the means are nan
    means = [float((by_ply * weight).sum() / total) for by_ply in (moves, boards)]
    return Divergence(means[0], means[1], float(total), moves, boards)


def opening_tree(moves: Int8[Tensor, "game ply"], depth: int) -> list[dict[str, Any]]:
    """Number of games of each opening of up to ``depth`` plies: [{"moves": [...], "games": n}], in order."""
    tree = []
    for length in range(1, depth + 1):
        openings, games = moves[moves[:, length - 1] >= 0, :length].unique(dim=0, return_counts=True)
        tree += [{"moves": o, "games": n} for o, n in zip(openings.tolist(), games.tolist(), strict=True)]
    return tree
