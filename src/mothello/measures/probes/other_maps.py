"""What probes read across languages under the maps outside the opening's group: the negative control.

Such a map exchanges the colours of the four discs that a game starts with, and of nothing else: which discs a move
flips is the same in every mirror. So readings are held against the image with its colours as they are, and exchanged.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int8
from torch import Tensor

from mothello.data.batch import in_language
from mothello.languages.language_set import LanguageSet
from mothello.measures.activations import states
from mothello.measures.probes.baselines import image_of
from mothello.measures.probes.fit import FittedProbes
from mothello.measures.probes.score import read
from mothello.measures.probes.targets import TARGETS, BoardTargets
from mothello.model.transformer import GPT
from mothello.othello.symmetry import OTHER_MAPS
from mothello.training.device import Precision


class Outside(NamedTuple):
    """Share of cells read as the image of the true board has them. On the CPU."""

    kept: Float[Tensor, "map source language"]
    """In the order of OTHER_MAPS; zeros on the diagonal, which is not read."""
    exchanged: Float[Tensor, "map source language"]
    """The same with the colours of the image exchanged."""


def outside_maps(
    model: GPT, language_set: LanguageSet, probes: FittedProbes, moves: Int8[Tensor, "game ply"], truth: BoardTargets,
    layers: dict[str, int], precision: Precision,
) -> dict[str, Outside]:  # fmt: skip
    """By probe kind, absolute colours. layers: the layer to read, by probe kind."""
    target, n = TARGETS.index("absolute"), len(language_set.languages)
    boards = truth.classes[target][truth.scored].to(torch.int8)
    images = [image_of(boards, language_set.board, name) for name in OTHER_MAPS]
    found = {kind: Outside(*torch.zeros(2, len(OTHER_MAPS), n, n).double().unbind()) for kind in layers}
    for language in range(n):
        x = states(model, in_language(moves, language, language_set), precision)[:, truth.scored]
        for source in range(n):
            if source == language:
                continue
            own = probes.normalize(x, source)
            for kind, layer in layers.items():
                readings = read(probes, kind, TARGETS[target], source, own, precision)[layer]
                for i, image in enumerate(images):
                    found[kind].kept[i, source, language] = (readings == image).double().mean()
                    found[kind].exchanged[i, source, language] = (readings == 2 - image).double().mean()
    return found
