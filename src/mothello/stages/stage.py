"""What every stage needs, and evaluation along the way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int8
from torch import Tensor

from mothello.data.batch import Batch, make_batch
from mothello.data.corpus import Corpus
from mothello.data.floor import Floor, floor
from mothello.languages.language_set import LanguageSet
from mothello.measures.legality.estimate import legality
from mothello.model.transformer import GPT, ModelConfig
from mothello.objectives.objective import Objective
from mothello.training.device import Precision, autocast


@dataclass(kw_only=True)
class EvaluationConfig:
    """The cheap evaluation along a stage."""

    games: int = 128
    """Fixed validation games, the same in every language unless they have domains of their own."""
    times: int = 10
    """Evaluations along the stage, besides the first."""
    log_every: int = 20
    """Steps between training losses in the log."""

    def __post_init__(self) -> None:
        for name, low in (("games", 2), ("times", 1), ("log_every", 1)):
            if getattr(self, name) < low:
                raise ValueError(f"evaluation.{name}: {getattr(self, name)} is below {low}")

    def steps(self, total: int) -> frozenset[int]:
        """Steps after which to evaluate: 0, the last, and evenly between."""
        return frozenset(round(i * total / self.times) for i in range(self.times + 1))


def build_model(config: ModelConfig, language_set: LanguageSet) -> GPT:
    """A model that fits the languages, not yet initialised."""
    return GPT(config, language_set.vocabulary_size, language_set.max_tokens, language_set.output_size)


@dataclass(frozen=True)
class Evaluator:
    """Evaluates a model on fixed games, language by language."""

    language_set: LanguageSet
    moves: list[Int8[Tensor, "game ply"]]
    """Per language; the same games in all of them unless they speak of different domains."""
    batches: list[Batch]
    floors: list[Floor]
    objective: Objective
    precision: Precision

    def __call__(self, model: GPT) -> dict[str, float]:
        """Numbers such as "val/atomic_0/excess_nats" and their means "val/excess_nats", "val/top1"."""
        numbers: dict[str, float] = {}
        device = model.head.weight.device
        with torch.no_grad(), autocast(device, self.precision):
            for index, name in enumerate(self.language_set.names):
                scores = legality(model, self.moves[index], self.language_set, index)
                loss = float(self.objective(model, self.batches[index]))
                values = {k: v for k, v in scores.items() if isinstance(v, float)}
                values |= {"loss": loss, "floor": self.floors[index].nats}
                values["excess_nats"] = loss - self.floors[index].nats
                numbers |= {f"val/{name}/{key}": value for key, value in values.items()}
        return numbers | _means(numbers, self.language_set.names)


def _means(numbers: Mapping[str, float], names: list[str]) -> dict[str, float]:
    keys = {key.split("/")[2] for key in numbers}
    shared = [key for key in sorted(keys) if all(f"val/{name}/{key}" in numbers for name in names)]
    return {f"val/{key}": sum(numbers[f"val/{name}/{key}"] for name in names) / len(names) for key in shared}


def build_evaluator(
    language_set: LanguageSet,
    games: Sequence[Corpus],
    size: int,
    objective: Objective,
    precision: Precision,
    weights: Sequence[float] | None = None,
    device: torch.device | str = "cpu",
) -> Evaluator:
    """The first ``size`` games of each language's corpus (or all of a smaller one), written in it, with their floors.

    weights: how often each language is spoken in training; the floor is nan where no predictor is known.
    """
    indices = torch.arange(min(size, *(len(corpus) for corpus in games)), device=device)
    moves = [corpus.moves(indices) for corpus in games]
    predictors = [corpus.predictor for corpus in games]
    known = [predictor for predictor in predictors if predictor is not None]
    batches, floors = [], []
    for index, corpus in enumerate(games):
        language = torch.full_like(indices, index)
        batches.append(make_batch(moves[index], language, language_set, corpus.first_scored(indices)))
        whole = len(known) == len(games)
        floors.append(floor(batches[-1], language_set, known, weights) if whole else Floor(float("nan"), float("nan")))
    return Evaluator(language_set, moves, batches, floors, objective, precision)
