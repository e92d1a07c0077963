"""Links of two directions -> links: intersection, union, or growing from the one to the other (Koehn et al. 2003)."""

from enum import StrEnum

import torch
import torch.nn.functional as F

from mothello.aligners.aligner import Links

NEIGHBORS = ((-1, 0), (0, -1), (1, 0), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))


class Symmetrization(StrEnum):
    """What becomes of links that only one direction has: none of them, all, or those that grow_diag adds."""

    intersection = "intersection"
    union = "union"
    grow_diag = "grow_diag"


def symmetrized(one: Links, other: Links, how: Symmetrization) -> Links:
    """one, other: the links of both directions, between places of the texts as they are written."""
    if how is Symmetrization.grow_diag:
        return grow_diag(one, other)
    return one & other if how is Symmetrization.intersection else one | other


def grow_diag(one: Links, other: Links) -> Links:
    """From the intersection on, links of the union are added that stand next to a link, diagonally too, where one of
    their words has no link yet, until there are no more. Those on one side of all links are added together."""
    links, union = one & other, one | other
    while True:
        before = links
        for down, right in NEIGHBORS:
            free = ~links.any(1, keepdim=True) | ~links.any(2, keepdim=True)
            links = links | _moved(links, down, right) & union & free
        if torch.equal(links, before):
            return links


def _moved(links: Links, down: int, right: int) -> Links:
    _, n, m = links.shape
    return F.pad(links, (1, 1, 1, 1))[:, 1 - down : n + 1 - down, 1 - right : m + 1 - right]
