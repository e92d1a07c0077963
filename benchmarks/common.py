"""What the benchmarks share: settings, a timer, the machine's best rate, and one line of JSON at the end."""

import json
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from matplotlib.figure import Figure
from omegaconf import OmegaConf

from mothello.cli.main import fail
from mothello.config import check, ranged, typed
from mothello.errors import UserError
from mothello.files import whole_file, write_whole
from mothello.othello.board import Board
from mothello.training.device import DeviceConfig, resolve

Numbers = dict[str, Any]


@dataclass(kw_only=True)
class BenchConfig:
    """The keys of every benchmark: python -m benchmarks.engine seconds=1 boards=[8] device.name=cpu."""

    seconds: float = ranged(2.0, low=0.05, high=60)
    """Time per measurement; the best of three counts."""
    boards: list[int] = field(default_factory=lambda: [4, 6, 8])
    peers: bool = True
    """Also time other engines and the slow references."""
    out: str = ""
    """Folder for the numbers as JSON, and for the figure or table; by default nothing is written."""
    device: DeviceConfig = field(default_factory=DeviceConfig)

    def __post_init__(self) -> None:
        check(self, "")
        for size in self.boards:
            Board.of(size)


def best_seconds(work: Callable[[], object], least: float = 0.0, rounds: int = 3) -> float:
    """Seconds per call in the fastest round, after one call that does not count; a round takes ``least`` seconds."""
    work()
    start = perf_counter()
    work()
    calls = max(1, round(least / max(1e-9, perf_counter() - start)))
    seconds = []
    for _ in range(rounds):
        start = perf_counter()
        for _ in range(calls):
            work()
        seconds.append((perf_counter() - start) / calls)
    return min(seconds)


def product_rate(device: torch.device, dtype: torch.dtype, *sizes: int, least: float = 0.3) -> float:
    """Gflop/s of a matrix product of sizes rows, inner, columns; one size makes a square. least: seconds per round."""
    rows, inner, columns = sizes if len(sizes) > 1 else sizes * 3
    a, b = (torch.rand(shape, device=device).to(dtype) for shape in ((rows, inner), (columns, inner)))
    return 2e-9 * rows * inner * columns / best_seconds(lambda: float((a @ b.mT)[0, 0]), least)  # float() waits


Show = Callable[[Numbers], Figure | str]
"""A figure, or a Markdown table, of a benchmark's numbers."""


def main(name: str, benchmark: Callable[[BenchConfig, torch.device], Numbers], show: Show | None = None) -> None:
    """The ``main`` of a benchmark: settings from the command line; numbers printed, and written where ``out`` says."""
    try:
        config = typed(OmegaConf.from_cli(sys.argv[1:]), BenchConfig)
        device = resolve(config.device)
    except UserError as error:
        fail(str(error))
    with tempfile.TemporaryDirectory() as cache:  # an empty compiler cache: the first use is what is timed
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
        chip = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
        numbers: Numbers = {
            "device": f"{device.type}, {chip}",
            "load_before": round(os.getloadavg()[0], 2),
            "matmul_gflops": round(product_rate(device, torch.float32, 1024), 1),
        }
        print(f"{numbers['device']}; load {numbers['load_before']}; fp32 products {numbers['matmul_gflops']} Gflop/s")
        try:
            numbers |= benchmark(config, device)
        except UserError as error:
            fail(str(error))
    if config.out:
        out = Path(config.out)
        write_whole(out / f"{name}.json", json.dumps(numbers, indent=1) + "\n")
        shown = show(numbers) if show else None
        if isinstance(shown, str):
            write_whole(out / f"{name}.md", shown)
        elif shown:
            with whole_file(out / f"{name}.png") as file:
                shown.savefig(file, dpi=130)
    print(json.dumps(numbers), flush=True)
