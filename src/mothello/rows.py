"""Rows: every number of every measure, one per row. Tables, figures and pages are queries over them."""

import csv
import gzip
import io
import logging
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mothello.errors import UserError
from mothello.files import write_whole
from mothello.quantities import COLUMNS, QUANTITIES
from mothello.rundir import RunDir

if TYPE_CHECKING:
    from pandas import DataFrame as Table
else:
    Table = Any  # pandas is imported where a table is read or made, which no training does

log = logging.getLogger(__name__)

WORDS = ["measure", "quantity", "control", "probe", "target", "source", "language", "map", "square", "opening"]
"""The columns that hold words; the others hold numbers."""

TRAINING = {
    "loss": "loss", "floor": "loss", "excess_nats": "excess_nats", "top1": "top1", "top1_restricted": "top1_restricted",
    "chance": "top1", "lenient": "lenient", "mass": "mass", "mass_first_token": "mass_first_token",
    "masked_accuracy": "masked_accuracy", "best_accuracy": "masked_accuracy", "game_accuracy": "game_accuracy",
    "masked_excess_nats": "masked_excess_nats", "wrong_language": "wrong_language", "malformed": "malformed",
    "gradient_norm": "gradient_norm", "seconds": "seconds",
}  # fmt: skip
"""What metrics.jsonl holds, by the last part of its names."""
CONTROLS = {"chance": "chance", "floor": "floor", "best_accuracy": "best"}
"""Of these, the ones that are no number of the model itself."""

FILE = "table.csv.gz"


def write_tidy(folder: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write FOLDER/table.csv.gz; the same bytes for the same rows. Numbers about a pair of languages, of which there
    are many, are written to six digits, all others in full."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(COLUMNS), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        assert row["quantity"] in QUANTITIES, f"{row['quantity']} is not documented"
        short = bool(row.get("source"))
        writer.writerow({k: f"{v:.6g}" if short and isinstance(v, float) else v for k, v in row.items()})
    write_whole(folder / FILE, gzip.compress(text.getvalue().encode(), mtime=0))


def read_tidy(folder: Path) -> Table:
    """A measurement's table; absent numbers are NaN and absent words empty. UserError names a file that is none."""
    import pandas as pd

    path = folder / FILE
    try:
        table = pd.read_csv(path, dtype=dict.fromkeys(WORDS, str), keep_default_na=False, na_values=[""])
        if missing := [name for name in COLUMNS if name not in table]:
            raise ValueError(f"{', '.join(missing)} missing")
        numbers = {name: pd.to_numeric(table[name]) for name in COLUMNS if name not in WORDS}
    except (OSError, EOFError, ValueError, ArithmeticError, TypeError, zlib.error) as error:
        raise UserError(f"run: {path} is damaged ({error})") from None
    return table.assign(**numbers, **{name: table[name].fillna("") for name in WORDS})


def rows_of(folder: RunDir) -> Table | None:
    """The rows of a measurement; None where it is not finished, or damaged, which a warning says."""
    try:
        return read_tidy(folder.path) if folder.finished else None
    except UserError as error:
        log.warning("%s", error)
        return None


def measured(folder: RunDir) -> bool:
    """Whether a measurement is finished and can be read."""
    return rows_of(folder) is not None


def as_table(rows: Iterable[Mapping[str, Any]]) -> Table:
    """Rows as :func:`read_tidy` gives them, without a file and in full precision."""
    import pandas as pd

    table = pd.DataFrame(list(rows)).reindex(columns=list(COLUMNS))
    return table.assign(**{name: table[name].fillna("") for name in WORDS})


def training_rows(lines: Iterable[Mapping[str, Any]], objective: str = "") -> Iterator[dict[str, Any]]:
    """metrics.jsonl of a pretraining as rows: held-out numbers by language, or their means (language empty); losses.
    objective: the main one; where others are added to it, its own loss counts, as in the evaluation."""
    for line in lines:
        own = line.get(f"train/{objective}", line.get("train/loss"))
        for key, value in ({**line, "train/loss": own} if "train/loss" in line else line).items():
            parts = key.split("/")
            known = parts[0] == "val" or (parts[0] == "train" and len(parts) == 2)  # not train/OBJECTIVE/PART
            if known and parts[-1] in TRAINING and value is not None:
                quantity = TRAINING[parts[-1]] if parts[0] == "val" else f"train_{parts[-1]}"
                language = parts[1] if len(parts) == 3 else ""
                head = {"measure": "training", "quantity": quantity, "control": CONTROLS.get(parts[-1], "trained")}
                yield head | {"language": language, "step": line["step"], "value": value}


def main_objective(config: Mapping[str, Any]) -> str:
    """The name of the objective that a config.yaml trains on; empty where it does not say."""
    return str((config.get("objective") or {}).get("name", ""))


def all_tables(run: Path) -> Table:
    """The training and all finished measurements in a run's folder; "folder" is the measurement's, relative to it."""
    import pandas as pd

    inside = [path.parent for path in sorted(run.glob(f"*/*/{FILE}"))]
    found = {str(folder.relative_to(run)): rows_of(RunDir(folder)) for folder in inside}
    tables = [rows.assign(folder=folder) for folder, rows in found.items() if rows is not None]
    folder = RunDir(run)
    objective = main_objective(folder.read_config()) if (run / "config.yaml").exists() else ""
    trained = pd.DataFrame(training_rows(folder.read_metrics(), objective))
    if len(trained):
        tables.insert(0, trained.assign(folder="."))
    if not tables:
        return pd.DataFrame(columns=[*COLUMNS, "folder"])
    whole = pd.concat(tables, ignore_index=True)
    words = {name: whole[name].fillna("") for name in WORDS if name in whole}
    return whole.assign(**words).reindex(columns=[*COLUMNS, "folder"])


def format_table(rows: Mapping[str, Mapping[str, object]]) -> str:
    """A table for the terminal: rows by name, numbers to three digits, blanks where there is none."""
    import pandas as pd

    data = pd.DataFrame.from_dict({name: dict(row) for name, row in rows.items()}, orient="index")
    return str(data.to_string(float_format="{:.3f}".format, na_rep=""))
