"""Time and memory as corpora grow from a thousand games to a hundred million, and families from 2 languages to 100."""

import json
import subprocess
import sys
from typing import Any

import torch

from mothello.cli.timing.config import BenchCommand

GAMES = (10**3, 10**4, 10**5, 10**6, 10**7, 10**8)
LANGUAGES = (2, 5, 10, 20, 50, 100)

_PROBE = """
import json, sys, time, torch
from mothello.data.corpus import RandomPlay
from mothello.data.stream import Stream
from mothello.languages.language_set import FamilyConfig, build_family
from mothello.othello.board import Board
from mothello.othello.random_play import Play
what, n, size, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
torch.set_num_threads(threads)
on = board(size)
def held(key):  # kB of this process alone; getrusage would tell the parent's peak as well
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(key))
before = held("VmRSS")
start = time.perf_counter()
if what == "games":
    play, plies, at_once = Play(on), 0, 1 << 17
    for first in range(0, n, at_once):
        last = min(n, first + at_once)
        plies += int((play.games(torch.arange(first, last), coming=n - last) >= 0).sum())
    seconds, extra = time.perf_counter() - start, plies / n
else:
    family = build_family(FamilyConfig(kinds=[f"atomic*{n}"]), on)
    stream = Stream(RandomPlay(on, 0, 10**8), family, 128, 0)
    stream.batch(0)
    start = time.perf_counter()
    tokens = sum(int((stream.batch(step).tokens > 0).sum()) for step in range(1, 65))
    seconds, extra = time.perf_counter() - start, tokens
peak = held("VmHWM")
print(json.dumps({"n": n, "seconds": seconds, "peak_mb": peak / 1000, "base_mb": before / 1000, "extra": extra}))
"""


def _measure(what: str, n: int, size: int) -> dict[str, float]:
    """One point in a process of its own, so that the peak memory is its own."""
    call = [sys.executable, "-c", _PROBE, what, str(n), str(size), str(torch.get_num_threads())]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def growth_numbers(config: BenchCommand, device: torch.device) -> dict[str, Any]:
    """Points for the figure in the log; the corpus is played through and thrown away, the stream is 64 batches."""
    size = max(config.boards)
    numbers: dict[str, Any] = {"board": size, "games": [], "languages": []}
    print("games          seconds    games/s   peak MB (of which torch)")
    for n in GAMES:
        point = _measure("games", n, size)
        numbers["games"].append(point)
        print(f"{n:<13,} {point['seconds']:>8.2f} {n / point['seconds']:>10,.0f}   "
              f"{point['peak_mb']:.0f} ({point['base_mb']:.0f})", flush=True)  # fmt: skip
    print("languages      tokens/s of the stream   peak MB")
    for n in LANGUAGES:
        point = _measure("languages", n, size)
        numbers["languages"].append(point)
        print(f"{n:<13} {point['extra'] / point['seconds']:>12,.0f}   {point['peak_mb']:.0f}", flush=True)
    return numbers
