"""What a probe of one language reads in another, through every map of the opening: measured rows, or a count now."""

from typing import Any

import torch
from jaxtyping import Float, Int8
from torch import Tensor

from mothello.explorer.probes import scores
from mothello.measures.probes.fit import FittedProbes
from mothello.measures.probes.headline import headline, kinds
from mothello.measures.probes.targets import board_targets
from mothello.measures.probes.verdict import verdicts
from mothello.othello.symmetry import OPENING_MAPS, cell_map
from mothello.stages.run import Run


def shares(
    run: Run, fitted: FittedProbes, kind: str, moves: Int8[Tensor, "game ply"]
) -> Float[Tensor, "source language layer map"]:
    """Share of the cells of absolute color that the probes read right, when the board is moved through each map."""
    targets = board_targets(moves, run.board)
    boards = targets.classes[0][targets.scored]
    images = torch.stack([boards[:, cell_map(run.board, name)] for name in OPENING_MAPS])  # maps undo themselves
    languages = range(len(run.languages))
    states = [run.subject().states(moves, language)[:, targets.scored] for language in languages]
    result = torch.zeros(len(languages), len(languages), len(states[0]), len(OPENING_MAPS))
    for source in languages:
        for language, x in enumerate(states):
            readings = scores(fitted, kind, "absolute", source, x).argmax(-1)
            for index, image in enumerate(images):
                result[source, language, :, index] = (readings == image).double().mean((1, 2))
    return result


def _pair(source: str, language: str, by_map: dict[str, float], kind: str = "") -> dict[str, Any]:
    best = max(by_map, key=lambda name: by_map[name])
    return {"source": source, "language": language, "map": best, "shares": by_map, "kind": kind}


def best_layer(table: Float[Tensor, "source language layer map"]) -> int:
    """The layer, the last left out, where languages are read best by their own probes."""
    own = table[range(len(table)), range(len(table)), :, 0].mean(0)
    return int(own[:-1].argmax())


def counted_pairs(run: Run, table: Float[Tensor, "source language layer map"], kind: str) -> dict[str, Any]:
    """Every ordered pair at the best layer."""
    layer = best_layer(table)
    cells = [
        _pair(a, b, dict(zip(OPENING_MAPS, table[i, j, layer].tolist(), strict=True)))
        for i, a in enumerate(run.languages)
        for j, b in enumerate(run.languages)
    ]
    return {"probe": kind, "layer": layer, "measured": False, "pairs": cells}


def measured_pairs(run: Run, kind: str) -> dict[str, Any] | None:
    """The same as the run's rows have it, with the verdict on each pair; None where this kind was not measured."""
    rows = run.table
    if not len(rows) or run.earlier is not None:
        return None
    rows = rows[rows.folder.str.fullmatch(r"measures/probes-[0-9a-f]+")]
    if len(rows):
        rows = rows[rows.folder == rows.folder.iloc[-1]]
    if not len(rows) or (kind, "absolute") not in kinds(rows):
        return None
    layer = headline(rows, kind, "absolute").layer
    cells = [
        _pair(one.source, one.language, {name: share.value for name, share in one.accuracy.items()}, one.kind)
        for one in verdicts(rows, kind, "absolute", layer)
    ]
    return {"probe": kind, "layer": layer, "measured": True, "pairs": cells} if cells else None
