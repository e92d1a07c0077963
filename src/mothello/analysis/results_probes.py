"""The page's section on probes: the board by layer, probe and colours, beside the published errors."""

from collections.abc import Sequence

import pandas as pd

from mothello.analysis.cells import BAR
from mothello.analysis.markdown import decimal, table
from mothello.analysis.runs import Run
from mothello.analysis.words import NOT_RUN, WITHIN, judge

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
    """What was published about probes beside ours: by number on the same board, else in direction."""
    head = ["published", "ours", "seeds", "word", "why"]
    of, fresh = (rows[(rows.cell == cell) & (rows.control == name)] for name in ("trained", "random_weights"))
    if of.empty:
        return table(head, [["probes of one language", "-", 0, NOT_RUN, ""]])
    here = cells[cells.cell == cell]
    same, seeds = bool((here.board == "8x8").all()), of.seed.nunique()
    reached = bool(of.legal.mean() >= BAR)
    mlp, linear, relative = (
        _least(of, *key) for key in (("mlp", "absolute"), ("linear", "absolute"), ("linear", "relative"))
    )
    random = _least(fresh, "mlp", "absolute")

    def row(text: str, numbers: str, holds: bool, why: str) -> list[object]:
        return [text, numbers, seeds, *judge(reached=reached, agrees=holds, changed="", reason=why)]

    lines = [
        row(
            "a linear probe reads mine / theirs (least error .005) far better than absolute colours (.237)",
            f"{decimal(relative)} against {decimal(linear)}",
            abs(relative - 0.005) <= WITHIN and abs(linear - 0.237) <= WITHIN if same else relative < linear / 1.5,
            "absolute colours are read nearly as well",
        ),
        row(
            "an MLP reads absolute colours (.018) far better than a linear probe does",
            f"{decimal(mlp)} against {decimal(linear)}",
            abs(mlp - 0.018) <= WITHIN if same else mlp < linear / 1.5,
            "the linear probe reads them nearly as well",
        ),
        row(
            "random weights leave an error of .25 to .27",
            f"{decimal(random)} (MLP, best layer)",
            RANDOM[0] - WITHIN <= random <= RANDOM[1] + WITHIN,
            "another board, width and fit",
        ),
    ]
    small = here[here.board == "6x6"]
    if len(small):
        why = (
            f"{small.layers.iloc[0]} layers and {small.games.iloc[0]:,} games, not 8 layers of width 256 and 2 M games"
        )
        strict = float(small.strict.mean())
        lines.append(row("6x6: .9997 of the next moves are legal", decimal(strict), strict > 0.997, why))
        text = "6x6: linear probes read more than .98 of mine / theirs"
        lines.append(row(text, decimal(1 - relative), relative < 0.03, why))
    return table(head, lines)


def _least(rows: pd.DataFrame, probe: str, target: str) -> float:
    """The error of the best layer, mean over seeds."""
    of = rows[(rows.probe == probe) & (rows.target == target)]
    return float((1 - of.groupby("layer").value.mean()).min())
