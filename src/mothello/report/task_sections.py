"""What the page says of fine-tunings on tasks: curves, and a table with baselines."""

from typing import Any

import pandas as pd

from mothello.report.markup import image, over_runs, table
from mothello.report.table import tasks
from mothello.report.transfer_figures import task_curves

KEYS = ["label", "target", "source", "language"]
BASELINES = {
    "random_weights": "head on random weights", "scratch": "from scratch", "constant": "guessed from the ply",
    "constant_by_move": "from the move",
}  # fmt: skip
MADE = {"relative_gap": "(target - source) / source", "delta": "delta"}


def learned(rows: pd.DataFrame) -> dict[str, Any]:
    """Curves per language, and where they end beside the baselines."""
    data = tasks(rows)
    if data.empty:
        return {}
    lines = []
    for key, group in data.groupby(KEYS, sort=False):
        along = group[group.step.notna()].sort_values("step", kind="stable")
        last = along.groupby(["run", "control", "quantity"], sort=False).value.last().reset_index()
        first = along[along.control == "trained"].groupby(["run", "quantity"]).value.first().reset_index()
        ends = [first, *(last[last.control == name] for name in ("trained", *BASELINES))]
        made = [group[group.quantity == name] for name in MADE]
        label, target, source, language = key
        name = f"{language} (source)" if language == source else language
        lines.append([label, target, source, name, *map(over_runs, [*ends, *made]), group.run.nunique()])
    head = ["run", "task", "fine-tuned on", "language", "before", "after", *BASELINES.values(), *MADE.values(), "runs"]
    return {"learned": image(task_curves(data), "Tasks by step and language"), "tasks": table(head, lines, left=4)}
