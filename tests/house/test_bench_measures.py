"""Proves: bench.py target=measures ends with the numbers it promises and draws its figure; ours and the slow loops give the
same counts (it says so itself, and stops where they differ)."""

import json
from pathlib import Path

import pytest
import torch
from house.commands import run
from benchmarks.reference import published_measures

from mothello.cli.timing import measures as bench_measures
from mothello.cli.timing.measures import Sizes


@pytest.fixture
def few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bench_measures, "SIZES", Sizes(ours=4, slow=1, slow_alignment=1, ten=4, growth=4, fit=32))
    monkeypatch.setattr(bench_measures, "LANGUAGES", (2, 3))
    monkeypatch.setattr(bench_measures, "SMALL", bench_measures.ModelConfig(n_layer=1, n_head=2, d_model=16))
    monkeypatch.setattr(torch, "compile", lambda model: model)


@pytest.mark.usefixtures("few")
def test_numbers_and_figure(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "bench", "target=measures", "device=cpu", "out=there") == 0
    numbers = json.loads(capsys.readouterr().out.splitlines()[-1])
    for name in ("legality", "alignment"):
        ours, slow = numbers[f"measures.{name}_ours_ms"], numbers[f"measures.{name}_slow_ms"]
        assert numbers[f"measures.{name}_ratio"] == pytest.approx(slow / ours, rel=0.01)
    assert [point["languages"] for point in numbers["measures.languages"]] == [2, 3]
    assert [point["passes"] for point in numbers["measures.languages"]] == [2, 3]
    assert numbers["measures.ten_languages_s"] is None
    assert Path("there/languages.png").stat().st_size > 5000
    assert json.loads(Path("there/measures.json").read_text()) == numbers


@pytest.mark.usefixtures("few")
def test_it_stops_where_the_slow_loops_count_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    def other(*arguments: object) -> dict[str, float]:
        totals = legality(*arguments)  # type: ignore[arg-type]
        return totals | {"lenient": totals["lenient"] + 1}

    legality = published_measures.legality
    monkeypatch.setattr(published_measures, "legality", other)
    with pytest.raises(AssertionError, match="legality differs in lenient"):
        run(monkeypatch, "bench", "target=measures", "device=cpu")
