"""A model of 20,000 weights, its games and a plan: what the tests of the loop share."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from data.streams import stream_of
from torch import Tensor

from mothello.data.batch import LabeledBatch
from mothello.data.split import Split, corpus
from mothello.data.stream import Stream
from mothello.languages.language_set import LanguagesConfig, build_languages
from mothello.model.build import build_model
from mothello.model.transformer import GPT, ModelConfig
from mothello.objectives.causal_lm import CausalLM
from mothello.objectives.objective import Loss
from mothello.othello.board import Board
from mothello.training.device import Precision
from mothello.training.optimizer import OptimizerConfig, OptimizerName
from mothello.training.plan import Plan


def small_model(dropout: float = 0.1, share: tuple[int, int] = (0, 1)) -> tuple[GPT, Stream]:
    language_set = build_languages(LanguagesConfig(kinds=["atomic", "split"]), Board.of(4))
    config = ModelConfig(n_layer=2, n_head=2, d_model=16, dropout=dropout)
    model = build_model(config, language_set).initialize(0)
    return model, stream_of(corpus(Board.of(4), 0, Split.train, 200), language_set, 16, seed=0, share=share)


def plan(folder: Path, steps: int = 12, name: str = "muon", **more: object) -> Plan:
    settings: dict[str, object] = {
        "steps": steps, "objective": CausalLM(), "optimizer": OptimizerConfig(name=OptimizerName(name)),
        "precision": Precision.fp32, "seed": 0, "folder": folder, "log_every": 1, "checkpoint_every": 0,
    }  # fmt: skip
    return Plan(**(settings | more))  # type: ignore[arg-type]


def mean_loss(model: GPT, batch: LabeledBatch) -> Tensor:
    loss = CausalLM().loss(model, batch)
    return loss.sum / loss.count


class Changed(CausalLM):
    """The causal LM with another loss: ``change`` sees the model and the right one's sum."""

    def __init__(self, change: Callable[[GPT, Tensor], Tensor]) -> None:
        super().__init__()
        self.change = change

    def loss(self, model: GPT, batch: LabeledBatch) -> Loss:
        right = super().loss(model, batch)
        return right._replace(sum=self.change(model, right.sum))


EVERY_STEP = 1e-9
"""Seconds between checkpoints."""


class Killed(BaseException):
    """Stands for a kill: nothing may catch it."""


def batches(stream: Stream) -> Callable[[int], LabeledBatch]:
    """The causal LM's batches."""
    return partial(CausalLM().batch, stream)


def before(step: int, act: Callable[[], object], stream: Stream) -> Callable[[int], LabeledBatch]:
    """The same; ``act`` is called when that step's is asked for."""

    def batch_of(at: int) -> LabeledBatch:
        if at == step:
            act()
        return batches(stream)(at)

    return batch_of


def kill() -> None:
    raise Killed


def same(one: GPT, other: GPT) -> bool:
    """Whether the weights are, bit for bit."""
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)
