"""Proves: every benchmark ends with the numbers it promises as one JSON object, and writes its file and figure; ours and the
slow loops give the same counts (the benchmark says so itself, and stops where they differ)."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks import common, engine, figures, growth
from mothello.othello.random_play import CHUNK


def run(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    benchmark: Callable[..., Any],
    *arguments: str,
) -> dict[str, Any]:
    """The numbers of ``python -m benchmarks.NAME ARGUMENTS device.name=cpu out=out``."""
    monkeypatch.setattr(sys, "argv", ["benchmark", *arguments, "device.name=cpu", "device.threads=1", "out=out"])
    monkeypatch.setattr(common, "product_rate", lambda *_: 100.0)
    common.main(name, benchmark)
    numbers = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert json.loads(Path(f"out/{name}.json").read_text()) == numbers
    return dict(numbers)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")


def test_the_engine_without_a_compiler(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(*_: object, **__: object) -> object:
        def fail(*_: object) -> object:
            raise RuntimeError("no C++ compiler")

        return fail

    monkeypatch.setattr("torch.compile", broken)
    monkeypatch.setitem(CHUNK, "cpu", (1024, 1024))  # a user's are larger, and slow without a compiler
    monkeypatch.setattr(engine, "COUNTED", 8192)
    numbers = run(monkeypatch, capsys, "engine", engine.engines, "seconds=0.05", "boards=[4,8]", "peers=false")
    assert numbers["engine.8x8.eager_games_per_s"] > 0
    assert numbers["engine.8x8.eager_mean_length"] == pytest.approx(59.97, abs=0.03)
    assert numbers["engine.8x8.compiled_games_per_s"] is None
    assert numbers["engine.8x8.compile_s"] is None
    assert numbers["engine.8x8.ratio_pgx"] is None


def test_growth_measures_points_and_draws_them() -> None:
    points = [growth.point("games", n, 4, 1) for n in (100, 200)]
    languages = [growth.point("languages", n, 4, 1) for n in (2, 3)]
    assert all(point["seconds"] > 0 and point["peak_mb"] >= point["base_mb"] > 0 for point in points + languages)
    assert points[0]["extra"] == pytest.approx(11.5, abs=1)  # plies per game
    figures.growth_figure({"board": 4, "games": points, "languages": languages}).savefig("growth.png")
    assert Path("growth.png").stat().st_size > 5000


def test_the_timer_counts_calls_and_takes_the_best_round() -> None:
    calls: list[int] = []
    seconds = common.best_seconds(lambda: calls.append(0), least=0.001)
    assert 0 < seconds < 0.001
    assert len(calls) > 100
    calls.clear()
    common.best_seconds(lambda: calls.append(0))
    assert len(calls) == 5


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("seconds=0", ["seconds", "0.05"]),
        ("boards=[5]", ["5"]),
        ("nope=1", ["nope"]),
        ("device.name=tpu", ["device", "cuda"]),
    ],
)
def test_a_mistake_is_one_line(
    argument: str, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmark", argument])
    with pytest.raises(SystemExit) as stop:
        common.main("engine", engine.engines)
    line = capsys.readouterr().err
    assert stop.value.code == 2
    assert line.startswith("error: ")
    assert line.count("\n") == 1
    assert all(word in line for word in words)
