"""A second reading across languages, at the headline's layer alone: maps outside the opening's group, and domains.

Maps outside the group are the negative control. Such a map exchanges the colors of the four discs that a game starts
with, and of no others: a move flips the same discs in every mirror. So readings are compared with the image with its
colors as they are, and with its colors exchanged.
"""

from collections.abc import Iterator, Mapping, Sequence

import torch
from jaxtyping import Int8
from torch import Tensor

from mothello.bootstrap import Bootstrap
from mothello.measures.measure import Row, Subject
from mothello.measures.probes.baselines import image_of, images
from mothello.measures.probes.domains import domains
from mothello.measures.probes.fit import FittedProbes
from mothello.measures.probes.score import Games, read
from mothello.measures.probes.targets import TARGETS
from mothello.othello.board import Board
from mothello.othello.notation import square_name
from mothello.othello.symmetry import OPENING_MAPS, OTHER_MAPS

Boards = Int8[Tensor, "map row cell"]


def second_rows(
    subject: Subject, probes: FittedProbes, games: Games, layers: Mapping[str, Sequence[int]], bootstrap: Bootstrap
) -> Iterator[Row]:
    """Every ordered pair of different languages. layers: by probe kind, the layer to read for every target.
    bootstrap: over the second half of the games."""
    truth, board = games.truth, subject.board
    classes, game = truth.classes[:, truth.scored].to(torch.int8), truth.scored.nonzero()[:, 0]
    inside = images(classes, board).transpose(0, 1)
    outside = torch.stack([image_of(classes[TARGETS.index("absolute")], board, name) for name in OTHER_MAPS])
    for language, name in enumerate(subject.names):
        x = subject.states(games.moves, language)[:, truth.scored]
        for source, other in enumerate(subject.names):
            if source == language:
                continue
            own = probes.normalize(x, source)
            for kind, chosen in layers.items():
                for target, layer, moved in zip(TARGETS, chosen, inside, strict=True):
                    one = slice(layer, layer + 1)
                    (readings,) = read(probes, kind, target, source, own, subject.precision, one)
                    head: Row = {
                        "measure": "probe", "control": subject.control, "probe": kind, "target": target,
                        "layer": layer, "source": other, "language": name,
                    }  # fmt: skip
                    yield from (head | row for row in _domain_rows(readings, moved, game, games, board, bootstrap))
                    if target == "absolute":
                        yield from (head | row for row in _other_map_rows(readings, outside, len(games.moves)))


def _other_map_rows(readings: Int8[Tensor, "row cell"], outside: Boards, games: int) -> Iterator[Row]:
    """Absolute colors under the maps outside the group."""
    for name, image in zip(OTHER_MAPS, outside, strict=True):
        for quantity, moved in (("other_map", image), ("other_map_swapped", 2 - image)):
            share = float((readings == moved).double().mean())
            yield {"quantity": quantity, "map": name, "value": share, "n": games}


def _domain_rows(
    readings: Int8[Tensor, "row cell"], inside: Boards, game: Tensor, games: Games, board: Board, bootstrap: Bootstrap
) -> Iterator[Row]:
    """The mixed reading and its gain over a single map, the share of the cells at every map, and the map of every
    square."""
    found, half = domains(readings, inside, game, len(games.moves)), len(games.moves) // 2
    cells, positions = games.cells[half:], int(games.plies[half:].sum())
    low, high = bootstrap(torch.stack([found.mixed, found.gain]), cells)
    for i, (quantity, by_game) in enumerate((("mixed", found.mixed), ("mixed_gain", found.gain))):
        row = {"quantity": quantity, "value": float(by_game.sum() / cells.sum())}
        single = {"map": OPENING_MAPS[found.single]} if quantity == "mixed_gain" else {}
        yield row | single | {"low": float(low[i]), "high": float(high[i]), "n": len(cells)}
    for i, name in enumerate(OPENING_MAPS):
        share = float((found.which == i).double().mean())
        yield {"quantity": "domain", "map": name, "value": share, "n": board.n_cells}
    for square, which, right in zip(board.squares, found.which.tolist(), found.by_cell.tolist(), strict=True):
        place = {"quantity": "domain", "square": square_name(square), "map": OPENING_MAPS[which]}
        yield place | {"value": right / max(1, positions), "n": positions}
