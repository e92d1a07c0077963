"""Import of recorded games into shards: strict replay decides which are games; the others are listed with a reason."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch
from jaxtyping import Int8, Int64
from torch import Tensor

from mothello.data.orbit import game_code
from mothello.data.stored import write_index, write_shard
from mothello.othello.bits import popcount
from mothello.othello.board import Board
from mothello.othello.game_files import Record
from mothello.othello.notation import move_name
from mothello.othello.replay import Replay, replay
from mothello.othello.symmetry import move_map

_AT_ONCE = 16_384


@dataclass
class Imported:
    """Counts of an import."""

    kept: int = 0
    set_aside: int = 0
    unfinished: int = 0
    """Kept games that stop while a move is legal."""
    repeated: int = 0
    """Kept games that repeat an earlier one."""
    other_score: int = 0
    """Kept, finished games whose file has another score than the replay."""
    other_start: int = 0
    """Games that are legal only with the colors of the start position exchanged: kept when mirrored, else set aside."""
    first_problem: str = ""
    _codes: list[np.ndarray] = field(default_factory=list)


def _score(played: Replay, board: Board) -> Tensor:
    """Black's discs at the end, empty squares given to the winner (as WTHOR counts)."""
    black, white = popcount(played.black[:, -1]), popcount(played.white[:, -1])
    empty = board.n_cells - black - white
    return black + torch.where(black == white, empty // 2, empty * (black > white))


def _wrong_pass(passes: tuple[int, ...], row: int, played: Replay) -> str:
    """What is wrong with the passes that a legal game notes: each must be where the side to move has no move, or at the
    end, where both sides may pass."""
    for after, times in Counter(passes).items():
        over = played.legal[row, after] == 0
        passed = after > 0 and played.black_to_move[row, after] == played.black_to_move[row, after - 1]
        if times > (2 if over else int(passed)):
            return f"a pass is noted before move {after + 1}, where a move is legal"
    return ""


def _other_start(
    moves: Int8[Tensor, "game ply"], played: Replay, board: Board
) -> tuple[Int64[Tensor, " other"], Int8[Tensor, "other ply"]]:
    """Rows of the games that are legal only from the start position with its colors exchanged; their mirror images."""
    rows = (played.illegal_at >= 0).nonzero().flatten()
    images = torch.tensor([*move_map(board, "columns"), -1], dtype=torch.int8)[moves[rows].long()]
    legal = replay(images, board).illegal_at < 0
    return rows[legal], images[legal]


def checked(
    records: list[Record], board: Board, counts: Imported, mirror: bool = False
) -> tuple[Int8[Tensor, "game ply"], list[str]]:
    """The legal games among the records, and for each record the reason to reject it (empty: it is kept).

    mirror: games that are legal only with the colors of the start position exchanged are kept, mirrored.
    """
    reasons = [record.error for record in records]
    moves = torch.full((len(records), board.n_moves), -1, dtype=torch.int8)
    for row, record in enumerate(records):
        if not record.error and not 0 < len(record.moves) <= board.n_moves:
            reasons[row] = f"{len(record.moves)} moves"
        if not reasons[row]:
            moves[row, : len(record.moves)] = torch.tensor(record.moves, dtype=torch.int8)
    played = replay(moves, board)
    other, images = _other_start(moves, played, board)
    counts.other_start += len(other)
    if mirror and len(other):
        moves[other] = images
        played = replay(moves, board)
    hint = dict.fromkeys(other.tolist(), ", but it is in the other start position: mirror=true imports it")
    for row, ply in enumerate(played.illegal_at.tolist()):
        if not reasons[row] and ply >= 0:
            named = move_name(board, records[row].moves[ply])
            reasons[row] = f"move {ply + 1}, {named}, is not legal{hint.get(row, '')}"
        if not reasons[row] and records[row].passes:
            reasons[row] = _wrong_pass(records[row].passes, row, played)
    keep = torch.tensor([not reason for reason in reasons], dtype=torch.bool)
    finished = (played.legal[:, -1] == 0) & keep
    counts.unfinished += int((keep & ~finished).sum())
    scores = torch.tensor([-1 if record.score is None else record.score for record in records])
    counts.other_score += int((finished & (scores >= 0) & (_score(played, board) != scores)).sum())
    return moves[keep], reasons


def _kept(
    name: str, records: Iterable[Record], board: Board, counts: Imported, rejected: TextIO, mirror: bool
) -> Iterator[Int8[Tensor, "game ply"]]:
    """The legal games of one file, in order; every other record is a line of ``rejected``."""
    rest = iter(records)
    while chunk := list(islice(rest, _AT_ONCE)):
        moves, reasons = checked(chunk, board, counts, mirror)
        for record, reason in zip(chunk, reasons, strict=True):
            if reason:
                problem = f"{name}:{record.line}: {reason}"
                rejected.write(f"{problem}: {' '.join(record.text.splitlines())}\n")
                counts.first_problem = counts.first_problem or problem
                counts.set_aside += 1
        counts.kept += len(moves)
        counts._codes.append(game_code(moves).numpy())
        yield moves


def import_records(
    files: Iterable[tuple[str, Iterable[Record]]], board: Board, folder: Path, shard_games: int, source: dict[str, Any],
    rejected: TextIO, progress: Callable[[int], Any] = lambda games: None, mirror: bool = False,
) -> Imported:  # fmt: skip
    """Write the legal games of files, in order, as shards of a folder. files: (name, records).

    mirror: see ``checked``. progress: called with the number of games kept from each part of a file.
    """
    counts, buffer = Imported(), torch.empty(0, board.n_moves, dtype=torch.int8)
    shards: list[dict[str, Any]] = []

    def write(moves: Tensor) -> None:
        shards.append(write_shard(folder, len(shards), sum(s["count"] for s in shards), [moves], board, {}))

    for name, records in files:
        for moves in _kept(name, records, board, counts, rejected, mirror):
            buffer = torch.cat([buffer, moves])
            progress(len(moves))
            while len(buffer) >= shard_games:
                write(buffer[:shard_games])
                buffer = buffer[shard_games:]
    if len(buffer):
        write(buffer)
    codes = np.concatenate(counts._codes) if counts._codes else np.empty(0, dtype=np.int64)
    counts.repeated = len(codes) - len(np.unique(codes))
    if shards:
        write_index(folder, board, source, shards)
    return counts
