"""Proves: where the newest checkpoint of a run is damaged, its measures use the one before and say so, in the log, in their
results and on the page; once the run is mended they are made again, and never replaced by ones of an older state."""

import logging
import shutil
from pathlib import Path

import pytest
from house.commands import QUIET, TINY, TINY_CAUSAL, TINY_PROBE, run

from mothello.rundir import RunDir
from mothello.stages.load import load_run

CALL = ["+experiment=naive", *TINY, "checkpoint_every=1e-9"]
PROBE = ["probe", "run=run", *TINY_PROBE, *TINY_CAUSAL]
TRANSFER = [
    "transfer", "run=run", *QUIET, "transfer.probe_before_and_after=false", "transfer.data.games=64",
    "transfer.data.batch_size=16", "transfer.evaluation.games=8",
]  # fmt: skip
LAST = Path("run/checkpoints/step-000000008")


@pytest.fixture
def damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished run of eight steps in ``run``, whose last checkpoint is cut off."""
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "train", *CALL, "run=run") == 0
    harm()
    return tmp_path


def harm() -> None:
    path = LAST / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:1000])


def measured(pattern: str) -> tuple[int, int]:
    (folder,) = Path("run").glob(pattern)
    results = RunDir(folder).read_results()
    return results["step"], results["steps"]


def begun_from() -> tuple[int, int]:
    """The state of the run that its fine-tuning began from."""
    begun = RunDir(child()).read_config()["from"]
    return begun["step"], begun["steps"]


def child() -> Path:
    (folder,) = (
        path for path in Path("run/finetune").iterdir() if path.is_dir() and not path.name.endswith("-scratch")
    )
    return folder


def page(monkeypatch: pytest.MonkeyPatch) -> str:
    assert run(monkeypatch, "report", "runs=[run]", "out=report") == 0
    return Path("report/index.html").read_text()


def test_the_one_before_is_used_and_told(
    damaged: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert load_run("run").step == 7
    assert "weights.safetensors is damaged" in caplog.text
    assert "using the one before, step 7 of 8" in caplog.text
    assert run(monkeypatch, *PROBE) == 0
    assert "using the one before, step 7 of 8" in capsys.readouterr().out
    assert measured("measures/probes-*") == (7, 8)
    assert "measured after 7 of 8 steps" in page(monkeypatch)

    assert run(monkeypatch, "train", *CALL, "run=run") == 0
    assert load_run("run").step == 8
    capsys.readouterr()
    assert run(monkeypatch, *PROBE) == 0
    assert "finished already" not in capsys.readouterr().out
    assert measured("measures/probes-*") == (8, 8)
    assert "measured after" not in page(monkeypatch)

    harm()
    assert run(monkeypatch, *PROBE) == 0
    assert "finished already" in capsys.readouterr().out
    assert measured("measures/probes-*") == (8, 8)


def test_a_fine_tuning_goes_on_from_where_it_began(
    damaged: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, *TRANSFER) == 0
    assert begun_from() == (7, 8)
    assert run(monkeypatch, "train", *CALL, "run=run") == 0
    RunDir(child()).write_status("failed")  # as if it had been killed
    capsys.readouterr()
    assert run(monkeypatch, *TRANSFER) == 2
    assert "began from step 7 of the run, whose newest good checkpoint is step 8" in capsys.readouterr().err
    RunDir(child()).write_status("ok")  # finished, but on an older state: made again
    assert run(monkeypatch, *TRANSFER) == 0
    assert begun_from() == (8, 8)


def test_without_a_good_one_it_is_refused(
    damaged: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree("run/checkpoints/step-000000007")
    capsys.readouterr()
    for call in (PROBE, TRANSFER, ["train", *CALL, "run=run"]):
        assert run(monkeypatch, *call) == 2
        assert "weights.safetensors is damaged" in capsys.readouterr().err
