"""Interventions and patching on a model and its fitted probes, as rows of the tidy table."""

from collections.abc import Iterator
from typing import Any

import torch
from tqdm import tqdm

from mothello.bootstrap import Bootstrap
from mothello.languages.language_set import LanguageSet
from mothello.measures.causal.cases import draw_cases
from mothello.measures.causal.config import CausalConfig
from mothello.measures.causal.intervene import Errors, Language, interventions, without
from mothello.measures.causal.patch import draw_patches, patched, unpatched
from mothello.measures.probes.fit import FittedProbes
from mothello.model.transformer import GPT
from mothello.othello.symmetry import OPENING_MAPS
from mothello.seeding import derive, generator
from mothello.training.device import Precision

Row = dict[str, Any]


def causal_rows(
    model: GPT,
    language_set: LanguageSet,
    probes: FittedProbes,
    moves: torch.Tensor,
    config: CausalConfig,
    precision: Precision,
) -> Iterator[Row]:
    """Interventions by the linear probes of relative colours where they were fitted, then patching; between the first
    languages. moves: games that no probe was fitted on. Nothing where no case is found."""
    draw, seed = generator(config.seed, "cases"), derive(config.seed, "random directions") >> 2
    cases = draw_cases(moves, language_set.board, config.cases, draw)
    patches = draw_patches(moves, language_set.board, config.cases, draw)
    steer, patch = "linear" in probes.modules and len(cases.ply) > 0, len(patches.ply) > 0
    names, bootstrap = (
        language_set.names[: config.languages],
        Bootstrap(len(moves), config.draws, generator(0, "bootstrap")),
    )
    bar = tqdm(total=len(names) ** 2, desc="interventions", unit="pair", mininterval=1, disable=not (steer or patch))
    for language, edited in enumerate(names):
        written = Language(model, language_set, language, cases.moves, cases.ply, precision) if steer else None
        read = Language(model, language_set, language, patches.moves, patches.ply, precision) if patch else None
        for found in without(written, cases) if written else ():
            yield _row(found, "causal", bootstrap, language=edited)
        for found in unpatched(read, patches) if read else ():
            yield _row(found, "patching", bootstrap, language=edited)
        for source, name in enumerate(names):
            pair = {"source": name, "language": edited}
            for found in interventions(written, probes, source, cases, config.strength, seed) if written else ():
                yield _row(found, "causal", bootstrap, probe="linear", target="relative", **pair)
            for found in patched(read, patches, source) if read else ():
                yield _row(found, "patching", bootstrap, **pair)
            bar.update()
    bar.close()


def _row(found: Errors, measure: str, bootstrap: Bootstrap, **where: str) -> Row:
    """Mean over cases, with its interval over the games they are from."""
    games = bootstrap.weight.shape[1]
    summed = torch.zeros(games, dtype=torch.float64).index_add_(0, found.game, found.values.double())
    low, high = bootstrap(summed, found.game.bincount(minlength=games))
    row: Row = {"measure": measure, "quantity": found.quantity, "control": found.control} | where
    if found.layer is not None:
        row |= {"layer": found.layer, "map": found.map}
    mean = float(found.values.double().mean())
    return row | {"value": mean, "low": float(low), "high": float(high), "n": len(found.values)}


def causal_summary(rows: list[Row], n_layer: int) -> dict[str, dict[str, float]]:
    """Per quantity errors within and across languages (means over languages and pairs), with random directions, and of
    the controls: of edits at the layer with the fewest errors within a language, of patches at the middle one (behind
    the last layer a patch is read off, not worked on)."""
    found: dict[str, dict[str, float]] = {}
    for quantity in dict.fromkeys(row["quantity"] for row in rows if "layer" in row):
        of = [row for row in rows if row["quantity"] == quantity]
        made = [row for row in of if row["control"] == "trained"]
        within = {row["layer"]: _mean(made, row["layer"], True) for row in made}
        layer = (n_layer + 1) // 2 if quantity.startswith("patch") else min(within, key=within.__getitem__)
        entry = {"layer": float(layer), "within": within[layer]}
        if any(row["source"] != row["language"] for row in made):
            entry["across"] = _mean(made, layer, False)
            entry["across_best_map"] = min(_mean(made, layer, False, name) for name in OPENING_MAPS)
        plain = [row for row in rows if row["quantity"] == quantity.removesuffix("_once")]
        for control in ("random", "null", "floor"):
            values = [
                row["value"] for row in (of if control == "random" else plain)
                if row["control"] == control and row.get("layer", layer) == layer
            ]  # fmt: skip
            if values:
                entry[control] = sum(values) / len(values)
        found[quantity] = entry
    return found


def _mean(rows: list[Row], layer: int, within: bool, name: str = OPENING_MAPS[0]) -> float:
    rows = [row for row in rows if row["layer"] == layer and row["map"] == name]
    values = [row["value"] for row in rows if (row["source"] == row["language"]) == within]
    return sum(values) / len(values)
