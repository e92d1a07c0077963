"""Interventions and patching on a model and its fitted probes, as rows of the tidy table."""

from collections.abc import Iterator
from typing import Any

import torch
from tqdm import tqdm

from mothello.bootstrap import Bootstrap
from mothello.causal.cases import draw_cases
from mothello.causal.config import CausalConfig
from mothello.causal.intervene import Errors, Language, interventions, without
from mothello.causal.patching import draw_patches, patched, unpatched
from mothello.languages.family import Family
from mothello.model.transformer import GPT
from mothello.probing.train import FittedProbes
from mothello.seeding import derive, generator
from mothello.training.device import Precision

Row = dict[str, Any]


def causal_rows(
    model: GPT, family: Family, probes: FittedProbes, moves: torch.Tensor, config: CausalConfig, precision: Precision
) -> Iterator[Row]:
    """Interventions by the linear probes of relative colours, then patching; between the first languages.

    moves: games that no probe was fitted on. Nothing without cases or linear probes.
    """
    if not config.cases or "linear" not in probes.modules:
        return
    draw, seed = generator(config.seed, "cases"), derive(config.seed, "random directions") >> 2
    cases = draw_cases(moves, family.board, config.cases, draw)
    patches = draw_patches(moves, family.board, config.cases, draw)
    names = family.names[: config.languages]
    bar = tqdm(total=len(names) ** 2, desc="interventions", unit="pair", mininterval=1)
    for language, edited in enumerate(names):
        written = Language(model, family, language, cases.moves, cases.ply, precision)
        read = Language(model, family, language, patches.moves, patches.ply, precision)
        for found in without(written, cases):
            yield _row(found, "causal", config, language=edited)
        for found in unpatched(read, patches):
            yield _row(found, "patching", config, language=edited)
        for source, name in enumerate(names):
            pair = {"source": name, "language": edited}
            for found in interventions(written, probes, source, cases, config.strength, seed):
                yield _row(found, "causal", config, probe="linear", target="relative", **pair)
            for found in patched(read, patches, source):
                yield _row(found, "patching", config, **pair)
            bar.update()
    bar.close()


def _row(found: Errors, measure: str, config: CausalConfig, **where: str) -> Row:
    """Mean over cases with its interval; cases are drawn anew as games are elsewhere."""
    n = len(found.values)
    bootstrap = Bootstrap(n, config.draws, generator(config.seed, "bootstrap"))
    low, high = bootstrap(found.values, torch.ones(n))
    row: Row = {"measure": measure, "quantity": found.quantity, "control": found.control} | where
    if found.layer is not None:
        row["layer"] = found.layer
    return row | {"value": float(found.values.double().mean()), "low": float(low), "high": float(high), "n": n}


def causal_summary(rows: list[Row]) -> dict[str, dict[str, float]]:
    """Per quantity at the layer with the fewest errors within a language: errors there within and across languages
    (means over languages and pairs), with random directions, and of the controls."""
    found: dict[str, dict[str, float]] = {}
    for quantity in dict.fromkeys(row["quantity"] for row in rows):
        of = [row for row in rows if row["quantity"] == quantity]
        made = [row for row in of if row["control"] == "trained"]
        within = {row["layer"]: _mean(made, row["layer"], True) for row in made}
        layer = min(within, key=within.__getitem__)
        entry = {"layer": float(layer), "within": within[layer]}
        if any(row["source"] != row["language"] for row in made):
            entry["across"] = _mean(made, layer, False)
        for control in ("random", "null", "floor"):
            values = [row["value"] for row in of if row["control"] == control and row.get("layer", layer) == layer]
            if values:
                entry[control] = sum(values) / len(values)
        found[quantity] = entry
    return found


def _mean(rows: list[Row], layer: int, within: bool) -> float:
    values = [r["value"] for r in rows if r["layer"] == layer and (r["source"] == r["language"]) == within]
    return sum(values) / len(values)
