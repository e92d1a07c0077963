"""Proves: training runs on a device without float64, as Apple's MPS is one, and all else on the CPU, where the numbers are those
of a training there. Pretended here: it was never run on a real Mac."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from house.commands import TINY, run
from house.pretend import on_gpu, pretended_mps
from house.test_every_measure import QUICK, measured
from house.test_pretended_gpu import trained

from mothello.errors import UserError
from mothello.objectives.objective import double
from mothello.training import loop
from mothello.training.device import DeviceConfig, Precision, exact_device, has_bf16, is_bf16, resolve

DEVICE = {"name": "mps", "threads": 1, "compile": "never"}


@pytest.fixture
def mps(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(QUICK, "device", DEVICE)
    with pretended_mps():
        yield


@pytest.mark.usefixtures("mps")
@pytest.mark.parametrize(
    "wrong",
    [
        lambda here: here.double(), lambda here: here.to(torch.float64), lambda here: torch.ones(3, dtype=torch.float64).to("mps"),
        lambda here: torch.zeros(2, dtype=torch.float64, device="mps"), lambda here: here.sum(dtype=torch.float64),
        lambda here: here.new_zeros(2, dtype=torch.float64), lambda here: torch.tensor([1.0], dtype=torch.float64, device="mps"),
    ],
)  # fmt: skip
def test_what_fails_on_mps_fails_here(wrong: Any) -> None:
    with pytest.raises(TypeError, match="MPS framework doesn't support float64"):
        wrong(torch.ones(3, device="mps"))


@pytest.mark.usefixtures("mps")
def test_what_works_on_mps_works_here() -> None:
    here = torch.ones(3, device="mps")
    assert here.is_mps
    assert not here.is_cuda
    assert here.device.type == "mps"
    assert double(here).dtype == torch.float64
    assert not on_gpu(double(here))
    assert float(here.cpu().double().sum()) == float(here.sum()) == 3
    with pytest.raises(AssertionError):
        _ = here + torch.ones(3)


@pytest.mark.usefixtures("mps")
def test_it_is_taken_by_name_where_it_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """And never by auto, until it ran on a real one."""
    assert resolve(DeviceConfig(name="mps", threads=1)).type == "mps"
    assert resolve(DeviceConfig(threads=1)).type == "cpu"
    with pytest.raises(UserError, match=r"^device.precision: on MPS it is fp32; leave it out$"):
        resolve(DeviceConfig(name="mps", threads=1, precision=Precision.bf16))
    device = torch.device("mps")
    assert not has_bf16(device)
    assert not is_bf16(device, Precision.auto)
    assert exact_device(device).type == "cpu"
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match=r"^device: several processes do not share MPS"):
        resolve(DeviceConfig(name="mps", threads=1))


def test_where_it_is_absent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert not torch.backends.mps.is_available()
    assert run(monkeypatch, "train", *[x for x in TINY if x != "device=cpu"], "device=mps") == 2
    line = "error: device: mps was asked for, but no MPS device is present; use auto or cpu\n"
    assert capsys.readouterr().err == line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("objective", [{"targets": "expected"}, {"name": "masked_lm"}])
@pytest.mark.usefixtures("mps")
def test_a_run_is_the_same_there(objective: dict[str, Any], tmp_path: Path) -> None:
    """In micro-batches, with an auxiliary objective: the batches are the CPU's, and so are the numbers of the evaluation."""
    more = {"objective": objective, "auxiliary": {"align": {}}}
    there = trained(tmp_path / "there", DEVICE, **more)
    found = there.folder.read_json("results.json")
    assert found["device"] == "mps"
    assert there.device.type == "cpu"
    here = trained(tmp_path / "here", DEVICE | {"name": "cpu", "precision": "fp32"}, **more)
    assert found["final"] == pytest.approx(here.folder.read_json("results.json")["final"], abs=1e-6, nan_ok=True)


STAGES = ("finetune, then transfer", "realign", "align_words", "task, then task_transfer")
MEASURES = ("legality", "alignment", "probes", "causal")


@pytest.mark.parametrize("name", [*STAGES, *(pytest.param(name, marks=pytest.mark.slow) for name in MEASURES)])
@pytest.mark.usefixtures("mps")
def test_stages_and_measures(name: str, tmp_path: Path) -> None:
    """Of a model that was trained there; measures are the CPU's."""
    assert measured(trained(tmp_path, DEVICE), name) > 0


def trained_on(tmp_path: Path) -> set[str]:
    """Where the model and the batches of a training are."""
    places: set[str] = set()
    right = loop.backward

    def watched(model: Any, batch: Any, *more: Any) -> Any:
        places.update((model.device.type, batch.targets.device.type))
        return right(model, batch, *more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "backward", watched)
        trained(tmp_path, DEVICE)
    return places


@pytest.mark.usefixtures("mps")
def test_training_steps_are_there(tmp_path: Path) -> None:
    assert trained_on(tmp_path) == {"mps"}


@pytest.mark.usefixtures("mps")
def test_a_float64_there_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: the gradient's norm as it is logged elsewhere."""
    monkeypatch.setattr(loop, "double", torch.Tensor.double)
    with pytest.raises(TypeError, match="MPS framework doesn't support float64"):
        trained(tmp_path, DEVICE)


@pytest.mark.usefixtures("mps")
def test_a_dry_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "train", *[x for x in TINY if x != "device=cpu"], "device=mps", "dry_run=true") == 0
    out = capsys.readouterr().out
    assert "mps, 1 thread" in out
    assert "68.7 GB free" in out
