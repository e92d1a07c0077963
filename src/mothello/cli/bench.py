"""scripts/bench.py: how fast a part is on this machine; the last line is one JSON object."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import torch

from mothello.cli.cost.bench import bench_rows
from mothello.cli.cost.table import table
from mothello.cli.main import command
from mothello.cli.timing.config import BenchCommand
from mothello.cli.timing.engine import engine_numbers
from mothello.cli.timing.growth import growth_numbers
from mothello.cli.timing.measures import measure_numbers
from mothello.cli.timing.products import product_rate
from mothello.cli.timing.train import train_numbers, train_table
from mothello.cli.train import resolve_device
from mothello.report.growth_figure import growth_figure, language_figure

TARGETS = {"engine": engine_numbers, "growth": growth_numbers, "train": train_numbers, "measures": measure_numbers}


def bench(config: BenchCommand) -> dict[str, Any]:
    """Print the numbers of the target; returns the JSON object."""
    device = resolve_device(config)
    if config.dry_run:
        print(table(bench_rows(config, device)), flush=True)
        return {}
    with tempfile.TemporaryDirectory() as cache:  # an empty compiler cache: the first use is what is timed
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
        numbers: dict[str, Any] = {
            "device": f"{device.type}, {name}",
            "load_before": round(os.getloadavg()[0], 2),
            "matmul_gflops": round(product_rate(device, torch.float32, 1024), 1),
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
    if config.target == "measures":
        language_figure(numbers["measures.languages"]).savefig(out / "languages.png", dpi=130)
    if config.target == "train":
        (out / "train.md").write_text(train_table(numbers))


main = command("bench", BenchCommand, bench)
