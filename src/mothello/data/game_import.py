"""Recorded games into shards: strict replay decides what is a game, the rest is set aside with its place and reason."""

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
    """What became of the records of an import."""

    kept: int = 0
    set_aside: int = 0
    unfinished: int = 0
    """Kept games that stop while a move is still legal."""
    repeated: int = 0
    """Kept games that stood earlier already."""
    other_score: int = 0
    """Kept, finished games whose file gives another result than the replay."""
    first_problem: str = ""
    _codes: list[np.ndarray] = field(default_factory=list)


def _score(played: Replay) -> Tensor:
    """Black's discs at the end, empty squares given to the winner (WTHOR's way of counting)."""
    black, white = popcount(played.black[:, -1]), popcount(played.white[:, -1])
    empty = popcount(~(played.black[:, -1] | played.white[:, -1])) * (black != white)
    return torch.where(black > white, black + empty, black) + torch.where(black == white, (64 - 2 * black) // 2, 0)


def checked(records: list[Record], board: Board, seen: Imported) -> tuple[Int8[Tensor, "game ply"], list[str]]:
    """The legal games of some records, and for each record why it is set aside (empty when it is kept)."""
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
    seen.unfinished += int((keep & ~finished).sum())
    told = torch.tensor([-1 if record.score is None else record.score for record in records])
    seen.other_score += int((finished & (told >= 0) & (_score(played) != told)).sum())
    return moves[keep], reasons


def _kept(
    name: str, records: Iterable[Record], board: Board, seen: Imported, rejected: TextIO
) -> Iterator[Int8[Tensor, "game ply"]]:
    """The good games of one file, in order; the others go to ``rejected``, one line each."""
    rest = iter(records)
    while chunk := list(islice(rest, _AT_ONCE)):
        moves, reasons = checked(chunk, board, seen)
        for record, reason in zip(chunk, reasons, strict=True):
            if reason:
                problem = f"{name}:{record.line}: {reason}"
                rejected.write(f"{problem}: {record.text}\n")
                seen.first_problem = seen.first_problem or problem
                seen.set_aside += 1
        seen.kept += len(moves)
        seen._codes.append(game_code(moves, board).numpy())
        yield moves


def import_records(
    files: Iterable[tuple[str, Iterable[Record]]],
    board: Board,
    folder: Path,
    shard_games: int,
    source: dict[str, Any],
    rejected: TextIO,
    progress: Callable[[int], Any] = lambda games: None,
) -> Imported:
    """Write the legal games of some files, in order, as shards of a folder. files: (name, records).

    progress is told how many more games were kept.
    """
    seen, buffer = Imported(), torch.empty(0, board.n_moves, dtype=torch.int8)
    shards: list[dict[str, Any]] = []

    def write(moves: Tensor) -> None:
        shards.append(write_shard(folder, len(shards), sum(s["count"] for s in shards), [moves], board, {}))

    for name, records in files:
        for moves in _kept(name, records, board, seen, rejected):
            buffer = torch.cat([buffer, moves])
            progress(len(moves))
            while len(buffer) >= shard_games:
                write(buffer[:shard_games])
                buffer = buffer[shard_games:]
    if len(buffer):
        write(buffer)
    codes = np.concatenate(seen._codes) if seen._codes else np.empty(0, dtype=np.int64)
    seen.repeated = len(codes) - len(np.unique(codes))
    if shards:
        write_index(folder, board, source, shards)
    return seen
