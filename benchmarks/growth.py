"""Time and memory as corpora grow to a hundred million games, and language sets to a hundred languages."""

import json
import subprocess
import sys
from time import perf_counter

import torch

from benchmarks.common import BenchConfig, Numbers, main
from benchmarks.figures import growth_figure
from mothello.data.config import DataConfig
from mothello.data.corpus import RandomPlay
from mothello.data.sources import Sources
from mothello.data.stream import Stream
from mothello.languages.language_set import LanguagesConfig, build_languages
from mothello.othello.board import Board
from mothello.othello.random_play import RandomGames

GAMES = (10**3, 10**4, 10**5, 10**6, 10**7, 10**8)
LANGUAGES = (2, 5, 10, 20, 50, 100)
_AT_ONCE = 1 << 17


def _held_mb(key: str) -> float:
    """Memory of this process alone; getrusage would include the parent's peak."""
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1000


def _play(n: int, board: Board) -> tuple[float, float]:
    """(seconds, plies per game) of playing n games and throwing them away."""
    games, plies, start = RandomGames(board, 0), 0, perf_counter()
    for first in range(0, n, _AT_ONCE):
        last = min(n, first + _AT_ONCE)
        plies += int((games.games(torch.arange(first, last), coming=n - last) >= 0).sum())
    return perf_counter() - start, plies / n


def _stream(n: int, board: Board) -> tuple[float, float]:
    """(seconds, tokens) of 64 batches of the training stream in n languages."""
    language_set = build_languages(LanguagesConfig(kinds=[f"atomic*{n}"]), board)
    stream = Stream(Sources.shared(RandomPlay(board, 0, 10**8), n), language_set, DataConfig(batch_size=128), 0)
    stream.batch(0)
    start = perf_counter()
    tokens = sum(int((stream.batch(step).tokens > 0).sum()) for step in range(1, 65))
    return perf_counter() - start, tokens


def point(part: str, n: int, size: int, threads: int) -> dict[str, float]:
    """One point of the figure, for a process of its own."""
    torch.set_num_threads(threads)
    base = _held_mb("VmRSS")
    seconds, extra = {"games": _play, "languages": _stream}[part](n, Board.of(size))
    return {"n": n, "seconds": seconds, "peak_mb": _held_mb("VmHWM"), "base_mb": base, "extra": extra}


def _measured(part: str, n: int, size: int) -> dict[str, float]:
    """The point, from a process of its own, so that the peak memory is its own."""
    call = f"point({part!r}, {n}, {size}, {torch.get_num_threads()})"
    code = f"import json; from benchmarks.growth import point; print(json.dumps({call}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def growth(config: BenchConfig, device: torch.device) -> Numbers:
    """Lists of points "games" and "languages" on the largest of the boards."""
    size = max(config.boards)
    numbers: Numbers = {"board": size, "games": [], "languages": []}
    print("games          seconds    games/s   peak MB (of which torch)")
    for n in GAMES:
        row = _measured("games", n, size)
        numbers["games"].append(row)
        print(f"{n:<13,} {row['seconds']:>8.2f} {n / row['seconds']:>10,.0f}   "
              f"{row['peak_mb']:.0f} ({row['base_mb']:.0f})", flush=True)  # fmt: skip
    print("languages      tokens/s of the stream   peak MB")
    for n in LANGUAGES:
        row = _measured("languages", n, size)
        numbers["languages"].append(row)
        print(f"{n:<13} {row['extra'] / row['seconds']:>12,.0f}   {row['peak_mb']:.0f}", flush=True)
    return numbers


if __name__ == "__main__":
    main("growth", growth, growth_figure)
