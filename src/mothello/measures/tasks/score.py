"""How well labels are read, and how well they are guessed without a model."""

from typing import NamedTuple

import torch
from jaxtyping import Int8, Int64
from torch import Tensor

from mothello.bootstrap import Bootstrap
from mothello.measures.tasks.task import Labels

Moves = Int8[Tensor, "game ply"]


class Score(NamedTuple):
    """A share of labels, its 95% interval over games, and the number of labels."""

    value: float
    low: float
    high: float
    n: int


def score(answers: Int64[Tensor, "game ply"], labels: Labels, bootstrap: Bootstrap) -> Score:
    """How many of the labels are answered right, among those that are not negative."""
    scored = labels >= 0
    right, total = ((answers == labels) & scored).sum(1).cpu(), scored.sum(1).cpu()
    low, high = bootstrap(right, total)
    return Score(float(right.sum() / total.sum()), float(low), float(high), int(total.sum()))


def best_guess(
    group: Int64[Tensor, "game ply"], labels: Int64[Tensor, "game ply"], n_groups: int, n_classes: int
) -> Int64[Tensor, " group"]:
    """The most frequent label of each group, among labels that are not negative."""
    scored = labels >= 0
    counts = torch.zeros(n_groups, n_classes, device=labels.device)
    counts.index_put_((group[scored], labels[scored]), torch.ones((), device=labels.device), accumulate=True)
    return counts.argmax(1)


def guesses(moves: Moves, labels: Labels, of: Moves) -> dict[str, Int64[Tensor, "game ply"]]:
    """What is guessed of the games ``of`` by counting in others: the most frequent label of the ply ("constant"), and
    of the move ("constant_by_move")."""
    ply = torch.arange(moves.shape[1], device=moves.device)
    groups = {
        "constant": (ply.expand_as(moves), ply.expand_as(of)),
        "constant_by_move": (moves.long().clamp(min=0), of.long().clamp(min=0)),
    }
    known, n_classes = labels.long(), max(1, int(labels.max()) + 1)
    return {
        control: best_guess(group, known, moves.shape[1], n_classes)[group_of]
        for control, (group, group_of) in groups.items()
    }
