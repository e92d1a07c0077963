"""Several processes, one run: torchrun starts them, each trains on its share of every batch, the first owns the folder.

``World()`` is one process alone, and every method then does nothing. Gradients are summed after the backward pass: any
objective and any compiled model works, and all processes hold the same weights, bit for bit. On a CPU they are summed
in one piece; on GPUs in buckets, so that no second copy of all of them is needed, and one is filled or emptied while
another travels.
"""

import math
import os
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn

PATIENCE = timedelta(hours=2)
"""How long processes wait for one another: the first evaluates and saves while the others stand still."""
BUCKET_BYTES = {"cuda": 25 << 20}
"""Gradients that are sent at once, by device; elsewhere all of them."""
IN_FLIGHT = 2
"""Buckets that travel at the same time."""


class World(NamedTuple):
    """This process among ``size``; rank 0 owns the run's folder, its log and its evaluations."""

    rank: int = 0
    size: int = 1

    @property
    def main(self) -> bool:
        return self.rank == 0

    def sum(self, tensor: Tensor) -> Tensor:
        """Sum over processes, in place."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def sum_gradients(self, parameters: Iterable[nn.Parameter], bucket_bytes: int | None = None) -> None:
        """Sum the gradients of all processes, in which the same parameters have one. bucket_bytes: what is sent at once
        at most, unless one gradient is larger; by default BUCKET_BYTES of the device."""
        if self.size == 1:
            return
        waiting = deque[tuple[Any, Tensor, list[Tensor]]]()
        for bucket in buckets([p.grad for p in parameters if p.grad is not None], bucket_bytes):
            if len(waiting) == IN_FLIGHT:
                _copy_back(*waiting.popleft())
            flat = torch.cat([gradient.flatten() for gradient in bucket])
            waiting.append((dist.all_reduce(flat, async_op=True), flat, bucket))
        while waiting:
            _copy_back(*waiting.popleft())

    def broadcast(self, value: Any) -> Any:
        """What rank 0 says: its ``value``, in every process."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box)
        return box[0]

    def wait(self) -> None:
        """Until every process is here."""
        if self.size > 1:
            dist.barrier()


def buckets(gradients: Iterable[Tensor], bucket_bytes: int | None = None) -> Iterator[list[Tensor]]:
    """The gradients in their order, cut where a bucket would be too large or another dtype begins."""
    bucket: list[Tensor] = []
    size = 0
    for gradient in gradients:
        most = BUCKET_BYTES.get(gradient.device.type, math.inf) if bucket_bytes is None else bucket_bytes
        if bucket and (size + gradient.nbytes > most or gradient.dtype != bucket[0].dtype):
            yield bucket
            bucket, size = [], 0
        bucket.append(gradient)
        size += gradient.nbytes
    if bucket:
        yield bucket


def _copy_back(work: Any, flat: Tensor, bucket: list[Tensor]) -> None:
    """Wait for a bucket's sum, and write it to its gradients."""
    work.wait()
    for gradient, part in zip(bucket, flat.split([gradient.numel() for gradient in bucket]), strict=True):
        gradient.copy_(part.view_as(gradient))


def described() -> World:
    """The world that torchrun describes in the environment; one process alone without it."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    return World(int(os.environ["RANK"]), size) if size > 1 and "RANK" in os.environ else World()


def join(device: torch.device) -> World:
    """The same, once all of its processes are there."""
    if described().size == 1:
        return World()
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    return World(dist.get_rank(), dist.get_world_size())


def leave() -> None:
    """Part from the others, at the end."""
    if dist.is_initialized():
        dist.destroy_process_group()
