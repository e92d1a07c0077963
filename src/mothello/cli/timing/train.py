"""Tokens per second of training beside the published recipe: the same games, batch, threads and moments."""

from contextlib import ExitStack
from typing import Any

import torch

from mothello.cli.timing.config import BenchCommand
from mothello.cli.timing.opponent import Opponent
from mothello.cli.timing.products import best_product, vendor_peak
from mothello.cli.timing.steps import SHAPES, WAYS, Shape, Way, time_ours
from mothello.training.device import Precision, is_bf16


def train_numbers(config: BenchCommand, device: torch.device) -> dict[str, Any]:
    """Flat keys "train.paper.tokens_per_s", "train.paper.ratio_reference", ..., "train.mfu" of the paper shape, and a
    list "train.ways" with a row for every shape and way."""
    half = torch.bfloat16 if is_bf16(device, Precision.auto) else torch.float32
    single, best = best_product(device, torch.float32), best_product(device, half)
    peak = vendor_peak(device)
    numbers: dict[str, Any] = {"train.fp32_gflops": round(single), "train.best_gflops": round(best)}
    sheet = f"; data sheet {peak:,.0f} Tflop/s" if peak else ""
    ways: list[dict[str, Any]] = []
    print(f"products: fp32 {single:,.0f}, {half} {best:,.0f} Gflop/s{sheet}")
    print("shape  way                    tokens/s   of products   of data sheet   first step   times published")
    for name, shape in SHAPES.items():
        with ExitStack() as stack:
            opponent = stack.enter_context(Opponent(shape, device)) if config.peers else None
            here, rows = _shape_numbers(name, shape, device, opponent, single, best)
        ways += rows
        numbers |= {f"train.{name}.{key}": value for key, value in here.items()}
    return numbers | {"train.mfu": numbers["train.paper.mfu"], "train.ways": ways}


def _shape_numbers(
    name: str, shape: Shape, device: torch.device, opponent: Opponent | None, single: float, best: float
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The fastest way with the published recipe's numbers beside it, and a row for every way."""
    peak, ways = vendor_peak(device), list[dict[str, Any]]()
    for way in WAYS[device.type]:
        ours = time_ours(shape, way, device, opponent.run if opponent else lambda: None)
        ours["mfu"] = ours.pop("flops_per_s") / best / 1e9
        ours["mfu_data_sheet"] = ours["mfu"] * best / peak / 1e3 if peak else None
        if opponent:
            ours["ratio_reference"] = round(ours["tokens_per_s"] / opponent.best["tokens_per_s"], 2)
        _show(name, way, ours)
        ways.append({"shape": name, "way": way.name, **ours})
    if opponent:
        rate = opponent.best["tokens_per_s"]  # of all its rounds
        for row in ways:
            row["ratio_reference"] = round(row["tokens_per_s"] / rate, 2)
    fastest = max(ways, key=lambda row: row["tokens_per_s"])
    here = {key: value for key, value in fastest.items() if key != "shape"}
    if opponent:
        share = rate / here["tokens_per_s"] * here["mfu"] * best / single
        here |= {f"reference_{key}": round(value, 4) for key, value in opponent.best.items()}
        here["reference_share_of_fp32"] = round(share, 3)
        theirs = {"tokens_per_s": round(rate), "mfu": share * single / best}
        ways.append({"shape": name, "way": "published recipe, fp32", **theirs})
        print(f"{name:6} published recipe     {rate:>10,.0f}   {share:>11.0%} (of fp32 products)")
    return here, ways


def train_table(numbers: dict[str, Any]) -> str:
    """What :func:`train_numbers` found, in Markdown."""
    best, sheet = numbers["train.best_gflops"], any(way.get("mfu_data_sheet") for way in numbers["train.ways"])
    head = ["shape", "way", "tokens/s", "MFU of products", *(["MFU of data sheet"] if sheet else []),
            "times published", "first step, s", "products, fused, rest", "minutes for all games"]  # fmt: skip
    lines = [f"`bench.py target=train` on {numbers['device']}, load {numbers['load_before']} before; products: "
             f"fp32 {numbers['train.fp32_gflops']:,}, best {best:,} Gflop/s.", "",
             f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]  # fmt: skip
    for way in numbers["train.ways"]:
        time = way.get("time")
        cells = [way["shape"], way["way"], f"{way['tokens_per_s']:,}", f"{way['mfu']:.1%}"]
        cells += [f"{way['mfu_data_sheet']:.1%}" if way.get("mfu_data_sheet") else ""] if sheet else []
        cells += [f"{way['ratio_reference']:.2f}" if "ratio_reference" in way else "", str(way.get("first_step_s", ""))]
        cells += [", ".join(f"{time[part]:.0%}" for part in ("products", "fused", "rest")) if time else ""]
        cells += [f"{way['minutes_once']:,} ({SHAPES[way['shape']].once:,})" if time else ""]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _show(name: str, way: Way, ours: dict[str, Any]) -> None:
    sheet = f"{ours['mfu_data_sheet']:.0%}" if ours["mfu_data_sheet"] else ""
    ratio = f"{ours['ratio_reference']:.2f}" if "ratio_reference" in ours else ""
    print(f"{name:6} {way.name:20} {ours['tokens_per_s']:>10,}   {ours['mfu']:>11.0%}   {sheet:>13}   "
          f"{ours['first_step_s']:>8} s   {ratio}", flush=True)  # fmt: skip
    time = ", ".join(f"{key.replace('_', ' ')} {share:.0%}" for key, share in ours["time"].items())
    print(f"       time of a step: {time}; games {ours['games_share']:.1%} on top; "
          f"{ours['minutes_once']:,} min for {SHAPES[name].once:,} games", flush=True)  # fmt: skip
