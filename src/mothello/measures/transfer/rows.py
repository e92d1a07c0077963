"""What was watched along a fine-tuning, as rows of the tidy table."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

Row = dict[str, Any]
LEGALITY = ("top1", "top1_restricted", "lenient", "mass", "mass_first_token", "wrong_language", "malformed", "chance")


def summary_rows(summary: Mapping[str, Mapping[str, Any]], source: str) -> Iterator[Row]:
    """Peak, gain and what else was made of the curves. summary: transfer.protocol.summary."""
    for language, row in summary.items():
        for quantity in ("peak", "gain", "forgetting", "relative_gap", "gain_ratio", "over_scratch"):
            if row.get(quantity) is not None:
                head: Row = {"measure": "transfer", "control": "trained", "source": source, "language": language}
                yield head | {"quantity": quantity, "value": row[quantity]}


def transfer_rows(
    lines: Sequence[Mapping[str, float]], names: Sequence[str], source: str, control: str
) -> Iterator[Row]:
    """Legality of every language by step and opening, and alignment with the source. lines: metrics.jsonl."""
    for line in lines:
        for key, value in line.items():
            head: Row = {"measure": "transfer", "control": control, "source": source, "step": int(line["step"])}
            judged = re.fullmatch(r"val/(.+?)(?:@(.+))?/(\w+)", key)
            aligned = re.fullmatch(r"align/(.+)/(\w+)", key)
            if judged and judged[1] in names and judged[3] in LEGALITY:
                quantity, control_ = ("top1", "chance") if judged[3] == "chance" else (judged[3], control)
                row = {"quantity": quantity, "control": control_, "language": judged[1], "opening": judged[2] or ""}
                yield head | row | {"value": value}
            elif aligned and aligned[1] in names:
                yield head | {"quantity": aligned[2], "language": aligned[1], "value": value}


def overview(rows: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Per language: strict legality before and after, and the numbers of the summary."""
    table: dict[str, dict[str, float]] = {}
    rows = rows[(rows.control == "trained") & (rows.opening == "")]
    for language, group in rows.groupby("language", sort=False):
        legality = group[(group.quantity == "top1") & group.step.notna()].value
        ends = {"before": float(legality.iloc[0]), "after": float(legality.iloc[-1])} if len(legality) else {}
        summary = group[group.step.isna()]
        table[str(language)] = ends | dict(zip(summary.quantity, summary.value, strict=True))
    return table
