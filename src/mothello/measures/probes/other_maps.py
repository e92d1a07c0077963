"""Readings across languages under the maps outside the opening's group: the negative control.

Such a map exchanges the colors of the four discs that a game starts with, and of no others: a move flips the same discs
in every mirror. So readings are compared with the image with its colors as they are, and with its colors exchanged.
"""

from collections.abc import Iterator

import torch

from mothello.measures.measure import Row, Subject
from mothello.measures.probes.baselines import image_of
from mothello.measures.probes.fit import FittedProbes
from mothello.measures.probes.score import Games, read
from mothello.measures.probes.targets import TARGETS
from mothello.othello.symmetry import OTHER_MAPS


def other_map_rows(subject: Subject, probes: FittedProbes, games: Games, layers: dict[str, int]) -> Iterator[Row]:
    """Absolute colors, every ordered pair of languages. layers: the layer to read, by probe kind."""
    target, truth = TARGETS.index("absolute"), games.truth
    boards = truth.classes[target][truth.scored].to(torch.int8)
    images = {name: image_of(boards, subject.board, name) for name in OTHER_MAPS}
    for language, name in enumerate(subject.names):
        x = subject.states(games.moves, language)[:, truth.scored]
        for source, other in enumerate(subject.names):
            if source == language:
                continue
            own = probes.normalize(x, source)
            for kind, layer in layers.items():
                readings = read(probes, kind, TARGETS[target], source, own, subject.precision)[layer]
                head: Row = {
                    "measure": "probe", "control": subject.control, "probe": kind, "target": TARGETS[target],
                    "layer": layer, "source": other, "language": name, "n": len(games.moves),
                }  # fmt: skip
                for map_, image in images.items():
                    for quantity, board in (("other_map", image), ("other_map_swapped", 2 - image)):
                        share = float((readings == board).double().mean())
                        yield head | {"quantity": quantity, "map": map_, "value": share}
