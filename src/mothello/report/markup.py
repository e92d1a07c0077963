"""Tables and figures as HTML for the template. Cells are escaped unless they are Markup already."""

import io
import re
from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any

import matplotlib
import pandas as pd
from markupsafe import Markup, escape
from matplotlib.figure import Figure
from matplotlib.text import Text

from mothello.report.statistics import SHARES, Estimate, estimate_of, share_of
from mothello.report.style import EDGE, GRID, INK, LANGUAGE_COLORS, MUTED, PAPER, RC, whole

DASH = Markup("&ndash;")
READABLE = 6.5
"""Points of type that are 9 pixels high on the page, which draws a point as 1.39 pixels. A figure shrinks on a narrow
page until its smallest type is that small; then it scrolls."""


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
    """Over seeds: the mean of a run's rows. The interval of a share stays between 0 and 1."""
    estimated = share_of if set(rows.quantity) <= SHARES else estimate_of
    return estimated(rows.groupby("run").value.mean()) if len(rows) else None


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], left: int = 1) -> Markup:
    """A table that scrolls sideways on a narrow page; ``left`` columns hold text, the others numbers. Empty without
    rows."""
    cells = [[cell(value) for value in row] for row in rows]
    if not cells:
        return Markup("")
    frame = pd.DataFrame(cells, columns=[escape(name) for name in head])
    with pd.option_context("display.max_colwidth", None):
        text = frame.to_html(index=False, escape=False, border=0, justify="unset", classes=f"left{left}")
    return Markup('<div class="scroll">{}</div>').format(Markup(re.sub(r">\s+<", "><", text)))


def image(drawing: Figure, alternative: str) -> Markup:
    """A figure inside the page: SVG whose box holds all that is drawn, with the page's type and colors."""
    buffer, box = io.StringIO(), whole(drawing)
    with matplotlib.rc_context(RC):
        drawing.savefig(buffer, format="svg", metadata={"Date": None}, bbox_inches=box, transparent=True)
    texts: Any = drawing.findobj(Text)
    sizes = [float(text.get_fontsize()) for text in texts if text.get_text() and text.get_visible()]
    width, shrunk = round(box.width * 100), min(1.0, READABLE / min(sizes, default=9.0))
    head = '<svg role="img" aria-label="{}" style="width:{}px;min-width:{}px" '
    start = Markup(head).format(alternative, width, round(width * shrunk))
    return Markup('<div class="drawn">{}</div>').format(start + Markup(_small(buffer.getvalue())))


VARIABLES = {INK: "ink", MUTED: "muted", GRID: "line", EDGE: "edge", PAPER: "paper"} | {
    color: f"c{index}" for index, color in enumerate(LANGUAGE_COLORS)
}
"""Colors that a dark page has lighter or darker -> their names in style.css."""
CLASSES = {
    "grid": "fill:none;stroke:var(--line);stroke-width:0.8;stroke-linecap:square",
}
"""Styles that a page has thousands of, by their names in style.css."""
_SHORTER: tuple[tuple[str, Any], ...] = (
    (r" id=\"[a-zA-Z.\d]+_\d+\"|xlink:(?=href)| xmlns(:xlink)?=\"\S+\"| version=\"1.1\"", ""),
    (r"<svg width=\"\S+pt\" height=\"\S+pt\" ", ""),
    (r"font-family: [^;\"]*;? ?| transform=\"rotate\(-0 [^)]*\)\"", ""),
    (r"(\d+\.\d)\d+", r"\1"),  # a tenth of a point
    (r"#[0-9a-f]{6}(?=[;\"])", lambda found: f"var(--{VARIABLES[found[0]]})" if found[0] in VARIABLES else found[0]),
    (r"\s*([{;]|\b[MLQCz]\b)\s*|(?<=[a-z]:) ", r"\1"),
    (r"\s+", " "),
    (r"(?<=\d)\.0(?=[ \"LMC)])", ""),
)
"""Inside of tags; what is read stays as it is."""


def _small(svg: str) -> str:
    """The same drawing in fewer bytes."""
    svg = re.sub(r"<\?.*?\?>|<!.*?>|<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<[^>]*>", lambda tag: _shorter(tag[0]), re.sub(r">\s+<", "><", svg.strip()))
    for empty in ("<defs></defs>", "<g></g>", "<g></g>"):
        svg = svg.replace(empty, "")
    for name, style in CLASSES.items():
        svg = svg.replace(f'style="{style}"', f'class="{name}"')
    return svg


def _shorter(tag: str) -> str:
    for form, instead in _SHORTER:
        tag = re.sub(form, instead, tag)
    return tag


def numbered(page: str) -> str:
    """A page whose figures have names of their own inside: none is on the page twice."""
    numbers = count()

    def renamed(found: re.Match[str]) -> str:
        own = f"f{next(numbers)}"
        names = {x: f"{own}-{i}" for i, x in enumerate(dict.fromkeys(re.findall(r' id="(\w+)"', found[0])))}
        return re.sub(r'(?<=id=")\w+(?=")|(?<=#)\w{11}(?=[")])', lambda name: names.get(name[0], name[0]), found[0])

    return re.sub(r'<svg role="img" aria-label=.*?</svg>', renamed, page, flags=re.DOTALL)
