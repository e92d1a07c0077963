"""Precision, recall and alignment error rate of links, with intervals over games."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from mothello.aligners.aligner import Links
from mothello.bootstrap import Bootstrap

Counts = Float[Tensor, "3 game"]
"""Of every game: right links, links found, true links."""


class Score(NamedTuple):
    """One number about links, its interval over games, and the links that it is a share of."""

    quantity: str
    value: float
    low: float
    high: float
    n: int


def count(found: Links, true: Links) -> Counts:
    """What :func:`scores` is computed from."""
    return torch.stack([links.sum((1, 2)) for links in (found & true, found, true)]).double().cpu()


def scores(counts: Counts, bootstrap: Bootstrap) -> Iterator[Score]:
    """Precision (where a link is found), recall, and alignment error rate (Och and Ney 2003), which is 1 - F1 here: all
    true links are sure. counts: of all games of the bootstrap."""
    right, found, true = counts
    wrong = found + true - 2 * right
    shares = {"link_precision": (right, found), "link_recall": (right, true), "aer": (wrong, found + true)}
    for quantity, (part, whole) in shares.items():
        if total := float(whole.sum()):
            low, high = bootstrap(part, whole)
            yield Score(quantity, float(part.sum()) / total, float(low), float(high), int(total))
