"""Evaluation along a stage: what the model can do, loss and its floor on fixed held-out games, language by language.

What it is asked is its objective's ``evaluation``: legal next moves, or hidden moves. Either has ``top1``, the headline
of a training: the share of its answers that the rules allow.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int8
from torch import Tensor

from mothello.config import check, ranged
from mothello.data.batch import Context
from mothello.data.config import DataConfig
from mothello.data.floor import Floor, unknown
from mothello.data.oracle import Oracle
from mothello.data.sources import Sources
from mothello.data.stream import Stream
from mothello.languages.language_set import LanguageSet
from mothello.measures.legality.estimate import legality
from mothello.measures.masked.estimate import count_masked, shown_contexts
from mothello.measures.masked.posterior import draw_hidden, posterior
from mothello.model.transformer import GPT
from mothello.objectives.objective import Evaluation, Objective, evaluation
from mothello.seeding import generator
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


Moves = Sequence[Int8[Tensor, "game ply"]]
"""The held-out games of every language."""
Skill = Callable[[GPT, int], dict[str, Any]]
"""Model and language -> numbers, top1 among them."""


def _legality(language_set: LanguageSet, moves: Moves, oracles: Sequence[Oracle | None]) -> Skill:
    """The next move after every ply; nothing where the text so far does not fix the board."""
    fixed = language_set.prefix_fixes_board
    return lambda model, language: legality(model, moves[language], language_set, language) if fixed else {}


HIDDEN = 4
"""Moves of every game that are hidden, each by itself."""


def _masked(language_set: LanguageSet, moves: Moves, oracles: Sequence[Oracle | None]) -> Skill:
    """Hidden moves of prefixes (of whole games where plies are written in another order), and game_accuracy of whole
    games; what needs the posterior is nan without an oracle. Nothing where a move has several words, or a word several
    moves: what is shown then tells more, or less, than the moves."""
    if not language_set.one_spelling:
        return lambda model, language: {}
    contexts = shown_contexts(language_set)
    draws = {
        context: [draw_hidden(games, HIDDEN, context, generator(0, "hidden", context)) for games in moves]
        for context in contexts
    }
    known = {
        context: [
            posterior(games, hidden, language_set.board, oracle)
            for games, hidden, oracle in zip(moves, each, oracles, strict=True)
        ]
        for context, each in draws.items()
    }

    def skill(model: GPT, language: int) -> dict[str, Any]:
        found: dict[Any, float] = {}
        for context in contexts:
            asked = moves[language], draws[context][language], known[context][language]
            columns = count_masked(model, *asked, language_set, language)
            found |= {(context, *column): float(values.mean()) for column, values in columns.items()}
        logged = {name: (contexts[-1], *column) for name, column in MASKED.items()}
        logged["game_accuracy"] = (Context.game, *MASKED["masked_accuracy"])
        return {name: found[column] for name, column in logged.items() if column in found}

    return skill


MASKED = {
    "top1": ("top1", "trained"), "chance": ("top1", "chance"), "mass": ("mass", "trained"),
    "masked_accuracy": ("masked_accuracy", "trained"), "best_accuracy": ("masked_accuracy", "best"),
    "masked_excess_nats": ("masked_excess_nats", "trained"),
}  # fmt: skip
"""What is logged of hidden moves: name -> quantity and control."""
SKILLS = {Evaluation.legality: _legality, Evaluation.masked: _masked}


class Evaluator:
    """Evaluates a model on the first ``size`` games of each language's corpus (or all of a smaller one), written in it.

    weights: how often each language occurs in training; the floor is nan where no oracle is known. watch: further
    numbers of a model. ``last`` and ``by_ply`` (strict top-1 legality after every ply, by language) are those of the
    last evaluation, empty before; hidden moves have no ``by_ply``, and there is no legality where the text so far does
    not fix the board.
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
        self.skill = SKILLS[evaluation(objective)](language_set, self.moves, [corpus.oracle for corpus in games])
        stream = Stream(games, language_set, DataConfig(games=size, batch_size=size), 0, device)
        self.batches = [objective.batch(stream.speaking(language), 0) for language in range(len(games))]
        self.floors: list[Floor] = []
        for batch in self.batches:
            lowest: Floor | None = unknown("stored games do not tell what their moves were drawn from")
            if len(oracles) == len(games):
                lowest = objective.floor(batch, language_set, oracles, weights)
            self.floors.append(lowest or unknown("the objective knows none"))

    def __call__(self, model: GPT) -> dict[str, float]:
        """Numbers such as "val/atomic_0/excess_nats", the means over languages, such as "val/top1", and those of
        ``watch``. The model is in eval mode."""
        numbers: dict[str, float] = {}
        with torch.no_grad(), autocast(model.device, self.precision):
            for index, name in enumerate(self.language_set.names):
                scores = self.skill(model, index)
                total, count, _ = self.objective.loss(model, self.batches[index])
                loss, lowest = float(total / count), self.floors[index].nats
                values = {key: value for key, value in scores.items() if isinstance(value, float)}
                values |= {"loss": loss, "floor": lowest, "excess_nats": loss - lowest}
                numbers |= {f"val/{name}/{key}": value for key, value in values.items()}
                if "top1_by_ply" in scores:
                    self.by_ply[name] = scores["top1_by_ply"]
        self.last = numbers | _means(numbers, self.language_set.names) | self.watch(model)
        return self.last


def _means(numbers: Mapping[str, float], names: list[str]) -> dict[str, float]:
    keys = {key.split("/")[2] for key in numbers}
    shared = [key for key in sorted(keys) if all(f"val/{name}/{key}" in numbers for name in names)]
    return {f"val/{key}": sum(numbers[f"val/{name}/{key}"] for name in names) / len(names) for key in shared}


def headline(final: Mapping[str, float]) -> str:
    """What the model can do at last, in words. final: means over languages."""
    if "val/top1" not in final:
        return "trained"
    top1, chance = final["val/top1"], final.get("val/chance", float("nan"))
    beside = "" if chance != chance else f" (chance {chance:.3f}{', not above it' * (top1 <= chance)})"
    if "val/masked_accuracy" not in final:
        return f"strict top-1 legality {top1:.3f}{beside}"
    accuracy, best = final["val/masked_accuracy"], final["val/best_accuracy"]
    most = "" if best != best else f" of at most {best:.3f}"
    return f"hidden moves guessed {accuracy:.3f}{most}, possible {top1:.3f}{beside}"
