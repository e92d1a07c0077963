"""The page of Gaschi et al. 2023: when does realignment help what transfers, and does it hurt a strong model?"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from statistics import fmean

import pandas as pd
from matplotlib.figure import Figure

from mothello.report.style import LANGUAGE_COLORS, MUTED, canvas, legend_below, title
from studies import CRITERIA, PAPERS
from studies.correlation import correlation, shown, within
from studies.numbers import decimal, signed
from studies.paper import TASK, Claim, Found, Outcome, Page, every

LIMITS = CRITERIA.papers
DISTANCES = ("renamed", "compositional", "reordered")
WIDTHS = ("small", "middle", "large")
CELLS = [f"{distance}_{width}" for distance, width in product(DISTANCES, WIDTHS)]
CLEAR = 0.01
"""A gain above it is one."""
ALIGNERS = ("gold", "quarter", "dictionary", "wrong", "ibm")
SCHEDULES = {"before": "after", "during": "with"}
"""Realignment before the fine-tuning or during it, and the word for it in the names of the study's stages."""
KEPT = {"lower half kept": "lower_kept", "upper half kept": "upper_kept"}


def stage_of(aligner: str, schedule: str) -> str:
    """The fine-tuning of an aligner and a schedule."""
    return f"{TASK}_{SCHEDULES[schedule]}_{aligner}"


STAGES = {(aligner, schedule): stage_of(aligner, schedule) for aligner, schedule in product(ALIGNERS, SCHEDULES)}


def change(found: Found, cell: str, stage: str, column: str = "target") -> pd.Series:
    """By seed, what a fine-tuning with realignment ends at, less what the plain one ends at."""
    return (found.of(cell, column, stage)[column] - found.of(cell, column)[column]).dropna()


def gain(found: Found, cell: str, stage: str, column: str = "target") -> float | None:
    """The same, mean over seeds."""
    values = change(found, cell, stage, column)
    return float(values.mean()) if len(values) else None


def mean_gain(found: Found, cells: Iterable[str], stages: Iterable[str], column: str = "target") -> float | None:
    """Over cells and stages; None where one of them is missing."""
    values = [gain(found, cell, stage, column) for cell, stage in product(list(cells), list(stages))]
    known = [value for value in values if value is not None]
    return fmean(known) if known and len(known) == len(values) else None


def of_width(width: str) -> list[str]:
    return [f"{distance}_{width}" for distance in DISTANCES]


def of_distance(distance: str) -> list[str]:
    return [f"{distance}_{width}" for width in WIDTHS]


def moves(found: Found, stage: str, cells: Sequence[str] = CELLS) -> tuple[int, int, int]:
    """Cells that go up, and down, by more than one deviation of the plain fine-tuning over seeds, of how many."""
    up = down = known = 0
    for cell in cells:
        value, plain_ends = gain(found, cell, stage), found.of(cell, "target").target
        if value is not None and len(plain_ends) > 1:
            deviation = float(plain_ends.std())
            up, down, known = up + (value > deviation), down + (value < -deviation), known + 1
    return up, down, known


def answer(found: Found) -> str:
    gold, every_gain = stage_of("gold", "before"), product(CELLS, STAGES.items())
    asked = {(cell, *names): gain(found, cell, stage) for cell, (names, stage) in every_gain}
    gains = {key: value for key, value in asked.items() if value is not None}
    rising = [value for (_, *names), value in gains.items() if names == ["gold", "before"]]
    if not rising:
        return "No model was realigned by true links yet."
    higher = f"{sum(x > CLEAR for x in rising)} of {len(rising)} settings"
    text = (
        f"Realigned by true links before fine-tuning, the other language ends higher by more than {CLEAR} in {higher} "
    )
    text += f"({signed(fmean(rising))} in the mean"
    widths = {
        name: mean_gain(found, of_width(width), [gold]) for name, width in (("narrow", "small"), ("wide", "large"))
    }
    known = [f"{signed(value)} in the {name} model" for name, value in widths.items() if value is not None]
    far = {name: mean_gain(found, of_distance(name), [gold]) for name in DISTANCES}
    known += [f"{signed(value)} of {name} languages" for name, value in far.items() if value is not None]
    text += f"; {', '.join(known)})" if known else ")"
    source, (cell, *names) = mean_gain(found, CELLS, [gold], "source"), min(gains, key=lambda x: gains[x])
    taught = f" The taught language changes by {signed(source)}." if source is not None else ""
    return f"{text}; the least gain of any kind is {signed(min(gains.values()))} ({cell}, {' '.join(names)}).{taught}"


def figure(found: Found) -> Figure:
    """Gain by width, a line per distance; below, by aligner and schedule, a point per cell."""
    drawn, (above, below) = canvas(1, 6.6, 2, width=6.2)
    for distance, color, marker in zip(DISTANCES, LANGUAGE_COLORS, "os^", strict=False):
        cells = {place: f"{distance}_{width}" for place, width in enumerate(WIDTHS)}
        parts = {place: change(found, cell, stage_of("gold", "before")) for place, cell in cells.items()}
        known = {place: values for place, values in parts.items() if len(values)}
        above.plot(list(known), [x.mean() for x in known.values()], color=color, marker=marker, label=distance)
        for place, values in known.items():
            above.scatter([place] * len(values), values, s=14, color=color, alpha=0.6)
    above.set_xticks(range(len(WIDTHS)), ["narrow", "usual", "wide"])
    above.set(ylabel="gain of the other language", xlim=(-0.3, len(WIDTHS) - 0.7))
    title(above, "Realigned by true links before fine-tuning")
    for shift, color, schedule in zip((-0.14, 0.14), LANGUAGE_COLORS[3:5], SCHEDULES, strict=True):
        for place, aligner in enumerate(ALIGNERS):
            gains = [x for cell in CELLS if (x := gain(found, cell, stage_of(aligner, schedule))) is not None]
            marker = "D" if shift > 0 else "P"
            below.scatter([place + shift] * len(gains), gains, s=22, color=color, marker=marker, label=schedule)
    below.set_xticks(
        range(len(ALIGNERS)), ["true links", "quarter of\ndictionary", "dictionary", "3 of 10\nwrong", "IBM"]
    )
    below.set(ylabel="gain of the other language")
    title(below, "By aligner and time, a point per cell")
    for axis in (above, below):
        axis.axhline(0, color=MUTED, linewidth=1)
    legend_below(drawn, [above, below], columns=5)
    return drawn


def columns(found: Found, cell: str) -> Mapping[str, object]:
    gains = {
        f"{aligner} {schedule}": found.difference(cell, cell, "target", stage, against=TASK)
        for (aligner, schedule), stage in STAGES.items()
        if aligner in ("gold", "quarter", "wrong")  # a whole dictionary and IBM link as gold does
    }
    after = {"weak retrieval after": found.shown(cell, "weak")}
    return {"plain": found.shown(cell, "target"), "follows": found.shown(cell, "follows"), **after, **gains}


def aligners(found: Found) -> list[dict[str, str]]:
    """A row per aligner and schedule."""
    rows = []
    kept = {(name, "before"): f"{TASK}_after_{name_of}" for name, name_of in KEPT.items()}
    for (aligner, schedule), stage in (STAGES | kept).items():
        cells = ["reordered_middle"] if (aligner, schedule) in kept else CELLS
        known = [cell for cell in cells if gain(found, cell, stage) is not None]
        target, source = (mean_gain(found, known, [stage], column) for column in ("target", "source"))
        up, down, count = moves(found, stage, cells)
        rows.append({
            "aligner": aligner, "realigned": schedule, "published, points": published(aligner, schedule),
            "gain": _signed(target), "up / down": f"{up} / {down} of {count}" if count else "-",
            "change of the source": _signed(source),
            "cells": f"{len(known)} of {len(cells)}",
        })  # fmt: skip
    return rows


def _signed(value: float | None) -> str:
    return "-" if value is None else signed(value)


def published(aligner: str, schedule: str) -> str:
    """Such as "mBERT +2.64 (31 / 1)", a model after another."""
    models = PAPERS["realignment"]["rows"].get(f"{aligner} {schedule}", {})
    return ", ".join(f"{model} {value:+.2f} ({up} / {down})" for model, (value, up, down) in models.items()) or "-"


def rhos(found: Found) -> list[dict[str, object]]:
    """Alignment before and after fine-tuning against what is lost across languages, a row per measure; before, of what
    was not realigned."""
    known = found.taught.drop_duplicates(found.taught.columns.drop("stage"))  # aligners that link alike are one
    known = known.assign(width=known.cell.str.split("_").str[1], distance=known.cell.str.split("_").str[0])
    before = {"retrieval": "weak", "retrieval_strong": "strong"}
    plain = known[known.stage == TASK].drop(columns=["weak", "strong"])
    plain = plain.merge(found.runs[["cell", "seed", *before]].rename(columns=before), on=["cell", "seed"])
    rows: list[dict[str, object]] = []
    for when, name in product(("before", "after"), before.values()):
        some = plain if when == "before" else known
        one = correlation(some, name, "gap")
        parts = {f"within {x}": decimal(within(some, name, x, "gap")) for x in ("width", "distance")}
        named = {"alignment": f"{name} retrieval, {when}", "Spearman": shown(one)}
        rows.append(named | parts | {"points": one.points if one else 0})
    return rows


def rises(found: Found, cells: Sequence[str]) -> tuple[str, Outcome]:
    """21.1, cell by cell."""
    gains = {cell: gain(found, cell, stage_of("gold", "before")) for cell in cells}
    text = ", ".join(f"{cell} {signed(value)}" for cell, value in gains.items() if value is not None)
    return text or "-", every([None if value is None else value > 0 for value in gains.values()])


def weak_and_far(found: Found, cells: Sequence[str]) -> tuple[str, Outcome]:
    """21.2, both halves of it."""
    gold = [stage_of("gold", "before")]
    groups = {"narrow": of_width("small"), "wide": of_width("large")}
    groups |= {"re-ordered": of_distance("reordered"), "renamed": of_distance("renamed")}
    values = {name: mean_gain(found, group, gold) for name, group in groups.items()}
    text = ", ".join(f"{name} {signed(value)}" for name, value in values.items() if value is not None)
    return text or "-", every([_more(values["narrow"], values["wide"]), _more(values["re-ordered"], values["renamed"])])


def _more(one: float | None, other: float | None) -> Outcome:
    return None if one is None or other is None else one > other


def wrong_entries(found: Found, cells: Sequence[str]) -> tuple[str, Outcome]:
    """21.3: less than a true dictionary, most clearly in the wide model (before); nowhere a great loss (ever)."""
    true, wrong = stage_of("dictionary", "before"), stage_of("wrong", "before")
    lost: dict[str, float | None] = {}
    for width in WIDTHS:
        one, other = (mean_gain(found, of_width(width), [stage]) for stage in (true, wrong))
        lost[width] = None if one is None or other is None else one - other
    known = [value for value in lost.values() if value is not None]
    less = most = None
    if len(known) == len(WIDTHS):
        less, most = fmean(known) > 0, lost["large"] == max(known)
    gains = [gain(found, cell, stage_of("wrong", schedule)) for cell, schedule in product(cells, SCHEDULES)]
    ends = [None if value is None else value >= -LIMITS["wrong"] for value in gains]
    least = min((value for value in gains if value is not None), default=None)
    text = ", ".join(f"{width} {signed(-value)}" for width, value in lost.items() if value is not None)
    text = f"against a true one {text or '-'}" + (f"; least gain {signed(least)}" if least is not None else "")
    return text, every([less, most, every(ends)])


def source_stays(found: Found, cells: Sequence[str]) -> tuple[str, Outcome]:
    """21.4, of every cell, aligner and schedule."""
    values = [gain(found, cell, stage, "source") for cell, stage in product(cells, STAGES.values())]
    known = [abs(value) for value in values if value is not None]
    text = f"at most {decimal(max(known))} in {len(known)} of {len(values)} settings" if known else "-"
    return text, every([None if value is None else abs(value) <= LIMITS["source"] for value in values])


def before_more(found: Found, cells: Sequence[str]) -> tuple[str, Outcome]:
    """21.5, the mean over cells and aligners."""
    before, during = (mean_gain(found, cells, [stage_of(aligner, x) for aligner in ALIGNERS]) for x in SCHEDULES)
    if before is None or during is None:
        return "-", None
    return f"before {signed(before)}, during {signed(during)}", before > during


CLAIMS = {
    "21.1": Claim(CELLS, rises, "target"),
    "21.2": Claim(CELLS, weak_and_far, "target"),
    "21.3": Claim(CELLS, wrong_entries, "target"),
    "21.4": Claim(CELLS, source_stays, "target"),
    "21.5": Claim(CELLS, before_more, "target"),
}
PAGE = Page("realignment", answer, figure, columns, CLAIMS, {"aligners": aligners, "rhos": rhos})
