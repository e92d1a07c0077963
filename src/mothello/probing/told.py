"""What probes read across languages under a map outside the opening's group: the negative control of mirror anchors.

Such a map exchanges the colours of the opening, so a model can only follow it in part: with the colours as they are, or
exchanged. Both are read, since an alignment through either would refute the control.
"""

from typing import NamedTuple

from jaxtyping import Int8
from torch import Tensor

from mothello.activations.states import states
from mothello.data.batch import in_language
from mothello.languages.family import Family
from mothello.model.transformer import GPT
from mothello.probing.baselines import image_of
from mothello.probing.crosslingual import read
from mothello.probing.targets import TARGETS, BoardTargets
from mothello.probing.train import FittedProbes
from mothello.training.device import Precision


class Told(NamedTuple):
    """Share of cells read as the image of the true board has them, mean over ordered pairs of languages."""

    map: str
    accuracy: float
    exchanged: float
    """The same with the colours of the image exchanged."""


def told_map(
    model: GPT, family: Family, probes: FittedProbes, moves: Int8[Tensor, "game ply"], truth: BoardTargets, name: str,
    layers: dict[str, int], precision: Precision,
) -> dict[str, Told]:  # fmt: skip
    """By probe kind, absolute colours. name: one of symmetry.ALL_MAPS. layers: the layer to read, by probe kind."""
    target = TARGETS.index("absolute")
    boards = image_of(truth.classes[target][truth.scored], family.board, name)
    n, right = len(family.languages), {kind: [0.0, 0.0] for kind in layers}
    for language in range(n):
        x = states(model, in_language(moves, language, family), precision)[:, truth.scored]
        for source in range(n):
            if source == language:
                continue
            for kind, layer in layers.items():
                own = probes.normalize(x, source)
                readings = read(probes, kind, TARGETS[target], source, own, precision)[layer]
                for i, image in enumerate((boards, 2 - boards)):
                    right[kind][i] += float((readings == image).double().mean())
    return {kind: Told(name, *(total / (n * (n - 1)) for total in totals)) for kind, totals in right.items()}
