"""Markdown pieces: numbers as the page writes them, tables."""

from collections.abc import Sequence

import pandas as pd

from mothello.report.statistics import Estimate, estimate


def decimal(value: float | None, digits: int = 3) -> str:
    """.532; a dash where there is none."""
    if value is None or pd.isna(value):
        return "-"
    return f"{value:.{digits}f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.{digits}f}"


def signed(change: float) -> str:
    """+.317"""
    return ("-" if change < 0 else "+") + decimal(abs(change))


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


def mean(values: Sequence[float] | pd.Series, digits: int = 3) -> str:
    """The mean alone: of baselines, which hardly differ between seeds."""
    value = over_seeds(values)
    return decimal(value.mean if value else None, digits)


def measured(of: pd.DataFrame, name: str) -> str:
    """A column over seeds: mean and [95% over seeds], or below three seeds {95% over games}, from the least to the
    most of the models' own intervals."""
    value = over_seeds(of[name])
    if value is None or value.interval is not None or f"{name}_low" not in of or of[f"{name}_low"].isna().all():
        return ours(value)
    low, high = of[f"{name}_low"].min(), of[f"{name}_high"].max()
    return f"{decimal(value.mean)} {{{decimal(low)}, {decimal(high)}}}"


def middle(values: pd.Series) -> str:
    """Median (least to most): of what falls into kinds, where a mean is the value of none of them."""
    known = values.dropna()
    if known.empty:
        return "-"
    low, high = decimal(known.min()), decimal(known.max())
    return decimal(known.median()) + (f" ({low} to {high})" if low != high else "")


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A pipe table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "/") for cell in line) + " |" for line in lines)


def out_of(count: int, asked: int) -> str:
    """Such as "3", or "2 of 3" where more are asked for."""
    return f"{count} of {asked}" if asked > count else str(count)


def image(path: str, text: str) -> str:
    return f"![{text}]({path})"
