"""Alignment as the results page takes it, from results.json."""

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from mothello.report.regimes import by_regime, role
from mothello.report.runs import Run


def _labelled(runs: Sequence[Run]) -> Iterator[tuple[Run, dict[str, Any]]]:
    """Every run with the columns that all tables begin with."""
    for label, group in by_regime(runs).items():
        for run in group:
            yield run, {"run": str(run.path), "regime": label, "role": role(run), "seed": run.seed}


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
