"""Proves: on a GPU nothing is left behind on the CPU. Pretended here, so that a machine without one sees it; measures and
stages one by one with -m slow."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from house.pretend import on_gpu, pretended_gpu
from house.test_every_measure import MODELS, QUICK, TABLE, measured

import mothello
from mothello.stages.run import Run

DEVICE = {"name": "cuda", "threads": 1, "precision": "fp32", "compile": "never"}


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(QUICK, "device", DEVICE)
    with pretended_gpu():
        yield


def trained(folder: Any, device: dict[str, Any], **more: Any) -> Run:
    tiny: dict[str, Any] = {
        "runs": str(folder), "device": device, "board": {"size": 4}, "data": {"games": 64, "batch_size": 32},
        "model": {"n_layer": 2, "n_head": 2, "d_model": 16}, "evaluation": {"games": 4, "times": 1},
    }  # fmt: skip
    return mothello.train(tiny | {key: tiny.get(key, {}) | value for key, value in more.items()})


@pytest.mark.parametrize(
    "wrong",
    [
        lambda here, there: here + there, lambda here, there: there.add_(here), lambda here, _: here.numpy(),
        lambda here, there: torch.cat([here, there]), lambda here, there: there[here.long()],
        lambda here, there: there.index_put_((torch.tensor([0]),), here[:1]),
        lambda here, there: here @ there, lambda here, there: torch.where(here > 0, here, there),
    ],
)  # fmt: skip
def test_what_fails_on_a_gpu_fails_here(wrong: Any) -> None:
    with pretended_gpu():
        here, there = torch.ones(3, device="cuda"), torch.ones(3)
        with pytest.raises(AssertionError):
            wrong(here, there)


def test_what_works_on_a_gpu_works_here() -> None:
    with pretended_gpu():
        here, there = torch.ones(3, device="cuda"), torch.ones(3)
        made = (here + there.to(here.device), here[there.long() - 1], here * torch.tensor(2.0), here.new_zeros(2),
                torch.zeros_like(here), here.cpu().cuda(), torch.stack([here, here])[0])  # fmt: skip
        assert all(x.is_cuda and on_gpu(x) and x.device.type == "cuda" for x in made)
        there.copy_(here)
        assert not there.is_cuda
        assert here.sum().item() == 3


@pytest.mark.usefixtures("gpu")
def test_a_run_is_the_same_there(tmp_path: Any) -> None:
    """Expected targets, two languages: training and validation, but for the rounding of another attention kernel."""
    objective = {"targets": "expected"}
    there = trained(tmp_path / "there", DEVICE, objective=objective)
    found = there.folder.read_json("results.json")
    assert found["device"] == "pretended"
    assert measured(there, "legality") > 0
    here = trained(tmp_path / "here", DEVICE | {"name": "cpu"}, objective=objective)
    assert found["final"] == pytest.approx(here.folder.read_json("results.json")["final"], abs=1e-3)


@pytest.mark.slow
@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("name", dict.fromkeys(name for name, model in TABLE if TABLE[name, model] == "yes"))
def test_a_measure_or_stage(name: str, tmp_path: Any) -> None:
    model = next(model for (measure, model), cell in TABLE.items() if measure == name and cell == "yes")
    assert measured(trained(tmp_path, DEVICE, **MODELS[model]), name) > 0
