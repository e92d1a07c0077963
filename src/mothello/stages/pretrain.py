"""Pretraining on the mixture of all languages of a family."""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from mothello.data.corpus import Corpus
from mothello.data.stream import DataConfig, Stream
from mothello.languages.family import Family
from mothello.model.transformer import GPT
from mothello.objectives.objective import Objective
from mothello.stages.stage import EvaluationConfig, Evaluator
from mothello.training.device import Precision
from mothello.training.loop import Hooks, Progress, train
from mothello.training.optimizer import OptimizerConfig


def pretrain(
    model: GPT,
    family: Family,
    corpus: Corpus,
    data: DataConfig,
    optimizer: OptimizerConfig,
    objective: Objective,
    evaluator: Evaluator,
    evaluation: EvaluationConfig,
    precision: Precision,
    seed: int,
    folder: Path,
    log: Callable[[int, Mapping[str, float]], None],
    checkpoint_every: int,
    compiled: bool = False,
    title: str = "pretrain",
) -> Progress:
    """Train on ``data.steps`` batches of the corpus; checkpoints in ``folder``, numbers to ``log``."""
    device: torch.device = model.head.weight.device
    stream = Stream(corpus, family, data.batch_size, seed, device)
    hooks = Hooks(log, lambda _: evaluator(model), evaluation.log_every, evaluation.steps(data.steps), checkpoint_every)
    return train(model, stream.batch, data.steps, objective, optimizer, precision, seed, folder, hooks, compiled, title)
