"""Matrix products: what the machine can do at best, to hold a training against."""

from time import perf_counter

import torch

PEAKS = {"H200": 989.0, "H100": 989.0, "A100": 312.0, "L40S": 362.0, "4090": 165.2, "3090": 71.0, "V100": 125.0}
"""Dense bf16 tensor-core Tflop/s of the data sheets (SXM parts; V100: fp16), by a word of the device's name."""


def vendor_peak(device: torch.device) -> float | None:
    """Dense bf16 Tflop/s by the data sheet; None where it is not listed."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return next((peak for word, peak in PEAKS.items() if word in name), None)


def product_rate(device: torch.device, dtype: torch.dtype, size: int, seconds: float = 0.3) -> float:
    """Gflop/s of square products, the best of three runs."""
    a = torch.rand(size, size, device=device).to(dtype)
    b = torch.rand(size, size, device=device).to(dtype)

    def run(n: int) -> float:
        start = perf_counter()
        for _ in range(n):
            product = a @ b
        float(product[0, 0])  # waits for the device
        return perf_counter() - start

    run(1)
    n = max(1, round(seconds / max(1e-6, run(2) / 2)))
    return max(n * 2 * size**3 / run(n) / 1e9 for _ in range(3))


def best_product(device: torch.device, dtype: torch.dtype) -> float:
    """Gflop/s of the best size: what a training's share is taken of."""
    sizes = (2048, 4096, 8192, 16384) if device.type == "cuda" else (1024, 2048)
    return max(product_rate(device, dtype, size) for size in sizes)
