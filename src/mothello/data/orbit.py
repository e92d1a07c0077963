"""Games up to the symmetries of the opening: a hash that mirror images share, and how much two corpora overlap."""

from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from mothello.data.corpus import Corpus
from mothello.data.oracle import Moves
from mothello.othello.board import Board, signed
from mothello.othello.counter import hashed, random_bits
from mothello.othello.symmetry import OPENING_MAPS, move_map


@cache
def _tables(board: Board, plies: int) -> Int64[Tensor, "map ply move"]:
    """What each move at each ply adds to the code of each image of a game; -1 (no move) is the last column."""
    powers = [pow(1_000_003, plies - 1 - ply, 1 << 64) for ply in range(plies)]
    images = [(*move_map(board, name), -1) for name in OPENING_MAPS]
    terms = [[[signed((move + 2) * power % (1 << 64)) for move in image] for power in powers] for image in images]
    return torch.tensor(terms)


def _image_code(moves: Moves, table: Int64[Tensor, "ply move"]) -> Int64[Tensor, " game"]:
    columns = torch.where(moves < 0, table.shape[1] - 1, moves).int().T.contiguous()
    code = torch.zeros(len(moves), dtype=torch.int64, device=moves.device)
    for terms, column in zip(table.to(moves.device), columns, strict=True):
        code += terms.index_select(0, column)
    return code


def game_code(moves: Moves, board: Board) -> Int64[Tensor, " game"]:
    """A 64-bit number per game, the same for the same moves: a polynomial in 1,000,003, modulo 2^64."""
    return _image_code(moves, _tables(board, moves.shape[1])[0])


def orbit_code(moves: Moves, board: Board) -> Int64[Tensor, " game"]:
    """A 64-bit number per game that its images under the symmetries of the opening share: the least of their codes."""
    return torch.stack([_image_code(moves, table) for table in _tables(board, moves.shape[1])]).min(0).values


def orbit_hash(moves: Moves, board: Board) -> Int64[Tensor, " game"]:
    """The orbit's code, hashed to 32 bits: what decides the split of a stored or 4x4 game."""
    return random_bits(0, orbit_code(moves, board), 0)


class Overlap(NamedTuple):
    """What two corpora share, counted over their first ``n`` games."""

    n: tuple[int, int]
    """Games looked at."""
    distinct: tuple[int, int]
    """Different games among them."""
    games: int
    """Different games that stand in both."""
    orbits: int
    """Different games up to the symmetries of the opening that stand in both: mirror images count."""
    share: float
    """Share of the first corpus' games, repeats included, that stand in the second."""


def _codes(games: Corpus, n: int) -> tuple[np.ndarray, np.ndarray]:
    exact, orbits = [], []
    for indices in torch.arange(n).split(65_536):
        moves = games.moves(indices)
        exact.append(hashed(0, game_code(moves, games.board)).numpy())
        orbits.append(hashed(0, orbit_code(moves, games.board)).numpy())
    return np.concatenate(exact), np.concatenate(orbits)


def overlap(one: Corpus, other: Corpus, n: int = 100_000) -> Overlap:
    """Count what the first n games of two corpora share. By 64-bit hashes: 16 bytes a game."""
    counts = min(n, len(one)), min(n, len(other))
    (exact, orbits), (exact2, orbits2) = _codes(one, counts[0]), _codes(other, counts[1])
    distinct, distinct2 = np.unique(exact), np.unique(exact2)
    return Overlap(
        counts,
        (len(distinct), len(distinct2)),
        len(np.intersect1d(distinct, distinct2, assume_unique=True)),
        len(np.intersect1d(orbits, orbits2)),
        float(np.isin(exact, distinct2).mean()),
    )
