"""Tables: functions from runs to tidy DataFrames, one observation a row."""

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from mothello.report.regimes import by_regime, role
from mothello.report.runs import Run
from mothello.report.statistics import HEADLINE
from mothello.rows import COLUMNS

LEGALITY = (
    "top1", "top1_standard_error", "lenient", "mass", "mass_first_token", "wrong_language", "malformed", "chance",
    "loss", "floor", "excess_nats",
)  # fmt: skip
"""Columns of the legality table; shares in 0..1, losses in nats."""


def _labelled(runs: Sequence[Run]) -> Iterator[tuple[Run, dict[str, Any]]]:
    """Every run with the columns that all tables begin with."""
    for label, group in by_regime(runs).items():
        for run in group:
            yield run, {"run": str(run.path), "regime": label, "role": role(run), "seed": run.seed}


def training_table(runs: Sequence[Run]) -> pd.DataFrame:
    """One row per run and step; every metric of metrics.jsonl is a column, games = games seen."""
    rows = []
    for run, head in _labelled(runs):
        per_step = run.results["games"] / max(1, run.results["steps"])
        merged: dict[int, dict[str, Any]] = {}
        for line in run.metrics:
            merged.setdefault(int(line["step"]), {}).update(line)
        rows += [head | {"games": round(step * per_step)} | values for step, values in sorted(merged.items())]
    return pd.DataFrame(rows, columns=None if rows else ["run", "regime", "role", "seed", "games", "step"])


def legality_table(runs: Sequence[Run]) -> pd.DataFrame:
    """One row per run and language: the final evaluation."""
    rows = []
    for run, head in _labelled(runs):
        for language in run.results["languages"]:
            prefix = f"val/{language['name']}/"
            values = {key: run.results["final"].get(prefix + key) for key in LEGALITY}
            rows.append(head | {"language": language["name"], "kind": language["kind"]} | values)
    return pd.DataFrame(rows, columns=["run", "regime", "role", "seed", "language", "kind", *LEGALITY])


def ply_table(runs: Sequence[Run]) -> pd.DataFrame:
    """Strict legality of the move after each ply (counted from 1): one row per run, language and ply."""
    rows = [
        head | {"language": language, "ply": ply, "top1": value}
        for run, head in _labelled(runs)
        for language, values in (run.results.get("by_ply") or {}).items()
        for ply, value in enumerate(values, start=1)
        if value is not None
    ]
    return pd.DataFrame(rows, columns=["run", "regime", "role", "seed", "language", "ply", "top1"])


ALIGNMENT = [
    "run", "regime", "role", "seed", "measure", "probe", "target", "layer", "source", "language", "map", "accuracy",
    "low", "high", "null_95", "constant", "random_weights", "best_map", "best_accuracy", "aligned", "headline",
]  # fmt: skip


def alignment_table(runs: Sequence[Run]) -> pd.DataFrame:
    """One row per run, probe, target, layer, probe's language (source), language read, and map.

    low, high: 95% over games; null_95 is the 95% quantile of the best of the maps on other games; best_map is the
    winning map of the pair and best_accuracy its accuracy, the same on each of the pair's rows; aligned: whether that
    beats null_95 and the best constant; random_weights is the source's own probe on a model never trained, same layer;
    headline marks the layer of the headline. Only the measurement that :attr:`Run.probe` names.
    """
    parts = [_alignment_rows(run.probe).assign(**head) for run, head in _labelled(runs) if run.probe is not None]
    return pd.concat(parts, ignore_index=True)[ALIGNMENT] if parts else pd.DataFrame(columns=ALIGNMENT)


_PAIR = ["probe", "target", "layer", "source", "language"]


def _alignment_rows(measure: dict[str, Any]) -> pd.DataFrame:
    table = measure["table"]
    table = table[(table.measure == "probe") & (table.square == "") & table.ply.isna() & table.layer.notna()]
    table = table.astype({"layer": int})
    trained = table[table.control == "trained"]
    rows = trained[trained.quantity == "accuracy"].rename(columns={"value": "accuracy"})
    best = rows.loc[rows.groupby(_PAIR).accuracy.idxmax()].rename(
        columns={"map": "best_map", "accuracy": "best_accuracy"}
    )
    random = table[(table.control == "random_weights") & (table.quantity == "accuracy") & (table["map"] == "identity")]
    random = random[random.source == random.language].rename(columns={"value": "random_weights"})
    rows = rows[[*_PAIR, "map", "accuracy", "low", "high"]].merge(best[[*_PAIR, "best_map", "best_accuracy"]], on=_PAIR)
    for quantity in ("null_95", "aligned"):
        values = trained[trained.quantity == quantity].rename(columns={"value": quantity})
        rows = rows.merge(values[[*_PAIR, quantity]], on=_PAIR, how="left")
    own = [*_PAIR[:-1], "random_weights"]
    rows = rows.merge(random[own], on=_PAIR[:-1], how="left")
    heads = {key: row["layer"] for key, row in measure["headline"].items()}
    keys = rows.probe + "/" + rows.target
    return rows.assign(
        measure=measure["folder"],
        constant=rows.target.map(measure["constant"]),
        headline=keys.map(heads) == rows.layer,
        aligned=rows.aligned == 1,
    )


def tidy_table(runs: Sequence[Run]) -> pd.DataFrame:
    """Every number that the runs' shown measurements hold, one a row: tidy.COLUMNS behind the columns of the run."""
    parts = [run.tidy.assign(**head) for run, head in _labelled(runs)]
    return pd.concat(parts, ignore_index=True)[["run", "regime", "role", "seed", "folder", *COLUMNS]]


def headline_table(runs: Sequence[Run]) -> pd.DataFrame:
    """One row per run, probe and target: the stored headline at the non-final layer with the best own accuracy."""
    columns = list(HEADLINE)
    rows = []
    for run, head in _labelled(runs):
        for key, row in (run.probe or {"headline": {}})["headline"].items():
            probe, target = key.split("/", 1)
            values = {name: row.get(name) for name in columns}
            rows.append(head | {"probe": probe, "target": target, "layer": row["layer"], **values})
    return pd.DataFrame(rows, columns=["run", "regime", "role", "seed", "probe", "target", "layer", *columns])


def transfer_table(runs: Sequence[Run]) -> pd.DataFrame:
    """One row per run, fine-tuning, step and language: strict top-1 legality, and the lenient one where logged."""
    rows = []
    for run, head in _labelled(runs):
        for transfer in run.transfers:
            lenient = {line["step"]: line for line in transfer["metrics"]}
            for i, step in enumerate(transfer["curves"]["step"]):
                for name in transfer["languages"]:
                    values = {"step": step, "top1": transfer["curves"][name][i]}
                    values["lenient"] = lenient.get(step, {}).get(f"val/{name}/lenient")
                    values["scratch"] = transfer["scratch"][name][i] if transfer.get("scratch") else None
                    identity = {"transfer": transfer["folder"], "source": transfer["source"], "language": name}
                    rows.append(head | identity | values)
    columns = ["run", "regime", "role", "seed", "transfer", "source", "language", "step", "top1", "lenient", "scratch"]
    return pd.DataFrame(rows, columns=columns)
