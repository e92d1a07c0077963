"""Proves: where the text so far does not fix the board, an evaluation has a loss, and neither legality nor a floor;
control: with the same objective on plain languages it has all three."""

import re
from pathlib import Path

import pytest
import torch

import mothello
from mothello.data.config import DataConfig
from mothello.data.sources import Sources
from mothello.data.split import Split, corpus
from mothello.languages.language_set import LanguagesConfig, LanguageSet, build_languages
from mothello.languages.traits import Order, Traits
from mothello.model.build import build_model
from mothello.model.transformer import ModelConfig
from mothello.objectives.causal_lm import CausalLM
from mothello.othello.board import Board
from mothello.stages.evaluate import Evaluator
from mothello.training.device import Precision

FOUR = Board.of(4)


class AnyOrder(CausalLM):
    """An objective that takes texts in any order."""

    def check(self, games: Sources, data: DataConfig, language_set: LanguageSet) -> None: ...


def numbers(traits: Traits) -> dict[str, float]:
    languages = build_languages(LanguagesConfig(traits={"atomic_1": traits}), FOUR)
    games = Sources.shared(corpus(FOUR, 0, Split.validation, 16), 2)
    device = torch.device("cpu")
    evaluate = Evaluator(languages, games, 16, AnyOrder(), Precision.fp32, [1, 1], lambda _: {}, device)
    model = build_model(ModelConfig(n_layer=1, n_head=2, d_model=16), languages).initialize(0).eval()
    return evaluate(model) | {"plies": float(len(evaluate.by_ply.get("atomic_1", [])))}


def test_no_legality_and_no_floor_without_a_board() -> None:
    found, plain = numbers(Traits(order=Order.inversion)), numbers(Traits())
    assert found["val/loss"] > 0
    assert found["val/floor"] != found["val/floor"]
    assert "val/top1" not in found
    assert found["plies"] == 0
    assert {"val/top1", "val/loss"} <= set(plain)
    assert plain["val/floor"] > 0


def test_every_evaluation_is_told_while_a_run_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beside chance and floor; the first, of random weights, is not, and the last is what the run ends with."""
    monkeypatch.chdir(tmp_path)
    model, data = {"n_layer": 1, "n_head": 2, "d_model": 16}, {"games": 256, "batch_size": 32}
    run = mothello.train(
        {"name": "one", "board": {"size": 4}, "model": model, "data": data, "evaluation": {"games": 8, "times": 2}}
    )
    told = capsys.readouterr()
    lines = re.findall(
        r"one, ([\d,]+) games: strict top-1 legality (\d\.\d+) \(chance .*, loss (\d\.\d+), .* above the floor",
        told.err,
    )
    logged = {line["step"]: line for line in run.folder.read_metrics() if "val/loss" in line}
    assert sorted(logged) == [0, 4, 8]
    assert lines == [("128", f"{logged[4]['val/top1']:.3f}", f"{logged[4]['val/loss']:.3f}")]
    assert f"done: strict top-1 legality {logged[8]['val/top1']:.3f}" in told.out
