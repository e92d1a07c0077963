"""When along its training a naive pair became aligned, from the measures of the steps that its run kept."""

from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from mothello.report.along import Curves, along_of, curves_of, onset, pair_onsets
from mothello.report.runs import Run
from mothello.report.style import LANGUAGE_COLORS, MUTED, canvas, legend_below, title
from studies.numbers import decimal

HALF = 0.5
COLUMNS = ["cell", "seed", "games", "steps", "legal", "aligned", "maps", "settled", "best", "after"]
"""games, steps: of the whole training, and how many of its steps were kept and measured; legal, aligned: games at the
onset of legal moves and of retrieval through a map of the opening, in the mean language and the later direction, empty
where there is none; maps: of each direction at its onset; settled: whether the best map stays that one from there on;
best: retrieval through it in the end; after: games -> retrieval through the best map, mean over directions."""


def courses(runs: Sequence[Run]) -> pd.DataFrame:
    """A row of COLUMNS per run that was measured at several steps."""
    curves = curves_of(along_of(runs))
    rows = [{"cell": run.name, "seed": run.seed} | _course(run, curves.of("run", str(run.path))) for run in runs]
    return pd.DataFrame([row for row in rows if "after" in row], columns=COLUMNS)


def _course(run: Run, curves: Curves) -> dict[str, Any]:
    if curves.best.empty:
        return {}
    found = pair_onsets(curves.best)
    legal = [onset(one) for _, one in curves.legal.groupby("language")]
    whole = len(found) == curves.best.groupby(["source", "language"]).ngroups
    after = curves.best.groupby("games").value.mean()
    row: dict[str, Any] = {"games": int(run.results["games"]), "after": after.to_dict(), "best": float(after.iloc[-1])}
    row["steps"] = len(after)
    row["legal"] = None if None in legal else sum(x or 0 for x in legal) / len(legal)
    row["aligned"] = max(games for games, _ in found.values()) if found and whole else None
    row["maps"] = [name for _, name in found.values()]
    row["settled"] = all(
        (one[one.games >= found[pair][0]]["map"] == found[pair][1]).all() if pair in found else False
        for pair, one in curves.best.groupby(["source", "language"])
    )
    return row


def table(found: pd.DataFrame) -> list[dict[str, str]]:
    """A row per run; retrieval also at a tenth and a third of the games."""
    rows = []
    for row in found.to_dict("records"):
        after = pd.Series(row["after"])
        early = {
            name: decimal(float(after[after.index <= row["games"] * share].iloc[-1]))
            for name, share in (("a tenth", 0.1), ("a third", 1 / 3))
            if (after.index <= row["games"] * share).any()
        }
        rows.append({
            "cell": row["cell"], "seed": str(row["seed"]), "legal moves from": _games(row["legal"]),
            "alignment from": _games(row["aligned"]), "through": " and ".join(dict.fromkeys(row["maps"])) or "-",
            "stays": "yes" if row["settled"] else "no", "half found from": _games(half_found(after)),
            **{f"retrieval after {name}": early.get(name, "-") for name in ("a tenth", "a third")},
            "in the end": decimal(row["best"]),
        })  # fmt: skip
    return rows


def half_found(after: pd.Series) -> float | None:
    """Games from which half of the states find their like through the best map. Asked after the runs: an onset above
    chance is no moment at which a map is chosen."""
    there = after.index[after >= HALF]
    return float(there[0]) if len(there) else None


def figure(found: pd.DataFrame) -> Figure:
    """Retrieval through the best map along every training."""
    drawn, (axis,) = canvas(1, 3.8, width=6.6)
    looks = zip(cycle(LANGUAGE_COLORS), cycle("osD^vP*X"), strict=False)
    for (color, marker), row in zip(looks, found.to_dict("records"), strict=False):
        after = pd.Series(row["after"])
        axis.plot(after.index, after, color=color, marker=marker, markersize=3.5, label=row["cell"])
    axis.axhline(HALF, color=MUTED, linewidth=1, linestyle=":")
    axis.set(xscale="log", xlabel="games", ylabel="states found, best map")
    title(axis, "When states find their like")
    legend_below(drawn, [axis], columns=3)
    return drawn


def _games(value: float | None) -> str:
    return "-" if value is None or pd.isna(value) else f"{value:,.0f}"


def predictions(found: pd.DataFrame) -> Iterator[tuple[str, str, bool | None, Sequence[str]]]:
    """Claim, what was found, outcome, cells."""
    cells, ended = list(found.cell.unique()), found[found.aligned.notna()]
    known = ended[ended.legal.notna()]
    first = known.legal < known.aligned
    outcome = bool(first.all()) if len(known) else None
    yield "27.1 legal moves come before alignment", f"{first.sum()} of {len(known)}", outcome, cells
    kept = f"{int(ended.settled.sum())} of {len(ended)}"
    outcome = bool(ended.settled.all()) if len(ended) else None
    yield "27.2 from its onset on the best map stays the same one, where a pair is aligned", kept, outcome, cells
    onsets = ended.groupby("cell").aligned.mean()
    claim = "27.3 with expected targets the onset takes at most half of the games"
    yield claim, *_ratio(onsets, ["naive_expected"], 0, 0.5), ["naive", "naive_expected"]
    decays = ["naive_decay_0", "naive_decay_3"]
    claim = "27.4 weight decay moves the onset by less than a factor of two"
    yield claim, *_ratio(onsets, decays, 0.5, 2, strict=True), ["naive", *decays]


def _ratio(
    onsets: pd.Series, cells: Sequence[str], low: float, high: float, strict: bool = False
) -> tuple[str, bool | None]:
    """Onsets of cells as multiples of naive's, and whether all lie between low and high; open while one is missing."""
    known = {cell: onsets[cell] / onsets["naive"] for cell in cells if {cell, "naive"} <= set(onsets.index)}
    text = ", ".join(f"{cell} {decimal(ratio, 2)}" for cell, ratio in known.items())
    inside = [low < x < high if strict else low <= x <= high for x in known.values()]
    return text or "-", False if False in inside else True if len(known) == len(cells) else None
