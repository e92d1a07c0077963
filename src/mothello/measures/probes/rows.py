"""What probes measured, as rows of the tidy table."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from mothello.languages.language_set import LanguageSet
from mothello.measures.probes.averages import bounds
from mothello.measures.probes.baselines import best_constant, constant_by_ply, image_agreement, unrelated_agreement
from mothello.measures.probes.score import CrossLingual, Games, accuracy
from mothello.measures.probes.symmetry_null import aligned, best_map
from mothello.measures.probes.targets import TARGETS, BoardTargets
from mothello.othello.notation import square_name
from mothello.othello.symmetry import OPENING_MAPS
from mothello.rows import format_table

Row = dict[str, Any]


def probe_rows(
    name: str, result: CrossLingual, games: Games, language_set: LanguageSet, fit: BoardTargets, draws: int, seed: int,
    control: str = "trained", layers: Sequence[int] = (),
) -> Iterator[Row]:  # fmt: skip
    """Rows of one probe kind. layers: for each target, the one whose squares and plies are told apart."""
    low, high = bounds(result.right, games, draws, seed)
    share = accuracy(result.right, games)
    best = best_map(share)
    nulls = {"null_mean": result.null.mean(-1), "null_95": result.null.quantile(0.95, dim=-1)}
    positions = int(games.plies.sum())
    constants = best_constant(fit, games.truth).tolist()
    axes = [range(size) for size in result.whole.shape]
    for at in torch.cartesian_prod(*(torch.tensor(axis) for axis in axes)).tolist():
        target, layer, source, language = at
        index = tuple(at)
        head: Row = {
            "measure": "probe", "control": control, "probe": name, "target": TARGETS[target], "layer": layer,
            "source": language_set.names[source], "language": language_set.names[language],
        }  # fmt: skip
        for i, opening in enumerate(OPENING_MAPS):
            yield head | {
                "quantity": "accuracy", "map": opening, "value": float(share[index][i]), "low": float(low[index][i]),
                "high": float(high[index][i]), "n": len(games.moves),
            }  # fmt: skip
        whole = int(result.whole[index]) / positions
        yield head | {"quantity": "whole_board", "map": "identity", "value": whole, "n": positions}
        if control != "trained":
            continue
        for quantity, values in nulls.items():
            yield head | {"quantity": quantity, "value": float(values[index]), "n": result.null.shape[-1]}
        reached, which = best.accuracy[index], OPENING_MAPS[int(best.which[index])]
        counts = aligned(reached, nulls["null_95"][index], constants[target])
        yield head | {"quantity": "aligned", "map": which, "value": float(counts), "n": len(games.moves)}
        if layer in layers[target : target + 1]:
            yield from _in_detail(head, result, index, games, language_set)


def _in_detail(
    head: Row, result: CrossLingual, index: tuple[int, ...], games: Games, language_set: LanguageSet
) -> Iterator[Row]:
    """Accuracy by square and by ply."""
    head = head | {"quantity": "accuracy", "map": "identity"}
    positions, n_cells = int(games.plies.sum()), language_set.board.n_cells
    for cell, right in enumerate(result.by_cell[index].tolist()):
        square = square_name(language_set.board.squares[cell])
        yield head | {"square": square, "value": right / positions, "n": positions}
    reached = games.truth.scored.sum(0).tolist()
    for ply, (right, n) in enumerate(zip(result.by_ply[index].tolist(), reached, strict=True), start=1):
        if n:
            yield head | {"ply": ply, "value": right / n / n_cells, "n": n}


def shuffled_rows(name: str, result: CrossLingual, games: Games, language_set: LanguageSet) -> Iterator[Row]:
    """The control of probes fitted on another game's boards, in their own language."""
    if result.shuffled is None:
        return
    share = accuracy(result.shuffled, games)
    for layer, values in enumerate(share.tolist()):
        for language, value in zip(language_set.names, values, strict=True):
            yield {
                "measure": "probe", "quantity": "accuracy", "control": "shuffled", "probe": name, "target": "absolute",
                "layer": layer, "source": language, "language": language, "map": "identity", "value": value,
                "n": len(games.moves),
            }  # fmt: skip


def board_rows(games: Games, fit: BoardTargets, language_set: LanguageSet) -> Iterator[Row]:
    """What no model is needed for: the best constant, boards against their images, and against another game's."""
    constant, by_ply = best_constant(fit, games.truth).tolist(), constant_by_ply(fit, games.truth).tolist()
    images, other = image_agreement(games.truth, language_set.board).tolist(), unrelated_agreement(games.truth).tolist()
    for i, target in enumerate(TARGETS):
        head: Row = {"measure": "probe", "quantity": "accuracy", "target": target, "n": len(games.moves)}
        yield head | {"control": "constant", "value": constant[i]}
        for ply, value in enumerate(by_ply[i], start=1):
            if value == value:
                yield head | {"control": "constant", "ply": ply, "value": value}
        yield head | {"control": "unrelated", "value": other[i]}
        for name, value in zip(OPENING_MAPS, images[i], strict=True):
            yield head | {"control": "image", "map": name, "value": value}


HEADLINE = {
    "layer": "layer", "own": "own", "cross": "across", "cross_best_map": "best map", "constant": "constant",
    "random_weights": "random weights",
}  # fmt: skip


def told(content: dict[str, Any], folder: Path) -> str:
    """What the terminal says at the end: cells read right by every probe, wrong moves of the interventions."""
    rows = {
        name: {label: row[key] for key, label in HEADLINE.items() if key in row}
        for name, row in content["headline"].items()
    }
    parts = [f"cells read right, at the best layer below the last\n{format_table(rows)}"]
    if content["causal"]:
        edits = {name: row | {"layer": int(row["layer"])} for name, row in content["causal"].items()}
        parts.append(
            f"false plus missed moves after an intervention, mean over cases, and its controls\n{format_table(edits)}"
        )
    return "\n".join([*parts, f"every layer, pair, map, cell and ply: {folder / 'table.csv.gz'}"])
