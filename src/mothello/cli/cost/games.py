"""dry_run=true of the scripts that make, read and draw games: games, bytes, and minutes from work on a few of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from mothello.cli.cost.table import Costs, short, size, threads
from mothello.data.corpus import Corpus
from mothello.data.game_import import Imported, checked
from mothello.data.orbit import orbit_hash
from mothello.data.stored import StoredGames
from mothello.othello.board import Board
from mothello.othello.game_files import Record
from mothello.othello.lazy_compile import Engine, using
from mothello.othello.random_play import RandomGames
from mothello.training.rate import Clock, Pace, no_cache_left, pace

if TYPE_CHECKING:
    from mothello.cli.generate import GenerateCommand

BUDGET = 4.0
"""Seconds for measuring."""
_COMPILES = 60.0
"""Seconds of eager play from which on a dry run compiles the engine too, to measure what the long job will do."""
_ORBIT_BYTES = 4


def stored_bytes(games: float, board: Board) -> float:
    """Moves and the hash of the orbit."""
    return games * (board.n_moves + _ORBIT_BYTES)


class Playing(NamedTuple):
    """Play as a job of a certain length would do it."""

    pace: Pace
    compiling: float
    """Seconds, 0 for eager play."""

    @property
    def engine(self) -> Engine:
        return Engine.compiled if self.compiling else Engine.eager


def playing(work: Callable[[int], object], games: int, engine: Engine, clock: Clock) -> Playing:
    """``work(n)`` plays n games. Compiled where ``engine`` says so, or where eager play would take over a minute."""
    found, compiling = Pace(1, 0.0), 0.0
    if engine is not Engine.compiled:
        with using(Engine.eager):
            found = pace(work, min(games, 65_536), BUDGET, clock, start=1024)
    if engine is Engine.compiled or (engine is Engine.auto and games * found.each > _COMPILES):
        with no_cache_left(), using(Engine.compiled):
            begun = clock()
            work(1024)
            compiling = clock() - begun
            found = pace(work, 131_072, BUDGET, clock, start=131_072)
    return Playing(found, compiling)


def generating_costs(config: GenerateCommand, play: RandomGames, there: int, clock: Clock = perf_counter) -> Costs:
    """there: shards that stand already, by their names alone."""

    def work(n: int) -> None:
        moves = play.games(torch.arange(config.first, config.first + n))
        np.where(moves.numpy() < 0, np.uint8(255), moves.numpy().astype(np.uint8))
        orbit_hash(moves, play.board)

    left = max(0, config.games - there * config.shard_games)
    found = playing(work, left or 1, config.engine, clock)
    begun_rows = {"begun": f"{there:,} shards stand already, {left:,} games are left"} if there else {}
    rows = {
        "games": f"{config.games:,} of {play.board.name} in {-(-config.games // config.shard_games):,} shards",
        "disk": size(stored_bytes(config.games, play.board)),
        **begun_rows,
        "rate": f"{short(1 / found.pace.each)} games/s, played and hashed ({found.engine}, {found.pace.items:,} games, "
        f"{threads()})",
    }
    compiling = {"compiling": found.compiling} if found.compiling else {}
    return Costs(rows, {"without the disk: playing": left * found.pace.each, **compiling})


def exporting_costs(games: StoredGames, lines: Callable[[int], Iterable[str]], clock: Clock = perf_counter) -> Costs:
    """lines: the text of the first n games."""
    written = 0

    def work(n: int) -> None:
        nonlocal written
        written = sum(map(len, lines(n)))

    found = pace(work, min(len(games), 65_536), BUDGET, clock, start=256)
    rows = {
        "games": f"{len(games):,} of {games.board.name}",
        "disk": f"{size(written * len(games) / found.items)} of text",
        "rate": f"{short(1 / found.each)} games/s ({found.items:,} games)",
    }
    return Costs(rows, {"without the disk: writing": len(games) * found.each})


def _bytes(record: Record, path: Path) -> int:
    """About what a record takes in its file."""
    return {".txt": len(record.text) + 1, ".wtb": 68}.get(path.suffix.lower(), 2 * len(record.moves) + 8)


def importing_costs(
    files: Sequence[Path], read: Callable[[int], Iterable[Record]], board: Board, clock: Clock = perf_counter
) -> Costs:
    """read: the records of the file of that number. Files are read and replayed until the budget is spent."""
    seen, records, taken, begun, whole = Imported(), 0, 0, clock(), True
    kept = 0
    for number, path in enumerate(files):
        rest = iter(read(number))
        while chunk := list(islice(rest, 1024)):
            kept += len(checked(chunk, board, seen)[0])
            records, taken = records + len(chunk), taken + sum(_bytes(record, path) for record in chunk)
            whole = clock() - begun < BUDGET
            if not whole:
                break
        if not whole:
            break
    seconds, on_disk = clock() - begun, sum(path.stat().st_size for path in files)
    share = 1.0 if whole else max(1.0, on_disk / max(1, taken))
    about = f"{records:,}, of which {kept:,} are legal" + ("" if whole else f"; about {share:,.1f} times that in all")
    rows = {
        "files": f"{len(files):,}, {size(on_disk)}",
        "games": about,
        "disk": size(stored_bytes(share * kept, board)),
        "rate": f"{short(records / max(seconds, 1e-9))} games/s, read and replayed",
    }
    return Costs(rows, {"reading and replaying": share * seconds})


def surveying_costs(
    corpora: Sequence[Corpus], sample: int, pairs: int, pair_games: int,
    count: Callable[[Corpus, int], object], overlap: Callable[[int], object], clock: Clock = perf_counter,
) -> Costs:  # fmt: skip
    """count: everything that is counted of n games. overlap: of the first n games of two corpora."""
    with using(Engine.eager):
        counted: list[Pace] = [
            pace(lambda n, games=games: count(games, n), min(sample, len(games)), BUDGET / len(corpora), clock, 2048)  # type: ignore[misc]
            for games in corpora
        ]
        held = pace(overlap, pair_games, BUDGET / 2, clock, start=1024)
    counting = sum(min(sample, len(games)) * found.each for games, found in zip(corpora, counted, strict=True))
    rows = {
        "corpora": f"{len(corpora):,}, the one to hold against included",
        "games": f"{sample:,} of each counted, {pair_games:,} of each of {pairs:,} pairs compared",
        "rate": f"{short(1 / counted[0].each)} games/s counted, {short(1 / held.each)} compared",
    }
    return Costs(rows, {"without drawing: counting": counting, "comparing": pairs * pair_games * held.each})
