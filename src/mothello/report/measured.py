"""Measures' folders in the form that the tables of this room read, made from their rows by queries."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from mothello.measures.probes.headline import Headline, headlines, languages
from mothello.othello.symmetry import OTHER_MAPS

_NAMES = {"across": "cross", "across_best_map": "cross_best_map"}


def as_stored(head: Headline) -> dict[str, Any]:
    """A headline as a dict; what was not measured is left out."""
    row: dict[str, Any] = {_NAMES.get(k, k): v for k, v in head._asdict().items() if v is not None}
    row["intervals"] = {_NAMES.get(k, k): list(v) for k, v in head.intervals.items()}
    if head.classes is not None:
        row["classes"] = {"family": head.classes.component} | head.classes._asdict()
    return row


def probe_content(folder: Path, rows: pd.DataFrame) -> dict[str, Any]:
    """headline, constant, image_agreement, outside and examples of a measure "probes"."""
    whole = rows[(rows.measure == "probe") & (rows.quantity == "accuracy") & rows.ply.isna()]
    constant, images = whole[whole.control == "constant"], whole[whole.control == "image"]
    content = {
        "headline": {name: as_stored(head) for name, head in headlines(rows).items()},
        "constant": dict(zip(constant.target, constant.value, strict=True)),
        "image_agreement": {
            str(target): dict(zip(group["map"], group.value, strict=True))
            for target, group in images.groupby("target", sort=False)
        },
    }
    outside = rows[rows.quantity.isin(["other_map", "other_map_swapped"])]
    if len(outside):
        content["outside"] = {"map": list(OTHER_MAPS)} | _outside(outside, languages(rows))
    path = folder / "examples.json"
    return content | ({"examples": json.loads(path.read_text())} if path.exists() else {})


def _outside(rows: pd.DataFrame, names: list[str]) -> dict[str, Any]:
    """By probe: shares [map][source][language], zero on the diagonal."""
    tables = {}
    for (probe, target), group in rows.groupby(["probe", "target"], sort=False):
        values = group.set_index(["quantity", "map", "source", "language"]).value.to_dict()
        tables[f"{probe}/{target}"] = {
            key: [[[values.get((quantity, g, a, b), 0.0) for b in names] for a in names] for g in OTHER_MAPS]
            for key, quantity in (("kept", "other_map"), ("exchanged", "other_map_swapped"))
        }
    return tables


def legality_content(rows: pd.DataFrame) -> dict[str, Mapping[str, float]]:
    """Every column by language, of a measure "legality"; empty of another."""
    rows = rows[(rows.measure == "legality") & rows.ply.isna()]
    names = rows.quantity.where(rows.control != "chance", "chance")
    return {
        str(language): dict(zip(names[group.index], group.value, strict=True))
        for language, group in rows.groupby("language", sort=False)
    }
