"""One self-contained page over a set of runs: queries over the rows of their folders, in the words of templates."""

import gzip
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import pandas as pd
from markupsafe import Markup
from tqdm import tqdm

from mothello.config import shown as command
from mothello.files import write_whole
from mothello.measures.probes.headline import preferred
from mothello.measures.probes.verdict import KINDS
from mothello.report import examples, probe_sections, sections, task_sections
from mothello.report.along import along_of
from mothello.report.along_section import trajectories
from mothello.report.markup import numbered
from mothello.report.reference import quantities, repeat
from mothello.report.runs import Run
from mothello.report.sentences import summaries_of
from mothello.report.sharing import by_label
from mothello.report.table import heads, of_measure, pairs, table_of
from mothello.report.top import top_of

FILES = ("index.html", "table.csv.gz")
SIGN = '<main class="page">\n<header>\n<h1>'
"""What only a page of the house holds."""
PREFERRED = ("mlp", "absolute")
FEW = 4
"""Labels up to which a page has its sections open."""
FOLDED = ("In words", "How to repeat")
"""Sections that are never open at first."""


class Section(NamedTuple):
    """A section of the page."""

    id: str
    heading: str
    content: Markup
    open: bool


class Part(NamedTuple):
    """The sections of all runs on one board; without a heading where there is one board only."""

    heading: str
    sections: list[Section]


def render(
    runs: Sequence[Run], title: str, question: str = "", table: pd.DataFrame | None = None,
    along: pd.DataFrame | None = None, out: Path = Path("."),
) -> str:  # fmt: skip
    """The page as text; it asks nothing of the network. Sections without numbers are left out. table, along: those of
    the runs, where they are known. out: the folder from which links lead to the runs."""
    rows, groups = table_of(runs) if table is None else table, by_label(runs)
    steps = along_of(runs) if along is None else along
    boards: dict[str, dict[str, list[Run]]] = {}
    for label, own in groups.items():
        boards.setdefault(own[0].results["board"], {})[label] = own
    words = _words(out)
    parts = [
        Part(f"{board} board" if len(boards) > 1 else "", list(_sections(board, boards, rows, steps, words)))
        for board in sorted(boards, key=lambda name: int(name.partition("x")[0]))
    ]
    content = {"title": title, "question": question, "parts": parts, "kinds": KINDS, "quantities": quantities(rows)}
    return numbered(words.get_template("report.html.j2").render(content | {"top": top_of(rows, groups)}))


def _words(out: Path) -> jinja2.Environment:
    """The templates of the page."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mothello.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals |= {"command": command, "link": partial(_link, out)}
    return environment


def _link(out: Path, run: Path) -> str:
    """From the page's folder to a run's config."""
    return Path(os.path.relpath(run / "config.yaml", out.resolve())).as_posix()


def _sections(
    board: str, boards: Mapping[str, sections.Groups], rows: pd.DataFrame, along: pd.DataFrame,
    words: jinja2.Environment,
) -> Iterator[Section]:  # fmt: skip
    """Of the runs on one board."""
    groups, apart = boards[board], len(boards) > 1
    paths = [str(run.path) for own in groups.values() for run in own]
    content = _content(groups, rows[rows.run.isin(paths)], along[along.run.isin(paths)])
    module: Any = words.get_template("sections.html.j2").make_module(content)
    for heading, text in module.sections:
        if text.strip():
            id = re.sub(r"\W+", "-", f"{board} {heading}" if apart else heading).lower()
            few = sum(map(len, boards.values())) <= FEW and heading not in FOLDED
            yield Section(id, heading, text, few or heading == "Headline")


def _content(groups: sections.Groups, rows: pd.DataFrame, along: pd.DataFrame) -> dict[str, Any]:
    """What the templates of the sections show."""
    probed = heads(of_measure(rows, "probe"))
    probe, target = preferred(of_measure(rows, "probe")) if len(probed) else PREFERRED
    summaries = summaries_of(probed[(probed.probe == probe) & (probed.target == target)], groups)
    runs = [run for own in groups.values() for run in own]
    trained = rows[~rows.run.isin([str(run.path) for run in runs if run.origin])]
    parts: list[Callable[[], dict[str, Any]]] = [
        lambda: sections.in_words(groups, summaries) | sections.headline(rows, groups, summaries),
        lambda: sections.trained(trained) | sections.legality(trained, groups) | sections.exact(rows),
        lambda: sections.hidden_moves(rows) | trajectories(along, runs),
        lambda: probe_sections.probes(rows, probed, probe, target) if summaries else {},
        lambda: probe_sections.maps(rows, groups, summaries, probe, target) if summaries else {},
        lambda: sections.states(rows) | sections.causal(rows),
        lambda: examples.boards(groups, pairs(rows, probe, target)),
        lambda: probe_sections.transfers(rows, groups, probe, target) | task_sections.learned(rows) | repeat(groups),
    ]
    content: dict[str, Any] = {"probe": probe, "target": target}
    for part in tqdm(parts, desc="page", unit="part", delay=1):
        content |= part()
    return content


def write_report(runs: Sequence[Run], out: Path, title: str, question: str = "") -> Path:
    """Write OUT/index.html and the one table as OUT/table.csv.gz; returns the page's path. ValueError without runs."""
    if not runs:
        raise ValueError("report: there is no finished run to report on")
    table, along = table_of(runs), along_of(runs)
    write_whole(out / FILES[0], render(runs, title, question, table, along, out))
    earlier = along[along.folder.str.contains("-step")]
    rows = pd.concat([table, *[earlier] * bool(len(earlier))]).to_csv(index=False)
    write_whole(out / FILES[1], gzip.compress(rows.encode(), 6, mtime=0))
    return out / FILES[0]
