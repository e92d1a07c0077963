"""The page as one file of HTML: its scripts, style, content and tensors, put into a template."""

from functools import cache
from pathlib import Path

import jinja2
from markupsafe import Markup

from mothello.explorer.content import PageConfig, content_of, page_facts
from mothello.files import json_text, write_whole
from mothello.stages.run import Run

SIGN = '<meta name="generator" content="mothello explorer">'
"""What only such a page holds."""
CORE = ("board", "tensors", "model", "text", "live", "edit", "recorded")
"""Scripts that need no browser, in the order in which they stand in the page."""
VIEWS = ("state", "draw", "parts", "game", "along", "next", "intervene", "languages", "panel", "app")
"""Scripts of the views, after them."""
FOLDER = Path(__file__).parent / "page"


@cache
def script(names: tuple[str, ...] = CORE + VIEWS) -> str:
    """The scripts one after the other."""
    return "\n".join((FOLDER / f"{name}.js").read_text() for name in names)


def data(content: dict[str, object]) -> Markup:
    """Plain data inside a script element: nothing in it ends the element."""
    return Markup(json_text(content, separators=(",", ":")).replace("<", "\\u003c"))


def render(run: Run, config: PageConfig) -> str:
    """The page of a run. UserError names what cannot be shown."""
    content = content_of(run, config)
    facts, footer = page_facts(run, content.plain)
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(FOLDER), autoescape=True)
    style, title = Markup((FOLDER / "style.css").read_text()), f"{run.config.name}, seed {run.config.seed}"
    page = environment.get_template("page.html.j2")
    return page.render(
        title=title, facts=facts, footer=footer, style=style, script=Markup(script()), content=data(content.plain),
        tensors=content.pack.text(),
    )  # fmt: skip


def write_page(run: Run, out: Path, config: PageConfig) -> int:
    """Write the page; returns its bytes."""
    text = render(run, config)
    write_whole(out, text)
    return len(text.encode())
