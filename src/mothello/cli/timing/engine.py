"""Games per second of the engine, eager and compiled, beside other engines in the same run."""

import resource
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

import torch

from mothello.cli.timing.config import BenchCommand
from mothello.cli.timing.peers import PEERS
from mothello.othello.board import Board
from mothello.othello.lazy_compile import Engine
from mothello.othello.policy import PolicyConfig
from mothello.othello.random_play import CHUNK, RandomGames, fused

COUNTED = 65_536
"""Games of which the mean length is told."""


def memory_mb(device: torch.device) -> float:
    """Peak memory so far in MB: of the GPU, or of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def best_rate(play: Callable[[int], Any], chunk: int, seconds: float) -> float:
    """Games a second, the best of three measurements of about that many seconds."""
    start = perf_counter()
    play(chunk)
    rounds = max(1, round(seconds / (perf_counter() - start)))
    best = 0.0
    for _ in range(3):
        start = perf_counter()
        for _ in range(rounds):
            play(chunk)
        best = max(best, rounds * chunk / (perf_counter() - start))
    return best


def _board_numbers(board: Board, config: BenchCommand, device: torch.device) -> dict[str, Any]:
    numbers: dict[str, Any] = {}
    game = RandomGames(board, seed=0)

    def play(n: int, engine: Engine) -> torch.Tensor:
        moves = game.games(torch.arange(n, device=device), engine)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return moves

    for engine in (Engine.eager, Engine.compiled):
        chunk = CHUNK[device.type][engine is Engine.compiled]
        play(min(chunk, 1024), engine)  # the first use, compiling included
        rate = best_rate(lambda n, engine=engine: play(n, engine), chunk, config.seconds)  # type: ignore[misc]
        numbers[f"{engine}_games_per_s"] = round(rate)
        numbers[f"{engine}_mean_length"] = round(int((play(COUNTED, engine) >= 0).sum()) / COUNTED, 3)
        numbers[f"{engine}_peak_mb"] = round(memory_mb(device))
    compiled = fused(board, device.type, PolicyConfig())
    numbers["compile_s"] = None if compiled.broken else round(compiled.compile_seconds, 1)
    if compiled.broken:
        numbers["compiled_games_per_s"] = None
    return numbers


def engine_numbers(config: BenchCommand, device: torch.device) -> dict[str, Any]:
    """Flat keys "engine.8x8.compiled_games_per_s", ..., "engine.8x8.ratio_pgx"."""
    numbers: dict[str, Any] = {}
    print("board  engine      games/s   mean length   peak MB   compiled in")
    for size in config.boards:
        board = Board.of(size)
        here = _board_numbers(board, config, device)
        for engine in ("eager", "compiled"):
            rate = here[f"{engine}_games_per_s"]
            compiled = f"{here['compile_s']} s" if engine == "compiled" and rate else ""
            shown = f"{rate:>11,}" if rate else "no compiler"
            print(f"{board.name}    {engine:8} {shown}   {here[f'{engine}_mean_length']:>11.3f}   "
                  f"{here[f'{engine}_peak_mb']:>7,}   {compiled}", flush=True)  # fmt: skip
        fastest = here["compiled_games_per_s"] or here["eager_games_per_s"]
        for peer, rate_of in PEERS.items():
            rate = rate_of(board, config.seconds) if config.peers else None
            here[f"{peer}_games_per_s"] = None if rate is None else round(rate, 1)
            here[f"ratio_{peer}"] = None if rate is None else round(fastest / rate, 1)
            if rate is not None:
                print(f"{board.name}    {peer:8} {rate:>11,.0f}   {fastest / rate:,.0f} times slower", flush=True)
        numbers |= {f"engine.{board.name}.{key}": value for key, value in here.items()}
    return numbers
