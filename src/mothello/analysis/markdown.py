"""Markdown pieces: numbers as the page writes them, tables."""

from collections.abc import Sequence

import pandas as pd

from mothello.analysis.statistics import Estimate, estimate


def decimal(value: float | None, digits: int = 3) -> str:
    """.532; a dash where there is none."""
    if value is None or pd.isna(value):
        return "-"
    return f"{value:.{digits}f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.{digits}f}"


def over_seeds(values: Sequence[float] | pd.Series, digits: int = 3) -> Estimate | None:
    """The mean over seeds of what was measured; None without a value."""
    known = [float(value) for value in values if value is not None and not pd.isna(value)]
    return estimate(known) if known else None


def ours(value: Estimate | None, digits: int = 3) -> str:
    """Mean and 95% interval over seeds, where there are enough of them."""
    if value is None:
        return "-"
    text = decimal(value.mean, digits)
    if value.interval is None:
        return text
    return f"{text} [{decimal(value.interval[0], digits)}, {decimal(value.interval[1], digits)}]"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A pipe table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "/") for cell in line) + " |" for line in lines)


def image(path: str, text: str) -> str:
    return f"![{text}]({path})"
