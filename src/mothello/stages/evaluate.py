"""Evaluation along a stage: legality, loss and its floor on fixed held-out games, language by language."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from mothello.config import check, ranged
from mothello.data.floor import Floor
from mothello.data.sources import Sources
from mothello.data.stream import DataConfig, Stream
from mothello.languages.language_set import LanguageSet
from mothello.measures.legality.estimate import legality
from mothello.model.transformer import GPT
from mothello.objectives.objective import Objective
from mothello.training.device import Precision, autocast


@dataclass(kw_only=True)
class EvaluationConfig:
    """The cheap evaluation along a stage."""

    games: int = ranged(128, low=2)
    """Fixed validation games, the same in every language unless they have domains of their own."""
    times: int = ranged(10, 1, 1_000_000)
    """Evaluations along the stage, besides the first."""
    log_every: int = ranged(20, low=1)
    """Steps between training losses in the log."""

    def __post_init__(self) -> None:
        check(self, "evaluation")

    def steps(self, total: int) -> frozenset[int]:
        """Steps after which to evaluate: 0, the last, and evenly between."""
        return frozenset(round(i * total / self.times) for i in range(self.times + 1))


class Evaluator:
    """Evaluates a model on the first ``size`` games of each language's corpus (or all of a smaller one), written in it.

    weights: how often each language occurs in training; the floor is nan where no oracle is known. watch: further
    numbers of a model. ``last`` and ``by_ply`` (strict top-1 legality after every ply, by language) are those of the
    last evaluation, empty before. There is no legality where the text so far does not fix the board.
    """

    def __init__(
        self, language_set: LanguageSet, games: Sources, size: int, objective: Objective, precision: Precision,
        weights: Sequence[float] | None, watch: Callable[[GPT], dict[str, float]], device: torch.device,
    ) -> None:  # fmt: skip
        self.language_set, self.objective, self.precision, self.watch = language_set, objective, precision, watch
        self.last: dict[str, float] = {}
        self.by_ply: dict[str, list[float | None]] = {}
        size = min(size, games.games)
        self.moves = [corpus.moves(torch.arange(size, device=device)) for corpus in games]
        oracles = [oracle for corpus in games if (oracle := corpus.oracle) is not None]
        stream = Stream(games, language_set, DataConfig(games=size, batch_size=size), 0, device)
        self.batches = [objective.batch(stream.speaking(language), 0) for language in range(len(games))]
        self.floors: list[Floor] = []
        for batch in self.batches:
            lowest = objective.floor(batch, language_set, oracles, weights) if len(oracles) == len(games) else None
            self.floors.append(lowest or Floor(float("nan"), float("nan")))

    def __call__(self, model: GPT) -> dict[str, float]:
        """Numbers such as "val/atomic_0/excess_nats", the means over languages, such as "val/top1", and those of
        ``watch``. The model is in eval mode."""
        numbers: dict[str, float] = {}
        with torch.no_grad(), autocast(model.device, self.precision):
            for index, name in enumerate(self.language_set.names):
                fixed = self.language_set.prefix_fixes_board
                scores = legality(model, self.moves[index], self.language_set, index) if fixed else {}
                total, count, _ = self.objective.loss(model, self.batches[index])
                loss, lowest = float(total / count), self.floors[index].nats
                values = {key: value for key, value in scores.items() if isinstance(value, float)}
                values |= {"loss": loss, "floor": lowest, "excess_nats": loss - lowest}
                numbers |= {f"val/{name}/{key}": value for key, value in values.items()}
                self.by_ply[name] = scores.get("top1_by_ply", [])
        self.last = numbers | _means(numbers, self.language_set.names) | self.watch(model)
        return self.last


def _means(numbers: Mapping[str, float], names: list[str]) -> dict[str, float]:
    keys = {key.split("/")[2] for key in numbers}
    shared = [key for key in sorted(keys) if all(f"val/{name}/{key}" in numbers for name in names)]
    return {f"val/{key}": sum(numbers[f"val/{name}/{key}"] for name in names) / len(names) for key in shared}
