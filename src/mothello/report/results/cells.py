"""One row a run of what a study compares: skill, own accuracy, raw and symmetry-aware alignment, their baselines."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from mothello.report.regimes import anchors, role
from mothello.report.results.judgement import WITHIN
from mothello.report.runs import Run

BAR = 0.97
"""Strict top-1 legality, on the run's own training distribution, below which a model counts as not having learned."""
MAPS = ("identity", "rot180", "main", "anti")
MIRRORS = MAPS[1:]
KIND_ORDER = ("atomic", "split", "compositional")
LEVELS = (0.97, 0.61, 0.53)
"""Of published pairs: in one block, in blocks that a reflection exchanges, in blocks that a half turn exchanges."""
MOST = 0.9
"""Share of the pairs of many languages that must read at one of these levels."""

CELLS = [
    "cell", "seed", "board", "pair", "role", "anchors", "prefix", "games", "layers", "legal", "reached", "strict",
    "lenient", "chance", "by_kind", "layer", "own", "raw", "best", "recovered", "winner", "aligned", "pairs", "null",
    "constant", "random_weights", "random_across", "identity", "rot180", "main", "anti", "own_low", "own_high",
    "raw_low", "raw_high", "best_low", "best_high", "consistency", "classes", "at_levels", "maps",
    "told_kept", "told_exchanged", "outside_kept", "outside_exchanged", "run",
]  # fmt: skip
"""strict, lenient, chance: legality as measured on games of every opening; by_kind: strict, by kind of language; legal:
strict legality on the training distribution, which is the same where no opening was given, else the estimate that
training made on its held-out games.
raw, best: cross-language accuracy under the identity and the best map, mean over ordered pairs; recovered: best as a
share of the way from the best constant to own; winner: the map through which all pairs are aligned ("none" where no
pair is, "mixed" where only some are, or through different maps); identity .. anti: mean accuracy under each map; null:
95% quantile of the best of the four maps on readings paired with other games, mean over pairs; random_weights,
random_across: own and best on a model never trained; own_low .. best_high: 95% intervals over games; consistency: share
of aligned pairs whose map the others imply; classes: of languages that share a space; at_levels: see the function;
maps: how many pairs are aligned through each, in words; outside_kept, outside_exchanged: accuracy under the best of the
four maps outside the group, with the colours of the image as they are and exchanged; told_kept, told_exchanged: under
the one that anchors tell.
Probes: MLP, absolute colours, the headline's layer."""


@dataclass(frozen=True)
class Expected:
    """What a study asks of a cell, as the names of the folders that hold it: only such runs and measurements count, so
    that another budget or another fit under the same name is never averaged with it."""

    train: str
    """Hash of the run."""
    probe: str
    """measures/probe-HASH."""
    states: str
    """measures/states-HASH."""
    transfer: Mapping[str, Any] | None = None
    """Settings of the fine-tuning."""

    def of(self, run: Run) -> Run | None:
        """The run with what was asked for; None where it is another."""
        if run.path.parent.name != self.train:
            return None
        return replace(
            run,
            probes=[x for x in run.probes if x["folder"] == self.probe],
            states=[x for x in run.states if x["folder"] == self.states],
            transfers=[x for x in run.transfers if self.transfer and x["config"].get("transfer") == self.transfer],
        )


def select(runs: Sequence[Run], cells: Mapping[str, Expected]) -> list[Run]:
    """The runs of a study, each with the measurements that it asks for."""
    found = (cells[run.name].of(run) for run in runs if run.name in cells)
    return [run for run in found if run is not None]


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
    prefix = " ".join((config.get("data") or {}).get("prefix") or [])
    means = {key: sum(x[key] for x in exact) / len(exact) if exact else None for key in ("top1", "lenient", "chance")}
    strict, estimate = means["top1"], float(results["final"]["val/top1"])
    legal = estimate if prefix or strict is None else strict
    row: dict[str, Any] = {
        "cell": run.name,
        "seed": run.seed,
        "board": results["board"],
        "pair": pair_name(language["kind"] for language in results["languages"]),
        "role": role(run),
        "anchors": anchors(run),
        "prefix": prefix,
        "games": int(results["games"]),
        "layers": (config.get("model") or {}).get("n_layer"),
        "legal": legal,
        "reached": legal >= BAR,
        "run": str(run.path),
    }
    row["by_kind"] = _by_kind(results["languages"], latest["legality"]) if latest else None
    return row | {"strict": strict, "lenient": means["lenient"], "chance": means["chance"]}


def _by_kind(languages: Sequence[Mapping[str, str]], legality: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Strict legality, mean over the languages of a kind."""
    found: dict[str, list[float]] = {}
    for language in (x for x in languages if x["name"] in legality):
        found.setdefault(language["kind"], []).append(legality[language["name"]]["top1"])
    return {kind: sum(values) / len(values) for kind, values in found.items()}


def _alignment(run: Run) -> dict[str, Any]:
    probe = run.probe or {"headline": {}}
    head = probe["headline"].get("mlp/absolute")
    if head is None:
        return {}
    row = {key: head.get(key) for key in ("layer", "own", "constant", "random_weights")} | _bounds(head)
    if "cross" not in head:
        return row
    winners = [name for name, count in head["maps"].items() if count]
    through = winners[0] if len(winners) == 1 and head["aligned_pairs"] == head["pairs"] else "mixed"
    row |= {"raw": head["cross"], "best": head["cross_best_map"]}
    row |= {"aligned": head["aligned_pairs"], "pairs": head["pairs"]}
    row["winner"] = through if winners else "none"
    row["maps"] = ", ".join(f"{name} {head['maps'][name]}" for name in winners)
    row["recovered"] = (row["best"] - row["constant"]) / (row["own"] - row["constant"])
    row["consistency"] = head["classes"]["consistency"]
    row["classes"] = len(set(zip(*(head["classes"][key] for key in ("family", "map")), strict=True)))
    pairs = pair_values(run)
    row["at_levels"] = at_levels(pairs[pairs.map_ == "identity"].value)
    row["null"] = float(_headline_rows(run, "null_95").value.mean())
    untrained = _headline_rows(run, "accuracy", "random_weights")
    row["random_across"] = untrained.groupby(["source", "language"]).value.max().mean()
    means = {str(name): float(value) for name, value in pairs.groupby("map_").value.mean().items()}
    return row | means | _outside(run, probe.get("outside"))


def _outside(run: Run, found: Mapping[str, Any] | None) -> dict[str, float]:
    """Under the maps outside the group, mean over ordered pairs."""
    if found is None:
        return {}
    told = ((run.config.get("languages") or {}).get("anchors") or {}).get("image")
    row = {}
    for key in ("kept", "exchanged"):
        values = np.array(found["mlp/absolute"][key])  # [map, source, language]
        pairs = values[:, ~np.eye(values.shape[-1], dtype=bool)]
        row[f"outside_{key}"] = float(pairs.max(0).mean())
        if told in found["map"]:
            row[f"told_{key}"] = float(pairs[found["map"].index(told)].mean())
    return row


def _bounds(head: Mapping[str, Any]) -> dict[str, float]:
    intervals = head.get("intervals") or {}
    named = (("own", "own"), ("raw", "cross"), ("best", "cross_best_map"))
    return {
        f"{name}_{end}": intervals[key][i]
        for name, key in named
        if key in intervals
        for i, end in enumerate(("low", "high"))
    }


def _headline_rows(run: Run, quantity: str, control: str = "trained") -> pd.DataFrame:
    """Rows of the tidy table for the headline's probe and layer, over ordered pairs of languages."""
    probe = run.probe
    assert probe is not None
    table, layer = probe["table"], probe["headline"]["mlp/absolute"]["layer"]
    return table[
        (table.measure == "probe") & (table.quantity == quantity) & (table.control == control)
        & (table.probe == "mlp") & (table.target == "absolute") & (table.layer == layer)
        & (table.square == "") & table.ply.isna() & (table.source != table.language)
    ]  # fmt: skip


def pair_values(run: Run) -> pd.DataFrame:
    """source, language, map_, value: accuracy of every ordered pair under every map, at the headline's layer."""
    rows = _headline_rows(run, "accuracy").rename(columns={"map": "map_"})
    return rows[["source", "language", "map_", "value"]]


def at_levels(raw: pd.Series) -> float:
    """Share of the pairs that read raw within .03 of a published level."""
    return float(pd.concat([(raw - level).abs() <= WITHIN for level in LEVELS], axis=1).any(axis=1).mean())
