"""A model of 20,000 weights, its games and a plan: what the tests of the loop share."""

from collections.abc import Callable
from pathlib import Path

import torch

from mothello.data.batch import Batch
from mothello.data.split import Split, corpus
from mothello.data.stream import Stream
from mothello.languages.language_set import LanguagesConfig, build_languages
from mothello.model.build import build_model
from mothello.model.transformer import GPT, ModelConfig
from mothello.objectives.causal_lm import causal_lm
from mothello.othello.board import Board
from mothello.training.device import Precision
from mothello.training.loop import Plan
from mothello.training.optimizer import OptimizerConfig, OptimizerName


def small_model(dropout: float = 0.1, share: tuple[int, int] = (0, 1)) -> tuple[GPT, Stream]:
    language_set = build_languages(LanguagesConfig(kinds=["atomic", "split"]), Board.of(4))
    config = ModelConfig(n_layer=2, n_head=2, d_model=16, dropout=dropout)
    model = build_model(config, language_set).initialize(0)
    return model, Stream(corpus(Board.of(4), 0, Split.train, 200), language_set, 16, seed=0, share=share)


def plan(folder: Path, steps: int = 12, name: str = "muon", **more: object) -> Plan:
    settings: dict[str, object] = {
        "steps": steps, "objective": causal_lm, "optimizer": OptimizerConfig(name=OptimizerName(name)),
        "precision": Precision.fp32, "seed": 0, "folder": folder, "log": lambda step, values: None,
        "evaluate": lambda model: {}, "evaluate_at": frozenset(), "log_every": 1, "checkpoint_every": 0,
    }  # fmt: skip
    return Plan(**(settings | more))  # type: ignore[arg-type]


EVERY_STEP = 1e-9
"""Seconds between checkpoints."""


class Killed(BaseException):
    """Stands for a kill: nothing may catch it."""


def before(step: int, act: Callable[[], object], stream: Stream) -> Callable[[int], Batch]:
    """The stream's batches; ``act`` is called when that step's is asked for."""

    def batch_of(at: int) -> Batch:
        if at == step:
            act()
        return stream.batch(at)

    return batch_of


def kill() -> None:
    raise Killed


def same(one: GPT, other: GPT) -> bool:
    """Whether the weights are, bit for bit."""
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)
