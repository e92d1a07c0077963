"""The exact probability of every next move: by the chain rule over the tokens that spell it.

A move's words form a tree. The distribution over what follows a ply is needed at every inner node of it: at the root
(between two moves) it stands in the game's own row, elsewhere the node's tokens hang on the row as a branch.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from mothello.data.batch import Batch
from mothello.languages.language_set import LanguageSet, OutputVocabulary
from mothello.measures.legality.greedy import branches
from mothello.model.inputs import Inputs
from mothello.model.transformer import ModelOutput

_PLACES = 4
"""Branches added to a row at once, as a multiple of the row."""


class Forward(Protocol):
    """A model, or one with its residual stream edited on the way."""

    def __call__(self, inputs: Inputs, /) -> ModelOutput: ...


class MoveProbabilities(NamedTuple):
    """Log probability of every move after each place, legal or not."""

    full: Float[Tensor, "game place move"]
    """Over the whole vocabulary: the rest is on other languages' tokens and on tokens that spell no move."""
    restricted: Float[Tensor, "game place move"]
    """Every token chosen among those of the language."""


def move_probabilities(
    forward: Forward, tokens: Int64[Tensor, "game token"], ends: Int64[Tensor, "game place"], language_set: LanguageSet,
    language: int, n_positions: int,
) -> MoveProbabilities:  # fmt: skip
    """Exact, float64. ends: the place of the token before each move that is predicted.

    n_positions: the longest row the model can read; places beyond it are clamped to the last one, which affects only
    moves that are never legal.
    """
    spoken = torch.full_like(tokens[:, 0], language)
    logits = _at(forward(Inputs(tokens, language=spoken)).logits, ends)
    if language_set.output is OutputVocabulary.unified:
        return MoveProbabilities(logits.log_softmax(-1), logits.log_softmax(-1))
    speaker, own = language_set.languages[language], language_set.own_table[language].to(tokens.device)
    each = [speaker.spellings(move) for move in range(speaker.n_moves)]
    words = [word for ways in each for word in ways]
    nodes: dict[int, list[tuple[int, ...]]] = {}
    for node in sorted({word[:depth] for word in words for depth in range(1, len(word))}):
        nodes.setdefault(len(node), []).append(node)
    logs = _children(logits, own, (), words)
    for depth, of_depth in nodes.items():
        at_once = max(1, _PLACES * tokens.shape[1] // (ends.shape[1] * depth))
        for first in range(0, len(of_depth), at_once):
            some = of_depth[first : first + at_once]
            for node, after in zip(some, _after(forward, tokens, spoken, ends, some, n_positions), strict=True):
                logs |= _children(after, own, node, words)
    spelled = [torch.stack([logs[word[: i + 1]] for i in range(len(word))]).sum(0) for word in words]
    if len(words) > len(each):  # a move that is written in several ways has the probability of all of them
        rest = iter(spelled)
        spelled = [torch.stack([next(rest) for _ in ways]).logsumexp(0) for ways in each]
    full, restricted = torch.stack(spelled, -1)
    return MoveProbabilities(full, restricted)


def _at(logits: Float[Tensor, "game token class"], ends: Int64[Tensor, "game place"]) -> Tensor:
    return logits.gather(1, ends.unsqueeze(-1).expand(-1, -1, logits.shape[-1])).double()


def _children(
    logits: Tensor, own: Bool[Tensor, " token"], node: tuple[int, ...], words: Sequence[tuple[int, ...]]
) -> dict[tuple[int, ...], Float[Tensor, "which game place"]]:
    """Log probability of every token that goes on from a node, over the whole vocabulary and over the language's own;
    by the node it leads to. Only these are kept: vocabularies are large, and words branch little."""
    tokens = sorted({word[len(node)] for word in words if word[: len(node)] == node})
    totals = torch.stack([logits.logsumexp(-1), logits.masked_fill(~own, -torch.inf).logsumexp(-1)])
    return {(*node, token): logits[..., token] - totals for token in tokens}


def _after(
    forward: Forward, tokens: Tensor, spoken: Tensor, ends: Tensor, nodes: list[tuple[int, ...]], n_positions: int
) -> list[Tensor]:
    """Logits after every place and each of the nodes, which are equally deep: a list of [game, place, token]."""
    n, places = ends.shape
    spread = ends.repeat(1, len(nodes))  # node by node, all places of each
    written = [
        torch.tensor(layer, device=tokens.device).repeat_interleave(places).expand(n, -1)
        for layer in zip(*nodes, strict=True)
    ]
    longer, positions, mask = branches(tokens, spread, written, n_positions)
    logits = forward(Inputs(longer, positions, mask, spoken)).logits[:, -spread.shape[1] :].double()
    return list(logits.split(places, 1))


def legal_mass(
    log_probabilities: Float[Tensor, "game place move"], legal: Bool[Tensor, "game place move"]
) -> Float[Tensor, "game place"]:
    """Probability on the legal moves."""
    return (log_probabilities.exp() * legal).sum(-1)


def next_moves(
    model: Callable[..., ModelOutput], batch: Batch, language_set: LanguageSet, language: int
) -> MoveProbabilities:
    """Of the move that follows every ply of a batch but the last."""
    ends = batch.move_ends[:, :-1].clamp(min=0)
    return move_probabilities(model, batch.tokens, ends, language_set, language, language_set.max_tokens)
