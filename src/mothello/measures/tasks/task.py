"""The door of the tasks: a label per move, computed from the game alone, so that no language can leak into it."""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import torch
from jaxtyping import Int8, Int64
from torch import Tensor

from mothello.errors import UserError
from mothello.othello.bits import popcount
from mothello.othello.board import Board
from mothello.othello.replay import replay
from mothello.registry import Registry

Labels = Int8[Tensor, "game ply"]


class Task(Protocol):
    """A classification of moves or games."""

    Config: ClassVar[Any]
    """Dataclass whose field ``name`` defaults to the task's name."""
    n_classes: int

    def __init__(self, config: Any) -> None: ...

    def labels(self, moves: Int8[Tensor, "game ply"], board: Board) -> Labels:
        """The class of every move, -1 where the task has none (as after the end of a game)."""
        ...


TASKS: Registry[Task] = Registry("task")


def _where(moves: Tensor, classes: Int64[Tensor, "game ply"]) -> Labels:
    return torch.where(moves >= 0, classes, -1).to(torch.int8)


@TASKS.register("flips")
class Flips:
    """The number of discs that the move turns, in bins: the board decides it."""

    @dataclass(kw_only=True)
    class Config:
        name: str = "flips"
        bins: list[int] = field(default_factory=lambda: [1, 2, 3, 5])
        """Lowest number of each bin."""

        def __post_init__(self) -> None:
            if self.bins[:1] != [1] or sorted(set(self.bins)) != self.bins:
                raise UserError(f"tasks.options.flips.bins: {self.bins} does not begin with 1 and ascend")

    def __init__(self, config: Config) -> None:
        self.bins, self.n_classes = config.bins, len(config.bins)

    def labels(self, moves: Int8[Tensor, "game ply"], board: Board) -> Labels:
        states = replay(moves, board)
        change = [popcount(side).diff(dim=1) for side in (states.black, states.white)]
        turned = -torch.minimum(*change)  # the opponent of the mover loses what the move turns
        bounds = torch.tensor(self.bins[1:], device=moves.device)
        return _where(moves, torch.bucketize(turned, bounds, right=True))


@TASKS.register("region")
class Region:
    """The region of the square: corner, edge, X square (diagonally next to a corner) or inner. The token decides it."""

    n_classes = 4

    @dataclass(kw_only=True)
    class Config:
        name: str = "region"

    def __init__(self, config: Config) -> None: ...

    def labels(self, moves: Int8[Tensor, "game ply"], board: Board) -> Labels:
        depths = [sorted(min(i, board.size - 1 - i) for i in (square // 8, square % 8)) for square in board.moves]
        regions = [0 if depth == [0, 0] else 1 if depth[0] == 0 else 2 if depth == [1, 1] else 3 for depth in depths]
        return _where(moves, torch.tensor(regions, device=moves.device)[moves.long().clamp(min=0)])


@TASKS.register("winner")
class Winner:
    """The winner of a finished game (white, nobody, black), from the state after its last move."""

    n_classes = 3

    @dataclass(kw_only=True)
    class Config:
        name: str = "winner"

    def __init__(self, config: Config) -> None: ...

    def labels(self, moves: Int8[Tensor, "game ply"], board: Board) -> Labels:
        states = replay(moves, board)
        black, white, legal = (side[:, -1] for side in (states.black, states.white, states.legal))
        lead = torch.sign(popcount(black) - popcount(white)) + 1
        last = torch.arange(moves.shape[1], device=moves.device) == (states.lengths - 1).unsqueeze(1)
        return torch.where(last & (legal == 0).unsqueeze(1), lead.unsqueeze(1), -1).to(torch.int8)
