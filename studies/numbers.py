"""Numbers as the page writes them, and pipe tables."""

from collections.abc import Iterable, Mapping, Sequence

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


def plain(value: float) -> str:
    """A criterion with the digits that it has, such as .03 or 1.5."""
    return f"{value:g}".removeprefix("0")


def percent(value: float) -> str:
    return f"{value:.0%}"


def over_seeds(values: Iterable[float | None]) -> Estimate | None:
    """The mean over seeds of the numbers that were measured; None without any."""
    known = [float(value) for value in values if value is not None and not pd.isna(value)]
    return estimate(known) if known else None


def interval(value: Estimate | None) -> str:
    """Mean and 95% interval over seeds, where there are enough of them."""
    if value is None or value.interval is None:
        return decimal(value.mean if value else None)
    low, high = map(decimal, value.interval)
    return f"{decimal(value.mean)} [{low}, {high}]"


def mean(values: Iterable[float | None]) -> str:
    """The mean alone, for baselines, which hardly differ between seeds."""
    value = over_seeds(values)
    return decimal(value.mean if value else None)


def measured(rows: pd.DataFrame, name: str) -> str:
    """A column over seeds: mean and [95% over seeds]; below three seeds {95% over games}, from the least to the most
    of the models' own intervals."""
    value = over_seeds(rows[name])
    if value is None or value.interval is not None or f"{name}_low" not in rows or rows[f"{name}_low"].isna().all():
        return interval(value)
    low, high = rows[f"{name}_low"].min(), rows[f"{name}_high"].max()
    return f"{decimal(value.mean)} {{{decimal(low)}, {decimal(high)}}}"


def middle(values: pd.Series) -> str:
    """Median (least to most), for pairs that fall into kinds: their mean is the value of none of them."""
    known = values.dropna()
    if known.empty:
        return "-"
    low, high = decimal(known.min()), decimal(known.max())
    return decimal(known.median()) + (f" ({low} to {high})" if low != high else "")


def out_of(count: int, planned: int) -> str:
    """Such as "3", or "2 of 3" where more are planned."""
    return f"{count} of {planned}" if planned > count else str(count)


def text(value: object) -> str:
    """A cell of a table: shares to three digits, outcomes (None: open), counts such as "identity 24, rot180 32"."""
    if value is None or isinstance(value, bool):
        return "open" if value is None else "held" if value else "failed"
    if isinstance(value, dict):
        return ", ".join(f"{name} {count}" for name, count in value.items()) or "-"
    if isinstance(value, list):
        return ", ".join(value)
    return decimal(value) if isinstance(value, float) else str(value).replace("|", "/")


def pipe_table(rows: Sequence[Mapping[str, object]], columns: str = "") -> str:
    """A Markdown table. columns: "head=name | name | ..."; by default all of the first row."""
    if not rows:
        return "Not run yet."
    named = [column.rpartition("=") for column in (columns.split(" | ") if columns else rows[0])]
    lines = [[head or name for head, _, name in named], ["---"] * len(named)]
    lines += [[text(row[name]) for _, _, name in named] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
