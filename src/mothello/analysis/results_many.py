"""The page's sections on many naive languages, and on when alignment emerges."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from mothello.analysis.alignment_sections import class_sentence
from mothello.analysis.cells import BAR
from mothello.analysis.markdown import decimal, ours, over_seeds, table
from mothello.analysis.runs import Run
from mothello.analysis.words import NOT_RUN, WITHIN, Judged, judge

MAPS = ("identity", "rot180", "main", "anti")


def _heads(runs: Sequence[Run]) -> dict[str, dict[str, Any]]:
    """The headline of every probed run, by its path."""
    return {str(run.path): run.probe["headline"]["mlp/absolute"] for run in runs if run.probe is not None}


def many_table(cells: pd.DataFrame, runs: Sequence[Run]) -> str:
    """A row per run of three languages or more: pairs aligned, classes, consistency of the maps."""
    heads = _heads(runs)
    several = cells[cells.run.map(lambda path: heads.get(path, {}).get("pairs", 0) > 2)]
    head = [
        "languages", "seed", "games", "strict", "own", "raw", "best map", "constant", "random weights", "aligned pairs",
        "maps of the aligned pairs", "classes",
    ]  # fmt: skip
    rows = []
    for _, row in several.iterrows():
        found = heads[row.run]
        maps = ", ".join(f"{name} {n}" for name, n in found["maps"].items() if n) or "-"
        numbers = [decimal(row[name]) for name in ("strict", "own", "raw", "best", "constant", "random_weights")]
        aligned = f"{int(row.aligned)} of {int(row.pairs)}"
        rows.append([row.pair, row.seed, f"{row.games:,}", *numbers, aligned, maps, class_sentence(found["classes"])])
    return table(head, rows) if rows else "Not run yet."


PUBLISHED = {
    5: "off the diagonal .53-.63, a lucky pair (.91-.96) in 3 of 9 seeds; own .95-.97",
    20: "four blocks: .97 within, .53 or .61 between",
    100: "four blocks: .97 within, .53 or .61 between",
}
"""What was published on naive languages by their number, 8x8, layer 6."""


def claim_table(cells: pd.DataFrame, runs: Sequence[Run]) -> str:
    """The published families beside ours."""
    head = ["naive languages", "published", "raw", "best map", "own", "aligned pairs", "seeds", "word", "why"]
    rows, heads = [], _heads(runs)
    for count, text in PUBLISHED.items():
        of = cells[(cells.pair == f"{count} atomic") & (cells.role == "naive") & cells.raw.notna()]
        if of.empty:
            rows.append([count, text, "-", "-", "-", "-", 0, NOT_RUN, ""])
            continue
        numbers = [ours(over_seeds(of[name])) for name in ("raw", "best", "own")]
        through = [sum(n for name, n in heads[path]["maps"].items() if name != "identity") for path in of.run]
        judged = _judged(of, sum(through) / float(of.pairs.sum()))
        rows.append([count, text, *numbers, f"{of.aligned.sum():.0f} of {of.pairs.sum():.0f}", len(of), *judged])
    return table(head, rows)


def _judged(of: pd.DataFrame, mirrored: float) -> Judged:
    """Published: most pairs are read no better than a board's image. Alignment through other maps than the identity
    corrects that. mirrored: share of the pairs that are aligned so."""
    raw = float(of.raw.median())
    agrees = raw <= float(of.constant.mean()) + WITHIN
    changed = f"{mirrored:.0%} of the pairs are aligned through a mirror, best map {decimal(of.best.mean())}"
    more = changed if mirrored > 0.25 else ""
    return judge(reached=bool(of.legal.mean() >= BAR), agrees=agrees, changed=more, reason=f"raw {decimal(raw)}")


def emergence_table(cells: pd.DataFrame, widths: dict[str, int]) -> str:
    """Naive atomic pairs and families by games, width and number of languages."""
    head = [
        "languages",
        "games",
        "width",
        "seeds",
        "strict",
        "own",
        "raw",
        "best map",
        "constant",
        "pairs aligned, by seed",
    ]
    of = cells[(cells.role == "naive") & (cells.prefix == "") & cells.raw.notna()]
    of = of[of.pair.str.fullmatch(r"atomic \+ atomic|\d+ atomic")].assign(width=of.run.map(widths))
    rows = []
    for (pair, width, games), group in of.groupby(["pair", "width", "games"]):
        numbers = [decimal(group[name].mean()) for name in ("strict", "own", "raw", "best", "constant")]
        outcome = ", ".join(_outcome(row) for _, row in group.sort_values("seed").iterrows())
        rows.append([pair, f"{games:,}", width, len(group), *numbers, outcome])
    return table(head, rows) if rows else "Not run yet."


def _outcome(row: pd.Series) -> str:
    """Such as "main" or "3/56 mixed"."""
    below = "" if row.reached else " (below the bar)"
    pair = str(row.winner) if row.pairs == 2 else f"{int(row.aligned)} of {int(row.pairs)} {row.winner}"
    return f"{pair} {row.recovered:.0%}{below}"
