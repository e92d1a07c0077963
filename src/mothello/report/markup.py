"""Tables and figures as HTML for the template. Cells are escaped unless they are Markup already."""

import base64
import io
from collections.abc import Iterable, Sequence
from typing import Any

import matplotlib
import pandas as pd
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from mothello.report.statistics import Estimate, estimate_of
from mothello.report.style import RC

DASH = Markup("&ndash;")


def cell(value: Any, digits: int = 3) -> Markup:
    """A value as a table's cell: an estimate with its interval below; a dash where there is none."""
    if value is None or value is pd.NA or (isinstance(value, float) and value != value):
        return DASH
    if isinstance(value, Estimate):
        mean = Markup(f"{value.mean:.{digits}f}")
        low, high = (f"{end:.{digits}f}" for end in value.interval or (0, 0))
        return mean if low == high else mean + Markup(f"<br><small>{low} to {high}</small>")
    return escape(f"{value:.{digits}f}" if isinstance(value, float) else value)


def over_runs(rows: pd.DataFrame) -> Estimate | None:
    """Over seeds: the mean of a run's rows."""
    return estimate_of(rows.groupby("run").value.mean()) if len(rows) else None


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], left: int = 1) -> Markup:
    """A table that scrolls sideways on a narrow page; ``left`` columns hold text, the others numbers. Empty without
    rows."""
    cells = [[cell(value) for value in row] for row in rows]
    if not cells:
        return Markup("")
    frame = pd.DataFrame(cells, columns=[escape(name) for name in head])
    with pd.option_context("display.max_colwidth", None):
        text = frame.to_html(index=False, escape=False, border=0, justify="unset", classes=f"left{left}")
    return Markup(f'<div class="scroll">{text}</div>')


def image(drawing: Figure, alternative: str) -> Markup:
    """A figure as an image inside the page: SVG in a data URI, so no id can clash with another figure's."""
    buffer = io.BytesIO()
    with matplotlib.rc_context(RC):
        drawing.savefig(buffer, format="svg", metadata={"Date": None})
    data, width = base64.b64encode(buffer.getvalue()).decode(), round(drawing.get_figwidth() * 100)
    return Markup('<img alt="{}" style="width:{}px" src="data:image/svg+xml;base64,{}">').format(
        alternative, width, data
    )
