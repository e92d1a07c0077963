"""Parts of a model of which every language has one of its own: how much must languages share? (Conneau et al. 2020)"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any, NamedTuple

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from mothello.config import check, ranged
from mothello.data.batch import Groups
from mothello.errors import UserError


@dataclass(kw_only=True)
class SeparateConfig:
    """What every language has for itself; the rest is shared."""

    tokens: bool = False
    """The token embedding: a token that two languages share has a vector in each."""
    positions: bool = False
    """The position embedding, which otherwise tells all languages alike whose turn it is."""
    head: bool = False
    """The output head."""
    blocks: int = ranged(0, 0, 64)
    """The first blocks."""

    def __post_init__(self) -> None:
        check(self, "model.separate")

    def __bool__(self) -> bool:
        return self.tokens or self.positions or self.head or self.blocks > 0


class Part(NamedTuple):
    """The rows of a batch that are in one language."""

    language: int
    rows: slice | Int64[Tensor, " row"]


def parts_of(language: Int64[Tensor, " game"] | None, groups: Groups | None) -> list[Part]:
    """The rows by language. ValueError where the inputs do not say one language per row."""
    if groups is not None:
        ends = [sum(groups.sizes[: i + 1]) for i in range(len(groups.sizes))]
        sizes = enumerate(zip(groups.sizes, ends, strict=True))
        return [Part(index, slice(end - size, end)) for index, (size, end) in sizes if size]
    if language is None or language.ndim != 1:
        raise ValueError("a model with separate parts needs the language of every row")
    spoken = [int(index) for index in language.unique()]
    if len(spoken) == 1:
        return [Part(spoken[0], slice(None))]
    return [Part(index, (language == index).nonzero().squeeze(1)) for index in spoken]


class PerLanguage(nn.ModuleList):
    """A module for every language."""

    def __init__(self, make: Callable[[], nn.Module], languages: int) -> None:
        super().__init__(make() for _ in range(languages))


def own_parts(module: nn.Module) -> list[Any]:
    """The modules of all languages, or the one that they share."""
    return list(module) if isinstance(module, PerLanguage) else [module]


def apply(module: nn.Module, parts: Sequence[Part], x: Tensor, *more: Any) -> Tensor:
    """Every row of x through its language's module, or through the one that is shared. more: passed on, of tensors with
    a row per game their rows."""
    if not isinstance(module, PerLanguage):
        return module(x, *more)
    if len(parts) == 1:
        return module[parts[0].language](x, *more)
    if callable(more[-1] if more else None):
        raise ValueError("an edit of a separate block needs rows of one language")

    def chosen(value: Any, rows: slice | Tensor) -> Any:
        return value[rows] if isinstance(value, Tensor) and value.ndim == 3 else value

    made = torch.cat([module[language](x[rows], *(chosen(value, rows) for value in more)) for language, rows in parts])
    if isinstance(parts[0].rows, slice):
        return made
    order = torch.cat([rows for _, rows in parts if isinstance(rows, Tensor)])
    return torch.empty_like(made).index_copy(0, order, made)


def up_to(model: Any, layer: int) -> list[str]:
    """Names of the parameters that the residual stream after a layer is made from: 0 is the embeddings."""
    below = tuple(f"blocks.{index}." for index in range(layer))
    names = [name for name, _ in model.named_parameters()]
    return [name for name in names if name.startswith(below) or name.partition(".")[0].endswith("_embedding")]


def frozen_names(model: Any, patterns: Sequence[str]) -> set[str]:
    """Parameters that a stage leaves as they are. patterns: of names, such as blocks.0.*; or ``separate`` for all parts
    that languages have for themselves, which is what none means; ``lower`` for the embeddings and the first half of the
    blocks (of an odd number the smaller one), ``upper`` for all above; ``none`` for nothing. UserError where one fits
    no parameter, or nothing is left to train."""
    names = [name for name, _ in model.named_parameters()]
    own = tuple(f"{name}." for name, part in model.named_modules() if isinstance(part, PerLanguage))
    lower = set(up_to(model, len(model.blocks) // 2))
    sets = {"separate": {x for x in names if x.startswith(own)}, "lower": lower, "upper": set(names) - lower}
    found: set[str] = set()
    if list(patterns) == ["none"]:
        return found
    for pattern in patterns or ["separate"] * bool(own):
        fits = sets[pattern] if pattern in sets else {x for x in names if fnmatch(x, pattern)}
        if not fits:
            known = ", ".join(dict.fromkeys(name.split(".")[0] for name in names))
            raise UserError(f"frozen: {pattern!r} fits no parameter; there are {known}")
        found |= fits
    if found == set(names):
        raise UserError("frozen: nothing is left to train")
    return found
