"""scripts/generate.py: write shards of random games, or resume where a killed job stopped."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from omegaconf import MISSING
from tqdm import tqdm

from mothello.cli.dry_run import Estimate, rehearsal
from mothello.cli.main import command
from mothello.cli.processes import GONE, Send, in_processes
from mothello.cli.units import counted, short, size
from mothello.config import check, quoted, ranged, shown
from mothello.data.split import PARTS, Split
from mothello.data.stored import (
    FORMAT_VERSION,
    StoredGames,
    own_files,
    read_index,
    whole_shard,
    write_index,
    write_shard,
)
from mothello.errors import UserError, keyed
from mothello.files import is_trace, locked, placed
from mothello.othello.board import Board, BoardConfig
from mothello.othello.lazy_compile import Engine, using
from mothello.othello.notation import parse_move
from mothello.othello.policy import PolicyConfig
from mothello.othello.random_play import GENERATOR_VERSION, RandomGames
from mothello.own import folder_for
from mothello.training.device import cores


@dataclass(kw_only=True)
class GenerateCommand:
    """scripts/generate.py: random games on disk."""

    out: str = MISSING
    """Folder of the shards."""
    board: BoardConfig = field(default_factory=lambda: BoardConfig(size=8))
    games: int = ranged(1_000_000, low=1)
    """How many."""
    seed: int = 0
    """Decides the games."""
    first: int = ranged(0, low=0)
    """Index of the first game."""
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    prefix: list[str] = field(default_factory=list)
    """Opening moves every game starts with."""
    shard_games: int = ranged(1_000_000, low=1)
    """Games of a file."""
    workers: int = ranged(1, low=1)
    """Processes; the files are the same for any number."""
    engine: Engine = Engine.auto
    dry_run: bool = False

    def __post_init__(self) -> None:
        check(self, "")


_AT_ONCE = 131_072
ORBIT_BYTES = 4
"""Of the hash that is stored with every game."""


def play_of(config: GenerateCommand) -> RandomGames:
    """What the games are. UserError names the key of a bad opening."""
    board = Board.of(config.board.size)
    with keyed("prefix: "):
        prefix = tuple(parse_move(text, board) for text in config.prefix)
    return RandomGames(board, config.seed, prefix, config.policy)


def source(config: GenerateCommand) -> dict[str, Any]:
    """What determines the games besides their index."""
    return {
        "kind": "generated",
        "seed": config.seed,
        "first_index": config.first,
        "policy": asdict(config.policy),
        "prefix": list(config.prefix),
        "generator_version": GENERATOR_VERSION,
        "shard_games": config.shard_games,
    }


def _span(config: GenerateCommand, number: int) -> tuple[int, int]:
    """(first, one past the last) game of a shard, counted from config.first."""
    start = number * config.shard_games
    return start, min(start + config.shard_games, config.games)


def _about(config: GenerateCommand, number: int) -> dict[str, Any]:
    start, end = _span(config, number)
    board = Board.of(config.board.size).name
    return {"version": FORMAT_VERSION, "board": board, "count": end - start, **source(config)}


def _write(config: GenerateCommand, number: int, share: int, bar: "tqdm[Any] | None") -> dict[str, Any]:
    """Play and write one shard. share: games that this process will play in all."""
    play = play_of(config)
    start, end = _span(config, number)

    def parts() -> Any:
        for indices in torch.arange(config.first + start, config.first + end).split(_AT_ONCE):
            played = int(indices[-1]) + 1 - config.first - start
            yield play.games(indices, coming=max(share, end - start) - played)
            if bar is not None:
                bar.update(len(indices))

    return write_shard(Path(config.out), number, start, parts(), play.board, _about(config, number))


def _in_worker(
    config: GenerateCommand, numbers: Sequence[int], share: int, threads: int, first: bool, send: Send
) -> None:
    if not first:
        logging.disable()  # what is wrong is so in all of them: one tells it
    torch.set_num_threads(threads)
    with using(config.engine), placed(Path(config.out)):
        for number in numbers:
            send((number, _write(config, number, share, None)))


def _check_folder(config: GenerateCommand, board: Board) -> bool:
    """Whether the folder is complete already. UserError when it holds something else."""
    folder = Path(config.out)
    if not (folder / "corpus.json").exists():
        there = folder_for(folder).is_dir() and not all(map(is_trace, folder.iterdir()))
        if there and not own_files(folder):
            raise UserError(f"out: {folder} is not empty and holds no shards; choose another folder")
        return False
    own_files(folder)
    index = read_index(folder, "out")
    if (index["board"], index["source"]) != (board.name, source(config)):
        raise UserError(f"out: {folder} holds other games; choose another folder")
    if (count := index["count"]) > config.games:
        raise UserError(f"out: {folder} holds {count:,} of these games already; choose another folder for fewer")
    return count == config.games or not folder_for(folder)


def generate(config: GenerateCommand) -> Path:
    """Write the shards that are missing; returns the folder."""
    folder, board = Path(config.out), play_of(config).board
    complete = _check_folder(config, board)
    if config.dry_run:
        print(_estimate(config, board).text(folder=f"{folder}{' (finished already)' if complete else ''}"), flush=True)
        return folder
    with locked(folder, "out"):
        return _generate(config, board, complete)


def _estimate(config: GenerateCommand, board: Board) -> Estimate:
    """What is left to do, and how long it takes, by writing a few games elsewhere."""
    n_shards, few = -(-config.games // config.shard_games), min(config.games, 65_536)
    there = sum((Path(config.out) / f"shard-{number:05d}.json").exists() for number in range(n_shards))
    left, begun = max(0, config.games - there * config.shard_games), perf_counter()
    with rehearsal() as part:
        generate(replace(config, out=str(part / "games"), games=few, shard_games=few, workers=1, dry_run=False))
    each = (perf_counter() - begun) / few
    rows = {
        "games": f"{config.games:,} of {board.name} in {counted(n_shards, 'shard')}, {left:,} of them to write",
        "disk": size(config.games * (board.n_moves + ORBIT_BYTES)),
        "rate": f"{short(1 / each)} games/s ({few:,} games, one process)",
    }
    return Estimate(rows, {"playing and writing": left * each / config.workers})


def _generate(config: GenerateCommand, board: Board, complete: bool) -> Path:
    folder, n_shards = Path(config.out), -(-config.games // config.shard_games)
    disk = size(config.games * (board.n_moves + ORBIT_BYTES))
    print(f"{config.games:,} {board.name} games in {counted(n_shards, 'shard')}, {disk}: {folder}", flush=True)
    shards = {n: whole_shard(folder, n, _about(config, n)) for n in range(n_shards)}
    todo = [number for number, shard in shards.items() if shard is None]
    if complete and not todo:
        print("finished already")
        return folder
    (folder / "corpus.json").unlink(missing_ok=True)  # until the last shard stands again
    start = sum(end - begin for begin, end in (_span(config, n) for n in set(shards) - set(todo)))
    with tqdm(total=config.games, initial=start, unit="game", unit_scale=True, desc="generate") as bar:
        if config.workers == 1:
            with using(config.engine):
                for number in todo:
                    shards[number] = _write(config, number, config.games - int(bar.n), bar)
        else:
            shards |= _in_parallel(config, todo, bar)
    write_index(folder, board, source(config), [shard for _, shard in sorted(shards.items()) if shard is not None])
    return folder


def _in_parallel(config: GenerateCommand, todo: list[int], bar: "tqdm[Any]") -> dict[int, dict[str, Any]]:
    workers = min(config.workers, len(todo))
    threads, share = max(1, cores() // workers), (config.games - int(bar.n)) // workers
    done = {}

    def got(_: int, sent: tuple[int, dict[str, Any]] | None) -> None:
        if sent is not None:
            number, done[number] = sent
            bar.update(done[number]["count"])

    in_processes(
        workers, [partial(_in_worker, config, todo[i::workers], share, threads, i == 0) for i in range(workers)], got
    )
    if len(done) < len(todo):
        raise OSError(f"{len(todo) - len(done)} shards are missing: {GONE}")
    return done


def trained_on(config: Any, folder: Path) -> str:
    """The command after games are stored: a training on them."""
    size, games = config.board.size, StoredGames(folder, PARTS[Split.train]).available
    place = f"+data.domains.stored.folder={quoted(str(config.out))}"
    return shown("train", f"board={size}x{size}", place, f"data.games={games}")


main = command("generate", GenerateCommand, generate, trained_on)
