"""What a fine-tuning did to every language, from the metrics of its folder and of its control's."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mothello.errors import UserError
from mothello.measures.measure import MEASURES, Row, Subject
from mothello.measures.transfer.curve import curves, summary
from mothello.rows import Table, format_table
from mothello.rundir import RunDir

ANSWERS = ("top1", "top1_restricted", "top1_translated")
"""Strict legality of a move chosen among all tokens, the language's own, or the source's."""
LEGALITY = (*ANSWERS, "lenient", "mass", "mass_first_token", "wrong_language", "malformed", "chance")
SCRATCH = "-scratch"
"""End of the name of the control's folder: the same fine-tuning from random weights, next to the other."""


@dataclass(kw_only=True)
class TransferConfig:
    """Nothing to choose: what was watched along the fine-tuning is reported."""

    name: str = "transfer"

    def shrunk(self, share: float) -> "TransferConfig":
        """It reads what is there."""
        return self


@MEASURES.register("transfer")
class Transfer:
    """Curves by step, language and opening; before, after, peak and gain; all of it also for the control."""

    Config = TransferConfig

    def __init__(self, config: TransferConfig) -> None:
        self.config = config

    def __call__(self, subject: Subject) -> Iterator[Row]:
        """Rows. UserError when the subject is not a fine-tuned model in its folder."""
        if subject.run is None:
            raise UserError("measures: transfer reads the folder of a fine-tuning")
        folder, names, path = subject.run, subject.names, subject.run.path
        control = RunDir(path.with_name(path.name + SCRATCH))
        content = folder.read_config()
        if content.get("stage") != "finetune":
            raise UserError(f"measures: transfer is measured on a fine-tuned model; {path} is none")
        source = (content.get("settings") or {}).get("source") or names[0]
        lines = folder.read_metrics()
        of_control = control.read_metrics() if control.finished else []
        yield from transfer_rows(lines, names, source, "trained")
        yield from transfer_rows(of_control, names, source, "scratch")
        for metric in ANSWERS:
            if course := curves(lines, names, metric):
                scratch = curves(of_control, names, metric)
                yield from summary_rows(summary(course, source, names, scratch or None), source, metric)

    def summary(self, rows: Table) -> str:
        """Legality of every language before and after."""
        return f"strict top-1 legality along the fine-tuning\n{format_table(overview(rows))}"


def summary_rows(summary: Mapping[str, Mapping[str, Any]], source: str, metric: str = "top1") -> Iterator[Row]:
    """Peak, gain and what else was made of the curves; "gain_restricted" and so on of answers in chosen tokens."""
    for language, row in summary.items():
        for quantity in ("peak", "gain", "forgetting", "relative_gap", "gain_ratio", "over_scratch"):
            if row.get(quantity) is not None:
                head: Row = {"measure": "transfer", "control": "trained", "source": source, "language": language}
                yield head | {"quantity": quantity + metric.removeprefix("top1"), "value": row[quantity]}


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


def overview(rows: Table) -> dict[str, dict[str, float]]:
    """Per language: strict legality before and after beside that of chance, and the numbers of the summary."""
    table: dict[str, dict[str, float]] = {}
    along = rows[(rows.opening == "") & (rows.quantity == "top1") & rows.step.notna()]
    rows = rows[(rows.control == "trained") & (rows.opening == "")]
    for language, group in rows.groupby("language", sort=False):
        own = along[along.language == language]
        legality, chance = (own[own.control == control].value for control in ("trained", "chance"))
        ends = {"before": float(legality.iloc[0]), "after": float(legality.iloc[-1])} if len(legality) else {}
        ends |= {"chance": float(chance.iloc[-1])} if len(chance) else {}
        summary = group[group.step.isna() & ~group.quantity.str.contains("_restricted|_translated")]
        table[str(language)] = ends | dict(zip(summary.quantity, summary.value, strict=True))
    return table
