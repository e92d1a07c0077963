"""Symmetry classes: which of many languages share a space, and which only up to a symmetry of the opening.

The four maps that fix the opening form a group in which every map undoes itself. If language a reads b through g and b
reads c through h, a should read c through gh. Languages bound by such readings form a family (a component), and those
of a family with the same map to its first member form a class: its members read each other without a map. No torch.
"""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from mothello.othello.symmetry import OPENING_MAPS, compose

PRODUCT = [[OPENING_MAPS.index(compose(g, h)) for h in OPENING_MAPS] for g in OPENING_MAPS]
"""PRODUCT[g][h]: index in OPENING_MAPS of the map that applies h, then g."""


class Classes(NamedTuple):
    """Every language's place. A language aligned with no other is a component of its own."""

    component: list[int]
    """Components are numbered by falling size."""
    map: list[int]
    """Index in OPENING_MAPS of the map to the component's first language."""
    order: list[int]
    """Languages by component, then map, then index: the order in which blocks show."""
    consistency: float | None
    """Share of aligned pairs whose winning map is the one that the classes imply; None where no pair is aligned."""


def symmetry_classes(aligned: Sequence[Sequence[bool]], which: Sequence[Sequence[int]]) -> Classes:
    """aligned[source][language]: whether the best map of a pair counts as alignment. which: that map's index.

    Two languages are bound when both directions are aligned through the same map. The diagonal is ignored.
    """
    n = len(aligned)
    component, image = [-1] * n, [0] * n
    sizes: list[int] = []
    for first in range(n):
        if component[first] >= 0:
            continue
        component[first], waiting = len(sizes), deque([first])
        sizes.append(1)
        while waiting:
            a = waiting.popleft()
            for b in range(n):
                bound = aligned[a][b] and aligned[b][a] and which[a][b] == which[b][a]
                if bound and component[b] < 0:
                    component[b], image[b] = component[a], PRODUCT[image[a]][which[a][b]]
                    sizes[component[a]] += 1
                    waiting.append(b)
    rank = {old: new for new, old in enumerate(sorted(range(len(sizes)), key=lambda f: (-sizes[f], f)))}
    component = [rank[f] for f in component]
    order = sorted(range(n), key=lambda a: (component[a], image[a], a))
    return Classes(component, image, order, _consistency(aligned, which, component, image))


def _consistency(
    aligned: Sequence[Sequence[bool]], which: Sequence[Sequence[int]], component: Sequence[int], image: Sequence[int]
) -> float | None:
    pairs = [(a, b) for a in range(len(component)) for b in range(len(component)) if a != b and aligned[a][b]]
    implied = [component[a] == component[b] and which[a][b] == PRODUCT[image[a]][image[b]] for a, b in pairs]
    return sum(implied) / len(implied) if implied else None
