"""The door of the tasks: a label per move, computed from the game alone, so that no language can leak into it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import torch
from jaxtyping import Int8, Int64
from torch import Tensor

from mothello.errors import UserError
from mothello.othello.bits import popcount
from mothello.othello.board import Board
from mothello.othello.replay import Replay, replay
from mothello.othello.rules import brackets
from mothello.registry import Registry

Labels = Int8[Tensor, "game ply"]
STARTS = 4
"""Discs on the board before the first move: what a pointer may point to besides earlier moves."""


class Task(Protocol):
    """A classification of moves or games.

    A task with a method ``pointed(moves, board)`` also points: it returns the labels, and for every move the index of
    a start disc (0..3, in order of their squares) or 4 + the ply of an earlier move, -1 where it points to nothing.
    """

    Config: ClassVar[Any]
    """Dataclass whose field ``name`` defaults to the task's name."""
    n_classes: int

    def __init__(self, config: Any) -> None: ...

    def labels(self, moves: Int8[Tensor, "game ply"], board: Board) -> Labels:
        """The class of every move, -1 where the task has none (as after the end of a game)."""
        ...


TASKS: Registry[Task] = Registry("task")


def typed_task(settings: Any, key: str) -> Any:
    """A task's name, or its name with settings -> its Config. UserError names the key of a mistake, below ``key``."""
    try:
        return TASKS.typed(settings, key)
    except UserError as error:
        line = str(error)
        raise UserError(line if line.startswith(key) else f"{key}.{line}") from None


def labels_of(task: Task, moves: Int8[Tensor, "game ply"], board: Board) -> Mapping[str, Labels]:
    """All labels of a task: under "class" those of its classes, under "pointer" those of a task that points."""
    if not hasattr(task, "pointed"):
        return {"class": task.labels(moves, board)}
    return dict(zip(("class", "pointer"), task.pointed(moves, board), strict=True))


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
                raise UserError(f"bins: {self.bins} does not begin with 1 and ascend")

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


@TASKS.register("mover")
class Mover:
    """The color that plays the move (white, black): whether the ply is odd or even decides it, unless a side passed."""

    n_classes = 2

    @dataclass(kw_only=True)
    class Config:
        name: str = "mover"

    def __init__(self, config: Config) -> None: ...

    def labels(self, moves: Int8[Tensor, "game ply"], board: Board) -> Labels:
        return _where(moves, replay(moves, board).black_to_move[:, :-1].long())


DIRECTIONS = ("east", "west", "south", "north", "southeast", "northwest", "southwest", "northeast")
"""From the move to the disc that closes its line, in the order of Board.directions; rows are counted southwards."""


@TASKS.register("bracket")
class Bracket:
    """The direction, among eight, of the first line of discs that the move turns, and a pointer to the disc at its
    other end: to the ply at which it was placed, or to a start disc.

    The first line is that of the first of DIRECTIONS along which discs are turned. Unlike all other tasks here it is
    not the same under the symmetries of the opening.
    """

    n_classes = len(DIRECTIONS)

    @dataclass(kw_only=True)
    class Config:
        name: str = "bracket"

    def __init__(self, config: Config) -> None: ...

    def labels(self, moves: Int8[Tensor, "game ply"], board: Board) -> Labels:
        """Indices into DIRECTIONS."""
        return self.pointed(moves, board)[0]

    def pointed(self, moves: Int8[Tensor, "game ply"], board: Board) -> tuple[Labels, Labels]:
        """Directions, and pointers as :class:`Task` says."""
        squares = torch.tensor(board.moves, device=moves.device)[moves.long().clamp(min=0)]
        ends = brackets(1 << squares, *_before(replay(moves, board)), board)
        direction = (ends != 0).int().argmax(-1)  # the first of those that are equal
        closing = popcount(ends.gather(-1, direction.unsqueeze(-1)).squeeze(-1) - 1).clamp(max=63)  # its square
        return _where(moves, direction), _where(moves, _placed(moves, squares, board).gather(1, closing))


def _before(states: Replay) -> tuple[Int64[Tensor, "game ply"], Int64[Tensor, "game ply"]]:
    """Bitboards of the mover's discs and of the other side's before every ply."""
    black, white, mover = states.black[:, :-1], states.white[:, :-1], states.black_to_move[:, :-1]
    return torch.where(mover, black, white), torch.where(mover, white, black)


def _placed(moves: Tensor, squares: Int64[Tensor, "game ply"], board: Board) -> Int64[Tensor, "game square"]:
    """The pointer to the disc on every square: a start disc's index, or 4 + the ply of the move there."""
    games, plies = moves.shape
    table = torch.zeros(games, 65, dtype=torch.int64, device=moves.device)  # the last place takes what is no move
    starts = [square for square in board.squares if square not in board.moves]
    table[:, starts] = torch.arange(STARTS, device=moves.device)
    ply = torch.arange(plies, device=moves.device).expand_as(squares)
    return table.scatter_(1, torch.where(moves >= 0, squares, 64), STARTS + ply)
