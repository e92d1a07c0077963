"""Skill and alignment along a training, from the measures of kept steps: the rows drawn, the curves, and the onsets."""

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from mothello.measures.probes.headline import headline, kinds, preferred
from mothello.othello.symmetry import OPENING_MAPS
from mothello.report.runs import Run, earlier_measures
from mothello.report.sharing import by_label, sharing_of
from mothello.report.table import RUN
from mothello.rows import COLUMNS

MEASURES = ("legality", "probes", "alignment")
RETRIEVAL = "retrieval_same_ply"
"""What is drawn of a run without probes, at the layer below the last where it ends highest."""


def along_of(runs: Sequence[Run]) -> pd.DataFrame:
    """The rows that are drawn, with columns RUN and the step filled: of earlier steps and of the last one, of the runs
    and measures that have both."""
    parts = [pd.DataFrame(columns=[*RUN, *COLUMNS])]
    for label, group in by_label(runs).items():
        for run in group:
            head: dict[str, Any] = {"run": str(run.path), "sharing": sharing_of(run.config), "seed": run.seed}
            for rows in _measured(run):
                games = rows.step * (run.results["games"] / max(1, run.results["steps"]))
                parts.append(rows.assign(**head, label=label, finetuning="", games=games.round()))
    parts = [part for part in parts if len(part)] or parts[:1]
    return pd.concat(parts, ignore_index=True)[[*RUN, *COLUMNS]]


def _measured(run: Run) -> Iterator[pd.DataFrame]:
    """The rows of every step and measure."""
    for last in filter(None, map(run.measure, MEASURES)):
        steps = [(one, int(one.results.get("step", 0))) for one in earlier_measures(run, last)]
        end = (last, int(last.results.get("step", run.results["steps"])))
        for one, step in [*steps, end] if steps else ():
            yield _drawn(one.rows).assign(folder=one.folder, step=step)


def _drawn(rows: pd.DataFrame) -> pd.DataFrame:
    """Of one measure at one step: legality, retrieval, or what one kind of probes reads at the headline's layer."""
    rows = rows[(rows.square == "") & rows.ply.isna()]
    if not kinds(rows):
        return rows[((rows.measure == "legality") & (rows.quantity == "top1")) | (rows.quantity == RETRIEVAL)]
    probe, target = preferred(rows)
    rows = rows[(rows.target == target) & rows.probe.isin([probe, ""])]
    at = (rows.control == "trained") & (rows.layer == headline(rows, probe, target).layer)
    read = rows.quantity.isin(["own", "other_map"]) | ((rows.quantity == "accuracy") & (rows.source != rows.language))
    return rows[(at & read) | ((rows.quantity == "accuracy") & rows.control.isin(["constant", "orbit"]))]


POINT = ["run", "label", "sharing", "seed", "games", "source", "language"]


def skill(along: pd.DataFrame) -> pd.DataFrame:
    """Strict legality by run, games and language, beside chance: columns POINT, value, null and above."""
    rows = along[along.measure == "legality"]
    chance = rows[rows.control == "chance"].set_index(["run", "games", "language"]).value
    rows = rows[rows.control == "trained"]
    return _points(rows, rows.set_index(["run", "games", "language"]).index.map(chance.to_dict()))


def alignment(along: pd.DataFrame) -> pd.DataFrame:
    """What the states of one language say of the other, by run, games, ordered pair and map: columns POINT, map, value,
    null and above. Of runs with probes the share of cells that these read, beside the orbit reader (without one, the
    best constant); else retrieval, beside chance or random weights, whichever is more."""
    probed = set(along.run[along.measure == "probe"])
    parts = [_read(rows) if run in probed else _retrieved(rows) for run, rows in along.groupby("run", sort=False)]
    parts = [part for part in parts if len(part)]
    columns = [*POINT, "map", "value", "low", "null", "above"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def own(along: pd.DataFrame) -> pd.DataFrame:
    """What probes read in their own language, mean over languages."""
    return along[(along.measure == "probe") & (along.quantity == "own")]


def _read(rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows[rows.measure == "probe"]
    base = {name: rows[rows.control == name].groupby("games").value.first() for name in ("orbit", "constant")}
    null = (base["orbit"] if len(base["orbit"]) else base["constant"]).to_dict()
    rows = rows[(rows.control == "trained") & (rows.source != "")]
    return _points(rows, rows.games.map(null))


def _retrieved(rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows[rows.quantity == RETRIEVAL]
    trained = rows[rows.control == "trained"]
    last = trained[(trained.games == trained.games.max()) & (trained.layer < trained.layer.max())]
    if last.empty:
        return _points(trained[:0], trained.value[:0])
    layer = last.groupby(["layer", "map"]).value.mean().idxmax()[0]
    trained, keys = trained[trained.layer == layer], ["games", "source", "language", "map"]
    random = rows[(rows.control == "random_weights") & (rows.layer == layer)].set_index(keys).value.to_dict()
    chance = float(rows[rows.control == "chance"].value.max())
    places = trained[keys].itertuples(index=False, name=None)
    return _points(trained, [max(chance, random.get(place, chance)) for place in places])


def _points(rows: pd.DataFrame, null: Any) -> pd.DataFrame:
    """above: whether the lower end of the 95% interval over games is above the null."""
    points = rows[[*POINT, "map", "value", "low"]].assign(null=null)
    return points.assign(above=points.low.fillna(points.value) > points.null)


def onset(points: pd.DataFrame) -> float | None:
    """Games at the first of two consecutive points that are above the null; None where there is none."""
    points = points.sort_values("games")
    both = points.above & points.above.shift(-1, fill_value=False)
    return float(points.games[both].iloc[0]) if both.any() else None


def pair_onsets(points: pd.DataFrame) -> dict[tuple[str, str], tuple[float, str]]:
    """Ordered pair -> games at its onset, the first through any map of the opening, and the map."""
    found: dict[tuple[str, str], tuple[float, str]] = {}
    inside = points[points["map"].isin(OPENING_MAPS)]
    for (source, language, name), one in inside.groupby(["source", "language", "map"], sort=False):
        if (games := onset(one)) is not None:
            pair = (str(source), str(language))
            found[pair] = min(found.get(pair, (games, str(name))), (games, str(name)))
    return found
