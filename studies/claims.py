"""Predictions 10 to 14, 16 and 17.1: claims about cells of a study, most of them of one factor."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import pandas as pd

from mothello.measures.probes.verdict import TWO_DOMAINS
from studies import CRITERIA
from studies.data import MIRRORS, consistency, count_classes
from studies.numbers import decimal, percent

LIMITS = CRITERIA.factors

Judge = Callable[[pd.DataFrame, Sequence[str]], tuple[str, bool]]
"""(runs, cells) -> what was found, and whether the claim held."""


class Claim(NamedTuple):
    """A prediction about cells of a study."""

    text: str
    study: str
    cells: Sequence[str]
    judge: Judge
    least: int = 3
    """The runs that every cell must have; until then it is open."""
    scale: str = ""
    """The only scale that it is about; empty: any."""


def predictions(
    cells: Mapping[str, pd.DataFrame], scale: str = ""
) -> Iterator[tuple[Claim, pd.DataFrame, str, bool | None]]:
    """Every claim with the runs that could test it, what was found, and the outcome. cells: by study."""
    for claim in (claim for claim in CLAIMS if claim.scale in ("", scale)):
        known = cells.get(claim.study)
        rows = known[known.probed & known.cell.isin(list(claim.cells))] if known is not None else pd.DataFrame()
        enough = len(rows) and all((rows.cell == name).sum() >= claim.least for name in claim.cells)
        found, outcome = claim.judge(rows, claim.cells) if enough else ("-", None)
        if len(rows) or known is not None:
            yield claim, rows, found, outcome


def _settled(rows: pd.DataFrame, cells: Sequence[str]) -> dict[str, int]:
    """Settled runs of each cell, of the seeds that all of them have."""
    common = set.intersection(*(set(rows[rows.cell == name].seed) for name in cells))
    return {name: int(rows[(rows.cell == name) & rows.seed.isin(common)].settled.sum()) for name in cells}


def _recovered(rows: pd.DataFrame, cells: Sequence[str]) -> list[float]:
    return [float(rows[rows.cell == name].recovered.fillna(0.0).mean()) for name in cells]


def _listed(values: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _far(rows: pd.DataFrame, cells: Sequence[str]) -> str:
    return ", ".join(f"{name} {percent(x)}" for name, x in zip(cells, _recovered(rows, cells), strict=True))


def _most_settle(least: int) -> Judge:
    """At least so many runs are settled."""

    def judge(rows: pd.DataFrame, cells: Sequence[str]) -> tuple[str, bool]:
        count = int(rows.settled.sum())
        return f"{count} of {len(rows)}", count >= least

    return judge


def _fewer(rows: pd.DataFrame, cells: Sequence[str]) -> tuple[str, bool]:
    found = _settled(rows, cells)
    return _listed(found), found[cells[0]] < found[cells[1]]


def _rising(*slack: float) -> Judge:
    """Each cell recovers at least as much as the one before it, less the slack of the step."""

    def judge(rows: pd.DataFrame, cells: Sequence[str]) -> tuple[str, bool]:
        far = _recovered(rows, cells)
        return _far(rows, cells), all(b >= a - s for (a, b), s in zip(pairwise(far), slack, strict=True))

    return judge


def _identity(rows: pd.DataFrame, cells: Sequence[str]) -> tuple[str, bool]:
    count = int((rows.winner == "identity").sum())
    return f"{count} of {len(rows)}", count == len(rows)


def _mirrored(rows: pd.DataFrame, cells: Sequence[str]) -> tuple[str, bool]:
    count = int(rows.winner.isin(MIRRORS).sum())
    return f"{count} of {len(rows)} through another map", count > 0


def _identity_grows(rows: pd.DataFrame, cells: Sequence[str]) -> tuple[str, bool]:
    chosen = rows.assign(settled=rows.winner == "identity")
    counts = _settled(chosen, cells)
    return _listed(counts), list(counts.values()) == sorted(counts.values())


def _divided(rows: pd.DataFrame, cells: Sequence[str]) -> tuple[str, bool]:
    count = int(rows.kinds.map(lambda kinds: kinds.get(TWO_DOMAINS, 0) > 0).sum())
    return f"{count} of {len(rows)}", count > 0


def _family(rows: pd.DataFrame, cells: Sequence[str]) -> tuple[str, bool]:
    rows = rows[rows.seed > 0]  # seed 0 was known
    whole, classes = bool((rows.aligned == rows.pairs).all()), int(rows.classes.map(count_classes).max())
    found = f"{rows.aligned.sum()} of {rows.pairs.sum()} pairs, at most {classes} classes"
    least = CRITERIA.predictions["consistency"]
    return found, whole and classes <= CRITERIA.predictions["classes"] and consistency(rows) >= least


def _same_excess(rows: pd.DataFrame, cells: Sequence[str]) -> tuple[str, bool]:
    """The first cell against the nearest of the others by excess nats."""
    excess = {name: float(rows[rows.cell == name].excess.mean()) for name in cells}
    shares = {name: float(rows[rows.cell == name].settled.mean()) for name in cells}
    first, near = cells[0], min(cells[1:], key=lambda name: abs(excess[name] - excess[cells[0]]))
    found = ", ".join(f"{name} {percent(shares[name])} at {decimal(excess[name])} nats" for name in (first, near))
    rare = "; neither settles most pairs at this loss" if max(shares[first], shares[near]) <= 0.5 else ""
    return found + rare, abs(shares[first] - shares[near]) <= LIMITS["third"]


def _alike(rows: pd.DataFrame, cells: Sequence[str]) -> tuple[str, bool]:
    counts = _settled(rows, cells)
    return _listed(counts), max(counts.values()) - min(counts.values()) <= LIMITS["seeds"]


def _no_higher(rows: pd.DataFrame, cells: Sequence[str]) -> tuple[str, bool]:
    raw = [float(rows[rows.cell == name].raw.mean()) for name in cells]
    found = ", ".join(f"{name} {decimal(x)}" for name, x in zip(cells, raw, strict=True))
    return found, raw[0] <= raw[1] + LIMITS["slack"]


def _published_board(rows: pd.DataFrame, cells: Sequence[str]) -> tuple[str, bool]:
    """All cells but the last are aligned as they are; of the last, a naive pair, at most one run."""
    straight = {name: rows[rows.cell == name].winner == "identity" for name in cells}
    *tied, naive = straight.values()
    return _listed({name: int(x.sum()) for name, x in straight.items()}), all(map(all, tied)) and bool(naive.sum() <= 1)


def _two_rows(rows: pd.DataFrame, cells: Sequence[str]) -> tuple[str, bool]:
    """All pass the bar, and with four anchors enough runs of each kind are settled, in either colors."""
    known = rows.assign(either=rows.settled.astype(bool) | rows.settled_relative.astype(bool))
    four = {name: known[known.cell == name] for name in cells if name.endswith("_4")}
    counts = {name: int(own.either.sum()) for name, own in four.items()}
    absolute = {name: int(own.settled.sum()) for name, own in four.items()}
    found = f"{int(rows.learned.sum())} of {len(rows)} pass the bar; {_listed(counts)} (absolute: {_listed(absolute)})"
    return found, bool(rows.learned.all()) and min(counts.values()) >= LIMITS["most_of_three"]


def _rows_rise(rows: pd.DataFrame, cells: Sequence[str]) -> tuple[str, bool]:
    """The best map, in the mean over seeds, of one, two and four anchors, kind by kind."""
    best = {name: float(rows[rows.cell == name].best.mean()) for name in cells}
    kinds = dict.fromkeys(name.split("_")[0] for name in cells)
    ladders = {kind: [best[name] for name in cells if name.startswith(kind)] for kind in kinds}
    found = "; ".join(f"{kind} {', '.join(map(decimal, ladder))}" for kind, ladder in ladders.items())
    return found, all(a < b for ladder in ladders.values() for a, b in pairwise(ladder))


OPENINGS = ["naive", "opening_40", "opening_55", "opening_85", "opening_100"]
WORDS = [f"{kind}_{x}" for kind in ("split", "compositional") for x in ("naive", "anchor_1", "anchor_2", "anchor_4")]
CLAIMS = [
    Claim("10.1 expected targets, equal games: two of three seeds are aligned or divided",
          "when", ["naive_expected"], _most_settle(LIMITS["most_of_three"])),
    Claim("10.2 expected targets, about equal skill: fewer seeds than with sampled ones",
          "when", ["naive_expected_200k", "naive"], _fewer),
    Claim("10.3 width: the wide model recovers at least as much as the usual one, the narrow one less",
          "when", ["naive_narrow", "naive", "naive_wide"], _rising(0, 0)),
    Claim("10.4 weight decay: without any, less is recovered; with three times as much, at most .1 less",
          "when", ["naive_decay_0", "naive", "naive_decay_3"], _rising(0, LIMITS["slack"])),
    Claim("10.5 batch size, equal games: smaller batches recover no less",
          "when", ["naive_batch_128", "naive", "naive_batch_32"], _rising(0, 0)),
    Claim("11.1 one first move only: all pairs are aligned under the identity",
          "asymmetry", ["opening_100"], _identity),
    Claim("11.2 a weight of .40: at least one pair is aligned through another map",
          "asymmetry", ["opening_40"], _mirrored),
    Claim("11.3 the number aligned under the identity does not fall as the weight grows",
          "asymmetry", OPENINGS, _identity_grows),
    Claim("12.1 ten naive seeds: at least eight are aligned or divided",
          "table1", ["naive"], _most_settle(LIMITS["most_of_ten"]), 10),
    Claim("12.2 ten naive seeds: at least one has two domains", "table1", ["naive"], _divided, 10),
    Claim("12.3 eight naive languages, two more seeds: all pairs are aligned, consistently, in at most four classes",
          "many_languages", ["naive_8"], _family),
    Claim("13 AdamW with the block of GPT-2, Muon with ours, nearest excess nats: shares settled at most a third apart",
          "recipe", ["naive_gpt2_adamw", "naive_240k", "naive"], _same_excess, 2),
    Claim("14.1 parallel, disjoint and drawn games, each seen twice: the numbers settled differ by one at most",
          "parallel", ["naive_parallel", "naive_twice", "naive_disjoint"], _alike),
    Claim("14.2 parallel games: raw accuracy across languages is at most .1 above that of drawn ones",
          "parallel", ["naive_parallel", "naive_twice"], _no_higher),
    Claim("16.1 both pass the bar; with four anchors two of three seeds are aligned or divided, in either colors",
          "table1", WORDS, _two_rows, scale="expected"),
    Claim("16.2 the best map reads more with two anchors than with one, and with four than with two, in both rows",
          "table1", [name for name in WORDS if "naive" not in name], _rows_rise, scale="expected"),
    Claim("17.1 four anchors and unified output: aligned under the identity on both seeds, naive pairs on at most one",
          "table1", ["anchor_4", "unified", "naive"], _published_board, 2, "board8"),
]  # fmt: skip
