"""Proves: gradients that are summed in buckets are those summed in one piece, bit for bit in two processes, with parameters of
several dtypes and some without a gradient; no bucket is larger than asked for, but one of a single gradient."""

import json
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from training.processes import group

from mothello.seeding import generator
from mothello.training.distributed import IN_FLIGHT, buckets, join

SIZES = (1, 100, 3000, 1 << 20)
"""Bytes: a bucket for every gradient; some; two; one per run of a dtype."""


def parameters(rank: int) -> list[nn.Parameter]:
    """Those of a process: the third has no gradient, the fifth and sixth are of other dtypes."""
    shapes = [(3, 5), (7,), (4, 4), (30, 30), (2, 3), (5,), (1,), (600,), ()]
    dtypes = [torch.float32] * 4 + [torch.bfloat16, torch.float64] + [torch.float32] * 3
    draw, result = generator(rank, "gradients"), []
    for index, (shape, dtype) in enumerate(zip(shapes, dtypes, strict=True)):
        parameter = nn.Parameter(torch.zeros(shape, dtype=dtype))
        if index != 2:
            parameter.grad = torch.randn(shape, generator=draw).to(dtype)
        result.append(parameter)
    return result


def gradients(of: list[nn.Parameter]) -> list[Tensor]:
    return [p.grad for p in of if p.grad is not None]


def pair(folder: Path) -> None:
    """What each of two processes does."""
    world = join(torch.device("cpu"))
    both = zip(*(gradients(parameters(rank)) for rank in (0, 1)), strict=True)
    expected, flights, sent = [one + other for one, other in both], [], dist.all_reduce
    here: list[int] = []

    def watched(tensor: Tensor, async_op: bool = False) -> object:
        here.append(tensor.nbytes)
        return sent(tensor, async_op=async_op)

    dist.all_reduce = watched
    for size in (None, *SIZES):
        own = parameters(world.rank)
        here.clear()
        world.sum_gradients(own, size)
        assert own[2].grad is None
        assert all(map(torch.equal, gradients(own), expected))
        flights.append(list(here))
    (folder / f"{world.rank}.json").write_text(json.dumps(flights))


def test_they_are_the_sum_in_one_piece(tmp_path: Path) -> None:
    children = group(2, pair, tmp_path)
    assert [child.wait() for child in children] == [0, 0], children[0].text + children[1].text
    sent = json.loads((tmp_path / "0.json").read_text())
    assert sent == json.loads((tmp_path / "1.json").read_text())
    assert [len(each) for each in sent] == [4, 8, 7, 5, 4]
    assert len(sent[1]) > 2 * IN_FLIGHT
    assert all(sum(each) == sum(sent[0]) for each in sent)


@pytest.mark.parametrize("size", SIZES)
def test_buckets_are_as_large_as_may_be(size: int) -> None:
    every = gradients(parameters(0))
    made = list(buckets(every, size))
    assert [x.shape for bucket in made for x in bucket] == [x.shape for x in every]
    for bucket, following in zip(made, [*made[1:], None], strict=True):
        bytes_ = sum(x.nbytes for x in bucket)
        assert len({x.dtype for x in bucket}) == 1
        assert bytes_ <= size or len(bucket) == 1
        if following is not None and following[0].dtype == bucket[0].dtype:
            assert bytes_ + following[0].nbytes > size


def test_on_a_cpu_there_is_one_bucket_whatever_its_size() -> None:
    assert len(list(buckets([torch.zeros(1 << 23) for _ in range(5)]))) == 1
    assert list(buckets([])) == []
