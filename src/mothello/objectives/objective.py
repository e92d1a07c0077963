"""What a model is trained to do: an objective makes batches and says how well a model does on them.

An objective is one file with a class in OBJECTIVES, one file in configs/objective/ and one test. A training has one
main objective; auxiliary ones are added to it with weights (mothello.objectives.combined).
"""

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from mothello.data.config import DataConfig
from mothello.data.floor import Floor
from mothello.data.oracle import Oracle
from mothello.data.sources import Sources
from mothello.data.stream import Stream
from mothello.errors import UserError
from mothello.languages.language_set import LanguageSet
from mothello.model.config import ModelConfig
from mothello.model.inputs import AttentionMask
from mothello.model.transformer import GPT
from mothello.registry import Registry


def double(x: Tensor) -> Tensor:
    """As float64; on the CPU where its device has none (MPS)."""
    return x.cpu().double() if x.device.type == "mps" else x.double()


class Part(NamedTuple):
    """A number of a step, as a sum and a count. Its mean is trained on with a weight; of weight 0 it is only logged."""

    sum: Float[Tensor, ""]
    count: Int64[Tensor, ""]  # type: ignore[assignment]
    weight: float = 0.0


class Loss(NamedTuple):
    """The loss of a batch. What is trained on is the mean, sum / count, plus weight * mean of every part.

    Sum and count travel separately: the mean over several processes is the sum of their sums over that of their
    counts. A process whose batch has nothing to score returns zeros; all of them return the same parts.
    """

    sum: Float[Tensor, ""]
    count: Int64[Tensor, ""]  # type: ignore[assignment]
    parts: Mapping[str, Part] = {}
    """Logged by name."""

    @property
    def terms(self) -> dict[str, Part]:
        """The main part, of weight 1 and without a name, and the others."""
        return {"": Part(self.sum, self.count, 1.0)} | {name: Part(*part) for name, part in self.parts.items()}

    @property
    def weights(self) -> dict[str, float]:
        """Of all terms."""
        return {name: term.weight for name, term in self.terms.items()}

    def numbers(self) -> Float[Tensor, "2 term"]:
        """Sums and counts, without gradients: what is added up over processes."""
        sums, counts, _ = zip(*self.terms.values(), strict=True)
        return torch.stack([torch.stack([double(number.detach()) for number in row]) for row in (sums, counts)])

    def mean(self, counts: Float[Tensor, " term"]) -> Float[Tensor, ""]:
        """What this batch adds to the loss, given the counts of all batches; a term that counts nothing adds 0."""
        terms = zip(self.terms.values(), counts.clamp(min=1), strict=True)
        return torch.stack([term.weight * term.sum / count.to(term.sum) for term, count in terms]).sum()


class Evaluation(StrEnum):
    """What a trained model is asked along its training. legality: the next move after every ply, where the moves so far
    are all that is read and fix the board. masked: one move of a whole game, given all others."""

    legality = "legality"
    masked = "masked"


class Objective(Protocol):
    """A pure function of batch and model; all randomness of a batch comes from the stream's seed and the step.

    The class has a dataclass ``Config`` whose field ``name`` defaults to its name in the registry. It may have an
    attribute ``evaluation``, by default legality, and ``special_tokens``: names of tokens that no language writes and
    that its inputs contain; their ids are ``language_set.special(name)``. It may have a method ``check_model(config)``,
    which raises UserError where a model cannot be trained on it; ``check_frozen(model, frozen)``, the same where these
    parameters stay as they are; ``add_head(model, seed)``, which gives a model what only this training needs;
    ``counts(batch)``, if its batches can be computed in parts (mothello.objectives.micro_batches); and
    ``auxiliary_only = True``: it says nothing of games, and is added to another one.
    """

    attention: AttentionMask | None
    """The model is built with it, so that measures need not know the objective. None: any will do."""

    def __init__(self, config: Any) -> None: ...

    def check(self, games: Sources, data: DataConfig, language_set: LanguageSet) -> None:
        """UserError when it cannot be trained on these games in these languages; before any compute."""

    def batch(self, stream: Stream, step: int) -> Any:
        """Tensors with one row per game, in tuples or dicts: what :meth:`loss` and :meth:`floor` are given."""
        ...

    def loss(self, model: GPT, batch: Any) -> Loss:
        """In nats, differentiable. It may be compiled."""
        ...

    def floor(
        self, batch: Any, language_set: LanguageSet, oracles: Sequence[Oracle], weights: Sequence[float] | None
    ) -> Floor | None:
        """The loss that no model can go below; where it is not known, why (mothello.data.floor.unknown). oracles: per
        language. weights: how often each language is trained on."""
        ...


def special_tokens(objective: Objective) -> tuple[str, ...]:
    """Names of the special tokens that an objective's inputs contain."""
    return getattr(objective, "special_tokens", ())


def evaluation(objective: Objective) -> Evaluation:
    """What a model that is trained on the objective is asked."""
    return getattr(objective, "evaluation", Evaluation.legality)


def check_objective(
    objective: Objective, games: Sources, data: DataConfig, language_set: LanguageSet, model: ModelConfig
) -> None:
    """UserError when an objective, as the whole of a training, does not fit its games, languages or model."""
    if getattr(objective, "auxiliary_only", False):
        name = type(objective).Config().name  # type: ignore[attr-defined]
        raise UserError(f"objective: {name} trains no model by itself; add it to another: +auxiliary.{name}.weight=1")
    objective.check(games, data, language_set)
    check_model(objective, model)


def check_model(objective: Objective, model: ModelConfig) -> None:
    """UserError when a model cannot be trained on an objective."""
    getattr(objective, "check_model", lambda _: None)(model)


def check_frozen(objective: Objective, model: GPT, frozen: Collection[str]) -> None:
    """UserError where parameters that stay as they are leave an objective nothing to train."""
    getattr(objective, "check_frozen", lambda *_: None)(model, frozen)


def with_head(objective: Objective, model: GPT, seed: int) -> GPT:
    """The model, with the parameters that only a training on the objective needs; they are saved with it."""
    getattr(objective, "add_head", lambda *_: None)(model, seed)
    return model


LOGGED = ("loss", "gradient_norm", "lr_scale", "seconds")
"""What every training logs, whatever its objective."""
OBJECTIVES: Registry[Objective] = Registry("objective", LOGGED)
