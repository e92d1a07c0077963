"""Board geometry: squares, moves, masks and the start position of a 4x4, 6x6 or 8x8 board. No torch here.

A *square* is a bit index 0..63 on the 8-wide board, ``8 * row + column``, for every size: smaller boards lie in the a1
corner. A *move* is an index into the squares that start empty, in ascending order. A *cell* is an index into the
``size * size`` squares of the board, row by row: the targets of a probe.
"""

from dataclasses import dataclass, field
from functools import cache, cached_property

from mothello.config import NOT_IDENTITY
from mothello.errors import UserError

SIZES = (4, 6, 8)


@dataclass(frozen=True)
class Board:
    """The geometry of one board size. Use :meth:`of`, which returns one object per size."""

    size: int

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            raise UserError(f"board.size: {self.size} is not one of {', '.join(map(str, SIZES))}")

    @staticmethod
    @cache
    def of(size: int) -> "Board":
        """The board of that size. UserError for a size that is not 4, 6 or 8."""
        return Board(size)

    @property
    def name(self) -> str:
        return f"{self.size}x{self.size}"

    @cached_property
    def squares(self) -> tuple[int, ...]:
        """Square of every cell."""
        return tuple(8 * row + column for row in range(self.size) for column in range(self.size))

    @cached_property
    def start(self) -> tuple[int, int]:
        """Bitboards (black, white) of the start position: black on e4 and d5 of the 8x8 board."""
        low = self.size // 2 - 1
        high = low + 1
        black = 1 << (8 * low + high) | 1 << (8 * high + low)
        white = 1 << (8 * low + low) | 1 << (8 * high + high)
        return black, white

    @cached_property
    def moves(self) -> tuple[int, ...]:
        """Square of every move."""
        taken = self.start[0] | self.start[1]
        return tuple(square for square in self.squares if not taken >> square & 1)

    @property
    def n_cells(self) -> int:
        return self.size * self.size

    @property
    def n_moves(self) -> int:
        """Number of playable squares, which is also the number of plies of the longest game."""
        return self.n_cells - 4

    @cached_property
    def move_of_square(self) -> tuple[int, ...]:
        """Move of every square 0..63, -1 for the start squares and off the board."""
        index = {square: move for move, square in enumerate(self.moves)}
        return tuple(index.get(square, -1) for square in range(64))

    @cached_property
    def full(self) -> int:
        """Bitboard of all squares, as a signed 64-bit integer."""
        return signed(sum(1 << square for square in self.squares))

    def inner(self, rows: bool, columns: bool) -> int:
        """Bitboard of the squares off the first and last row and/or column: discs there can be flipped.

        Every flipped disc lies between two others, so a run along a direction never holds an edge square. This mask
        keeps shifts from wrapping around and from moving the sign bit.
        """
        inside, every = range(1, self.size - 1), range(self.size)
        return sum(1 << 8 * r + c for r in (inside if rows else every) for c in (inside if columns else every))

    @cached_property
    def directions(self) -> tuple[tuple[int, int], ...]:
        """(shift, squares that can be flipped along it) per direction; a negative shift goes right."""
        horizontal = self.inner(rows=False, columns=True)
        vertical = self.inner(rows=True, columns=False)
        diagonal = self.inner(rows=True, columns=True)
        axes = ((1, horizontal), (8, vertical), (9, diagonal), (7, diagonal))
        return tuple((sign * step, mask) for step, mask in axes for sign in (1, -1))


def signed(bits: int) -> int:
    """An unsigned 64-bit pattern as the signed integer that torch.int64 holds."""
    return bits - (1 << 64) if bits >> 63 else bits


@dataclass(kw_only=True)
class BoardConfig:
    """The board, and an opening of it for the configs to refer to."""

    size: int = 6
    """Squares of a side: 4, 6 or 8."""
    prefix: list[str] = field(default_factory=list, metadata=NOT_IDENTITY)
    """Opening that experiments and domains interpolate (${board.prefix}); it changes nothing by itself."""

    def __post_init__(self) -> None:
        Board.of(self.size)
