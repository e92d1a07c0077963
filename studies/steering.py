"""What interventions and patches do to what a model plays, through every map of the square, and predictions 15."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pandas as pd

from mothello.measures.causal.summary import errors_by_map
from mothello.measures.probes.verdict import verdicts
from mothello.othello.symmetry import ALL_MAPS
from mothello.report.runs import Run
from studies import CRITERIA
from studies.numbers import decimal
from studies.runs import headline_of

STEER, PATCH = "flip_error", "patch_all_error"
"""A disc of the board is turned by the other language's probe; all states of a parallel game are put in its place."""
COLUMNS = [
    "cell", "seed", "source", "language", "kind", "map", "aligned", *(f"{edit}_{x}" for edit in ("steer", "patch")
    for x in ("through", "other", "other_map", "within", "null")),
]  # fmt: skip
"""A row per ordered pair: source edits what the model reads of language. Wrong and missed moves per position: through
the map of the verdict, through the best of the other seven maps (and which), by the language's own probe or states, and
without an edit."""


WAYS = {
    "through": "errors through the pair's map", "within": "within the language",
    "other": "through the best other map", "null": "without an edit",
}  # fmt: skip


def table_of(runs: Iterable[Run]) -> pd.DataFrame:
    """A row of COLUMNS per ordered pair of every run whose interventions were measured."""
    found = [row for run in runs for row in _pairs(run)]
    return pd.DataFrame(found, columns=COLUMNS).astype({"aligned": bool})


def _pairs(run: Run) -> Iterator[dict[str, Any]]:
    probes, causal, head = run.measure("probes"), run.measure("causal"), headline_of(run)
    if probes is None or causal is None or head is None:
        return
    for judged in verdicts(probes.rows, "mlp", "absolute", head.layer):
        if judged.source == judged.language:
            continue
        row: dict[str, Any] = {"cell": run.name, "seed": run.seed, "source": judged.source, "language": judged.language}
        row |= {"kind": judged.kind, "map": judged.map, "aligned": judged.aligned}
        rows = causal.rows[causal.rows.language == judged.language]
        found = errors_by_map(rows[rows.source.isin(["", judged.source, judged.language])])
        for name, quantity in (("steer", STEER), ("patch", PATCH)):
            if entry := found.get(quantity):
                others = {x: entry[x] for x in ALL_MAPS if x in entry and x != judged.map}
                best = min(others, key=lambda x: others[x])
                numbers = {"through": entry[judged.map], "other": others[best], "other_map": best}
                numbers |= {"within": entry["within"], "null": entry.get("null")}
                row |= {f"{name}_{key}": value for key, value in numbers.items()}
        yield row


def table(found: pd.DataFrame) -> list[dict[str, Any]]:
    """A row per ordered pair."""
    rows = []
    for pair in found.to_dict("records"):
        row = {"pair": f"{pair['cell']}/{pair['seed']}", "verdict": f"{pair['kind']} ({pair['map']})"}
        row["edits"] = f"{pair['source']} in {pair['language']}"
        for name, edit in (("steer", "turned discs"), ("patch", "patched states")):
            other = f"{decimal(pair[f'{name}_other'], 2)} ({pair[f'{name}_other_map']})"
            numbers = {"its map": pair[f"{name}_through"], "within": pair[f"{name}_within"]}
            row |= {f"{edit}: {key}": decimal(value, 2) for key, value in numbers.items()}
            row |= {f"{edit}: best of the others": other, f"{edit}: no edit": decimal(pair[f"{name}_null"], 2)}
        rows.append(row)
    return rows


def answer(found: pd.DataFrame) -> str:
    """What the table says of the aligned pairs."""
    aligned, told = found[found.aligned], []
    for name, edit in (("steer", "Turned discs"), ("patch", "Patched states")):
        errors = ", ".join(f"{decimal(aligned[f'{name}_{x}'].mean(), 2)} {way}" for x, way in WAYS.items())
        fewest = int((aligned[f"{name}_through"] < aligned[f"{name}_other"]).sum())
        told.append(
            f"{edit} of aligned pairs: {errors}; fewest through its map in {fewest} of {len(aligned)} directions."
        )
    return " ".join(told) if len(aligned) else ""


def predictions(found: pd.DataFrame) -> Iterator[tuple[str, str, bool | None, Sequence[str]]]:
    """Claim, what was found, outcome, cells."""
    cells = list(found.cell.unique())
    aligned = found[found.aligned]
    for number, name, claim in (
        ("15.1", "steer", "of aligned pairs, boards edited by the other's probe leave the fewest errors through "
         "the map of the verdict, out of eight, in both directions"),
        ("15.2", "patch", "the same of states of parallel games"),
    ):  # fmt: skip
        held = aligned[f"{name}_through"] < aligned[f"{name}_other"]
        text = f"{held.sum()} of {len(aligned)}" if len(aligned) else "-"
        yield f"{number} {claim}", text, bool(held.all()) if len(aligned) else None, cells
    rest, factor = found[~found.aligned], CRITERIA.factors["steering"]
    kept = rest[["patch_through", "patch_other"]].min(axis=1) >= factor * rest.patch_within
    also = aligned[["patch_through", "patch_other"]].min(axis=1) >= factor * aligned.patch_within
    claim = "15.3 where a pair is not aligned, no map leaves less than twice the errors of patches within a language"
    text = f"{kept.sum()} of {len(rest)}; of aligned ones, too, {also.sum()} of {len(aligned)}"
    yield claim, text if len(rest) else "-", bool(kept.all()) if len(rest) else None, cells
