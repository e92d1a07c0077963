"""Proves: jobs side by side are spread over the GPUs that are visible, each sees one of them, and a place that is free again is
taken again. The GPUs are names: none is needed."""

import os
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from mothello.cli import launchers
from mothello.cli.jobs import Job, Outcome
from mothello.cli.processes import Send, in_processes
from mothello.errors import UserError
from mothello.training.device import DeviceConfig, resolve, visible_gpus


def seen(folder: Path, name: str, after: str, send: Send) -> None:
    """Ends when the calls that it comes after have ended."""
    begun = time.time()
    while not all((folder / other).exists() for other in after):
        time.sleep(0.02)
    send((os.environ.get("CUDA_VISIBLE_DEVICES"), begun, time.time()))
    (folder / name).touch()


def test_places_are_taken_in_turn_and_again(tmp_path: Path) -> None:
    """The second and third call hold their places until all others are done, which leaves these the first place."""
    told: list[Any] = []
    calls = [partial(seen, tmp_path, name, "145" * (name in "23")) for name in "12345"]
    in_processes(
        3, calls, lambda _, sent: told.append(sent) if sent else None, [{"CUDA_VISIBLE_DEVICES": x} for x in "abc"]
    )
    assert Counter(gpu for gpu, *_ in told) == {"a": 3, "b": 1, "c": 1}
    for gpu in "abc":
        spans = sorted((begun, ended) for one, begun, ended in told if one == gpu)
        assert all(first[1] <= second[0] for first, second in zip(spans, spans[1:], strict=False)), "one at a time"


@pytest.mark.parametrize(("gpus", "expected"), [(["2", "5"], ["2", "5", "2"]), (["0"], []), ([], [])])
def test_the_launcher_spreads_its_jobs(gpus: list[str], expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    monkeypatch.setattr(launchers, "visible_gpus", lambda: gpus)
    monkeypatch.setattr(launchers, "in_processes", lambda *arguments: given.append(arguments))
    launchers.run_in_processes(3, [Job("a", dict, print)], [Outcome("a")])
    assert [place["CUDA_VISIBLE_DEVICES"] for place in given[0][3]] == expected


def test_a_users_choice_of_gpus_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible_gpus() == ["0", "1", "2"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1, GPU-7")
    assert visible_gpus() == ["1", "GPU-7"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_gpus() == []


def test_a_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    assert resolve(DeviceConfig(name="cuda:0")) == torch.device("cuda", 0)
    for name in ("cuda:1", "cuda:x"):
        with pytest.raises(UserError, match=f"^device: {name} was asked for; of 1 GPUs the first is cuda:0$"):
            resolve(DeviceConfig(name=name))
