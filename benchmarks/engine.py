"""Games per second of the engine, eager and compiled, compared with other engines in the same run."""

from typing import Any

import torch

from benchmarks.common import BenchConfig, Numbers, best_seconds, main
from benchmarks.peers import PEERS
from mothello.othello.board import Board
from mothello.othello.lazy_compile import Engine
from mothello.othello.policy import PolicyConfig
from mothello.othello.random_play import CHUNK, RandomGames, fused
from mothello.stages.running import peak_memory

COUNTED = 65_536
"""Games whose mean length is reported."""


def engine_numbers(board: Board, seconds: float, device: torch.device) -> dict[str, Any]:
    """Rate, mean length and peak memory of both engines. compiled_games_per_s is None where nothing compiles."""
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
        numbers[f"{engine}_games_per_s"] = round(chunk / best_seconds(lambda: play(chunk, engine), seconds))  # noqa: B023
        numbers[f"{engine}_mean_length"] = round(int((play(COUNTED, engine) >= 0).sum()) / COUNTED, 3)
        numbers[f"{engine}_peak_mb"] = round(1e3 * peak_memory(device))
    compiled = fused(board, device.type, PolicyConfig())
    numbers["compile_s"] = None if compiled.broken else round(compiled.compile_seconds, 1)
    if compiled.broken:
        numbers["compiled_games_per_s"] = None
    return numbers


def engines(config: BenchConfig, device: torch.device) -> Numbers:
    """Keys such as "engine.8x8.compiled_games_per_s" and "engine.8x8.ratio_pgx"."""
    numbers: Numbers = {}
    print("board  engine         games/s")
    for size in config.boards:
        board = Board.of(size)
        ours = engine_numbers(board, config.seconds, device)
        for engine in ("eager", "compiled"):
            rate = ours[f"{engine}_games_per_s"]
            shown = f"{rate:>11,}" if rate else "no compiler"
            print(f"{board.name}    {engine:10} {shown}   {ours[f'{engine}_mean_length']} moves per game", flush=True)
        fastest = ours["compiled_games_per_s"] or ours["eager_games_per_s"]
        for peer, rate_of in PEERS.items():
            rate = rate_of(board, config.seconds) if config.peers else None
            ours[f"{peer}_games_per_s"] = None if rate is None else round(rate, 1)
            ours[f"ratio_{peer}"] = None if rate is None else round(fastest / rate, 1)
            if rate is not None:
                print(f"{board.name}    {peer:10} {rate:>11,.0f}   {fastest / rate:,.0f} times slower", flush=True)
        numbers |= {f"engine.{board.name}.{key}": value for key, value in ours.items()}
    return numbers


if __name__ == "__main__":
    main("engine", engines)
