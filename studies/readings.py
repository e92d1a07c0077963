"""Other readings of the same pairs of languages: relative colors, retrieval without a probe, each direction by itself.

Absolute colors ask for the parity of the ply, which languages of unequal length do not read off the same positions:
there relative colors are the fair reading.
"""

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

import pandas as pd

from mothello.measures.probes.headline import headline, kinds
from mothello.measures.probes.verdict import PairVerdict, verdicts
from mothello.othello.symmetry import OPENING_MAPS
from mothello.report.runs import Run
from mothello.report.sharing import n_anchors, sharing_of
from studies.data import pair_name
from studies.judge import ATOMIC
from studies.numbers import decimal, mean, percent

COLUMNS = [
    "cell", "seed", "pair", "sharing", "anchors", "absolute", "relative", "absolute_far", "relative_far",
    "absolute_kind", "relative_kind", "margin", "retrieval", "retrieval_map", "tokens", "apart", "directions", "by_map",
]  # fmt: skip
"""absolute, relative: cells read right under the best map, means over both directions; *_far: the way from the orbit
reader to the own language; *_kind: the verdicts of both directions; retrieval: P@1 among states of the same ply, as
they are and through each direction's best map, at the layer of the headline; margin: the best map less the second one,
absolute colors; tokens: moves whose nearest token embedding is the same move through each direction's best map; apart:
how much the directions differ, absolute colors; directions: of either, DIRECTION."""
BY_MAP = {"tokens": ("embedding", "neighbours"), "states": ("alignment", "retrieval_same_ply")}
"""Measure and quantity of what is found through every map: by_map has means over both directions by name, control and
map, and by "orbit" the share of tokens whose nearest one is of a move of the same orbit."""
DIRECTION = {"absolute": "absolute colors", "relative": "relative colors", "retrieval": "retrieval"}
"""Of the probes of one language in the other, through their best map; retrieval among its states through that map."""
APART = 0.02
"""Directions that differ by more are shown apart."""


def readings(runs: Iterable[Run]) -> pd.DataFrame:
    """A row of COLUMNS per probed run of two languages."""
    return pd.DataFrame([_reading(run) for run in runs if _two(run)], columns=COLUMNS)


def _two(run: Run) -> bool:
    measure = run.measure("probes")
    return measure is not None and len(run.results["languages"]) == 2 and ("mlp", "absolute") in kinds(measure.rows)


def _reading(run: Run) -> dict[str, Any]:
    measure = run.measure("probes")
    assert measure is not None
    row: dict[str, Any] = {"cell": run.name, "seed": run.seed, "sharing": sharing_of(run.config)}
    row |= {"pair": pair_name(x["kind"] for x in run.results["languages"]), "anchors": n_anchors(run.config)}
    ways: dict[tuple[str, str], dict[str, float]] = {}
    for target in ("absolute", "relative"):
        head = headline(measure.rows, "mlp", target)
        judged = [x for x in verdicts(measure.rows, "mlp", target, head.layer) if x.source != x.language]
        row |= {target: head.across_best_map, f"{target}_far": head.recovered, f"{target}_kind": _kind(judged)}
        for x in judged:
            ways.setdefault((x.source, x.language), {})[target] = x.best.value
        if target == "absolute":
            row["layer"] = head.layer
            first, second = (x.best.value for x in judged)
            row["apart"] = abs(first - second)
            row["margin"] = sum(x.best.value - _second(x) for x in judged) / len(judged)
            row["tokens"] = _tokens(run, judged)
            row["retrieval"], through = _retrieval(run, head.layer, judged)
            row["retrieval_map"] = fmean(through.values()) if through else None
            for pair, value in through.items():
                ways[pair]["retrieval"] = value
    return row | {"directions": ways, "by_map": _by_map(run, row["layer"])}


def _by_map(run: Run, layer: int) -> dict[tuple[str, str, str], float]:
    found: dict[tuple[str, str, str], float] = {}
    rows = run.rows[run.rows.target == ""]
    for name, (measure, quantity) in BY_MAP.items():
        mine = rows[(rows.measure == measure) & (rows.quantity == quantity)]
        mine = mine[mine.layer == layer] if measure == "alignment" else mine
        for key, part in mine.groupby(["control", "map"]):
            control, through = map(str, tuple(key))
            found[name, control, through] = float(part.value.mean())
    orbits = rows[rows.quantity == "neighbours_orbit"].groupby("control").value.mean().to_dict()
    found |= {("tokens", str(control), "orbit"): value for control, value in orbits.items()}
    return found


def maps(found: pd.DataFrame) -> list[dict[str, Any]]:
    """Of naive pairs, what is found through every map of the opening, a row per seed; random weights: the most that any
    map finds there."""
    rows = []
    for run in found[(found.sharing == "naive") & (found.pair == ATOMIC)].to_dict("records"):
        row: dict[str, Any] = {"seed": str(run["seed"])}
        for name in BY_MAP if run["by_map"] else ():
            ways = (*OPENING_MAPS, "orbit") if name == "tokens" else OPENING_MAPS
            row |= {f"{name}: {x}": decimal(run["by_map"].get((name, "trained", x))) for x in ways}
            untrained = [run["by_map"].get((name, "random_weights", x)) for x in OPENING_MAPS]
            row |= {f"{name}: random weights": decimal(max(filter(None, untrained), default=None))}
        rows += [row] if len(row) > 1 else []
    return rows


def _second(judged: PairVerdict) -> float:
    """What the second map reads."""
    return [share.value for share in judged.accuracy.values()][1]


def _tokens(run: Run, judged: Sequence[PairVerdict]) -> float | None:
    rows = run.rows
    rows = rows[(rows.measure == "embedding") & (rows.quantity == "neighbours") & (rows.control == "trained")]
    found = rows[rows.target == ""].set_index(["source", "language", "map"]).value
    keys = [(x.source, x.language, x.map) for x in judged]
    return float(found[keys].mean()) if len(found) and set(keys) <= set(found.index) else None


def _kind(judged: Sequence[PairVerdict]) -> str:
    found = list(dict.fromkeys(f"{x.kind} ({x.map})" if x.aligned else x.kind for x in judged))
    return " and ".join(found)


def _retrieval(
    run: Run, layer: int, judged: Sequence[PairVerdict]
) -> tuple[float | None, Mapping[tuple[str, str], float]]:
    """Mean as it is, and every direction through its map."""
    measure = run.measure("alignment")
    if measure is None:
        return None, {}
    rows = measure.rows
    rows = rows[(rows.quantity == "retrieval_same_ply") & (rows.control == "trained") & (rows.layer == layer)]
    found = rows.set_index(["source", "language", "map"]).value
    through = {(x.source, x.language): float(found[x.source, x.language, x.map]) for x in judged}
    return float(rows[rows["map"] == "identity"].value.mean()), through


def table(found: pd.DataFrame) -> list[dict[str, Any]]:
    """A row per pair and sharing; naive pairs, which fall into kinds, and what differs by direction seed by seed."""
    rows = []
    for (pair, count, sharing), group in found.groupby(["pair", "anchors", "sharing"]):
        shared = f"{count} anchor{'' if count == 1 else 's'}" if sharing == "anchors" else sharing
        single = sharing == "naive" or (group.apart > APART).any()
        for seed, part in group.groupby("seed") if single else [("all", group)]:
            row = {"pair": pair, "shared": shared, "seed": str(seed)}
            for target in ("absolute", "relative"):
                far = part[f"{target}_far"].mean()
                row |= {f"{target}: best map": mean(part[target])}
                row |= {f"{target}: recovered": percent(far) if far > 0 else "-"}
                row |= {f"{target}: verdict": "; ".join(part[f"{target}_kind"].drop_duplicates())}
            row |= {"margin over the second map": decimal(part.margin.mean())}
            row |= {"retrieval, as it is": mean(part.retrieval), "through the map": mean(part.retrieval_map)}
            row |= {"token embeddings, through the map": mean(part.tokens)}
            rows.append(row | {"directions apart by": decimal(part.apart.max())})
    return rows


def directions(found: pd.DataFrame) -> list[dict[str, Any]]:
    """Both directions of every pair in which one of DIRECTION differs by more than APART, a row each; the widest apart
    first."""
    found = found.assign(wide=found.directions.map(widest))
    return [
        {"run": f"{run['cell']}/{run['seed']}", "direction": f"{source} in {language}"}
        | {head: decimal(way.get(name)) for name, head in DIRECTION.items()}
        for run in found[found.wide > APART].sort_values("wide", ascending=False).to_dict("records")
        for (source, language), way in run["directions"].items()
    ]


def widest(ways: Mapping[tuple[str, str], Mapping[str, float]]) -> float:
    """The most by which the two directions differ in one of DIRECTION."""
    one, other = ways.values()
    return max(abs(one[name] - other[name]) for name in one)
