"""Skill and alignment along a training, from the measures of kept steps: the rows drawn, the curves, and the onsets."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import pandas as pd

from mothello.measures.probes.headline import headline, kinds, preferred
from mothello.othello.symmetry import OPENING_MAPS
from mothello.report.measurements import earlier_measures
from mothello.report.runs import Run
from mothello.report.sharing import by_label, sharing_of
from mothello.report.table import RUN
from mothello.rows import COLUMNS

MEASURES = ("legality", "probes", "alignment")
RETRIEVAL = "retrieval_same_ply"
"""What is drawn of a run without probes, at the layer below the last where it ends highest."""
BEST = f"{RETRIEVAL}_best_map"
ENTRIES = ("dictionary", "held_out")
"""Moves that a model learned from in a dictionary, and the others."""
APART = 1.05
"""How many times the games of one point the next one has at least, where they count as two."""


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
        steps = [(one, int(one.results.get("step", 0))) for one in earlier_measures(run.path, last)]
        end = (last, int(last.results.get("step", run.results["steps"])))
        for one, step in [*steps, end] if steps else ():
            yield _drawn(one.rows).assign(folder=one.folder, step=step)


def _drawn(rows: pd.DataFrame) -> pd.DataFrame:
    """Of one measure at one step: legality, retrieval, the embeddings of a dictionary's moves, or what one kind of
    probes reads at the headline's layer."""
    rows = rows[(rows.square == "") & rows.ply.isna()]
    if not kinds(rows):
        legal = (rows.measure == "legality") & (rows.quantity == "top1")
        words = (rows.quantity == "neighbours") & (rows["map"] == "identity") & rows.target.isin(ENTRIES)
        return rows[legal | rows.quantity.isin([RETRIEVAL, BEST]) | (words & (rows.control == "trained"))]
    probe, target = preferred(rows)
    rows = rows[(rows.target == target) & rows.probe.isin([probe, ""])]
    at = (rows.control == "trained") & (rows.layer == headline(rows, probe, target).layer)
    read = rows.quantity.isin(["own", "other_map"]) | ((rows.quantity == "accuracy") & (rows.source != rows.language))
    return rows[(at & read) | ((rows.quantity == "accuracy") & rows.control.isin(["constant", "orbit"]))]


POINT = ["run", "label", "sharing", "seed", "games", "source", "language"]
PLACE = ["games", "source", "language"]
Reader = Callable[[pd.DataFrame], pd.DataFrame]


def skill(along: pd.DataFrame) -> pd.DataFrame:
    """Strict legality by run, games and language, beside chance: columns POINT, value, null and above."""
    rows = along[along.measure == "legality"]
    chance = rows[rows.control == "chance"].set_index(["run", "games", "language"]).value
    rows = rows[rows.control == "trained"]
    return _points(rows, rows.set_index(["run", "games", "language"]).index.map(chance.to_dict()))


def alignment(along: pd.DataFrame) -> pd.DataFrame:
    """What the states of one language say of the other through every map that was measured, by run, games and ordered
    pair: columns POINT, map and value. Of runs with probes the share of cells that these read, else retrieval."""
    return _by_run(along, _read, lambda rows: _retrieved(rows, RETRIEVAL)[0])


def best_map(along: pd.DataFrame) -> pd.DataFrame:
    """The same through the best of the opening's maps, beside what the best of four comes to without alignment: columns
    POINT, map, value, low, null and above.

    Probes are compared with the orbit reader, which reads the same through all four maps (without one, with the best
    constant). Retrieval is compared with the upper end of the permutations, where each takes its best map, too, or with
    the best map of random weights, whichever is more; a measure made without those rows has no points here."""
    return _by_run(along, _best_read, _best_retrieved)


def own(along: pd.DataFrame) -> pd.DataFrame:
    """What probes read in their own language, mean over languages."""
    return along[(along.measure == "probe") & (along.quantity == "own")]


def entries(along: pd.DataFrame) -> pd.DataFrame:
    """Share of moves whose nearest embedding of the other language is the same move, of those in a dictionary that was
    learned from and of those held out of it (column target)."""
    return along[(along.quantity == "neighbours") & along.target.isin(ENTRIES)]


class Curves(NamedTuple):
    """All that is drawn; each may be empty."""

    legal: pd.DataFrame
    aligned: pd.DataFrame
    best: pd.DataFrame
    own: pd.DataFrame
    entries: pd.DataFrame

    def of(self, column: str, value: str) -> "Curves":
        """Those of one label, or of one run."""
        return Curves(*(part[part[column] == value] for part in self))


def curves_of(along: pd.DataFrame) -> Curves:
    """The curves of the rows that along_of gives."""
    return Curves(skill(along), alignment(along), best_map(along), own(along), entries(along))


def _by_run(along: pd.DataFrame, probed: Reader, retrieved: Reader) -> pd.DataFrame:
    runs = [rows for _, rows in along.groupby("run", sort=False)]
    parts = [(probed if (rows.measure == "probe").any() else retrieved)(rows) for rows in runs]
    parts = [part for part in parts if len(part)]
    columns = [*POINT, "map", "value", "low", "null", "above"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _read(rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows[rows.measure == "probe"]
    base = {name: rows[rows.control == name].groupby("games").value.first() for name in ("orbit", "constant")}
    null = (base["orbit"] if len(base["orbit"]) else base["constant"]).to_dict()
    rows = rows[(rows.control == "trained") & (rows.source != "")]
    return _points(rows, rows.games.map(null))


def _best_read(rows: pd.DataFrame) -> pd.DataFrame:
    points = _read(rows)
    points = points[points["map"].isin(OPENING_MAPS)].reset_index(drop=True)
    return points.loc[points.groupby(PLACE, sort=False).value.idxmax()]


def _retrieved(rows: pd.DataFrame, quantity: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The model itself at the layer below the last that ends highest through the pairs' best maps; all rows there."""
    trained = rows[(rows.control == "trained") & (rows.quantity == RETRIEVAL)]
    last = trained[(trained.games == trained.games.max()) & (trained.layer < trained.layer.max())]
    pairs = last[last["map"].isin(OPENING_MAPS)].groupby(["layer", "source", "language"]).value.max()
    layer = pairs.groupby("layer").mean().idxmax() if len(pairs) else -1
    rows = rows[(rows.quantity == quantity) & (rows.layer == layer)]
    return _points(rows[rows.control == "trained"], float("nan")), rows


def _best_retrieved(rows: pd.DataFrame) -> pd.DataFrame:
    points, rows = _retrieved(rows, BEST)
    permuted = rows[rows.control == "permuted"].assign(value=rows.high)
    controls = pd.concat([permuted, rows[rows.control == "random_weights"]]).groupby(PLACE).value.max()
    return _points(points, points.set_index(PLACE).index.map(controls.to_dict()).astype(float))


def _points(rows: pd.DataFrame, null: Any) -> pd.DataFrame:
    """above: whether the lower end of the 95% interval over games is above the null."""
    points = rows[[*POINT, "map", "value", "low"]].assign(null=null)
    return points.assign(above=points.low.fillna(points.value) > points.null)


def onset(points: pd.DataFrame) -> float | None:
    """Games at the first of two consecutive points that are above the null through the same map; None where there is
    none. While states tell the orbit of a square alone, the four maps lie together and take turns as the best one.

    A point with less than APART times the games of the one before does not count: a step that was kept beside a
    log-spaced one (checkpoints.keep.full) is nearly the same model."""
    points, counted = points.sort_values("games"), [0.0]
    for games in points.games:
        if games >= APART * counted[-1]:
            counted.append(games)
    points = points[points.games.isin(counted)]
    both = points.above & points.above.shift(-1, fill_value=False) & (points["map"] == points["map"].shift(-1))
    return float(points.games[both].iloc[0]) if both.any() else None


def pair_onsets(best: pd.DataFrame) -> dict[tuple[str, str], tuple[float, str]]:
    """Ordered pair -> games at its onset, and its map. best: best_map's points of one run."""
    found: dict[tuple[str, str], tuple[float, str]] = {}
    for (source, language), one in best.groupby(["source", "language"], sort=False):
        if (games := onset(one)) is not None:
            found[str(source), str(language)] = games, str(one["map"][one.games == games].iloc[0])
    return found
