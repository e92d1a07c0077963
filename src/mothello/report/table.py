"""The one table of a report, a number per row with the columns of its run, and the queries of its figures."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pandas as pd

from mothello.config import flat
from mothello.files import fingerprint
from mothello.measures.probes.headline import Headline, headlines
from mothello.measures.probes.verdict import TWO_DOMAINS, verdicts
from mothello.report.runs import Run
from mothello.report.sharing import by_label, sharing_of
from mothello.rows import COLUMNS

RUN = ["run", "label", "sharing", "seed", "finetuning", "folder", "games"]
"""Columns in front of those of mothello.rows. "finetuning": the folder of the fine-tuned model that was measured, empty
for the pretrained one; "folder": the measurement's, "." for the training itself."""


def table_of(runs: Sequence[Run]) -> pd.DataFrame:
    """Every number that a report shows, of the runs, of the models realigned from them, and of those fine-tuned from
    either."""
    parts = [pd.DataFrame(columns=[*RUN, *COLUMNS])]
    for label, group in by_label(runs).items():
        for run in group:
            head: dict[str, Any] = {"run": str(run.path), "sharing": sharing_of(run.config), "seed": run.seed}
            parts.append(run.rows.assign(**head, label=label, finetuning=""))
            for child in run.finetunings:
                measured = child.rows.query("folder != '.'")
                place = str(child.path.relative_to(run.path))
                parts.append(measured.assign(**head, label=_label(child, label, group), finetuning=place))
    parts = [part for part in parts if len(part)] or parts[:1]
    return pd.concat(parts, ignore_index=True)[[*RUN, *COLUMNS]]


SAID = 2
"""Settings that a label says one by one; more are called by their hash."""


def _settings(child: Run) -> dict[str, Any]:
    """Of a fine-tuning, flat, without its source and what stands beside it: objective.softmax, optimizer.lr ..."""
    apart = ("source", "task", "controls")
    return flat({key: x for key, x in (child.config.get("settings") or {}).items() if key not in apart})


def _added(child: Run) -> list[str]:
    """Objectives that were added to that of a fine-tuning, such as "with realign by gold links"."""
    parts = (child.config.get("auxiliary") or {}).items()
    links = {name: (part.get("aligner") or {}).get("name") for name, part in parts if part}
    return [f"with {name}" + (f" by {aligner} links" if aligner else "") for name, aligner in links.items()]


def _label(child: Run, label: str, runs: Sequence[Run]) -> str:
    """The label of a fine-tuned model: its run's, objectives that were added, and what is unusual where runs were
    fine-tuned in several ways."""
    label, stage = ", ".join([label, *_added(child)]), child.path.parent.name
    alike = [other for run in runs for other in run.finetunings if other.path.parent.name == stage]
    tuned = [_settings(other) for other in alike if other.source == child.source and _added(other) == _added(child)]
    own = _settings(child)
    usual = {key: Counter(repr(x.get(key)) for x in tuned).most_common(1)[0][0] for x in tuned for key in x}
    other = {key: own[key] for key, value in usual.items() if key in own and repr(own[key]) != value}
    if len(other) > SAID:
        return f"{label}, {child.results['games']:,} games ({fingerprint(other)})"
    return ", ".join([label, *(f"{key.rpartition('.')[2]} {value}" for key, value in other.items())])


def pretrained(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of pretrained models."""
    return table[table.finetuning == ""]


def of_measure(table: pd.DataFrame, *measures: str) -> pd.DataFrame:
    """The rows of some measures on pretrained models."""
    return table[table.measure.isin(measures) & (table.finetuning == "")]


def training(table: pd.DataFrame) -> pd.DataFrame:
    """A row per run and step, means over languages: loss, floor, top1, chance, train_loss, train_seconds ..., games."""
    rows = of_measure(table, "training")
    return _wide(rows[(rows.language == "") & rows.ply.isna()], "games", "step")


def masked(data: pd.DataFrame) -> pd.Series:
    """Of rows of :func:`training`, those of models that are asked for hidden moves instead of the next one."""
    return data.get("masked_accuracy", pd.Series(float("nan"), data.index)).notna()


def timed_legality(data: pd.DataFrame) -> pd.DataFrame:
    """Rows of :func:`training` that say how legal the next move was after how many seconds: none of hidden moves."""
    columns = [name for name in ("top1", "train_seconds") if name in data]
    return data[~masked(data)].dropna(subset=columns) if len(columns) == 2 else data[:0]


def final_legality(table: pd.DataFrame) -> pd.DataFrame:
    """A row per run and language: the last evaluation of the training."""
    rows = of_measure(table, "training")
    rows = rows[(rows.language != "") & rows.ply.isna()]
    return _wide(rows[rows.step == rows.groupby("run").step.transform("max")], "language")


def _wide(rows: pd.DataFrame, *keys: str) -> pd.DataFrame:
    """A row per run and keys, a column per quantity; a floor, chance and the best have the control's name."""
    names = rows.quantity.where(~rows.control.isin(["floor", "chance", "best"]), rows.control)
    index = ["run", "label", "sharing", "seed", *keys]
    return rows.assign(name=names).pivot_table(index=index, columns="name", values="value", sort=False).reset_index()


def by_ply(table: pd.DataFrame) -> pd.DataFrame:
    """Strict legality of the move after each ply, by run and language, at the end of the training."""
    rows = of_measure(table, "training")
    return rows[rows.ply.notna() & (rows.quantity == "top1")]


def heads(table: pd.DataFrame) -> pd.DataFrame:
    """A row per model, probe and target: the columns of Headline."""
    rows = table[(table.measure == "probe") & (table.square == "") & table.ply.isna()]
    keys = ["run", "label", "sharing", "seed", "finetuning", "folder"]
    content = [
        dict(zip(keys, key, strict=True)) | head._asdict()
        for key, group in rows.groupby(keys, sort=False)
        for head in headlines(group).values()
    ]
    return pd.DataFrame(content, columns=[*keys, *Headline._fields])


_RUN = ["run", "label", "sharing", "seed"]
_PAIR = [*_RUN, "layer", "source", "language", "accuracy", "best_accuracy", "best_map", "kind", "recovered", "aligned"]


def pairs(table: pd.DataFrame, probe: str, target: str) -> pd.DataFrame:
    """A row per run, layer, language of the probe (source) and language read: accuracy (as it is), best_accuracy (under
    the best map), best_map, and of the verdict its kind, recovered, and whether the pair is aligned."""
    rows = of_measure(table, "probe")
    rows = rows[rows.probe.isin([probe, ""]) & (rows.target == target) & (rows.square == "") & rows.ply.isna()]
    content = [
        [*key, int(layer), x.source, x.language, x.accuracy["identity"].value, x.best.value, x.map, x.kind, x.recovered,
         x.aligned]
        for key, group in rows.groupby(_RUN, sort=False)
        for layer in sorted(group.layer[group.source != ""].unique())
        for x in verdicts(group, probe, target, layer)
    ]  # fmt: skip
    return pd.DataFrame(content, columns=_PAIR).astype({"recovered": float, "aligned": bool})


def domains(table: pd.DataFrame, data: pd.DataFrame, probe: str, target: str) -> pd.DataFrame:
    """The map of every square, of the pairs with two domains: a row per square with run, label, seed, source, language,
    square and map. data: the table's pairs."""
    rows = of_measure(table, "probe")
    rows = rows[(rows.probe == probe) & (rows.target == target) & (rows.quantity == "domain") & (rows.square != "")]
    keys = ["run", "layer", "source", "language"]
    return rows.merge(data.loc[data.kind == TWO_DOMAINS, keys], on=keys)


def image_agreement(table: pd.DataFrame, target: str) -> dict[str, dict[str, float]]:
    """Run -> map -> share of cells in which boards agree with their image, that is, what a perfect probe would score
    through a wrong map."""
    rows = of_measure(table, "probe")
    rows = rows[(rows.control == "image") & (rows.target == target) & (rows["map"] != "identity")]
    return {
        str(run): dict(zip(group["map"], group.value, strict=True)) for run, group in rows.groupby("run", sort=False)
    }


def transfer(table: pd.DataFrame, quantity: str = "top1", control: str = "trained") -> pd.DataFrame:
    """Rows along fine-tunings by step."""
    rows = table[(table.measure == "transfer") & (table.quantity == quantity) & (table.control == control)]
    return rows[rows.step.notna()].assign(run=rows.run + "/" + rows.finetuning)


def tasks(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of fine-tunings on tasks, also those without a step."""
    rows = table[table.measure == "task_transfer"]
    return rows.assign(run=rows.run + "/" + rows.finetuning)
