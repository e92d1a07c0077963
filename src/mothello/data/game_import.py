"""Import of recorded games into shards: strict replay decides which are games; the others are listed with a reason."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch
from jaxtyping import Int8
from torch import Tensor

from mothello.data.orbit import game_code
from mothello.data.stored import write_index, write_shard
from mothello.othello.bits import popcount
from mothello.othello.board import Board
from mothello.othello.game_files import Record
from mothello.othello.notation import move_name
from mothello.othello.replay import Replay, replay

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
    first_problem: str = ""
    _codes: list[np.ndarray] = field(default_factory=list)


def _score(played: Replay) -> Tensor:
    """Black's discs at the end, empty squares given to the winner (as WTHOR counts)."""
    black, white = popcount(played.black[:, -1]), popcount(played.white[:, -1])
    empty = popcount(~(played.black[:, -1] | played.white[:, -1])) * (black != white)
    return torch.where(black > white, black + empty, black) + torch.where(black == white, (64 - 2 * black) // 2, 0)


def checked(records: list[Record], board: Board, counts: Imported) -> tuple[Int8[Tensor, "game ply"], list[str]]:
    """The legal games among the records, and for each record the reason to reject it (empty: it is kept)."""
    reasons = [record.error for record in records]
    moves = torch.full((len(records), board.n_moves), -1, dtype=torch.int8)
    for row, record in enumerate(records):
        if not record.error and not 0 < len(record.moves) <= board.n_moves:
            reasons[row] = f"{len(record.moves)} moves"
        if not reasons[row]:
            moves[row, : len(record.moves)] = torch.tensor(record.moves, dtype=torch.int8)
    played = replay(moves, board)
    for row, ply in enumerate(played.illegal_at.tolist()):
        if not reasons[row] and ply >= 0:
            reasons[row] = f"move {ply + 1}, {move_name(board, records[row].moves[ply])}, is not legal"
    keep = torch.tensor([not reason for reason in reasons], dtype=torch.bool)
    finished = (played.legal[:, -1] == 0) & keep
    counts.unfinished += int((keep & ~finished).sum())
    scores = torch.tensor([-1 if record.score is None else record.score for record in records])
    counts.other_score += int((finished & (scores >= 0) & (_score(played) != scores)).sum())
    return moves[keep], reasons


def _kept(
    name: str, records: Iterable[Record], board: Board, counts: Imported, rejected: TextIO
) -> Iterator[Int8[Tensor, "game ply"]]:
    """The legal games of one file, in order; every other record is a line of ``rejected``."""
    rest = iter(records)
    while chunk := list(islice(rest, _AT_ONCE)):
        moves, reasons = checked(chunk, board, counts)
        for record, reason in zip(chunk, reasons, strict=True):
            if reason:
                problem = f"{name}:{record.line}: {reason}"
                rejected.write(f"{problem}: {record.text}\n")
                counts.first_problem = counts.first_problem or problem
                counts.set_aside += 1
        counts.kept += len(moves)
        counts._codes.append(game_code(moves).numpy())
        yield moves


def import_records(
    files: Iterable[tuple[str, Iterable[Record]]], board: Board, folder: Path, shard_games: int, source: dict[str, Any],
    rejected: TextIO, progress: Callable[[int], Any] = lambda games: None,
) -> Imported:  # fmt: skip
    """Write the legal games of files, in order, as shards of a folder. files: (name, records).

    progress: called with the number of games kept from each part of a file.
    """
    counts, buffer = Imported(), torch.empty(0, board.n_moves, dtype=torch.int8)
    shards: list[dict[str, Any]] = []

    def write(moves: Tensor) -> None:
        shards.append(write_shard(folder, len(shards), sum(s["count"] for s in shards), [moves], board, {}))

    for name, records in files:
        for moves in _kept(name, records, board, counts, rejected):
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
