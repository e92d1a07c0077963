"""Our Muon is torch's, step for step; the allocator keeps what a step frees."""

import copy
import os
import platform
import subprocess
import sys

import pytest
import torch
from torch import nn

from mothello.training import muon
from mothello.training.device import keep_memory
from mothello.training.muon import Muon

LYING, STANDING, SQUARE = (8, 24), (24, 8), (8, 8)


def matrices(*shapes: tuple[int, int]) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(3)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]


def give_gradients(parameters: list[nn.Parameter], seed: int, without: int | None = None) -> None:
    generator = torch.Generator().manual_seed(seed)
    for i, p in enumerate(parameters):
        gradient = torch.randn(p.shape, generator=generator)
        p.grad = None if i == without else gradient


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_muon_is_torchs(weight_decay: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the rounding of bf16 products, times the learning rate."""
    monkeypatch.setattr(muon, "has_bf16", lambda _: True)
    shapes = (LYING, STANDING, SQUARE, LYING, (5, 7), STANDING)
    ours, theirs = matrices(*shapes), matrices(*shapes)
    one, other = (
        Muon(ours, lr=0.02, weight_decay=weight_decay),
        torch.optim.Muon(theirs, lr=0.02, weight_decay=weight_decay),
    )
    for step in range(4):
        without = 3 if step in (0, 2) else None  # a gradient that comes late or not at all moves nothing
        for parameters, optimizer in ((ours, one), (theirs, other)):
            give_gradients(parameters, step, without)
            optimizer.param_groups[0]["lr"] = 0.02 / (step + 1)
            optimizer.step()
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=5e-4)
    assert not torch.equal(ours[0], matrices(LYING)[0])


@pytest.mark.parametrize(("in_hardware", "kind", "error"), [(True, torch.bfloat16, 0.1), (False, torch.float32, 1e-5)])
def test_matrices_are_orthogonalized_in_what_the_machine_multiplies(
    in_hardware: bool, kind: torch.dtype, error: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """bf16 products take many times as long where they are emulated. The reference is the same series in float64."""
    seen: list[torch.dtype] = []
    multiply = torch.baddbmm

    def watched(add: torch.Tensor, a: torch.Tensor, b: torch.Tensor, **factors: float) -> torch.Tensor:
        seen.append(a.dtype)
        return multiply(add, a, b, **factors)

    monkeypatch.setattr(muon, "has_bf16", lambda _: in_hardware)
    g = torch.randn(3, 8, 24, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(torch, "baddbmm", watched)
    ours = muon.orthogonalize(g)
    assert {*seen} == {kind}
    assert ours.dtype == g.dtype
    left, values, right = torch.linalg.svd(
        g.double() / g.double().flatten(1).norm(dim=1)[:, None, None], full_matrices=False
    )
    a, b, c = muon.COEFFICIENTS
    for _ in range(muon.STEPS):
        values = a * values + b * values**3 + c * values**5
    torch.testing.assert_close(ours.double(), left * values[:, None] @ right, rtol=0, atol=error)


def test_muon_goes_on_from_torchs_state() -> None:
    """A checkpoint written with the one is read with the other."""
    ours, theirs = matrices(LYING, STANDING), matrices(LYING, STANDING)
    one, other = Muon(ours, lr=0.02), torch.optim.Muon(theirs, lr=0.02)
    give_gradients(theirs, 0)
    other.step()
    one.load_state_dict(copy.deepcopy(other.state_dict()))
    for a, b in zip(ours, theirs, strict=True):
        a.data.copy_(b.data)
    for parameters, optimizer in ((ours, one), (theirs, other)):
        give_gradients(parameters, 1)
        optimizer.step()
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=5e-4)


FAULTS = """
import resource, sys, torch
from mothello.training import muon
from mothello.training.device import keep_memory
kept = keep_memory() if sys.argv[1] == "kept" else None
torch.set_num_threads(1)
def work():
    rows = [torch.ones(7 << 20) for _ in range(9)]  # 28 MB each: what glibc would return after every step
for _ in range(6):
    work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    work()
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str, **more: str) -> tuple[str, int]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_", "LD_PRELOAD"))} | more
    told = subprocess.run(
        [sys.executable, "-c", FAULTS, how], env=environment, capture_output=True, text=True, check=True
    )
    kept, number = told.stdout.split()
    return kept, int(number)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_memory_is_kept_between_steps() -> None:
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("another C library")
    kept, few = faults("kept")
    assert kept == "True"
    _, many = faults("returned")
    if many == 0:
        pytest.skip("page faults are not counted here")
    assert few < many / 4


def test_the_users_own_allocator_settings_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "131072")
    assert keep_memory() is False
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_")
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.trim_threshold=131072")
    assert keep_memory() is False
