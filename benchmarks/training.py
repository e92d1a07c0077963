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


SIZES = {"cpu": ((1024,), (2048,), (4096, 512, 512), (4096, 512, 2048)), "cuda": ((4096,), (8192,), (16384,))}
"""Of the products whose best rate counts: squares, and on a CPU a layer's own, which can be faster."""


class Products:
    """The best rates of matrix products, over sizes and rounds: in fp32, and in the precision of training ("best").

    Rounds of products alternate with rounds of steps: a machine's own speed moves within minutes.
    """

    def __init__(self, device: torch.device) -> None:
        half = torch.bfloat16 if is_bf16(device, Precision.auto) else torch.float32
        self.device, self.precisions = device, {"fp32": torch.float32, "best": half}
        self.rates = dict.fromkeys(self.precisions, 0.0)
        """Gflop/s, the best so far."""

    def measure(self) -> None:
        """One round."""
        for name, dtype in self.precisions.items():
            round_of = (product_rate(self.device, dtype, *size, least=0.03) for size in SIZES[self.device.type])
            self.rates[name] = max(self.rates[name], *round_of)


def training(config: BenchConfig, device: torch.device) -> Numbers:
    """Keys such as "train.paper.tokens_per_s" and "train.paper.ratio_reference", "train.mfu" of the paper shape, and a
    list "train.ways" with a row per shape and execution. boards: shapes with another board are left out."""
    numbers: Numbers = {}
    rows: list[dict[str, Any]] = []
    for name, shape in SHAPES.items():
        if shape.config.board.size in config.boards:
            fastest, more = _shape_numbers(name, shape, device, config.peers)
            rows += more
            numbers |= {f"train.{name}.{key}": value for key, value in fastest.items()}
    return numbers | {"train.mfu": numbers.get("train.paper.mfu"), "train.ways": rows}


def _shape_numbers(
    name: str, shape: Shape, device: torch.device, peers: bool
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The fastest execution with the published recipe's numbers, and a row per execution."""
    rows, peak, products = list[dict[str, Any]](), data_sheet_peak(device), Products(device)
    with ExitStack() as stack:
        published = stack.enter_context(Published(shape, device)) if peers else None

        def between() -> None:
            products.measure()
            if published:
                published.run()

        rows = [{"shape": name, "way": execution.name, **time_ours(shape, execution, device, between)}
                for execution in EXECUTIONS[device.type]]  # fmt: skip
    rate = products.rates["best"]
    for ours in rows:
        ours["mfu"] = ours.pop("flops_per_s") / rate / 1e9
        ours["mfu_data_sheet"] = ours["mfu"] * rate / peak / 1e3 if peak else None
        print(f"{name:6} {ours['way']:20} {ours['tokens_per_s']:>10,} tokens/s, {ours['mfu']:.0%} of the best products "
              f"({rate:,.0f} Gflop/s); first step {ours['first_step_s']} s; {ours['minutes_once']:,} min for "
              f"{shape.once:,} games; {', '.join(f'{part} {share:.0%}' for part, share in ours['time'].items())}",
              flush=True)  # fmt: skip
    fastest = max(rows, key=lambda row: row["tokens_per_s"])
    result = {key: value for key, value in fastest.items() if key != "shape"}
    result |= {f"{name}_gflops": round(rate) for name, rate in products.rates.items()}
    if published:
        theirs = published.best["tokens_per_s"]  # of all its rounds
        for row in rows:
            row["ratio_reference"] = round(row["tokens_per_s"] / theirs, 2)
        mfu = theirs / fastest["tokens_per_s"] * fastest["mfu"]
        rows.append({"shape": name, "way": "published recipe, fp32", "tokens_per_s": round(theirs), "mfu": mfu})
        result |= {f"reference_{key}": round(value, 4) for key, value in published.best.items()}
        result |= {"ratio_reference": fastest["ratio_reference"],
                   "reference_share_of_fp32": round(mfu * rate / products.rates["fp32"], 3)}  # fmt: skip
        print(f"{name:6} published recipe     {theirs:>10,.0f} tokens/s; ours {fastest['ratio_reference']} times")
    return result, rows


def table(numbers: Numbers) -> str:
    """The rows of :func:`training` in Markdown."""
    columns = {"shape": "{}", "way": "{}", "tokens_per_s": "{:,}", "mfu": "{:.1%}", "ratio_reference": "{:.2f}",
               "first_step_s": "{}", "minutes_once": "{:,}"}  # fmt: skip
    head = ["shape", "way", "tokens/s", "share of the best products", "times published", "first step, s",
            "minutes for all games"]  # fmt: skip
    lines = [head, ["---"] * len(head)]
    for row in numbers["train.ways"]:
        lines.append([form.format(row[key]) if key in row else "" for key, form in columns.items()])
    products = "; ".join(
        f"{name}: fp32 {numbers[f'train.{name}.fp32_gflops']:,}, best {numbers[f'train.{name}.best_gflops']:,} Gflop/s"
        for name in dict.fromkeys(row["shape"] for row in numbers["train.ways"])
    )
    title = (
        f"`benchmarks.training` on {numbers['device']}, load {numbers['load_before']} before. "
        f"Best products, measured between the rounds of steps: {products}."
    )
    return "\n".join([title, "", *(f"| {' | '.join(cells)} |" for cells in lines)]) + "\n"


if __name__ == "__main__":
    main("train", training, table)
