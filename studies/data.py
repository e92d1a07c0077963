"""What the page knows of its runs, as tables: cells (a row per run), probe errors and fine-tunings."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from mothello.measures.probes.headline import Headline
from mothello.measures.probes.symmetry_classes import Classes
from mothello.measures.probes.verdict import ONE_MAP, TWO_DOMAINS
from mothello.othello.symmetry import OPENING_MAPS
from mothello.report.runs import Run
from mothello.report.sharing import n_anchors, sharing_of
from studies import CRITERIA
from studies.answers import usual
from studies.runs import headline_of

MAPS = OPENING_MAPS
MIRRORS = MAPS[1:]
KINDS = ("atomic", "split", "compositional")

CELLS = [
    "run", "cell", "seed", "board", "pair", "sharing", "anchors", "link", "opening", "games", "layers", "width",
    "strict", "lenient", "chance", "by_kind", "legal", "excess", "learned", "probed", "layer", "own", "raw", "best",
    *MAPS, "winner", "verdict", "kinds", "settled", "settled_relative", "maps", "aligned", "pairs", "classes",
    "recovered", "raw_pairs", "constant", "orbit", "random_own", "random_across", "other_maps", "other_maps_swapped",
    "linked_map", "linked_map_swapped", "relative",
    *(f"{name}_{end}" for name in ("own", "raw", "best") for end in ("low", "high")),
]  # fmt: skip
"""Columns of the cells, a row per run; empty where it was not measured.

pair: kinds of the languages; link: the map between the moves that anchors link; opening: moves that every training
game begins with. strict, lenient, chance: legality on games of every opening, mean over languages; by_kind: strict by
kind of language; legal: strict on the training distribution, which with an opening is training's own estimate;
excess: nats above the floor; learned: whether legal reaches the bar; probed: across languages.
The rest is of MLP probes of absolute colors at the headline's layer. own: accuracy in the probe's language; raw,
best: across languages under the identity and the best map, mean over ordered pairs; identity .. anti: under each map;
winner: the map through which all pairs are aligned ("mixed" where only some are, or through several; "none");
verdict: the winner, "(partly)" where not all pairs have one map, "in one direction" where a pair is aligned only so, or
the kinds of verdicts where no pair is aligned;
kinds: pairs by kind of verdict; settled: whether every pair is aligned or has two domains (settled_relative: by
relative colors); maps: aligned pairs by map; recovered: best as a share of the way from orbit (or constant) to own;
raw_pairs: raw of every ordered pair; orbit: the reader of orbits; random_*: on random weights; other_maps: the best
of the four maps outside the group, as they are and with swapped colors; linked_map: the one of these that anchors
link; *_low, *_high: 95% intervals over games. relative: best, read in relative colors."""


def pair_name(kinds: Iterable[str]) -> str:
    """Such as "atomic + split", or "8 atomic"."""
    names = sorted(kinds, key=KINDS.index)
    return f"{len(names)} {names[0]}" if len(names) > 2 and len(set(names)) == 1 else " + ".join(names)


def cell_table(runs: Iterable[Run]) -> pd.DataFrame:
    """A row of CELLS per run."""
    rows = pd.DataFrame([_setting(run) | _legality(run) | alignment_of(run) for run in runs], columns=CELLS)
    rows["probed"] = rows.raw.notna()
    return rows.astype(dict.fromkeys(("layer", "aligned", "pairs"), "Int64") | {"learned": bool})


def count_classes(classes: Classes) -> int:
    """How many classes: languages that share a space with others, each through one map. One that is aligned with none
    is in no class."""
    sizes = Counter(classes.component)
    return len({place for place in zip(classes.component, classes.map, strict=True) if sizes[place[0]] > 1})


def consistency(rows: pd.DataFrame) -> float:
    """Share of the aligned pairs whose map the others imply, the least over seeds."""
    return float(rows.classes.map(lambda classes: classes.consistency).min())


def records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Its rows, with Python's own numbers."""
    return rows.to_dict("records")  # type: ignore[return-value]


def _setting(run: Run) -> dict[str, Any]:
    model, anchors = run.config["model"], n_anchors(run.config)
    return {
        "run": str(run.path), "cell": run.name, "seed": run.seed, "board": run.results["board"],
        "pair": pair_name(language["kind"] for language in run.results["languages"]),
        "sharing": sharing_of(run.config), "anchors": anchors, "games": int(run.results["games"]),
        "link": run.config["languages"]["anchors"].get("image", "identity") if anchors else "",
        "opening": " ".join(run.config["data"].get("prefix") or []),
        "layers": model["n_layer"], "width": model["d_model"],
    }  # fmt: skip


def _legality(run: Run) -> dict[str, Any]:
    final = run.results["final"]
    row: dict[str, Any] = {"legal": float(final["val/top1"]), "excess": float(final["val/excess_nats"])}
    if (measure := run.measure("legality")) is not None:
        rows = measure.rows[measure.rows.ply.isna()]
        columns = rows.quantity.where(rows.control != "chance", "chance")
        table = rows.assign(column=columns).pivot_table(index="language", columns="column", values="value", sort=False)
        row |= {"strict": table.top1.mean(), "lenient": table.lenient.mean(), "chance": table.chance.mean()}
        kind = table.index.map({language["name"]: language["kind"] for language in run.results["languages"]})
        row["by_kind"] = table.top1.groupby(kind, sort=False).mean().to_dict()
        row["legal"] = row["legal" if run.config["data"].get("prefix") else "strict"]
    return row | {"learned": row["legal"] >= CRITERIA.bar}


def alignment_of(run: Run) -> dict[str, Any]:
    """Of CELLS, what probes say of the languages of a run; empty where there are none."""
    head = headline_of(run)
    if head is None:
        return {}
    row: dict[str, Any] = {"layer": head.layer, "own": head.own, "constant": head.constant, "orbit": head.orbit}
    row |= {"random_own": head.random_weights, "raw": head.across, "best": head.across_best_map}
    for name, key in (("own", "own"), ("raw", "across"), ("best", "across_best_map")):
        row |= dict(zip((f"{name}_low", f"{name}_high"), head.intervals.get(key, ()), strict=False))
    if head.across is None:
        return row
    maps = {name: count for name, count in (head.maps or {}).items() if count}
    whole = len(maps) == 1 and head.aligned_pairs == head.pairs
    row |= {"classes": head.classes, "maps": maps, "aligned": head.aligned_pairs, "pairs": head.pairs}
    row["winner"] = next(iter(maps)) if whole else "mixed" if maps else "none"
    kinds = head.kinds or {}
    single = row["winner"] == "mixed" and len(maps) == 1 and head.pairs == 2
    said = f"{next(iter(maps))} in one direction" if single else verdict(row["winner"], kinds)
    row |= {"verdict": said, "recovered": head.recovered, "kinds": kinds}
    relative = headline_of(run, "relative")
    row["settled"], row["settled_relative"] = _settled(head), _settled(relative)
    row["relative"] = relative.across_best_map if relative else None
    return row | _pairs(run, head.layer)


def _settled(head: Headline | None) -> bool:
    """Whether every pair is aligned or divided."""
    return head is not None and (head.aligned_pairs or 0) + (head.kinds or {}).get(TWO_DOMAINS, 0) == head.pairs


def verdict(winner: str, kinds: Mapping[str, int]) -> str:
    """Such as "main", "main (partly)", or "orbit only" where no pair is aligned. kinds: of verdicts -> pairs."""
    found = [kind for kind, count in kinds.items() if count]
    if winner == "none":
        return " and ".join(found) or winner
    return winner if found == [ONE_MAP] else f"{winner} (partly)"


def _pairs(run: Run, layer: int) -> dict[str, Any]:
    """Means over ordered pairs of languages, by map and of controls."""
    rows = _whole_boards(run).query("probe == 'mlp' and target == 'absolute' and source != language and language != ''")
    rows = rows[rows.layer == layer]

    def by_pair(quantity: str, control: str = "trained") -> pd.DataFrame:
        same = rows[(rows.quantity == quantity) & (rows.control == control)]
        return same.pivot_table(index=["source", "language"], columns="map", values="value", sort=False)

    accuracy = by_pair("accuracy")
    row: dict[str, Any] = {str(name): accuracy[name].mean() for name in accuracy}
    row["raw_pairs"] = accuracy["identity"].to_numpy()
    row["random_across"] = by_pair("accuracy", "random_weights").max(axis=1).mean()
    link = run.config["languages"]["anchors"].get("image")
    for end in ("", "_swapped"):
        others = by_pair(f"other_map{end}")
        row |= {f"other_maps{end}": others.max(axis=1).mean()} if len(others) else {}
        row |= {f"linked_map{end}": others[link].mean()} if link in others else {}
    return row


def _whole_boards(run: Run) -> pd.DataFrame:
    """Rows of probes over all squares and plies."""
    measure = run.measure("probes")
    assert measure is not None
    rows = measure.rows
    return rows[(rows.measure == "probe") & (rows.square == "") & rows.ply.isna() & rows.layer.notna()]


def probe_errors(runs: Iterable[Run]) -> pd.DataFrame:
    """cell, seed, probe, target, control, layer, error: mean over languages, each read by its own probe."""
    tables = [pd.DataFrame(columns=["cell", "seed", "probe", "target", "control", "layer", "error"])]
    for run in (run for run in runs if run.measure("probes") is not None):
        rows = _whole_boards(run).query("quantity == 'accuracy' and map == 'identity' and source == language")
        errors = 1 - rows.groupby(["probe", "target", "control", "layer"]).value.mean()
        tables.append(errors.rename("error").reset_index().assign(cell=run.name, seed=run.seed))
    return pd.concat(tables[1:] or tables, ignore_index=True)


COURSE = {"": "top1", "lenient_": "lenient", "own_": "top1_restricted", "wrong_": "wrong_language"}
TUNED = [
    "cell", "seed", "board", "sharing", "kind", "part", "language", "legal", "learned", "gain", "gain_ratio", "scratch",
    "steps", *(f"{key}{end}" for key in COURSE for end in ("before", "after", "peak", "curve")),
]  # fmt: skip
"""Columns of the fine-tunings, a row per fine-tuning and language.

before, after, peak, curve: strict legality; lenient_*: for either color; own_*: choosing among the language's own
tokens; wrong_*: share of answers in another language; scratch: after the same fine-tuning from random weights."""


def finetuned(runs: Iterable[Run]) -> pd.DataFrame:
    """A row of TUNED per fine-tuning and language."""
    rows = []
    for run in runs:
        legal, kinds = float(run.results["final"]["val/top1"]), [x["kind"] for x in run.results["languages"]]
        head = _setting(run) | {"kind": published_kind(kinds), "legal": legal, "learned": legal >= CRITERIA.bar}
        for child in usual(run.finetunings):
            measure = child.measure("transfer")
            for name in child.languages if measure is not None else ():
                assert measure is not None
                part = "source" if name == child.source else "target"
                course = _course(measure.rows[(measure.rows.language == name) & (measure.rows.opening == "")])
                rows.append(head | {"part": part, "language": name} | course)
    return pd.DataFrame(rows, columns=TUNED).astype({"learned": bool})


def published_kind(kinds: Sequence[str]) -> str:
    """How the published curves name a pair: by the language that is paired with an atomic one; others in words."""
    others = [kind for kind in kinds if kind != "atomic"]
    return pair_name(kinds) if len(kinds) != 2 or len(others) > 1 else others[0] if others else "atomic"


def _course(rows: pd.DataFrame) -> dict[str, Any]:
    """rows: of one language."""
    ends, along = rows[rows.step.isna()].set_index("quantity").value, rows[rows.step.notna()].sort_values("step")
    scratch = along[(along.control == "scratch") & (along.quantity == "top1")].value.tolist()
    row = {"gain": ends.get("gain"), "gain_ratio": ends.get("gain_ratio"), "scratch": scratch[-1] if scratch else None}
    for key, metric in COURSE.items():
        curve = along[(along.control == "trained") & (along.quantity == metric)]
        values, row["steps"] = curve.value.tolist(), curve.step.tolist()
        row |= {f"{key}before": values[0], f"{key}after": values[-1], f"{key}peak": max(values), f"{key}curve": values}
    return row
