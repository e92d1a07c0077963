"""Tokens per second of training compared with the published recipe: the same games, batch and threads."""

from contextlib import ExitStack
from typing import Any

import torch

from benchmarks.common import BenchConfig, Numbers, main, product_rate
from benchmarks.published_process import Published
from benchmarks.steps import EXECUTIONS, SHAPES, Shape, time_ours
from mothello.training.device import Precision, is_bf16

PEAKS = {"H200": 989.0, "H100": 989.0, "A100": 312.0, "L40S": 362.0, "4090": 165.2, "3090": 71.0, "V100": 125.0}
"""Dense bf16 tensor-core Tflop/s of the data sheets (SXM parts; V100: fp16), by a word of the device's name."""


def data_sheet_peak(device: torch.device) -> float | None:
    """Dense bf16 Tflop/s by the data sheet; None where it is not listed."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    return next((peak for word, peak in PEAKS.items() if word in name), None)


def best_products(device: torch.device) -> dict[str, float]:
    """Gflop/s of matrix products at the best size, in fp32 and in the precision of training."""
    sizes = (2048, 4096, 8192, 16384) if device.type == "cuda" else (1024, 2048)
    half = torch.bfloat16 if is_bf16(device, Precision.auto) else torch.float32
    return {"fp32": product_rate(device, torch.float32, *sizes), "best": product_rate(device, half, *sizes)}


def training(config: BenchConfig, device: torch.device) -> Numbers:
    """Keys such as "train.paper.tokens_per_s" and "train.paper.ratio_reference", "train.mfu" of the paper shape, and a
    list "train.ways" with a row per shape and execution."""
    products = best_products(device)
    numbers: Numbers = {f"train.{name}_gflops": round(rate) for name, rate in products.items()}
    rows: list[dict[str, Any]] = []
    print(f"products: fp32 {products['fp32']:,.0f}, best {products['best']:,.0f} Gflop/s")
    for name, shape in SHAPES.items():
        fastest, more = _shape_numbers(name, shape, device, products, config.peers)
        rows += more
        numbers |= {f"train.{name}.{key}": value for key, value in fastest.items()}
    return numbers | {"train.mfu": numbers["train.paper.mfu"], "train.ways": rows}


def _shape_numbers(
    name: str, shape: Shape, device: torch.device, products: dict[str, float], peers: bool
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The fastest execution with the published recipe's numbers, and a row per execution."""
    rows, peak = list[dict[str, Any]](), data_sheet_peak(device)
    with ExitStack() as stack:
        published = stack.enter_context(Published(shape, device)) if peers else None
        for execution in EXECUTIONS[device.type]:
            ours = time_ours(shape, execution, device, published.run if published else lambda: None)
            ours["mfu"] = ours.pop("flops_per_s") / products["best"] / 1e9
            ours["mfu_data_sheet"] = ours["mfu"] * products["best"] / peak / 1e3 if peak else None
            rows.append({"shape": name, "way": execution.name, **ours})
            print(f"{name:6} {execution.name:20} {ours['tokens_per_s']:>10,} tokens/s, {ours['mfu']:.0%} of products; "
                  f"first step {ours['first_step_s']} s; {ours['minutes_once']:,} min for {shape.once:,} games; "
                  f"{', '.join(f'{part} {share:.0%}' for part, share in ours['time'].items())}",
                  flush=True)  # fmt: skip
    fastest = max(rows, key=lambda row: row["tokens_per_s"])
    result = {key: value for key, value in fastest.items() if key != "shape"}
    if published:
        rate = published.best["tokens_per_s"]  # of all its rounds
        for row in rows:
            row["ratio_reference"] = round(row["tokens_per_s"] / rate, 2)
        mfu = rate / fastest["tokens_per_s"] * fastest["mfu"]
        rows.append({"shape": name, "way": "published recipe, fp32", "tokens_per_s": round(rate), "mfu": mfu})
        result |= {f"reference_{key}": round(value, 4) for key, value in published.best.items()}
        result |= {"ratio_reference": fastest["ratio_reference"],
                   "reference_share_of_fp32": round(mfu * products["best"] / products["fp32"], 3)}  # fmt: skip
        print(f"{name:6} published recipe     {rate:>10,.0f} tokens/s; ours {fastest['ratio_reference']} times")
    return result, rows


def table(numbers: Numbers) -> str:
    """The rows of :func:`training` in Markdown."""
    columns = {"shape": "{}", "way": "{}", "tokens_per_s": "{:,}", "mfu": "{:.1%}", "ratio_reference": "{:.2f}",
               "first_step_s": "{}", "minutes_once": "{:,}"}  # fmt: skip
    head = ["shape", "way", "tokens/s", "MFU of products", "times published", "first step, s", "minutes for all games"]
    lines = [head, ["---"] * len(head)]
    for row in numbers["train.ways"]:
        lines.append([form.format(row[key]) if key in row else "" for key, form in columns.items()])
    products = f"fp32 {numbers['train.fp32_gflops']:,}, best {numbers['train.best_gflops']:,} Gflop/s"
    title = f"`benchmarks.training` on {numbers['device']}, load {numbers['load_before']} before; products: {products}."
    return "\n".join([title, "", *(f"| {' | '.join(cells)} |" for cells in lines)]) + "\n"


if __name__ == "__main__":
    main("train", training, table)
