"""What a fine-tuning did to every language, from the metrics of its folder and of its control's."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mothello.errors import UserError
from mothello.measures.measure import MEASURES, Row, Subject
from mothello.measures.transfer.curve import curves, summary
from mothello.measures.transfer.rows import overview, summary_rows, transfer_rows
from mothello.rows import format_table
from mothello.rundir import RunDir

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
        if subject.folder is None:
            raise UserError("measures: transfer reads the folder of a fine-tuning")
        return rows_of(subject.folder.parents[1], subject.names)

    def summary(self, rows: pd.DataFrame) -> str:
        """Legality of every language before and after."""
        return f"strict top-1 legality along the fine-tuning\n{format_table(overview(rows))}"


def rows_of(path: Path, names: list[str]) -> Iterator[Row]:
    """The rows of the fine-tuning in a folder."""
    folder, control = RunDir(path), RunDir(path.with_name(path.name + SCRATCH))
    settings = folder.read_config().get("finetune")
    if settings is None:
        raise UserError(f"measures: transfer is measured on a fine-tuned model; {path} is none")
    source, lines = settings["source"] or names[0], folder.read_metrics()
    of_control = control.read_metrics() if control.finished else []
    yield from transfer_rows(lines, names, source, "trained")
    yield from transfer_rows(of_control, names, source, "scratch")
    scratch = curves(of_control, names) if of_control else None
    yield from summary_rows(summary(curves(lines, names), source, names, scratch), source)
