"""What the page knows of its runs, as tables: cells (a row per run), fine-tunings, probe errors and costs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from mothello.cli.study_plan import Expected
from mothello.measures.probes.headline import Headline, headline, kinds
from mothello.othello.symmetry import OPENING_MAPS
from mothello.report.runs import Run
from mothello.report.sharing import n_anchors, sharing_of
from mothello.rundir import RunDir
from studies import CRITERIA

MAPS = OPENING_MAPS
MIRRORS = MAPS[1:]
KINDS = ("atomic", "split", "compositional")

CELLS = [
    "run", "cell", "seed", "board", "pair", "sharing", "anchors", "opening", "games", "layers", "width", "strict",
    "lenient", "chance", "by_kind", "legal", "learned", "layer", "own", "raw", "best", *MAPS, "winner", "maps",
    "aligned", "pairs", "classes", "recovered", "raw_pairs", "constant", "null", "random_own", "random_across",
    "other_maps", "other_maps_swapped", "linked_map", "linked_map_swapped",
    *(f"{name}_{end}" for name in ("own", "raw", "best") for end in ("low", "high")),
]  # fmt: skip
"""Columns of the cells, a row per run; empty where it was not measured.

pair: kinds of the languages; opening: moves that every training game begins with. strict, lenient, chance: legality on
games of every opening, mean over languages; by_kind: strict by kind of language; legal: strict on the training
distribution, which with an opening is training's own estimate; learned: whether that reaches the bar.
The rest is of MLP probes of absolute colors at the headline's layer. own: accuracy in the probe's language; raw, best:
across languages under the identity and the best map, mean over ordered pairs; identity .. anti: under each map; winner:
the map through which all pairs are aligned ("mixed" where only some are, or through several; "none"); maps: aligned
pairs by map; recovered: best as a share of the way from constant to own; raw_pairs: raw of every ordered pair; null:
95% quantile of the best map on readings paired with other games; random_*: on random weights; other_maps: the best of
the four maps outside the group, as they are and with swapped colors; linked_map: the one of these that anchors link;
*_low, *_high: 95% intervals over games."""


@dataclass(frozen=True)
class Study:
    """A study as the page needs it; cells by name."""

    name: str
    question: str
    cells: Mapping[str, Expected]
    planned: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """The seeds that are asked for at this scale, by cell."""


def runs_of(study: Study, runs: Sequence[Run]) -> list[Run]:
    """The runs of a study, each with the measurements that it asks for alone, so that another budget or another fit
    under the same name is never averaged with it. Other seeds count where they were probed alike."""
    selected = [chosen(run, study.cells[run.name]) for run in runs if run.name in study.cells]
    return [
        run
        for run in selected
        if run is not None
        and (run.measure("probes") is not None or run.seed in study.planned.get(run.name, [run.seed]))
    ]


def chosen(run: Run, expected: Expected) -> Run | None:
    """The run with the measurements that are asked for; None where it is another run."""
    if run.path.parent.name != expected.train:
        return None
    folders = (expected.probe, *expected.states)
    return replace(
        run,
        measures=[measure for measure in run.measures if measure.folder in folders],
        finetunings=[x for x in run.finetunings if expected.transfer and x.config.get("finetune") == expected.transfer],
    )


def headline_of(run: Run) -> Headline | None:
    """The headline of MLP probes of absolute colors, where they were measured."""
    measure = run.measure("probes")
    if measure is None or ("mlp", "absolute") not in kinds(measure.rows):
        return None
    return headline(measure.rows, "mlp", "absolute")


def pair_name(kinds: Iterable[str]) -> str:
    """Such as "atomic + split", or "8 atomic"."""
    names = sorted(kinds, key=KINDS.index)
    if len(names) > 2 and len(set(names)) == 1:
        return f"{len(names)} {names[0]}"
    return " + ".join(names)


def cell_table(runs: Iterable[Run]) -> pd.DataFrame:
    """A row of CELLS per run; empty where it was not measured."""
    rows = pd.DataFrame([_setting(run) | _legality(run) | _alignment(run) for run in runs], columns=CELLS)
    return rows.astype(dict.fromkeys(("layer", "aligned", "pairs"), "Int64") | {"learned": bool})


def records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Its rows, with Python's own numbers."""
    return rows.to_dict("records")  # type: ignore[return-value]


def _setting(run: Run) -> dict[str, Any]:
    model = run.config.get("model") or {}
    return {
        "run": str(run.path), "cell": run.name, "seed": run.seed, "board": run.results["board"],
        "pair": pair_name(language["kind"] for language in run.results["languages"]),
        "sharing": sharing_of(run.config), "anchors": n_anchors(run.config), "games": int(run.results["games"]),
        "opening": " ".join((run.config.get("data") or {}).get("prefix") or []),
        "layers": model.get("n_layer"), "width": model.get("d_model"),
    }  # fmt: skip


def _legality(run: Run) -> dict[str, Any]:
    measure = run.measure("legality")
    estimated = float(run.results["final"]["val/top1"])
    row: dict[str, Any] = {"legal": estimated}
    if measure is not None:
        rows = measure.rows[measure.rows.ply.isna()]
        columns = rows.quantity.where(rows.control != "chance", "chance")
        table = rows.assign(column=columns).pivot_table(index="language", columns="column", values="value", sort=False)
        row = {"strict": table.top1.mean(), "lenient": table.lenient.mean(), "chance": table.chance.mean()}
        kind = table.index.map({language["name"]: language["kind"] for language in run.results["languages"]})
        row["by_kind"] = table.top1.groupby(kind, sort=False).mean().to_dict()
        opening = (run.config.get("data") or {}).get("prefix")
        row["legal"] = estimated if opening else row["strict"]
    return row | {"learned": row["legal"] >= CRITERIA.bar}


def _alignment(run: Run) -> dict[str, Any]:
    head = headline_of(run)
    if head is None:
        return {}
    row: dict[str, Any] = {"layer": head.layer, "own": head.own, "constant": head.constant}
    row["random_own"] = head.random_weights
    for name, key in (("own", "own"), ("raw", "across"), ("best", "across_best_map")):
        row |= dict(zip((f"{name}_low", f"{name}_high"), head.intervals.get(key, ()), strict=False))
    if head.across is None:
        return row
    maps = {name: count for name, count in (head.maps or {}).items() if count}
    whole = len(maps) == 1 and head.aligned_pairs == head.pairs
    row |= {"raw": head.across, "best": head.across_best_map, "classes": head.classes, "maps": maps}
    row |= {"aligned": head.aligned_pairs, "pairs": head.pairs}
    row["winner"] = next(iter(maps)) if whole else "mixed" if maps else "none"
    row["recovered"] = (row["best"] - row["constant"]) / (row["own"] - row["constant"])
    pairs = _pairs(run, "accuracy")
    row["raw_pairs"] = pairs[pairs["map"] == "identity"].value.to_numpy()
    row["null"] = float(_pairs(run, "null_95").value.mean())
    random = _pairs(run, "accuracy", "random_weights")
    row["random_across"] = random.groupby(["source", "language"]).value.max().mean()
    return row | dict(pairs.groupby("map").value.mean()) | _outside(run)


def _outside(run: Run) -> dict[str, float]:
    """Under the maps outside the group, mean over ordered pairs."""
    linked, row = ((run.config.get("languages") or {}).get("anchors") or {}).get("image"), {}
    for quantity, end in (("other_map", ""), ("other_map_swapped", "_swapped")):
        pairs = _pairs(run, quantity)
        if len(pairs):
            row[f"other_maps{end}"] = float(pairs.groupby(["source", "language"]).value.max().mean())
            if (pairs["map"] == linked).any():
                row[f"linked_map{end}"] = float(pairs.value[pairs["map"] == linked].mean())
    return row


def _pairs(run: Run, quantity: str, control: str = "trained") -> pd.DataFrame:
    """Rows of the tidy table for the headline's probe and layer, over ordered pairs of languages."""
    head = headline_of(run)
    assert head is not None
    rows = _whole_boards(run, quantity).query("probe == 'mlp' and target == 'absolute' and source != language")
    return rows[(rows.control == control) & (rows.layer == head.layer)]


def _whole_boards(run: Run, quantity: str) -> pd.DataFrame:
    """Rows of the tidy table of probes over all squares and plies."""
    measure = run.measure("probes")
    assert measure is not None
    rows = measure.rows
    return rows[(rows.measure == "probe") & (rows.quantity == quantity) & (rows.square == "") & rows.ply.isna()]


def probe_errors(runs: Iterable[Run]) -> pd.DataFrame:
    """cell, seed, probe, target, control, layer, error: mean over languages, each read by its own probe."""
    tables = []
    for run in (run for run in runs if run.measure("probes") is not None):
        rows = _whole_boards(run, "accuracy")
        rows = rows[(rows["map"] == "identity") & (rows.source == rows.language) & rows.layer.notna()]
        errors = 1 - rows.groupby(["probe", "target", "control", "layer"]).value.mean()
        tables.append(errors.rename("error").reset_index().assign(cell=run.name, seed=run.seed))
    columns = ["cell", "seed", "probe", "target", "control", "layer", "error"]
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def image_agreement(runs: Iterable[Run]) -> dict[str, float]:
    """Share of cells in which boards agree with their image under each map but the identity."""
    for run in runs:
        if run.measure("probes") is not None:
            rows = _whole_boards(run, "accuracy").query("control == 'image' and target == 'absolute'")
            return {name: value for name, value in zip(rows["map"], rows.value, strict=True) if name != "identity"}
    return {}


def finetuned(runs: Iterable[Run]) -> pd.DataFrame:
    """A row per fine-tuning and language. before, after: strict legality; lenient_*: for either colour; own_*: choosing
    among the language's own tokens; wrong_*: share of answers in another language; scratch: after the same fine-tuning
    from random weights; steps, curve, own_curve: the whole course."""
    rows = []
    for run in runs:
        legal, kinds = float(run.results["final"]["val/top1"]), [x["kind"] for x in run.results["languages"]]
        head = {key: value for key, value in _setting(run).items() if key in ("cell", "seed", "board", "sharing")}
        head |= {"kind": published_kind(kinds), "legal": legal, "learned": legal >= CRITERIA.bar}
        for child in run.finetunings:
            lines = [line for line in child.metrics if "val/top1" in line]
            for name in child.languages:
                part = "source" if name == child.source else "target"
                rows.append(head | {"part": part, "language": name} | _gains(child, name) | _course(lines, name))
    columns = ["cell", "seed", "board", "sharing", "kind", "part", "language", "legal", "learned"]
    return pd.DataFrame(rows, columns=None if rows else columns)


def _gains(child: Run, language: str) -> dict[str, Any]:
    measure = child.measure("transfer")
    assert measure is not None
    rows = measure.rows[(measure.rows.language == language) & (measure.rows.opening == "")]
    scratch = rows[(rows.control == "scratch") & (rows.quantity == "top1")].sort_values("step").value.tolist()
    numbers = dict(zip(rows.quantity[rows.step.isna()], rows.value[rows.step.isna()], strict=True))
    return {key: numbers.get(key) for key in ("gain", "gain_ratio")} | {"scratch": scratch[-1] if scratch else None}


def published_kind(kinds: Sequence[str]) -> str:
    """How the published curves name a pair: by the language that is paired with an atomic one; others in words."""
    others = [kind for kind in kinds if kind != "atomic"]
    return pair_name(kinds) if len(kinds) != 2 or len(others) > 1 else others[0] if others else "atomic"


def _course(lines: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any]:
    row: dict[str, Any] = {"steps": [line["step"] for line in lines]}
    metrics = {"": "top1", "lenient_": "lenient", "own_": "top1_restricted", "wrong_": "wrong_language"}
    for key, metric in metrics.items():
        values = [float(line.get(f"val/{name}/{metric}") or 0) for line in lines]
        row |= {f"{key}before": values[0], f"{key}after": values[-1], f"{key}peak": max(values), f"{key}curve": values}
    return row


def costs(runs: Iterable[Run]) -> Iterator[dict[str, Any]]:
    """A row per run and measurement: seconds, memory, and what it was."""
    for run in runs:
        head = {"run": str(run.path)} | {key: run.results.get(key, "?") for key in ("device", "threads")}
        parts = [(".", "training", [run.results])]
        parts += [(measure.folder, "measures", [measure.results]) for measure in run.measures]
        parts += [(str(x.path.relative_to(run.path)), "finetuning", _tuning_parts(run, x)) for x in run.finetunings]
        for folder, part, contents in parts:
            seconds = sum(float(content.get("seconds") or 0) for content in contents)
            memory = contents[0].get("memory_gb")
            yield head | {"folder": folder, "part": part, "seconds": seconds, "memory": memory}


def _tuning_parts(run: Run, child: Run) -> list[dict[str, Any]]:
    """results.json of a fine-tuning, of its control, and of the probes before and after it."""
    control = RunDir(child.path.with_name(f"{child.path.name}-scratch")).read_json("results.json")
    after = [measure for measure in child.measures if measure.name == "probes"]
    before = [RunDir(run.path / measure.folder).read_json("results.json") for measure in after]
    return [child.results, control, *(measure.results for measure in after), *before]
