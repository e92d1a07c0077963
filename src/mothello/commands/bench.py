"""scripts/bench.py: how fast a part is on this machine; the last line is one JSON object."""

import json
import os
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from mothello.analysis.growth_figure import growth_figure
from mothello.commands.bench_engine import engine_numbers
from mothello.commands.bench_growth import growth_numbers
from mothello.commands.entry import command
from mothello.commands.train import resolve_device
from mothello.config.corpora import BenchCommand

TARGETS = {"engine": engine_numbers, "growth": growth_numbers}


def matmul_rate(device: torch.device) -> float:
    """fp32 matrix products in Gflop/s, best of three: says how much of the machine was ours."""
    a = torch.rand(1024, 1024, device=device)
    best = 0.0
    for _ in range(3):
        start = perf_counter()
        for _ in range(5):
            a @ a
        float((a @ a)[0, 0])
        best = max(best, 6 * 2 * 1024**3 / (perf_counter() - start) / 1e9)
    return best


def bench(config: BenchCommand) -> dict[str, Any]:
    """Print the numbers of the target; returns the JSON object."""
    device = resolve_device(config)
    with tempfile.TemporaryDirectory() as cache:  # an empty compiler cache: the first use is what is timed
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
        numbers: dict[str, Any] = {
            "device": f"{device.type}, {name}",
            "load_before": round(os.getloadavg()[0], 2),
            "matmul_gflops": round(matmul_rate(device), 1),
        }
        print(f"{numbers['device']}; load {numbers['load_before']}; fp32 products {numbers['matmul_gflops']} Gflop/s")
        numbers |= TARGETS[config.target](config, device)
    if config.out:
        _write(config, numbers)
    print(json.dumps(numbers), flush=True)
    return numbers


def _write(config: BenchCommand, numbers: dict[str, Any]) -> None:
    out = Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{config.target}.json").write_text(json.dumps(numbers, indent=1) + "\n")
    if config.target == "growth":
        growth_figure(numbers).savefig(out / "growth.png", dpi=130)


main = command("bench", BenchCommand, bench)
