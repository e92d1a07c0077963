"""Proves: how a run is computed (compiled, threads, versions, processes) is decided once and kept with it; a resumed run
follows what is kept, and says so in its log where it cannot or was told otherwise; the same step twice gives the same bits."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from training.loops import small_model

from mothello.rundir import RunDir
from mothello.stages.running import resolve_execution, running
from mothello.training import checkpoint
from mothello.training.device import Compile, DeviceConfig, Precision, deterministic, is_bf16
from mothello.training.distributed import World

CPU = torch.device("cpu")
MUCH, LITTLE = 10**12, 10


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    yield
    torch.set_num_threads(1)


def decide(folder: RunDir, tokens: int, world: World | None = None, **config: object) -> bool:
    """Settle how a run is computed, as the commands do, with everything logged in log.txt."""
    world = world or World()
    with running(folder, world):
        return resolve_execution(folder, DeviceConfig(**config), CPU, small_model()[0], tokens, world)  # type: ignore[arg-type]


def begun(folder: Path, **changed: object) -> RunDir:
    """A run that has a checkpoint, and was computed in another way than now."""
    made = RunDir(folder)
    torch.set_num_threads(1)
    decide(made, LITTLE, threads=1)
    checkpoint.save(made.checkpoints, checkpoint.Checkpoint(1, {}, {}))
    made.write_json("execution.json", made.read_json("execution.json") | changed)
    return made


def log(folder: RunDir) -> str:
    path = folder.path / "log.txt"
    return path.read_text() if path.exists() else ""


def test_a_long_training_is_compiled_and_a_short_one_is_not(tmp_path: Path) -> None:
    assert decide(RunDir(tmp_path / "a"), MUCH)
    assert not decide(RunDir(tmp_path / "b"), LITTLE)
    assert decide(RunDir(tmp_path / "c"), LITTLE, compile=Compile.always)
    assert not decide(RunDir(tmp_path / "d"), MUCH, compile=Compile.never)
    stored = RunDir(tmp_path / "a").read_json("execution.json")
    assert (stored["compiled"], stored["torch"], stored["processes"]) == (True, torch.__version__, 1)
    assert not log(RunDir(tmp_path / "a"))


@pytest.mark.parametrize("compiled", [True, False])
def test_auto_follows_what_is_kept(compiled: bool, tmp_path: Path) -> None:
    """Whatever would be decided now."""
    folder = begun(tmp_path, compiled=compiled, threads=2)
    assert decide(folder, LITTLE if compiled else MUCH) is compiled
    assert torch.get_num_threads() == 2
    assert folder.read_json("execution.json")["threads"] == 2
    assert not log(folder)


def test_without_a_checkpoint_nothing_is_followed(tmp_path: Path) -> None:
    """A run that left none begins again, and may do so in another way."""
    folder = RunDir(tmp_path)
    folder.write_json("execution.json", {"compiled": True, "threads": 2, "processes": 1, "torch": "1.0"})
    assert not decide(folder, LITTLE, threads=1)
    assert not log(folder)


@pytest.mark.parametrize(
    ("key", "kept", "now", "config", "world"),
    [
        ("compiled", True, False, {"compile": Compile.never}, World()),
        ("compiled", False, True, {"compile": Compile.always}, World()),
        ("threads", 2, 1, {"threads": 1}, World()),
        ("torch", "1.0", torch.__version__, {}, World()),
        ("processes", 2, 1, {}, World()),
        ("bf16", "neither", None, {}, World()),
        ("device", "NVIDIA", "cpu", {}, World()),
    ],
)
def test_a_change_is_told(
    key: str, kept: object, now: object, config: dict[str, object], world: World, tmp_path: Path
) -> None:
    folder = begun(tmp_path, **{key: kept})
    decide(folder, LITTLE, world, **config)
    (line,) = log(folder).splitlines()
    assert f"WARNING started with {key}={kept}, resumed with {key if now is None else now}" in line or now is None
    assert folder.read_json("execution.json")[key] != kept
    decide(folder, LITTLE, world, **config)
    assert len(log(folder).splitlines()) == 1  # once: from now on it is kept like that


def test_an_error_is_told_in_the_log_and_the_status(tmp_path: Path) -> None:
    folder = RunDir(tmp_path)
    with pytest.raises(ZeroDivisionError), running(folder, World()):
        raise ZeroDivisionError("on purpose")
    assert "WARNING ZeroDivisionError: on purpose" in log(folder)
    status = folder.read_status()
    assert (status["status"], status["error"]) == ("failed", "ZeroDivisionError: on purpose")
    assert "Traceback" in status["traceback"]


def test_only_the_first_process_writes(tmp_path: Path) -> None:
    with running(RunDir(tmp_path / "run"), World(1, 2)):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("compiled", [False, True])
def test_what_was_set_for_the_process_is_put_back(compiled: bool) -> None:
    before = torch.get_deterministic_debug_mode(), torch.utils.deterministic.fill_uninitialized_memory
    with deterministic(CPU, compiled):
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.utils.deterministic.fill_uninitialized_memory
    assert before == (torch.get_deterministic_debug_mode(), torch.utils.deterministic.fill_uninitialized_memory)


@pytest.mark.parametrize("emulated_only", [True, False])
def test_emulated_bf16_is_not_chosen(emulated_only: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch says by default that a T4 or V100 supports bf16: it emulates it, slower than fp32."""

    def is_bf16_supported(including_emulation: bool = True) -> bool:
        return including_emulation or not emulated_only

    monkeypatch.setattr("torch.cuda.is_bf16_supported", is_bf16_supported)
    gpu = torch.device("cuda")
    assert is_bf16(gpu, Precision.auto) is not emulated_only
    assert is_bf16(gpu, Precision.bf16)
    assert not is_bf16(gpu, Precision.fp32)
