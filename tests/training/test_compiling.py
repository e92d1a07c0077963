"""Proves: a compiler that is missing or broken costs one warning and no result: the run is eager, says so where it keeps how
it was computed, and goes on in the same way; with device.compile=always it is one line."""

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from house.commands import QUIET, TINY, run
from training.loops import batches, plan, same, small_model
from training.processes import Child

from mothello.compiling import Compiled, reason
from mothello.errors import UserError
from mothello.rundir import RunDir
from mothello.stages import running
from mothello.training.loop import train


class Broken:
    """In place of torch.compile: what it makes fails from its nth call on."""

    def __init__(self, nth: int = 1) -> None:
        self.nth, self.asked = nth, 0

    def __call__(self, function: Callable[..., Any], **_: object) -> Callable[..., Any]:
        self.asked += 1

        def compiled(*arguments: Any, **more: Any) -> Any:
            self.nth -= 1
            if self.nth <= 0:
                raise RuntimeError("C++ compile error\n\nOutput:\nx.cpp:1: fatal error: omp.h: No such file\nmore")
            return function(*arguments, **more)

        return compiled


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Broken:
    compiler = Broken()
    monkeypatch.setattr(torch, "compile", compiler)
    return compiler


def triple(x: torch.Tensor) -> torch.Tensor:
    return x * 3


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_failure_is_one_warning_and_one_call(broken: Broken, caplog: pytest.LogCaptureFixture) -> None:
    told: list[int] = []
    tripled = Compiled(triple, "the triple", failed=lambda: told.append(1))
    for x in torch.arange(3):
        assert tripled(x) == 3 * x
    assert (broken.asked, told) == (1, [1])
    why = "x.cpp:1: fatal error: omp.h: No such file"
    assert warned(caplog) == [f"the triple stays eager (slower): no working compiler: {why}"]


def test_a_compiler_that_breaks_later(broken: Broken, caplog: pytest.LogCaptureFixture) -> None:
    """Another shape is another compilation."""
    broken.nth = 3
    tripled = Compiled(triple, "the triple")
    assert [int(tripled(x)) for x in torch.arange(5)] == [0, 3, 6, 9, 12]
    assert len(warned(caplog)) == 1


def test_where_it_must_be_compiled_it_is_a_users_error(broken: Broken) -> None:
    with pytest.raises(
        UserError, match=r"^device.compile: legality cannot be compiled \(x.cpp.*omp.h.*\); auto runs it"
    ):
        Compiled(triple, "legality", must=True)(torch.ones(1))


@pytest.mark.parametrize("must", [True, False])
def test_a_function_at_fault_is_not_the_compilers(must: bool, broken: Broken, caplog: pytest.LogCaptureFixture) -> None:
    def divided(x: int) -> float:
        return 1 / x

    with pytest.raises(ZeroDivisionError):
        Compiled(divided, "the quotient", must)(0)
    assert not warned(caplog)


def test_a_compiled_model_is_a_model() -> None:
    model = small_model()[0].eval()
    compiled = Compiled(model, "a model")
    assert (compiled.training, compiled.n_positions) == (False, model.n_positions)


def test_the_reason_is_the_innermost() -> None:
    error = RuntimeError("backend='inductor' raised:")
    error.__cause__ = OSError(28, "No space left on device")
    assert reason(error) == "[Errno 28] No space left on device"
    assert reason(KeyError()) == "KeyError"


@pytest.mark.parametrize("nth", [1, 4])
def test_a_training_ends_as_an_eager_one(nth: int, broken: Broken, tmp_path: Path) -> None:
    broken.nth = nth
    models = []
    for compiled in (False, True):
        model, stream = small_model()
        train(model, batches(stream), plan(tmp_path / str(compiled), compiled=compiled))
        models.append(model)
    assert same(*models)
    assert broken.asked == 1


CALL = ["+experiment=naive", *TINY]


def test_a_run_without_a_compiler(
    broken: Broken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is as long as one that is compiled by default, and goes on without asking again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(running, "worth_compiling", lambda *_: True)
    for _ in range(2):
        assert run(monkeypatch, "train", *CALL, "run=run") == 0
        folder = RunDir("run")
        assert folder.read_json("execution.json")["compiled"] is False
        assert folder.read_results()["compiled"] is False
        assert broken.asked == 1
        folder.write_status("failed")  # as a stop after the last step leaves it
    assert capsys.readouterr().out.count("training stays eager") == 1
    assert (tmp_path / "run" / "log.txt").read_text().count("training stays eager") == 1


def test_always_is_one_line(
    broken: Broken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "train", *CALL, "run=run") == 0
    for call in (
        ["train", *CALL, "run=other"],
        ["measure", "run=run", *QUIET, "measures=[legality]", "legality.games=4"],
    ):
        capsys.readouterr()
        assert run(monkeypatch, *call, "device.compile=always") == 2
        out, err = capsys.readouterr()
        (line,) = [line for line in err.splitlines() if "error" in line]
        assert line.startswith("error: device.compile: ")
        assert "Traceback" not in out + err


# Real compilers.


def descend(folder: Path) -> None:
    """A function with its gradient, compiled under three broken circumstances; then the machine's own compiler."""
    from torch._inductor import config

    from mothello.cli.main import log_to_console

    log_to_console()
    (folder / "file").touch()
    (folder / "cxx").write_text(
        "#!/bin/sh\ncase \"$1\" in --version) echo 'g++ 13';; *) echo 'x: error: no' >&2; exit 1; esac"
    )
    (folder / "cxx").chmod(0o755)
    for name, cache, compiler in (
        ("no folder for the cache", folder / "file", "g++"),
        ("false", folder / "a", "/bin/false"),
        ("a compiler that fails", folder / "b", str(folder / "cxx")),
    ):
        torch._dynamo.reset()
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(cache)
        config.cpp.cxx = (None, compiler)
        x = torch.ones(8, requires_grad=True)
        Compiled(lambda x: (x.sin() * 3).sum(), name, dynamic=False)(x).backward()
        assert torch.equal(x.grad, 3 * torch.ones(8).cos())  # type: ignore[arg-type]
    sys.stdout.flush()


@pytest.mark.slow
def test_real_compilers_that_are_there_and_broken(tmp_path: Path) -> None:
    child = Child(descend, tmp_path)
    assert child.wait() == 0, child.text
    lines = child.text.splitlines()
    assert [line.partition(" - ")[2].partition(" stays")[0] for line in lines] == [
        "no folder for the cache", "false", "a compiler that fails",
    ], child.text  # fmt: skip
