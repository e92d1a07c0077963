"""A batch of games, written in their languages, with the targets a model is trained on."""

from typing import NamedTuple

import torch
from jaxtyping import Int8, Int64
from torch import Tensor

from mothello.languages.language import PAD
from mothello.languages.language_set import LanguageSet, OutputVocabulary

IGNORE = -100
"""Target of positions that carry no loss."""


class Batch(NamedTuple):
    """Games on one device; rows are games."""

    tokens: Int64[Tensor, "game token"]
    """Token ids, PAD after the end."""
    targets: Int64[Tensor, "game token"]
    """Class to predict after reading the token at the same place, IGNORE where nothing is scored."""
    move_ends: Int64[Tensor, "game ply"]
    """Place of each move's last token, -1 after the end."""
    moves: Int8[Tensor, "game ply"]
    """Move indices, -1 after the end."""
    language: Int64[Tensor, " game"]
    """Index of the language each game is written in."""


def next_token_targets(tokens: Int64[Tensor, "game token"]) -> Int64[Tensor, "game token"]:
    """The token that follows; no end of sequence is predicted."""
    following = torch.cat([tokens[:, 1:], torch.full_like(tokens[:, :1], PAD)], 1)
    return torch.where(following == PAD, IGNORE, following)


def next_move_targets(
    moves: Int8[Tensor, "game ply"], move_ends: Int64[Tensor, "game ply"], width: int
) -> Int64[Tensor, "game token"]:
    """The next move's index at the last token of each move (unified output); nothing elsewhere."""
    following = torch.cat([moves[:, 1:], torch.full_like(moves[:, :1], -1)], 1).long()
    scored = (move_ends >= 0) & (following >= 0)
    targets = torch.full((len(moves), width + 1), IGNORE, device=moves.device)
    targets.scatter_(1, torch.where(scored, move_ends, width), torch.where(scored, following, IGNORE))
    return targets[:, :-1]


def _from_ply(
    targets: Int64[Tensor, "game token"], move_ends: Int64[Tensor, "game ply"], first_scored: Int64[Tensor, " game"]
) -> Int64[Tensor, "game token"]:
    """Drop the targets of plies before the first scored one: they stand before the end of the ply that precedes it."""
    width = targets.shape[1]
    end = move_ends.gather(1, (first_scored - 1).clamp(min=0).unsqueeze(1))
    start = torch.where(first_scored.unsqueeze(1) > 0, torch.where(end < 0, width, end), 0)
    return torch.where(torch.arange(width, device=targets.device) < start, IGNORE, targets)


def make_batch(
    moves: Int8[Tensor, "game ply"],
    language: Int64[Tensor, " game"],
    language_set: LanguageSet,
    first_scored: Int64[Tensor, " game"] | None = None,
    width: int | None = None,
) -> Batch:
    """Write games in their languages, one language index per game. first_scored: plies before it carry no loss. width:
    tokens per row, by default what the languages present can need."""
    tokens, move_ends = language_set.encode(moves, language, width)
    if language_set.output is OutputVocabulary.unified:
        targets = next_move_targets(moves, move_ends, tokens.shape[1])
    else:
        targets = next_token_targets(tokens)
    if first_scored is not None:
        targets = _from_ply(targets, move_ends, first_scored)
    return Batch(tokens, targets, move_ends, moves, language)


def in_language(moves: Int8[Tensor, "game ply"], language: int, language_set: LanguageSet) -> Batch:
    """The same games in one language: two such batches are parallel row by row."""
    return make_batch(moves, torch.full((len(moves),), language, device=moves.device), language_set)
