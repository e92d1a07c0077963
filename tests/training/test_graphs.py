"""Proves: a step that is captured and replayed trains as one that is not. Captures are pretended where no GPU is: what is
"captured" is undone, and a replay calls the function again and writes its result over the first one's tensors."""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from house.pretend import pretended_gpu
from torch import Tensor, nn
from training.loops import batches, before, plan, small_model

from mothello.signals import Stopped
from mothello.training import graphs
from mothello.training.graphs import WARM_UP, Graphed
from mothello.training.loop import train
from mothello.training.optimizer import OptimizerConfig, build_optimizer

REAL = torch.cuda.is_available()
REPLAYS: list[int] = []


def pretended_capture(function: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
    """A capture launches nothing: what the function writes to a model is put back."""
    owner = getattr(function.__closure__[0].cell_contents.function, "__self__", None)  # type: ignore[index]
    kept: list[tuple[Tensor, Tensor]] = []
    if owner is not None:
        states = [x for part in owner.optimizer.parts for s in part.state.values() for x in s.values()]
        kept = [(x, x.detach().clone()) for x in (*owner.model.parameters(), *states)]
    result = function()
    with torch.no_grad():
        for now, then in kept:
            now.copy_(then)

    def replay() -> None:
        REPLAYS.append(1)
        for own, new in zip(
            torch.utils._pytree.tree_leaves(result), torch.utils._pytree.tree_leaves(function()), strict=True
        ):
            if isinstance(own, Tensor):
                own.copy_(new)

    return replay, result


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    REPLAYS.clear()
    with ExitStack() as stack:
        if not REAL:
            stack.enter_context(pretended_gpu())
            monkeypatch.setattr(graphs, "captured", pretended_capture)
            monkeypatch.setattr("mothello.training.loop.capturable_stream", lambda _: nullcontext())
        yield


def trained(folder: Path | None, graphed: bool, steps: int = 12, **more: Any) -> nn.Module:
    model, stream = small_model(0.0)
    model = model.to("cuda")
    stream.device = torch.device("cuda")
    train(model, batches(stream), plan(folder, steps, cuda_graphs=graphed, **more))  # type: ignore[arg-type]
    return model.to("cpu")


def close(one: nn.Module, other: nn.Module, tolerance: float = 2.5e-3) -> bool:
    return all(torch.allclose(a, b, atol=tolerance) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("more", [{}, {"name": "adamw"}, {"micro_batches": 2}])
def test_a_replayed_training_is_the_usual_one(more: dict[str, Any]) -> None:
    """Up to the rounding of rates that are tensors: on an H200 weights differ by .0011 (Muon, in bf16) or not at all (AdamW).
    Negative control: another number of steps, by .005."""
    lines: dict[bool, list[float]] = {True: [], False: []}

    def logged(graphed: bool) -> nn.Module:
        def log(_: int, values: Any) -> None:
            lines[graphed].extend(values[key] for key in ("train/loss", "train/lr_scale") if key in values)

        return trained(None, graphed, log=log, **more)

    replayed, plain = logged(True), logged(False)
    assert close(replayed, plain)
    assert not close(trained(None, True, 11, **more), plain)
    assert lines[True] == pytest.approx(lines[False], abs=1e-3)
    assert len(lines[True]) == 24
    assert REAL or REPLAYS


@pytest.mark.usefixtures("gpu")
def test_it_is_resumed(tmp_path: Path) -> None:
    """From a checkpoint of either kind; its rates are numbers."""
    whole = trained(None, True)

    class Killed(BaseException): ...

    def stop() -> None:
        raise Killed

    for first, then in ((True, False), (False, True), (True, True)):
        folder = tmp_path / f"{first}{then}"
        model, stream = small_model(0.0)
        model, stream.device = model.to("cuda"), torch.device("cuda")
        cut = plan(folder, 12, cuda_graphs=first, checkpoint_every=1e-9)
        with pytest.raises(Killed):
            train(model, before(8, stop, stream), cut)
        assert close(trained(folder, then), whole)


@pytest.mark.usefixtures("gpu")
def test_a_signal_stops_it(tmp_path: Path) -> None:
    """Though what is replayed was captured before it came."""
    import os
    import signal

    model, stream = small_model(0.0)
    model, stream.device = model.to("cuda"), torch.device("cuda")
    ask = before(WARM_UP + 4, lambda: os.kill(os.getpid(), signal.SIGTERM), stream)
    with pytest.raises(Stopped):
        train(model, ask, plan(tmp_path, 40, cuda_graphs=True))


@pytest.mark.usefixtures("gpu")
def test_numbers_that_are_not_finite_stop_it() -> None:
    model, stream = small_model(0.0)
    model, stream.device = model.to("cuda"), torch.device("cuda")

    def spoil() -> None:
        next(model.parameters()).data.fill_(float("nan"))

    with pytest.raises(FloatingPointError):
        train(model, before(WARM_UP + 4, spoil, stream), plan(None, 40, cuda_graphs=True))  # type: ignore[arg-type]


@pytest.mark.usefixtures("gpu")
def test_another_shape_is_not_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "captured", pretended_capture)
    function = Graphed(lambda batch: {"double": batch["x"] * 2, "name": batch["name"]}, lambda: None)
    for value in range(8):
        for size in (3, 5):
            batch = {"x": torch.full((size,), float(value)), "name": "a"}
            assert torch.equal(function(batch)["double"], batch["x"] * 2)
    assert function({"x": torch.zeros(3), "name": "b"})["name"] == "b"
    assert len(REPLAYS) == 8 - WARM_UP


@pytest.mark.usefixtures("gpu")
def test_what_cannot_be_captured_is_called(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """One warning, and what the attempt left is cleared."""
    cleared: list[int] = []

    def fail(_: Callable[[], Any]) -> Any:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(graphs, "captured", fail)
    function = Graphed(lambda batch: batch * 2, lambda: cleared.append(1))
    with caplog.at_level(logging.WARNING):
        assert [float(function(torch.tensor(float(x)))) for x in range(9)] == [2.0 * x for x in range(9)]
    assert len(cleared) == 1
    assert [record.getMessage() for record in caplog.records] == [
        "the training step is not replayed as a CUDA graph (slower): operation not permitted when stream is capturing"
    ]


def test_rates_that_are_tensors_update_alike() -> None:
    """As numbers do, for both optimizers."""
    config, gradients = OptimizerConfig(), torch.Generator().manual_seed(0)
    models = [small_model(0.0)[0] for _ in range(2)]
    optimizers = [
        build_optimizer(model, config, rates_on_device=on) for model, on in zip(models, (True, False), strict=True)
    ]
    for scale in (0.5, 1.0, 0.25):
        for parameters in zip(*(model.parameters() for model in models), strict=True):
            drawn = torch.randn(parameters[0].shape, generator=gradients)
            for parameter in parameters:
                parameter.grad = drawn.clone()
        for optimizer in optimizers:
            optimizer.step(scale)
    assert close(*models, 1e-6)
    rates = [[group["lr"] for part in x.state_dict() for group in part["param_groups"]] for x in optimizers]
    assert rates[0] == pytest.approx(rates[1])
    assert all(isinstance(rate, float) for rate in rates[0])
