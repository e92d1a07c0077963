"""HTML pieces. Strings given to these helpers are text and get escaped; what they return is :class:`Markup`."""

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape

import matplotlib
from matplotlib.figure import Figure

from mothello.report.style import RC


class Markup(str):
    """A string that is HTML already."""


Text = str | Markup


def text(value: object) -> Markup:
    """Escape, unless it is markup already; None is a dash."""
    if isinstance(value, Markup):
        return value
    return Markup("&ndash;" if value is None else escape(str(value), quote=True))


def tag(name: str, *content: Text, **attributes: str) -> Markup:
    """<name attributes>content</name>; class_ stands for class."""
    extra = "".join(f' {key.rstrip("_")}="{escape(value, quote=True)}"' for key, value in attributes.items())
    return Markup(f"<{name}{extra}>{''.join(text(part) for part in content)}</{name}>")


def join(parts: Iterable[Text], between: str = "\n") -> Markup:
    return Markup(between.join(text(part) for part in parts))


def paragraphs(sentences: Iterable[Text]) -> Markup:
    return join(tag("p", sentence) for sentence in sentences)


def table(head: Sequence[Text], rows: Iterable[Sequence[object]], caption: str = "", left: int = 1) -> Markup:
    """A table that scrolls sideways on a narrow page; ``left`` columns hold text, the others numbers."""

    def cells(name: str, values: Sequence[object]) -> Markup:
        classes = ("text" if i < left else "number" for i in range(len(values)))
        return tag("tr", *(tag(name, text(v), class_=c) for v, c in zip(values, classes, strict=True)))

    rows = list(rows)
    assert all(len(row) == len(head) for row in rows), "a row has as many cells as the head"
    body = tag("tbody", *(cells("td", row) for row in rows))
    content = tag("div", tag("table", tag("thead", cells("th", head)), body), class_="scroll")
    return join([content, tag("p", caption, class_="caption")]) if caption else content


def figure(drawing: Figure, caption: Text, alternative: str) -> Markup:
    """A matplotlib figure as an image inside the page: SVG in a data URI, so no id can clash with another figure's."""
    buffer = io.BytesIO()
    with matplotlib.rc_context(RC):
        drawing.savefig(buffer, format="svg", metadata={"Date": None})
    data = base64.b64encode(buffer.getvalue()).decode()
    width = round(drawing.get_figwidth() * 100)
    image = Markup(
        f'<img alt="{escape(alternative, quote=True)}" style="width:{width}px" src="data:image/svg+xml;base64,{data}">'
    )
    return tag("figure", image, tag("figcaption", caption))


def share(value: float | None, digits: int = 3) -> str | None:
    """0.7234 -> "0.723"; None stays None."""
    return None if value is None else f"{value:.{digits}f}"


STYLE = """
:root { --ink:#22262b; --muted:#66707b; --line:#e1e5ea; --soft:#f6f7f9; --accent:#2a6f97; }
* { box-sizing:border-box; }
html { scroll-behavior:smooth; -webkit-text-size-adjust:100%; }
body { margin:0; color:var(--ink); background:#fff; font:16px/1.6 system-ui,-apple-system,"Segoe UI",Roboto,
  "Helvetica Neue",Arial,"Liberation Sans",sans-serif; }
.page { max-width:1060px; margin:0 auto; padding:40px 20px 80px; }
h1 { font-size:2rem; line-height:1.2; margin:0 0 .4rem; letter-spacing:-.01em; overflow-wrap:anywhere; }
h2 { font-size:1.3rem; margin:3rem 0 .8rem; padding-top:.8rem; border-top:1px solid var(--line); }
h3 { font-size:1rem; margin:1.6rem 0 .5rem; }
p { margin:.6rem 0; max-width:82ch; }
a { color:var(--accent); }
code, pre { font:0.85em/1.5 ui-monospace,"SF Mono",Menlo,Consolas,"Liberation Mono",monospace; }
pre { background:var(--soft); padding:12px 14px; border-radius:6px; white-space:pre-wrap; overflow-wrap:anywhere; }
.question { font-size:1.15rem; color:var(--muted); margin:0 0 1rem; }
.verdict { border-left:4px solid var(--accent); background:var(--soft); padding:10px 16px; border-radius:0 6px 6px 0; }
.verdict.no { border-color:#c8553d; }
.verdict p { margin:.2rem 0; }
nav ol { list-style:none; margin:1rem 0 0; padding:0; display:flex; flex-wrap:wrap; gap:4px 18px; font-size:.9rem; }
nav a { text-decoration:none; } nav a:hover { text-decoration:underline; }
.scroll { overflow-x:auto; margin:1rem 0; }
table { border-collapse:collapse; width:100%; font-size:.875rem; line-height:1.4; font-variant-numeric:tabular-nums; }
.caption { color:var(--muted); font-size:.85rem; line-height:1.5; margin:-.5rem 0 1rem; max-width:92ch; }
th { font-weight:600; color:var(--muted); border-bottom:2px solid var(--line); vertical-align:bottom; }
th, td { padding:6px 8px; } th:first-child, td:first-child { padding-left:0; }
td { border-bottom:1px solid var(--line); vertical-align:top; }
.text { text-align:left; } .number { text-align:right; } td.number { white-space:nowrap; }
small { color:var(--muted); font-size:.85em; }
figure { margin:1.2rem 0; } figure img { max-width:100%; height:auto; display:block; }
figcaption { color:var(--muted); font-size:.85rem; line-height:1.5; margin-top:.5rem; max-width:92ch; }
.boards { display:flex; flex-wrap:wrap; gap:14px 26px; margin:.6rem 0 1.4rem; }
.boards figure { margin:0; } .boards figcaption { max-width:220px; }
.boards svg { display:block; }
dl { display:grid; grid-template-columns:minmax(130px,210px) 1fr; gap:8px 20px; font-size:.92rem; }
dt { font-weight:600; } dd { margin:0; }
details { margin:.6rem 0; } summary { cursor:pointer; color:var(--accent); }
@media (max-width:640px) { .page { padding:20px 14px 60px; } dl { grid-template-columns:1fr; gap:2px; }
  dd { margin-bottom:8px; } }
@media print { nav { display:none; } .page { max-width:none; padding:0; } body { font-size:11pt; }
  h2 { break-after:avoid; } figure, tr, .boards, .verdict { break-inside:avoid; } .scroll { overflow:visible; } }
"""


def page(title: str, question: str, sections: Sequence[tuple[str, Markup]]) -> str:
    """The whole document; sections are (heading, content), in order."""
    contents = tag("nav", tag("ol", *(tag("li", tag("a", h, href=f"#s{i}")) for i, (h, _) in enumerate(sections))))
    body = join(tag("section", tag("h2", h), content, id=f"s{i}") for i, (h, content) in enumerate(sections))
    lead = tag("p", question, class_="question") if question else Markup("")
    header = tag("header", tag("h1", title), lead, contents)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"{tag('main', header, body, class_='page')}\n</body>\n</html>\n"
    )
