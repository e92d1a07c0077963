"""Codes of games, of their openings and of their orbits under the symmetries of the opening; overlap of two corpora."""

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

_BASE = 1_000_003


def prefix_codes(moves: Moves) -> Int64[Tensor, "game ply"]:
    """A 64-bit number for the moves up to and including each ply: a polynomial in 1,000,003, modulo 2^64.

    Equal moves have equal codes; different moves of the same number almost never do.
    """
    code, codes = torch.zeros(len(moves), dtype=torch.int64, device=moves.device), []
    for column in moves.long().unbind(1):
        code = code * _BASE + column + 2
        codes.append(code)
    return torch.stack(codes, 1)


@cache
def _tables(board: Board, plies: int) -> Int64[Tensor, "map ply move"]:
    """The term of each move at each ply in the code of each image of a game; the last column is no move (-1)."""
    powers = [pow(_BASE, plies - 1 - ply, 1 << 64) for ply in range(plies)]
    images = [(*move_map(board, name), -1) for name in OPENING_MAPS]
    terms = [[[signed((move + 2) * power % (1 << 64)) for move in image] for power in powers] for image in images]
    return torch.tensor(terms)


def _image_code(moves: Moves, table: Int64[Tensor, "ply move"]) -> Int64[Tensor, " game"]:
    columns = torch.where(moves < 0, table.shape[1] - 1, moves).int().T.contiguous()
    code = torch.zeros(len(moves), dtype=torch.int64, device=moves.device)
    for terms, column in zip(table.to(moves.device), columns, strict=True):
        code += terms.index_select(0, column)
    return code


def game_code(moves: Moves) -> Int64[Tensor, " game"]:
    """A 64-bit number per game: the code of all its moves."""
    return prefix_codes(moves)[:, -1]


def orbit_code(moves: Moves, board: Board) -> Int64[Tensor, " game"]:
    """A 64-bit number per orbit: the least code of a game's images under the symmetries of the opening."""
    return torch.stack([_image_code(moves, table) for table in _tables(board, moves.shape[1])]).min(0).values


def orbit_hash(moves: Moves, board: Board) -> Int64[Tensor, " game"]:
    """The orbit's code, hashed to 32 bits; it decides the split of stored and of 4x4 games."""
    return random_bits(0, orbit_code(moves, board), 0)


class Overlap(NamedTuple):
    """Games in common among the first ``n`` games of two corpora."""

    n: tuple[int, int]
    """Games compared, of each corpus."""
    distinct: tuple[int, int]
    """Different games among these."""
    games: int
    """Different games in both corpora."""
    orbits: int
    """Different orbits in both corpora: a game and its mirror images count as one."""
    share: float
    """Share of the first corpus' games, repeats included, that are in the second."""


def _codes(games: Corpus, n: int) -> tuple[np.ndarray, np.ndarray]:
    exact, orbits = [], []
    for indices in torch.arange(n).split(65_536):
        moves = games.moves(indices)
        exact.append(hashed(0, game_code(moves)).numpy())
        orbits.append(hashed(0, orbit_code(moves, games.board)).numpy())
    return np.concatenate(exact), np.concatenate(orbits)


def overlap(one: Corpus, other: Corpus, n: int = 100_000) -> Overlap:
    """Compare the first n games of two corpora by 64-bit hashes, 16 bytes per game."""
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
