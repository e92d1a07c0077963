"""Fine-tuning on one language: the same loop on games that are all written in it."""

from collections.abc import Callable, Mapping
from pathlib import Path

from mothello.data.batch import Batch, in_language
from mothello.data.corpus import Corpus
from mothello.data.stream import DataConfig, Stream
from mothello.languages.family import Family
from mothello.model.transformer import GPT
from mothello.objectives.objective import Objective
from mothello.stages.stage import EvaluationConfig, Evaluator
from mothello.training.device import Precision
from mothello.training.loop import Hooks, Progress, train
from mothello.training.optimizer import OptimizerConfig


def finetune(
    model: GPT,
    family: Family,
    language: int,
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
) -> Progress:
    """Train on ``data.steps`` batches in one language, evaluating every language on the way."""
    device = model.head.weight.device
    stream = Stream(corpus, family, data.batch_size, seed, device)

    def batch_of(step: int) -> Batch:
        return in_language(stream.batch(step).moves, language, family)

    hooks = Hooks(log, lambda _: evaluator(model), evaluation.log_every, evaluation.steps(data.steps), checkpoint_every)
    title = f"fine-tune {family.names[language]}"
    return train(model, batch_of, data.steps, objective, optimizer, precision, seed, folder, hooks, title=title)
