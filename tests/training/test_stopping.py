"""Proves: SIGTERM and Ctrl-C save first, a second Ctrl-C stops at once, other threads train undisturbed; a loss or gradient
that is not finite stops at once and keeps the state before the bad step; what goes on ends as if nothing had happened."""

import signal
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from house.commands import TINY, run
from torch import Tensor
from training.loops import EVERY_STEP, Changed, batches, before, plan, same, small_model

from mothello.data.batch import LabeledBatch
from mothello.model.transformer import GPT
from mothello.objectives.causal_lm import CausalLM
from mothello.objectives.objective import Loss
from mothello.rundir import RunDir
from mothello.signals import STOPS, Stopped
from mothello.training import checkpoint
from mothello.training.loop import Progress, train
from mothello.training.optimizer import Optimizers
from mothello.training.stopping import AsyncScalars, StepStats, check_finite, stop_signals

SIGNALS = STOPS


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in SIGNALS]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[GPT, Progress, list[float]]:
    """An uninterrupted run of twelve steps."""
    losses: list[float] = []
    model, stream = small_model()
    folder = tmp_path_factory.mktemp("whole")
    done = train(model, batches(stream), plan(folder, log=lambda _, values: losses.append(values["train/loss"])))
    return model, done, losses


def goes_on(folder: Path, whole: tuple[GPT, Progress, list[float]]) -> None:
    """The same call ends with the weights, the tokens and the losses of the run that was never interrupted."""
    losses: dict[int, float] = {}

    def log(step: int, values: Mapping[str, float]) -> None:
        losses[step] = values["train/loss"]

    model, stream = small_model()
    done = train(model, batches(stream), plan(folder, log=log))
    assert same(model, whole[0])
    assert (done.step, done.tokens) == (whole[1].step, whole[1].tokens)
    assert list(losses.values()) == whole[2][min(losses, default=13) - 1 :]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_obeyed_after_the_step(
    number: signal.Signals, tmp_path: Path, whole: tuple[GPT, Progress, list[float]]
) -> None:
    model, stream = small_model()
    installed = handlers()
    with pytest.raises(Stopped, match=f"stopped by {number.name} after step 6; rerun the command to resume") as stopped:
        train(model, before(5, lambda: signal.raise_signal(number), stream), plan(tmp_path))
    assert stopped.value.number == number
    assert isinstance(stopped.value, KeyboardInterrupt)  # so that nothing on the way takes it for an error
    assert handlers() == installed
    assert checkpoint.latest(tmp_path)[0].step == 6
    goes_on(tmp_path, whole)


def test_a_signal_in_the_last_step_or_evaluation_counts(tmp_path: Path) -> None:
    model, stream = small_model()
    for name, batch_of, evaluate in (
        ("step", before(11, lambda: signal.raise_signal(signal.SIGTERM), stream), lambda _: {}),
        ("evaluation", batches(stream), lambda _: signal.raise_signal(signal.SIGTERM) or {}),
    ):
        evaluated = plan(tmp_path / name, evaluate=evaluate, evaluate_at=frozenset([12]))
        with pytest.raises(Stopped, match="after step 12"):
            train(model, batch_of, evaluated)
        assert checkpoint.latest(tmp_path / name)[0].step == 12


def twice(first: signal.Signals, second: signal.Signals) -> Callable[[], None]:
    def send() -> None:
        signal.raise_signal(first)
        signal.raise_signal(second)

    return send


@pytest.mark.parametrize("first", SIGNALS)
def test_a_second_ctrl_c_stops_at_once(
    first: signal.Signals, tmp_path: Path, whole: tuple[GPT, Progress, list[float]]
) -> None:
    model, stream = small_model()
    send = twice(first, signal.SIGINT)
    with pytest.raises(KeyboardInterrupt) as stopped:
        train(model, before(5, send, stream), plan(tmp_path, checkpoint_every=EVERY_STEP))
    assert not isinstance(stopped.value, Stopped)
    assert checkpoint.latest(tmp_path)[0].step == 5
    goes_on(tmp_path, whole)


def test_a_second_sigterm_does_not_interrupt_the_saving(tmp_path: Path) -> None:
    """A scheduler and torchrun may both pass one on."""
    model, stream = small_model()
    with pytest.raises(Stopped):
        train(model, before(5, twice(signal.SIGTERM, signal.SIGTERM), stream), plan(tmp_path))
    assert checkpoint.latest(tmp_path)[0].step == 6


def test_signals_are_left_alone_outside_the_main_thread(
    tmp_path: Path, whole: tuple[GPT, Progress, list[float]]
) -> None:
    """There no handler can be set: training works, and whoever has the main thread keeps its signals."""
    installed, seen = handlers(), []
    model, stream = small_model()

    def work() -> None:
        train(model, before(5, lambda: seen.append(handlers()), stream), plan(tmp_path))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [installed]
    assert same(model, whole[0])


def test_a_handler_that_python_did_not_set_is_no_hindrance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal, "getsignal", lambda _: None)
    installed = [signal.signal(number, signal.SIG_IGN) for number in SIGNALS]
    try:
        with stop_signals() as asked:
            signal.raise_signal(signal.SIGTERM)
        assert asked.number == signal.SIGTERM
    finally:
        for number, handler in zip(SIGNALS, installed, strict=True):
            signal.signal(number, handler)


def bad_loss(value: float) -> Callable[[GPT, Tensor], Tensor]:
    return lambda model, loss: loss * value


def bad_gradient(model: GPT, loss: Tensor) -> Tensor:
    """The loss is as it should be, but not its slope: that of a square root at zero."""
    weight = model.head.weight
    return loss + (weight - weight.detach()).sum().sqrt()


BAD = {
    "nan": (bad_loss(float("nan")), "the loss is nan at step 7"),
    "inf": (bad_loss(float("inf")), "the loss is inf at step 7"),
    "gradient": (bad_gradient, "the gradient norm is (nan|inf) at step 7"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("every", [0, EVERY_STEP])
def test_numbers_that_are_not_finite_stop_at_once(
    name: str, every: float, tmp_path: Path, whole: tuple[GPT, Progress, list[float]]
) -> None:
    """Step 7 is counted from 0. The state before it is kept, whatever was saved before, and is as good as any."""
    bad, message = BAD[name]
    calls: list[int] = []
    logged: list[int] = []

    def change(model: GPT, loss: Tensor) -> Tensor:
        calls.append(1)
        return bad(model, loss) if len(calls) == 8 else loss

    model, stream = small_model()
    harmed = plan(
        tmp_path, objective=Changed(change), checkpoint_every=every, log=lambda step, values: logged.append(step)
    )
    with pytest.raises(FloatingPointError, match=f"{message}; the last good checkpoint is kept"):
        train(model, batches(stream), harmed)
    assert len(calls) == 8
    assert logged == list(range(1, 8))
    found, _ = checkpoint.latest(tmp_path)
    assert found.step == 7
    assert all(bool(weights.isfinite().all()) for weights in found.weights.values())
    goes_on(tmp_path, whole)


def test_the_command_says_so_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["+experiment=naive", *TINY, "model.dropout=0.1"]
    assert run(monkeypatch, "train", *call, f"run={tmp_path / 'whole'}") == 0
    calls: list[int] = []

    right = CausalLM.loss

    def loss(objective: CausalLM, model: GPT, batch: LabeledBatch) -> Loss:
        calls.append(model.training)
        found = right(objective, model, batch)
        return found._replace(sum=found.sum * (float("nan") if sum(calls) == 6 else 1))

    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr(CausalLM, "loss", loss)
        assert run(patch, "train", *call, f"run={tmp_path / 'run'}") == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert errors == ["error: the loss is nan at step 5; the last good checkpoint is kept"]
    folder = RunDir(tmp_path / "run")
    assert folder.read_status()["status"] == "failed"
    assert "the loss is nan at step 5" in (folder.path / "log.txt").read_text()
    assert checkpoint.latest(folder.checkpoints)[0].step == 5
    assert run(monkeypatch, "train", *call, f"run={folder.path}") == 0
    last = "checkpoints/step-000000008/weights.safetensors"
    assert (folder.path / last).read_bytes() == (tmp_path / "whole" / last).read_bytes()
    assert folder.read_results()["tokens"] == RunDir(tmp_path / "whole").read_results()["tokens"]


def spoil(model: GPT) -> None:
    with torch.no_grad():
        model.head.weight[0, 0] = float("inf")


@pytest.mark.parametrize("every", [0, EVERY_STEP])
def test_weights_that_are_not_finite_are_never_saved(every: float, tmp_path: Path) -> None:
    model, stream = small_model()
    with pytest.raises(FloatingPointError, match=r"the loss is (nan|inf) at step 7"):
        train(model, before(7, lambda: spoil(model), stream), plan(tmp_path, checkpoint_every=every))
    assert [path.name for path in checkpoint.saved(tmp_path)] == [f"step-{i:09d}" for i in (6, 7) if every]


def test_an_update_that_breaks_the_weights_is_not_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The losses so far are finite, so nothing else tells."""
    model, stream = small_model()
    step = Optimizers.step

    def broken(optimizers: Optimizers, scale: float) -> None:
        step(optimizers, scale)
        if len(checkpoint.saved(tmp_path)) == 2:
            spoil(model)

    monkeypatch.setattr(Optimizers, "step", broken)
    with pytest.raises(FloatingPointError, match="a weight is not finite after step 3; the last good"):
        train(model, batches(stream), plan(tmp_path, checkpoint_every=EVERY_STEP))
    assert [path.name for path in checkpoint.saved(tmp_path)] == ["step-000000001", "step-000000002"]


class Late(AsyncScalars):
    """As on a GPU: a step's numbers are read when the next one's are on their way."""

    def __init__(self, device: torch.device) -> None:
        super().__init__(device)
        self.lag = 1


def test_a_gpu_that_is_a_step_ahead_loses_no_line_and_saves_nothing_bad(
    tmp_path: Path, whole: tuple[GPT, Progress, list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mothello.training.loop.AsyncScalars", Late)
    logged: dict[int, tuple[float, float]] = {}

    def log(step: int, values: Mapping[str, float]) -> None:
        assert step not in logged
        logged[step] = values["train/loss"], values["train/lr_scale"]

    model, stream = small_model()
    with pytest.raises(Stopped):
        train(model, before(5, lambda: signal.raise_signal(signal.SIGINT), stream), plan(tmp_path, log=log))
    model, stream = small_model()
    train(model, batches(stream), plan(tmp_path, log=log))
    assert same(model, whole[0])
    assert [logged[step][0] for step in range(1, 13)] == whole[2]
    assert logged[1][1] == 1.0
    assert logged[12][1] == 0.0  # the schedule of the very step

    calls: list[int] = []

    def change(_: GPT, loss: Tensor) -> Tensor:
        calls.append(1)
        return loss * (float("nan") if len(calls) == 8 else 1)

    model, stream = small_model()
    with pytest.raises(FloatingPointError, match="step 7"):
        train(model, batches(stream), plan(tmp_path / "bad", objective=Changed(change), checkpoint_every=EVERY_STEP))
    assert checkpoint.latest(tmp_path / "bad")[0].step == 7


def test_only_numbers_that_are_not_finite_stop_a_run() -> None:
    check_finite(StepStats(0, 1e30, 1e30, 0.0))
    for bad in (float("nan"), float("inf"), -float("inf")):
        with pytest.raises(FloatingPointError, match="loss"):
            check_finite(StepStats(3, bad, 1.0, 0.0))
        with pytest.raises(FloatingPointError, match="gradient norm"):
            check_finite(StepStats(3, 1.0, bad, 0.0))
