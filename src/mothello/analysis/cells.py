"""One row a run of what a study compares: skill, own accuracy, raw and symmetry-aware alignment, their baselines."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from mothello.analysis.regimes import anchors, role
from mothello.analysis.runs import Run

BAR = 0.97
"""Strict top-1 legality, on the run's own training distribution, below which a model counts as not having learned."""
KIND_ORDER = ("atomic", "split", "compositional")

CELLS = [
    "cell", "seed", "board", "pair", "role", "anchors", "prefix", "games", "layers", "legal", "reached", "strict",
    "lenient", "layer", "own", "raw", "best", "winner", "aligned", "pairs", "null", "constant", "random_weights",
    "identity", "rot180", "main", "anti", "run",
]  # fmt: skip
"""legal: strict legality on held-out games of the training distribution; strict, lenient: the exact measure, on all
games; raw, best: cross-language accuracy under the identity and the best map, mean over ordered pairs; winner: the best
map of the aligned pairs ("none" where no pair is aligned, "mixed" where they differ); identity .. anti: mean accuracy
under each map; null: mean of readings paired with other games. Probes: MLP, absolute colours, the headline's layer."""


def same_probes(runs: Sequence[Run]) -> list[Run]:
    """The runs with one probe measurement each: the settings that most of them were probed with, the latest settings
    among equals. Runs without them keep none."""
    counts = Counter(name for run in runs for name in {probe["folder"] for probe in run.probes})
    written = {probe["folder"]: probe["written"] for run in runs for probe in run.probes}
    if not counts:
        return list(runs)
    common = max(counts, key=lambda name: (counts[name], written[name]))
    return [replace(run, probes=[probe for probe in run.probes if probe["folder"] == common]) for run in runs]


def pair_name(kinds: Iterable[str]) -> str:
    """Such as "atomic + split", or "8 atomic"."""
    names = sorted(kinds, key=KIND_ORDER.index)
    if len(names) > 2 and len(set(names)) == 1:
        return f"{len(names)} {names[0]}"
    return " + ".join(names)


def cell_table(runs: Sequence[Run]) -> pd.DataFrame:
    """CELLS, one row a run, in the order given; NaN or empty where it was not measured."""
    rows = [_skill(run) | _alignment(run) for run in runs]
    return pd.DataFrame(rows, columns=CELLS)


def _skill(run: Run) -> dict[str, Any]:
    config, results = run.config, run.results
    latest = max(run.states, key=lambda x: x["written"], default=None)
    exact: list[dict[str, float]] = list(latest["legality"].values()) if latest else []
    legal = float(results["final"]["val/top1"])
    row: dict[str, Any] = {
        "cell": run.name,
        "seed": run.seed,
        "board": results["board"],
        "pair": pair_name(language["kind"] for language in results["languages"]),
        "role": role(run),
        "anchors": anchors(run),
        "prefix": " ".join((config.get("data") or {}).get("prefix") or []),
        "games": int(results["games"]),
        "layers": (config.get("model") or {}).get("n_layer"),
        "legal": legal,
        "reached": legal >= BAR,
        "run": str(run.path),
    }
    for name, quantity in (("strict", "top1"), ("lenient", "lenient")):
        row[name] = sum(x[quantity] for x in exact) / len(exact) if exact else None
    return row


def _alignment(run: Run) -> dict[str, Any]:
    head = (run.probe or {"headline": {}})["headline"].get("mlp/absolute")
    if head is None:
        return {}
    row = {key: head.get(key) for key in ("layer", "own", "constant", "random_weights")}
    if "cross" not in head:
        return row
    winners = [name for name, count in head["maps"].items() if count]
    row |= {"raw": head["cross"], "best": head["cross_best_map"], "null": head["null_mean"]}
    row |= {"aligned": head["aligned_pairs"], "pairs": head["pairs"]}
    row["winner"] = "none" if not winners else winners[0] if len(winners) == 1 else "mixed"
    return row | map_means(run)


def map_means(run: Run) -> dict[str, float]:
    """Cross-language accuracy under every map at the headline's layer, mean over ordered pairs."""
    probe = run.probe
    assert probe is not None
    table, layer = probe["table"], probe["headline"]["mlp/absolute"]["layer"]
    rows = table[
        (table.measure == "probe") & (table.quantity == "accuracy") & (table.control == "trained")
        & (table.probe == "mlp") & (table.target == "absolute") & (table.layer == layer)
        & (table.square == "") & table.ply.isna() & (table.source != table.language)
    ]  # fmt: skip
    return {str(name): float(value) for name, value in rows.groupby("map").value.mean().items()}
