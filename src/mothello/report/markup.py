"""Tables and figures as HTML for the template. Cells are escaped unless they are Markup already."""

import io
import re
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

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
    buffer = io.StringIO()
    with matplotlib.rc_context(RC):
        drawing.savefig(buffer, format="svg", metadata={"Date": None})
    width, data = round(drawing.get_figwidth() * 100), Markup(quote(_small(buffer.getvalue()), safe=" '()/:;,=<>"))
    return Markup('<img alt="{}" style="width:{}px" src="data:image/svg+xml,{}">').format(alternative, width, data)


_SHORTER = (
    (r"<\?.*?\?>|<!.*?>|<metadata>.*?</metadata>", ""),
    (r" id=\"[a-zA-Z.\d]+_\d+\"|xlink:(?=href)", ""),  # names of groups that nothing refers to
    (r"(?<!scale\()\b(0\.\d{4}|[1-9]\d*\.\d\d)\d+", r"\1"),  # a hundredth of a point; scales of glyphs in full
    (r"(<use [^>]*)transform=\"translate\((\S+) 0\)\"", r'\1x="\2"'),
    (r"DejaVuSans-(Bold-)?", lambda font: "b" if font[1] else "g"),
    (r"\s*([<>{;]|\b[MLQCz]\b)\s*|(?<=[a-z]:) ", r"\1"),
    (r"\s+", " "),
)  # fmt: skip


def _small(svg: str) -> str:
    """The same drawing in fewer bytes."""
    for form, instead in _SHORTER:
        svg = re.sub(form, instead, svg, flags=re.DOTALL)
    return svg.replace('"', "'")
