"""The page's section on probes: the board by layer, probe and colours, beside the published errors."""

from collections.abc import Sequence

import pandas as pd

from mothello.analysis.markdown import decimal, table
from mothello.analysis.runs import Run
from mothello.analysis.words import CORRECTED, DIFFERS, NOT_REACHED, NOT_RUN, REPRODUCED

PUBLISHED = {
    ("mlp", "absolute"): (0.113, 0.075, 0.049, 0.034, 0.025, 0.018, 0.018, 0.045),
    ("linear", "absolute"): (0.237,) * 8,
    ("linear", "relative"): (0.092, 0.052, 0.029, 0.017, 0.009, 0.005, 0.005, 0.005),
}
"""Error by layer 1..8 of single-language Othello models on 8x8 (Li et al. 2023, Nanda et al. 2023)."""
RANDOM = (0.25, 0.27)
"""Published error on random weights."""


def probe_rows(runs: Sequence[Run]) -> pd.DataFrame:
    """cell, seed, probe, target, layer, control, accuracy in the probe's own language, mean over languages."""
    parts = []
    for run in runs:
        if run.probe is None:
            continue
        table_ = run.probe["table"]
        own = table_[
            (table_.measure == "probe") & (table_.quantity == "accuracy") & (table_["map"] == "identity")
            & (table_.square == "") & table_.ply.isna() & (table_.source == table_.language) & table_.layer.notna()
        ]  # fmt: skip
        mean = own.groupby(["probe", "target", "control", "layer"]).value.mean().reset_index()
        parts.append(mean.assign(cell=run.name, seed=run.seed, legal=float(run.results["final"]["val/top1"])))
    columns = ["probe", "target", "control", "layer", "value", "cell", "seed", "legal"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def probe_table(rows: pd.DataFrame, cell: str) -> str:
    """Error by layer of one cell, its random-weights control in brackets."""
    of = rows[rows.cell == cell]
    layers = sorted(of.layer.unique())
    head = ["probe, colours", "published, 8x8, layers 1-8", *(f"layer {int(layer)}" for layer in layers)]
    lines = []
    for probe in ("mlp", "linear"):
        for target in ("absolute", "relative"):
            here = of[(of.probe == probe) & (of.target == target)]
            if here.empty:
                continue
            errors = [1 - here[here.layer == layer].groupby("control").value.mean() for layer in layers]
            shown = [f"{decimal(x.get('trained'))} ({decimal(x.get('random_weights'))})" for x in errors]
            published = PUBLISHED.get((probe, target))
            lines.append([f"{probe}, {target}", " ".join(decimal(x) for x in published) if published else "-", *shown])
    return table(head, lines)


def claims(rows: pd.DataFrame, cell: str, cells: pd.DataFrame) -> str:
    """What was published about probes, in direction, beside ours; what was published on 6x6, by number."""
    of = rows[(rows.cell == cell) & (rows.control == "trained")]
    random = rows[(rows.cell == cell) & (rows.control == "random_weights")]
    head = ["published", "ours", "word"]
    if of.empty:
        return table(head, [["probes of one language", "-", NOT_RUN]])
    best = (1 - of.groupby(["probe", "target", "layer"]).value.mean()).groupby(["probe", "target"]).min()
    mlp, linear, relative = best["mlp", "absolute"], best["linear", "absolute"], best["linear", "relative"]
    control = (1 - random.groupby(["probe", "target", "layer"]).value.mean()).groupby(["probe", "target"]).min()
    fresh = control["mlp", "absolute"]
    reached = of.legal.mean() >= 0.97

    def word(holds: bool) -> str:
        return NOT_REACHED if not reached else REPRODUCED if holds else DIFFERS

    lines = [
        [
            "linear probes read mine / theirs far better than absolute colours (error .005 against .237)",
            f"{decimal(relative)} against {decimal(linear)}", word(relative < linear / 1.5),
        ],
        [
            "an MLP reads absolute colours where a linear probe does not (.018 against .237)",
            f"{decimal(mlp)} against {decimal(linear)}", word(mlp < linear / 1.5),
        ],
        [
            "random weights leave an error of .25 to .27",
            f"{decimal(fresh)} (MLP, best layer)", word(fresh > mlp + 0.05) if fresh >= 0.22 else CORRECTED,
        ],
    ]  # fmt: skip
    one = cells[(cells.cell == cell) & (cells.board == "6x6")]
    if len(one):
        strict, linear_right = float(one.strict.mean()), 1 - relative
        smaller = (
            f"differs: {one.layers.iloc[0]} layers and {one.games.iloc[0]:,} games, not 8 layers of width 256 and 2 M"
        )
        lines.append(
            [
                "6x6: .9997 of the next moves are legal",
                decimal(strict),
                REPRODUCED if strict > 0.997 else smaller,
            ]
        )
        lines.append(
            [
                "6x6: linear probes read more than .98 of mine / theirs", decimal(linear_right),
                REPRODUCED if linear_right > 0.97 else smaller,
            ]
        )  # fmt: skip
    return table(head, lines)
