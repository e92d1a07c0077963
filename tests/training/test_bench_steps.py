"""The bench times the models and optimizers a user trains, in the very loop, and writes its numbers and its table."""

import json
from pathlib import Path

import pytest
import yaml
from house.commands import run

from mothello.cli.timing import steps as bench_steps
from mothello.cli.timing import train as bench_train
from mothello.cli.timing.steps import SHAPES, Shape, Way
from mothello.config import typed
from mothello.model.transformer import ModelConfig
from mothello.training.optimizer import OptimizerConfig

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.mark.parametrize(("shape", "model", "optimizer"), [("paper", "paper", "published"), ("small", "small", "muon")])
def test_the_shapes_are_the_configs(shape: str, model: str, optimizer: str) -> None:
    assert SHAPES[shape].model == typed(yaml.safe_load((CONFIGS / f"model/{model}.yaml").read_text()), ModelConfig)
    found = typed(yaml.safe_load((CONFIGS / f"optimizer/{optimizer}.yaml").read_text()), OptimizerConfig)
    assert SHAPES[shape].optimizer == found


def test_numbers_and_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    tiny = ModelConfig(n_layer=1, n_head=2, d_model=16)
    shapes = {
        name: Shape(size, tiny, OptimizerConfig(), {"cpu": 4}, {"cpu": 2}, 1000)
        for name, size in (("paper", 6), ("small", 4))
    }
    monkeypatch.setattr(bench_train, "SHAPES", shapes)
    monkeypatch.setattr(bench_train, "best_product", lambda *_: 100.0)
    monkeypatch.setitem(bench_steps.WAYS, "cpu", [Way("eager", False)])
    assert run(monkeypatch, "bench", "target=train", "device=cpu", "out=there") == 0
    numbers = json.loads(capsys.readouterr().out.splitlines()[-1])
    for name in shapes:
        rate, theirs = numbers[f"train.{name}.tokens_per_s"], numbers[f"train.{name}.reference_tokens_per_s"]
        assert numbers[f"train.{name}.ratio_reference"] == pytest.approx(rate / theirs, abs=0.006)
        assert sum(numbers[f"train.{name}.time"][part] for part in ("products", "fused", "rest")) == pytest.approx(
            1, abs=0.01
        )
        assert 0 < numbers[f"train.{name}.time"]["of_it_update"] < 1
    assert numbers["train.mfu"] == numbers["train.paper.mfu"] > 0
    assert json.loads(Path("there/train.json").read_text()) == numbers
    table = Path("there/train.md").read_text()
    rows = [line.split("|")[1:-1] for line in table.splitlines() if line.startswith("|")]
    assert len({len(row) for row in rows}) == 1
    assert [(row[0].strip(), row[1].strip()) for row in rows[2:]] == [
        (name, way) for name in shapes for way in ("eager", "published recipe, fp32")
    ]
    assert f"{numbers['train.paper.tokens_per_s']:,}" in table
