"""The targets of probes: the board after every ply, in absolute and relative colors."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Int8, Int64
from torch import Tensor

from mothello.othello.board import Board
from mothello.othello.replay import replay, squares_to_cells

TARGETS = ("absolute", "relative")
"""absolute: 0 white, 1 empty, 2 black. relative: 0 theirs, 1 empty, 2 mine; mine moves next, passes applied."""

N_CLASSES = 3


class BoardTargets(NamedTuple):
    """Classes after every ply; entry t follows move t. Order of the first axis: TARGETS."""

    classes: Int64[Tensor, "target game ply cell"]
    scored: Bool[Tensor, "game ply"]


def board_targets(moves: Int8[Tensor, "game ply"], board: Board) -> BoardTargets:
    """Replay games into probe targets. After the last move the opponent of the last mover counts as "mine"."""
    states = replay(moves, board)
    black, white = (squares_to_cells(field[:, 1:], board).long() for field in (states.black, states.white))
    absolute = 1 + black - white
    sign = states.black_to_move[:, 1:].long().unsqueeze(-1) * 2 - 1
    relative = 1 + (black - white) * sign
    return BoardTargets(torch.stack([absolute, relative]), moves >= 0)


def of_another_game(classes: Int64[Tensor, "game ply *cell"]) -> Int64[Tensor, "game ply *cell"]:
    """The boards of the game before, at the same plies: the target of a control. After that game's end its last board
    stands."""
    return classes.roll(1, 0)
