"""A batch of games, written in their languages."""

from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from itertools import accumulate, pairwise
from typing import Any, NamedTuple, TypeVar

import torch
from jaxtyping import Bool, Float, Int8, Int64
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from mothello.languages.language_set import LanguageSet

IGNORE = -100
"""Target of positions that carry no loss."""


@dataclass(frozen=True)
class Groups:
    """Says that games are sorted by language, and how many each language has: a compiled step must know it
    beforehand."""

    sizes: tuple[int, ...]


class Switched(NamedTuple):
    """Of texts that hold words of other languages: whose they are, and what to predict of them."""

    language: Int64[Tensor, "game token"]
    """Of each token."""
    label: Int64[Tensor, "game token"]
    """What is predicted of each token; IGNORE where nothing is."""
    second: Int64[Tensor, "game token"] | None = None
    """What is predicted with the other half of the loss."""


class Batch(NamedTuple):
    """Games on one device; rows are games."""

    tokens: Int64[Tensor, "game token"]
    """Token ids, PAD after the end."""
    move_ends: Int64[Tensor, "game ply"]
    """Place of each move's last token, whatever order they are written in; -1 after the end."""
    moves: Int8[Tensor, "game ply"]
    """Move indices, -1 after the end."""
    language: Int64[Tensor, " game"]
    """Index of the language each game is written in."""
    first_scored: Int64[Tensor, " game"]
    """First ply that carries loss, 0 for whole games."""
    groups: Groups | None = None
    """Where the games are sorted by language."""
    switched: Switched | None = None
    """Where the games hold words of other languages."""

    @property
    def labels(self) -> Int64[Tensor, "game token"]:
        """What is predicted of each token: itself, unless its word is switched."""
        return self.tokens if self.switched is None else self.switched.label

    @property
    def second_labels(self) -> Int64[Tensor, "game token"] | None:
        """What is predicted of each token with the other half of the loss."""
        return None if self.switched is None else self.switched.second


class LabeledBatch(NamedTuple):
    """Games, and what a model is to predict at every place."""

    text: Batch
    targets: Int64[Tensor, "game token"]
    """Class to predict after reading the token at the same place, IGNORE where nothing is scored."""
    expected: Float[Tensor, "game token class"] | None = None
    """The distribution that what follows was drawn from: rows sum to 1 where a target is, and to 0 elsewhere."""
    classes: Bool[Tensor, "game class"] | None = None
    """What the prediction is among; None for all classes."""


B = TypeVar("B")


def rows(batch: B, games: slice | Tensor) -> B:
    """Some games of a batch, which may be any nest of tuples, lists and dicts of tensors; their groups are dropped."""

    def chosen(leaf: Any) -> Any:
        return leaf[games] if isinstance(leaf, Tensor) else None if isinstance(leaf, Groups) else leaf

    return tree_map(chosen, batch)


def moved(batch: B, device: torch.device) -> B:
    """The batch with its tensors on a device."""
    return tree_map(lambda leaf: leaf.to(device) if isinstance(leaf, Tensor) else leaf, batch)


def divided(batch: B, n: int) -> list[B]:
    """A batch in n parts, each with every n-th row, so that every sort of rows and every group is spread evenly; parts
    without a row are left out, and a batch without one is a part. As for ``rows``, every tensor has a row per game."""

    def part(leaf: Any, first: int) -> Any:
        if isinstance(leaf, Groups):
            ends = [0, *accumulate(leaf.sizes)]
            return Groups(tuple(len(range(a + (first - a) % n, b, n)) for a, b in pairwise(ends)))
        return leaf[first::n] if isinstance(leaf, Tensor) else leaf

    parts = [tree_map(partial(part, first=first), batch) for first in range(n)]
    return [one for one in parts if any(isinstance(x, Tensor) and len(x) for x in tree_leaves(one))] or [batch]


def make_batch(
    moves: Int8[Tensor, "game ply"],
    language: Int64[Tensor, " game"],
    language_set: LanguageSet,
    first_scored: Int64[Tensor, " game"] | None = None,
    width: int | None = None,
    keys: Int64[Tensor, " game"] | None = None,
) -> Batch:
    """Write games in their languages, one language index per game.

    first_scored: plies before it carry no loss. width: tokens per row, by default enough for these languages. keys:
    what a language is free to choose is drawn from them, by default from the moves (LanguageSet.encode).
    """
    tokens, move_ends = language_set.encode(moves, language, width, keys)
    first_scored = torch.zeros_like(language) if first_scored is None else first_scored
    return Batch(tokens, move_ends, moves, language, first_scored)


class Context(StrEnum):
    """How much of a game a model of full attention is shown at a move: the whole game, or what was played up to there,
    with the mask token at every later place of the row, so that not even the game's length is told."""

    game = "game"
    prefix = "prefix"


def hidden_after(batch: Batch, ends: Int64[Tensor, " game"], mask: int) -> Batch:
    """The same rows with the mask token after these places."""
    later = torch.arange(batch.tokens.shape[1], device=ends.device) > ends.unsqueeze(1)
    return batch._replace(tokens=torch.where(later, mask, batch.tokens))


def in_language(moves: Int8[Tensor, "game ply"], language: int, language_set: LanguageSet) -> Batch:
    """The same games in one language: two such batches are parallel row by row."""
    return make_batch(moves, torch.full((len(moves),), language, device=moves.device), language_set)


def at_moves(
    hidden: Float[Tensor, "layer game token d_model"], batch: Batch
) -> Float[Tensor, "layer game ply d_model"]:
    """Of activations at every token those at every move's last one; zeros after the end of a game."""
    ends = batch.move_ends.clamp(min=0)[None, :, :, None].expand(len(hidden), -1, -1, hidden.shape[-1])
    return hidden.gather(2, ends).float() * (batch.move_ends >= 0)[None, :, :, None]
