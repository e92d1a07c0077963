"""The page's section on probes: the board by layer, probe and colours, beside the published errors."""

from collections.abc import Sequence

import pandas as pd

from mothello.report.results.cells import BAR
from mothello.report.results.judgement import NOT_RUN, WITHIN, Judged, judge
from mothello.report.results.markdown import decimal, over_seeds, table
from mothello.report.runs import Run

PUBLISHED = {
    ("mlp", "absolute"): (0.113, 0.075, 0.049, 0.034, 0.025, 0.018, 0.018, 0.045),
    ("linear", "absolute"): (0.237,) * 8,
    ("linear", "relative"): (0.092, 0.052, 0.029, 0.017, 0.009, 0.005, 0.005, 0.005),
}
"""Error by layer 1..8 of single-language Othello models on 8x8 (Li et al. 2023, Nanda et al. 2023)."""
RANDOM = (0.25, 0.27)
"""Published error on random weights."""
SOURCES = (
    "Published errors by layer: Li et al. 2023 ([arXiv 2210.13382](https://arxiv.org/abs/2210.13382)), Nanda et al. "
    "2023 ([arXiv 2309.00941](https://arxiv.org/abs/2309.00941))."
)


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


FAR = 1.5
"""One error is far less than another from this factor on."""
RULE = (
    "On the published board each number must be within .03 of the published one. On another board the order counts: "
    "an error is far less where it is less than two thirds of the other. Published shares near 1 on our board are "
    "judged by their error: ours at most twice theirs, since .03 would say nothing there."
)


def claims(rows: pd.DataFrame, cell: str, cells: pd.DataFrame) -> str:
    """What was published about probes beside ours: by number on the same board, else by order."""
    head = ["published", "ours", "seeds", "word", "why"]
    of, fresh = (rows[(rows.cell == cell) & (rows.control == name)] for name in ("trained", "random_weights"))
    here = cells[cells.cell == cell]
    if of.empty:
        return table(head, [["probes of one language", "-", 0, NOT_RUN, ""]])
    same, reached = bool((here.board == "8x8").all()), bool(here.legal.mean() >= BAR)
    keys = (("mlp", "absolute"), ("linear", "absolute"), ("linear", "relative"))
    mlp, linear, relative = (_least(of, *key) for key in keys)
    random = _least(fresh, "mlp", "absolute")

    def row(text: str, numbers: str, by_number: bool, by_order: bool, why: str) -> list[object]:
        agrees = by_number if same else by_order
        return [text, numbers, of.seed.nunique(), *judge(reached=reached, agrees=agrees, changed="", reason=why)]

    lines = [
        row(
            "linear probes read mine / theirs (least error .005) far better than absolute colours (.237)",
            f"{decimal(relative)} against {decimal(linear)}",
            abs(relative - 0.005) <= WITHIN and abs(linear - 0.237) <= WITHIN,
            relative * FAR < linear,
            "absolute colours are read nearly as well",
        ),
        row(
            "MLPs read absolute colours (least error .018) far better than linear probes",
            f"{decimal(mlp)} against {decimal(linear)}",
            abs(mlp - 0.018) <= WITHIN,
            mlp * FAR < linear,
            "linear probes read them nearly as well",
        ),
        row(
            "MLPs read random weights (error .25 to .27) far worse than trained ones",
            f"{decimal(random)} against {decimal(mlp)}",
            RANDOM[0] - WITHIN <= random <= RANDOM[1] + WITHIN,
            mlp * FAR < random,
            "random weights are read nearly as well",
        ),
    ]
    return f"{table(head, [*lines, *_small(here[here.board == '6x6'], relative, reached)])}\n\n*{RULE}*"


def _small(of: pd.DataFrame, relative: float, reached: bool) -> list[list[object]]:
    """What was published for 6x6."""
    if of.empty:
        return []
    layers, games = of.layers.iloc[0], of.games.iloc[0]
    why = f"{layers} layers and {games:,} games, not 8 layers of width 256 and 2 M games"
    lines: list[list[object]] = []
    strict = over_seeds(of.strict)
    texts = ("6x6: .9997 of the next moves are legal", "6x6: linear probes read more than .98 of mine / theirs")
    for text, share, error in ((texts[0], strict.mean if strict else None, 0.0003), (texts[1], 1 - relative, 0.02)):
        judged = Judged(NOT_RUN)
        if share is not None:
            judged = judge(reached=reached, agrees=1 - share <= 2 * error, changed="", reason=why)
        lines.append([text, decimal(share), len(of), *judged])
    return lines


def _least(rows: pd.DataFrame, probe: str, target: str) -> float:
    """The error of the best layer, mean over seeds."""
    of = rows[(rows.probe == probe) & (rows.target == target)]
    return float((1 - of.groupby("layer").value.mean()).min())
