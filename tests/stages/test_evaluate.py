"""Proves: where the text so far does not fix the board, an evaluation has a loss, and neither legality nor a floor;
control: with the same objective on plain languages it has all three."""

import torch

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
