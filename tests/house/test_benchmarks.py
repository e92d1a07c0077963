"""Proves: every benchmark ends with the numbers it promises as one JSON object, and writes its file and figure; ours and the
slow loops give the same counts (the benchmark says so itself, and stops where they differ)."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from house.pretend import pretended_gpu

from benchmarks import (
    common,
    company,
    cuda_graphs,
    engine,
    figures,
    growth,
    measures,
    micro_batches,
    objectives,
    steps,
    training,
)
from benchmarks.reference import published_measures
from mothello.model.transformer import ModelConfig
from mothello.othello.random_play import CHUNK

ROOT = Path(__file__).parents[2]


def run(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    benchmark: Callable[..., Any],
    *arguments: str,
    show: Any = None,
) -> dict[str, Any]:
    """The numbers of ``python -m benchmarks.NAME ARGUMENTS device.name=cpu out=out``."""
    monkeypatch.setattr(sys, "argv", ["benchmark", *arguments, "device.name=cpu", "device.threads=1", "out=out"])
    monkeypatch.setattr(common, "product_rate", lambda *_: 100.0)
    common.main(name, benchmark, show)
    numbers = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert json.loads(Path(f"out/{name}.json").read_text()) == numbers
    return dict(numbers)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")


@pytest.mark.slow
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


@pytest.mark.slow
def test_every_objective_is_timed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in (("WARM", 1), ("ROUNDS", 1)):
        monkeypatch.setattr(objectives, name, value)
    small = ["model=tiny", "data.batch_size=8"]
    monkeypatch.setattr(objectives, "ARMS", {name: [*arm, *small] for name, arm in objectives.ARMS.items()})
    arguments = ["seconds=0.05", "boards=[4]", "device.compile=never"]
    numbers = run(monkeypatch, capsys, "objectives", objectives.objectives, *arguments)
    assert numbers["objectives.4.naive.ratio"] == 1
    assert numbers["objectives.4.naive.tokens_per_s"] > 0
    read = {
        name: numbers[f"objectives.4.{name}.tokens_per_s"] * numbers[f"objectives.4.{name}.ms"]
        for name in objectives.ARMS
    }
    assert read["masked"] == pytest.approx(read["naive"], rel=0.1)  # the same games; times are rounded
    assert read["tlm"] == pytest.approx(1.25 * read["naive"], rel=0.15)  # a quarter of its rows hold them twice


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


def test_graphs_need_a_gpu(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, capsys, "cuda_graphs", cuda_graphs.cuda_graphs)
    assert stop.value.code == 2
    assert capsys.readouterr().err == "error: device: CUDA graphs need a CUDA device\n"


def test_graphs_are_timed_arm_by_arm(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a pretended GPU, where nothing is captured: every arm trains, and the rate is that of the eager one."""
    monkeypatch.setattr(cuda_graphs, "ARMS", {"eager": (False, False)})
    monkeypatch.setattr(cuda_graphs, "WARM_UP", 1)
    monkeypatch.setattr(cuda_graphs, "STEPS", 3)
    monkeypatch.setattr(cuda_graphs, "ROUNDS", 1)
    with pretended_gpu():
        numbers = cuda_graphs.cuda_graphs(common.BenchConfig(boards=[4]), torch.device("cuda"))
    assert set(numbers) == {f"cuda_graphs.4.{x}.eager.{y}" for x in ("causal_lm", "masked_lm") for y in ("ms", "speed")}
    assert numbers["cuda_graphs.4.masked_lm.eager.speed"] == 1


@pytest.mark.slow
def test_training_compares_with_the_published_recipe(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = ("model=tiny", "board=4x4", "languages=atomic_pair")
    shapes = {name: steps.Shape((*tiny, f"optimizer={optimizer}"), {"cpu": 4}, {"cpu": 2}, 1000)
              for name, optimizer in (("paper", "published"), ("small", "muon"))}  # fmt: skip
    monkeypatch.setattr(training, "SHAPES", shapes)
    monkeypatch.setattr(training, "product_rate", lambda *_, **__: 100.0)
    monkeypatch.setattr(training, "EXECUTIONS", {"cpu": [steps.Execution("eager", False)]})
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    numbers = run(monkeypatch, capsys, "train", training.training, show=training.table)
    for name in shapes:
        rate, theirs = numbers[f"train.{name}.tokens_per_s"], numbers[f"train.{name}.reference_tokens_per_s"]
        assert numbers[f"train.{name}.ratio_reference"] == pytest.approx(rate / theirs, abs=0.006)
        time = numbers[f"train.{name}.time"]
        assert time["products"] + time["fused"] + time["rest"] == pytest.approx(1, abs=0.01)
        assert 0 < time["of_it_update"] < 1
    assert numbers["train.mfu"] == numbers["train.paper.mfu"] > 0
    assert [(row["shape"], row["way"]) for row in numbers["train.ways"]] == [
        (name, way) for name in shapes for way in ("eager", "published recipe, fp32")
    ]
    rows = [line.split("|") for line in Path("out/train.md").read_text().splitlines() if line.startswith("|")]
    assert {len(row) for row in rows} == {9}
    assert f" {numbers['train.paper.tokens_per_s']:,} " in rows[2]
    assert "share of the best products" in rows[0][4]
    assert numbers["train.small.best_gflops"] == numbers["train.small.fp32_gflops"] == 100


def test_the_shapes_are_what_a_user_trains() -> None:
    paper, small = (steps.SHAPES[name].config for name in ("paper", "small"))
    assert (paper.board.size, paper.model.n_layer, paper.model.d_model, paper.optimizer.name) == (8, 8, 512, "adamw")
    assert (small.board.size, small.model.n_layer, small.model.d_model, small.optimizer.name) == (6, 4, 128, "muon")


@pytest.mark.slow
def test_a_worker_next_to_a_busy_process_tells_its_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    worker = company.Worker("short", False, 1)
    try:
        assert worker.rate(0.01) > 0
    finally:
        worker.end()


@pytest.fixture
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = ModelConfig(n_layer=1, n_head=2, d_model=16)
    sizes = measures.Sizes(
        languages=(2, 3), ours=4, slow=1, slow_alignment=1, ten=4, growth=4, fit=32, hidden=8, model=tiny
    )
    monkeypatch.setattr(measures, "SIZES", sizes)
    monkeypatch.setattr("torch.compile", lambda model: model)


@pytest.mark.usefixtures("_few")
@pytest.mark.slow
def test_measures_compare_with_one_position_at_a_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    numbers = run(monkeypatch, capsys, "measures", measures.measures, show=measures.figure)
    for name in ("legality", "alignment"):
        ours, slow = numbers[f"measures.{name}_ours_ms"], numbers[f"measures.{name}_slow_ms"]
        assert numbers[f"measures.{name}_ratio"] == pytest.approx(slow / ours, rel=0.01)
    assert [point["languages"] for point in numbers["measures.languages"]] == [2, 3]
    assert all(numbers[f"measures.posterior_{context}_s"] > 0 for context in ("game", "prefix"))
    assert [point["passes"] for point in numbers["measures.languages"]] == [2, 3]
    assert numbers["measures.ten_languages_s"] is None
    assert Path("out/measures.png").stat().st_size > 5000


@pytest.mark.usefixtures("_few")
def test_measures_stop_where_the_slow_loops_count_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    def other(*arguments: Any) -> dict[str, float]:
        totals = legality(*arguments)
        return totals | {"lenient": totals["lenient"] + 1}

    legality = published_measures.legality
    monkeypatch.setattr(published_measures, "legality", other)
    with pytest.raises(AssertionError, match="legality differs in lenient"):
        measures.legality(measures.random_subject(["atomic", "atomic"], torch.device("cpu")))


def test_parts_of_a_batch(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(micro_batches, "GAMES", 64)
    numbers = run(monkeypatch, capsys, "micro_batches", micro_batches.micro_batches, "boards=[4]")
    for name in ("mb", "ms", "memory", "time"):
        assert {f"micro_batches.4.{parts}.{name}" for parts in (1, 4, 16)} <= set(numbers)
    memory = [numbers[f"micro_batches.4.{parts}.memory"] for parts in (1, 4, 16)]
    assert memory[0] == 1
    assert max(memory[1:]) < 0.7
