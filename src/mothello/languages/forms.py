"""Which spelling a move takes: the board decides the markers, a number of the game what is free to choose."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from mothello.languages.traits import FLIP_BINS, Traits, forms
from mothello.othello.bits import popcount
from mothello.othello.board import Board, signed
from mothello.othello.counter import bits, hashed, offset
from mothello.othello.replay import Replay, replay
from mothello.othello.rules import flips
from mothello.seeding import derive

_BASE = 1_000_003


class FormTables(NamedTuple):
    """The forms of all languages; a language with fewer than others has none of the last."""

    step: Int64[Tensor, "language 3"]
    """How far apart the forms are that differ in mover, bin of flips and word; 0 for what is not told."""
    told: Int64[Tensor, "language form 2"]
    """Mover and bin of flips of each form, -1 where it does not tell."""
    share: Float[Tensor, "language form move"]
    """Share of a move's occurrences that take one of the words: 1 or a half, 0 where there is no such spelling."""


def form_tables(traits: list[Traits], lengths: list[Int64[Tensor, "form move"]]) -> FormTables:
    """lengths: tokens of every spelling, 0 where there is none."""
    most = max(len(table) for table in lengths)
    step = torch.zeros(len(traits), 3, dtype=torch.int64)
    told = torch.full((len(traits), most, 2), -1)
    share = torch.zeros(len(traits), most, lengths[0].shape[1])
    for index, (own, table) in enumerate(zip(traits, lengths, strict=True)):
        sides, bins, words = own.sizes
        steps = (bins * words, words, 1)
        step[index] = torch.tensor([s if n > 1 else 0 for s, n in zip(steps, own.sizes, strict=True)])
        told[index, : len(table)] = torch.tensor([form[:2] for form in forms(own)])
        written = (table > 0).view(sides * bins, words, -1)
        share[index, : len(table)] = (written / written.sum(1, keepdim=True)).flatten(0, 1)
    return FormTables(step, told, share)


def game_keys(moves: Int64[Tensor, "game ply"]) -> Int64[Tensor, " game"]:
    """A number for each game that depends on its moves alone: a polynomial modulo 2^64."""
    powers = [signed(pow(_BASE, ply + 1, 1 << 64)) for ply in range(moves.shape[1])]
    return (torch.where(moves >= 0, moves + 2, 0) * torch.tensor(powers, device=moves.device)).sum(1)


def random_plies(
    keys: Int64[Tensor, " game"], plies: int, salt: Int64[Tensor, " game"], use: str
) -> Int64[Tensor, "game ply"]:
    """32 random bits for every ply, a function of the game's key, the language's salt and what they are used for."""
    offsets = torch.tensor([offset(ply) for ply in range(plies)], dtype=torch.int64, device=keys.device)
    return bits(hashed(derive(0, use), keys ^ salt).unsqueeze(1), offsets)


def _bin(move: Tensor, own: Tensor, opponent: Tensor, board: Board) -> Int64[Tensor, "..."]:
    """Bin of the discs that single-bit bitboards turn."""
    bounds = torch.tensor(FLIP_BINS[1:], device=move.device)
    return torch.bucketize(popcount(flips(move, own, opponent, board)), bounds, right=True)


def _sides(states: Replay) -> tuple[Tensor, Tensor]:
    """Discs of the side to move, and of its opponent."""
    own = torch.where(states.black_to_move, states.black, states.white)
    return own, states.black ^ states.white ^ own


def told_forms(moves: Int64[Tensor, "game ply"], board: Board) -> Int64[Tensor, "game ply 2"]:
    """Mover and bin of flips of every move; undefined from an illegal move on and after the end."""
    states = replay(moves, board)
    own, opponent = (side[:, :-1] for side in _sides(states))
    squares = torch.tensor(board.moves, device=moves.device)
    played = torch.ones_like(moves) << squares[moves.clamp(min=0)]
    return torch.stack([states.black_to_move[:, :-1].long(), _bin(played, own, opponent, board)], -1)


def law_of_forms(
    law: Float[Tensor, "game state move"],
    moves: Int64[Tensor, "game ply"],
    tables: FormTables,
    board: Board,
) -> Float[Tensor, "game state spelling"]:
    """The distribution of the next move -> that of the next spelling. tables: those of each game's language."""
    states = replay(moves, board)
    own, opponent = (side.unsqueeze(-1) for side in _sides(states))
    mover = states.black_to_move.long().view(len(moves), -1, 1, 1)
    each = torch.ones_like(own) << torch.tensor(board.moves, device=moves.device)
    turned = _bin(each, own, opponent, board).unsqueeze(2)
    side, count = tables.told[:, None, :, None].unbind(-1)
    fits = _agrees(side, mover) & _agrees(count, turned)
    return (law.unsqueeze(2) * tables.share.unsqueeze(1) * fits).flatten(2)


def _agrees(told: Tensor, true: Tensor) -> Bool[Tensor, "..."]:
    return (told < 0) | (told == true)
