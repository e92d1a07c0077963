"""A main objective with auxiliary ones, added up with weights: an objective again."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import make_dataclass
from functools import cache
from typing import Any

import torch

from mothello.config import check_name, ranged
from mothello.data.config import DataConfig
from mothello.data.floor import Floor
from mothello.data.oracle import Oracle
from mothello.data.sources import Sources
from mothello.data.stream import Stream
from mothello.errors import UserError, renamed
from mothello.languages.language_set import LanguageSet
from mothello.model.config import ModelConfig
from mothello.model.transformer import GPT
from mothello.objectives.micro_batches import Share, shares
from mothello.objectives.objective import (
    LOGGED,
    OBJECTIVES,
    Loss,
    Objective,
    Part,
    check_frozen,
    check_model,
    evaluation,
    special_tokens,
    with_head,
)  # fmt: skip


class Combined:
    """The main objective's mean plus weight * mean of each auxiliary one. Each draws its own batches, and all are
    logged by name; what the model can be and what the loss floor is, the main one decides."""

    def __init__(self, main: Objective, name: str, auxiliary: Mapping[str, tuple[Objective, float]]) -> None:
        self.main, self.name, self.auxiliary = main, name, dict(auxiliary)
        self.attention, self.evaluation = main.attention, evaluation(main)
        self.named = {"": main} | {name: objective for name, (objective, _) in self.auxiliary.items()}
        self.every = tuple(self.named.values())
        self.special_tokens = tuple(dict.fromkeys(name for one in self.every for name in special_tokens(one)))

    def check(self, games: Sources, data: DataConfig, language_set: LanguageSet) -> None:
        """Of every objective."""
        self.main.check(games, data, language_set)
        for key, (objective, _) in self.auxiliary.items():
            with _as_auxiliary(key, objective):
                objective.check(games, data, language_set)

    def check_model(self, model: ModelConfig) -> None:
        """Of every objective."""
        check_model(self.main, model)
        for key, (objective, _) in self.auxiliary.items():
            with _as_auxiliary(key, objective):
                check_model(objective, model)

    def check_frozen(self, model: GPT, frozen: Collection[str]) -> None:
        """Of every objective."""
        check_frozen(self.main, model, frozen)
        for key, (objective, _) in self.auxiliary.items():
            with _as_auxiliary(key, objective):
                check_frozen(objective, model, frozen)

    def add_head(self, model: GPT, seed: int) -> None:
        """Of every objective."""
        for objective in self.every:
            with_head(objective, model, seed)

    def batch(self, stream: Stream, step: int) -> dict[str, Any]:
        """A batch per objective; the main one's has the empty name."""
        batches = {name: objective.batch(stream, step) for name, (objective, _) in self.auxiliary.items()}
        return {"": self.main.batch(stream, step)} | batches

    def loss(self, model: GPT, batch: Mapping[str, Any]) -> Loss:
        """The main objective's sum and count; its parts hold every objective's. A batch may lack those of some
        objectives, which then have no part; without the main one's, sum and count are 0."""
        losses = {name: one.loss(model, batch[name]) for name, one in self.named.items() if name in batch}
        total, count, parts = next(iter(losses.values()))
        if "" in losses:
            parts = {self.name: Part(total, count)} | {f"{self.name}/{key}": x for key, x in parts.items()}
        else:
            total, count, parts = torch.zeros_like(total), torch.zeros_like(count), {}
        for name, (_, weight) in self.auxiliary.items():
            for key, term in losses[name].terms.items() if name in losses else ():
                parts[f"{name}/{key}" if key else name] = term._replace(weight=weight * term.weight)
        return Loss(total, count, parts)

    def shares(self, batch: Mapping[str, Any], n: int) -> list[Share]:
        """One objective after another, each with the names that its terms have in :meth:`loss`."""
        result = []
        for name, objective in self.named.items():
            for parts, counts in shares(objective, batch[name], n):
                if counts is not None:
                    named = {f"{name or self.name}/{key}".rstrip("/"): count for key, count in counts.items()}
                    main = counts[""]
                    counts = {"": torch.zeros_like(main) if name else main} | named
                result.append(Share([{name: part} for part in parts], counts))
        return result

    def floor(
        self,
        batch: Mapping[str, Any],
        language_set: LanguageSet,
        oracles: Sequence[Oracle],
        weights: Sequence[float] | None = None,
    ) -> Floor | None:
        """The main objective's."""
        return self.main.floor(batch[""], language_set, oracles, weights)


@contextmanager
def _as_auxiliary(key: str, objective: Any) -> Iterator[None]:
    """Within: a mistake names the key of the auxiliary objective, not the one that its class knows."""
    name = objective.Config().name
    with renamed("objective", f"auxiliary.{key}"), renamed(f"auxiliary.{name}", f"auxiliary.{key}"):
        yield


@cache
def weighted(config: type) -> type:
    """The Config of an objective that is added to another: with a weight."""
    return make_dataclass(config.__name__, [("weight", float, ranged(1.0, above=0))], bases=(config,), kw_only=True)


def typed_auxiliary(settings: Mapping[str, Any], main: Any) -> dict[str, Any]:
    """Settings of auxiliary objectives -> their Configs. An entry's key is its objective's name, unless it has one.

    main: the main objective's Config, whose name is taken in the log.
    """
    result = {}
    for key, entry in settings.items():
        check_name(key, f"auxiliary.{key}")
        if key in (getattr(main, "name", None), *LOGGED):
            raise UserError(f"auxiliary.{key}: has a place of its own in the log; choose another key")
        named = {"name": key} | dict(entry) if isinstance(entry, Mapping) else entry
        with renamed("objective", f"auxiliary.{key}"):
            result[key] = OBJECTIVES.typed(named, f"auxiliary.{key}", weighted)
    return result


def build_objective(main: Any, auxiliary: Mapping[str, Any] | None = None) -> Objective:
    """The objective of a training from its settings. UserError when one is not known here."""
    config = OBJECTIVES.typed(main, "objective")
    return with_auxiliary(OBJECTIVES.build(config), config.name, typed_auxiliary(auxiliary or {}, config))


def with_auxiliary(main: Objective, name: str, entries: Mapping[str, Any]) -> Objective:
    """An objective of that name and auxiliary ones, if there are any, by their Configs. UserError for other attention
    than the main one's."""
    added = {key: (OBJECTIVES.build(entry), entry.weight) for key, entry in entries.items()}
    for key, (other, _) in added.items():
        if other.attention not in (None, main.attention):
            line = f"needs {other.attention} attention; {name} has {main.attention or 'causal'}"
            raise UserError(f"auxiliary.{key}: {line}")
    return Combined(main, name, added) if added else main
