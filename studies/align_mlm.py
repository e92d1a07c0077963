"""The page of Tang et al. 2022: which objective aligns two languages, and does alignment decide what transfers?"""

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mothello.report.style import LANGUAGE_COLORS, MUTED, canvas, legend_below, title
from studies import CRITERIA, PAPERS
from studies.correlation import LEAST, correlation, shown, spearman, within_drawn
from studies.numbers import decimal, percent
from studies.paper import TASK, Claim, Found, Outcome, Page, every, means

LIMITS = CRITERIA.papers
OBJECTIVES = ("mlm", "tlm", "dict", "align")
ORDERS = {"renamed": "renamed", "inverted": "inverted", "window": "windows of five", "phrases": "row first"}
"""What the second language is, besides renamed, and how the page calls it."""
CELLS = [f"{objective}_{order}" for objective, order in product(OBJECTIVES, ORDERS)]
SWEPT = (
    "mlm_inverted", "mlm_inverted_ids", "align_inverted_weight_01", "align_inverted_weight_1", "align_inverted",
    "align_inverted_weight_100", "align_inverted_quarter", "align_inverted_all", "align_inverted_ids",
)  # fmt: skip
ALIGNED = {
    "neighbours": "token embeddings, all moves", "probe": "probes, as they are", "probe_best_map": "probes, best map",
    "retrieval": "retrieval of states", "retrieval_best_map": "retrieval, best map",
}  # fmt: skip


def points(found: Found) -> pd.DataFrame:
    """A row per run of the 16 cells: BS - BZ of bracket, and how alike the languages are."""
    taught = found.taught[(found.taught.stage == TASK) & found.taught.cell.isin(CELLS)]
    alike = found.runs[["cell", "seed", *ALIGNED]]
    known = taught[["cell", "seed", "board", "delta"]].merge(alike, on=["cell", "seed"])
    return known.assign(order=known.cell.str.split("_").str[1]).dropna(subset=["delta"])


def by_cell(known: pd.DataFrame, aligned: str) -> tuple[float, float, int]:
    """Spearman of BS - BZ with a measure of alignment, over the means of the cells; its mean over the orders; cells."""
    cells = known.groupby(["order", "cell"])[["delta", aligned]].mean().dropna()
    if cells.empty:
        return float("nan"), float("nan"), 0
    parts = [float(spearman(part.delta, part[aligned])) for _, part in cells.groupby("order") if len(part) > 2]
    told = [value for value in parts if np.isfinite(value)]
    inside = float(np.mean(told)) if told else float("nan")
    return float(spearman(cells.delta, cells[aligned])), inside, len(cells)


def answer(found: Found) -> str:
    parts, kinds = [], set[str]()
    for objective in OBJECTIVES:
        kinds |= {order for order in ORDERS if found.mean(f"{objective}_{order}", "follows") is not None}
        known = [x for order in ORDERS if (x := found.mean(f"{objective}_{order}", "follows")) is not None]
        if known:
            least, most = percent(min(known)), percent(max(known))
            parts.append(f"{least if least == most else f'{least} to {most}'} with {objective.upper()}")
    made = ", ".join(name for order, name in ORDERS.items() if order in kinds)
    text = f"Of what the taught language gains, a second one ({made}) gains {', '.join(parts)}"
    text = text if parts else "No model was taught a task yet"
    whole, inside, count = by_cell(points(found), "neighbours")
    if count >= LEAST and np.isfinite(whole):
        both = "the alignment of embeddings and what is lost"
        text += f". Spearman's correlation between {both}: {decimal(whole, 2)} over {count} cells"
        text += f", {decimal(inside, 2)} within an order" if np.isfinite(inside) else ""
    return f"{text}."


def figure(found: Found) -> Figure:
    """Follows by order and objective; below, BS - BZ by the alignment of embeddings."""
    drawn, (above, below) = canvas(1, 6.6, 2, width=6.2)
    for shift, color, marker, objective in zip(
        (-0.24, -0.08, 0.08, 0.24), LANGUAGE_COLORS, "os^D", OBJECTIVES, strict=False
    ):
        for x, order in enumerate(ORDERS):
            values = found.of(f"{objective}_{order}", "follows").follows
            above.scatter([x + shift] * len(values), values, s=24, color=color, marker=marker, label=objective.upper())
    above.axhline(0, color=MUTED, linewidth=1, linestyle=":")
    above.set_xticks(range(len(ORDERS)), list(ORDERS.values()))
    above.set(xlim=(-0.5, len(ORDERS) - 0.5), ylabel="the other's gain / the source's")
    title(above, "What transfers, by what the second language is")
    _scatter(below, points(found))
    legend_below(drawn, [above, below], columns=4)
    return drawn


def _scatter(axis: Axes, known: pd.DataFrame) -> None:
    for color, (order, name) in zip(LANGUAGE_COLORS[4:], ORDERS.items(), strict=False):
        part = known[known.order == order]
        axis.scatter(part.neighbours, part.delta, s=24, color=color, marker="P", label=name)
    axis.set(xlabel="moves whose nearest embedding is their translation", ylabel="BS - BZ")
    title(axis, "Lost across languages, by alignment of embeddings")


def columns(found: Found, cell: str) -> Mapping[str, object]:
    published, order = PAPERS["align_mlm"]["cells"].get(cell), cell.split("_")[1]
    theirs = "{:.1f} / {:.1f}, {:g}%".format(*published) if published else "-"
    return {
        "published BS / BZ, aligned": theirs, "BS": found.shown(cell, "itself"), "BZ": found.shown(cell, "target"),
        "BS - BZ": found.shown(cell, "delta"),
        "BZ, difference to MLM": found.difference(cell, f"mlm_{order}", "target"),
        "flips, BS - BZ": found.shown(cell, "delta", "flips"),
        "follows: flips / bracket": f"{found.shown(cell, 'follows', 'flips')} / {found.shown(cell, 'follows')}",
        "nearest, in the dictionary": found.shown(cell, "dictionary"),
        "nearest, held out": found.shown(cell, "held_out"),
    }  # fmt: skip


def correlations(found: Found) -> list[dict[str, object]]:
    """A row per measure of alignment."""
    rows, known = [], points(found)
    for name, label in ALIGNED.items():
        one, inside = correlation(known, name, "delta"), within_drawn(known, name, "order", "delta")
        whole, mean, count = by_cell(known, name)
        rows.append({
            "alignment": label, "over runs": shown(one), "over runs, within an order": shown(inside),
            "over the means of cells": decimal(whole), "the same within an order": decimal(mean), "cells": count,
        })  # fmt: skip
    return rows


def swept(found: Found) -> list[dict[str, object]]:
    names = {
        "follows": "follows", "delta": "BS - BZ", "dictionary": "nearest, in the dictionary",
        "held_out": "nearest, held out", "skill": "skill",
    }  # fmt: skip
    return [{"cell": cell, **{head: found.shown(cell, x) for x, head in names.items()}} for cell in SWEPT]


def same_itself(found: Found, cells: Sequence[str]) -> tuple[str, Outcome]:
    """19.1, order by order."""
    outcomes, shown = list[Outcome](), []
    for order in ORDERS:
        values = [found.mean(f"{objective}_{order}", "itself") for objective in OBJECTIVES]
        known = [value for value in values if value is not None]
        apart = max(known) - min(known) if len(known) > 1 else 0.0
        shown += [f"{ORDERS[order]} {decimal(apart)}"] if len(known) > 1 else []
        outcomes.append(False if apart > LIMITS["same"] else None if None in values else True)
    return ", ".join(shown) or "-", every(outcomes)


def follows_more(found: Found, cells: Sequence[str]) -> tuple[str, Outcome]:
    """19.2, seed by seed; and where the others lie."""
    mlm, align = (found.of(cell, "follows").follows for cell in ("mlm_inverted", "align_inverted"))
    seeds = {*found.planned["mlm_inverted"], *found.planned["align_inverted"]}
    outcomes = [bool(align[seed] > mlm[seed]) if seed in mlm and seed in align else None for seed in sorted(seeds)]
    values = {x: found.mean(f"{x}_inverted", "follows") for x in OBJECTIVES}
    listed = ", ".join(f"{x.upper()} {decimal(value)}" for x, value in values.items() if value is not None)
    told = len(outcomes) - outcomes.count(None)
    return f"{outcomes.count(True)} of {told} seeds; {listed}" if told else listed or "-", every(outcomes)


def spreads(found: Found, cells: Sequence[str]) -> tuple[str, Outcome]:
    """19.4, cell by cell."""
    pairs = {cell: (found.mean(cell, "held_out"), found.mean(cell, "dictionary")) for cell in cells}
    known = {cell: (out, known) for cell, (out, known) in pairs.items() if out is not None and known is not None}
    text = ", ".join(f"{cell} {decimal(out, 2)} of {decimal(inside, 2)}" for cell, (out, inside) in known.items())
    return text or "-", every([
        None if cell not in known else known[cell][0] <= LIMITS["half"] * known[cell][1] for cell in cells
    ])  # fmt: skip


def decides(found: Found, cells: Sequence[str]) -> tuple[str, Outcome]:
    """19.5, over the means of the cells."""
    whole, inside, count = by_cell(points(found), "neighbours")
    text = f"{decimal(whole)} over {count} cells, {decimal(inside)} within an order" if np.isfinite(whole) else "-"
    told = count == len(CELLS) and np.isfinite(whole) and np.isfinite(inside)
    return text, bool(whole < LIMITS["spearman"] and abs(inside) < abs(whole)) if told else None


CLAIMS = {
    "19.1": Claim(CELLS, same_itself, "itself"),
    "19.2": Claim(["mlm_inverted", "align_inverted"], follows_more),
    "19.3": Claim(["mlm_renamed"], means(lambda x: x < LIMITS["half"])),
    "19.4": Claim([f"align_{order}" for order in ORDERS], spreads, "held_out"),
    "19.5": Claim(CELLS, decides, "delta"),
}
PAGE = Page("align_mlm", answer, figure, columns, CLAIMS, {"correlations": correlations, "swept": swept})
