"""Symmetry classes: which of many languages share a space, and which only up to a symmetry of the opening.

The four maps that fix the opening form a group in which every map undoes itself. If language a reads b through g and b
reads c through h, a should read c through gh; languages bound by such readings form a family, and those of a family
with the same map to its first member form a class: its members read each other as they are.
"""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from jaxtyping import Bool, Int64
from torch import Tensor

from mothello.othello.symmetry import OPENING_MAPS

PRODUCT = ((0, 1, 2, 3), (1, 0, 3, 2), (2, 3, 0, 1), (3, 2, 1, 0))
"""PRODUCT[g][h]: index in OPENING_MAPS of g after h."""


class Classes(NamedTuple):
    """Every language's place. A language aligned with none is a family of its own."""

    component: list[int]
    """Families are numbered from the largest on."""
    map: list[int]
    """Index in OPENING_MAPS of the map to the family's first language."""
    order: list[int]
    """Languages by family, then map, then index: the order in which blocks show."""
    consistency: float | None
    """Share of aligned pairs whose winning map is the one that the classes imply; None where none is aligned."""


def symmetry_classes(aligned: Bool[Tensor, "source language"], which: Int64[Tensor, "source language"]) -> Classes:
    """aligned: the best map of a pair counts as alignment. which: that map. Two languages are bound when both
    directions are aligned through the same map; the diagonal is ignored."""
    n = len(aligned)
    bound = (aligned & aligned.T & (which == which.T)).tolist()
    winner = which.tolist()
    component, image = [-1] * n, [0] * n
    found: list[list[int]] = []
    for first in range(n):
        if component[first] >= 0:
            continue
        component[first], members, waiting = len(found), [first], deque([first])
        while waiting:
            a = waiting.popleft()
            for b in range(n):
                if bound[a][b] and component[b] < 0:
                    component[b], image[b] = len(found), PRODUCT[image[a]][winner[a][b]]
                    members.append(b)
                    waiting.append(b)
        found.append(members)
    rank = {old: new for new, old in enumerate(sorted(range(len(found)), key=lambda f: (-len(found[f]), f)))}
    component = [rank[f] for f in component]
    order = sorted(range(n), key=lambda a: (component[a], image[a], a))
    return Classes(component, image, order, _consistency(aligned.tolist(), winner, component, image))


def _consistency(
    aligned: list[list[bool]], winner: list[list[int]], component: Sequence[int], image: Sequence[int]
) -> float | None:
    pairs = [(a, b) for a in range(len(component)) for b in range(len(component)) if a != b and aligned[a][b]]
    implied = [component[a] == component[b] and winner[a][b] == PRODUCT[image[a]][image[b]] for a, b in pairs]
    return sum(implied) / len(implied) if implied else None


assert len(PRODUCT) == len(OPENING_MAPS)
