"""One self-contained page over a set of runs: queries over the rows of their folders, in the words of a template."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from tqdm import tqdm

from mothello.config import shown as command
from mothello.files import write_whole
from mothello.measures.probes.headline import preferred
from mothello.measures.probes.verdict import KINDS
from mothello.report import probe_sections, sections, task_sections
from mothello.report.along import along_of
from mothello.report.along_section import trajectories
from mothello.report.reference import quantities, repeat
from mothello.report.runs import Run
from mothello.report.sentences import summaries_of
from mothello.report.sharing import by_label
from mothello.report.story import told
from mothello.report.style import colors
from mothello.report.table import heads, of_measure, table_of

FILES = ("index.html", "table.csv")
SIGN = '<main class="page">\n<header>\n<h1>'
"""What only a page of the house holds."""
PREFERRED = ("mlp", "absolute")


def render(
    runs: Sequence[Run], title: str, question: str = "", table: pd.DataFrame | None = None,
    along: pd.DataFrame | None = None,
) -> str:  # fmt: skip
    """The page as text; it asks nothing of the network. Sections without numbers are left out. table, along: those of
    the runs, where they are known."""
    rows, groups = table_of(runs) if table is None else table, by_label(runs)
    probed = heads(of_measure(rows, "probe"))
    probe, target = preferred(of_measure(rows, "probe")) if len(probed) else PREFERRED
    shown = probed[(probed.probe == probe) & (probed.target == target)]
    summaries = summaries_of(shown, groups)
    parts: list[Callable[[], dict[str, Any]]] = [
        lambda: sections.happened(groups, summaries) | sections.headline(rows, groups, summaries),
        lambda: sections.trained(rows) | sections.legality(rows, groups) | sections.exact(rows),
        lambda: sections.hidden_moves(rows) | trajectories(along_of(runs) if along is None else along, runs),
        lambda: probe_sections.probes(rows, probed, probe, target) if summaries else {},
        lambda: probe_sections.maps(rows, groups, summaries, probe, target) if summaries else {},
        lambda: told(groups, summaries, colors(shown)) if summaries else {},
        lambda: sections.states(rows) | sections.causal(rows) | probe_sections.boards(groups),
        lambda: probe_sections.transfers(rows, groups, probe, target) | task_sections.learned(rows) | repeat(groups),
    ]
    content: dict[str, Any] = {}
    for part in tqdm(parts, desc="page", unit="part", delay=1):
        content |= part()
    content |= {"quantities": quantities(rows), "probe": probe, "target": target, "kinds": KINDS}
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mothello.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals["command"] = command
    return environment.get_template("report.html.j2").render(title=title, question=question, **content)


def write_report(runs: Sequence[Run], out: Path, title: str, question: str = "") -> Path:
    """Write OUT/index.html and the one table as OUT/table.csv; returns the page's path. ValueError without runs."""
    if not runs:
        raise ValueError("report: there is no finished run to report on")
    table, along = table_of(runs), along_of(runs)
    write_whole(out / FILES[0], render(runs, title, question, table, along))
    earlier = along[along.folder.str.contains("-step")]
    write_whole(out / FILES[1], pd.concat([table, *[earlier] * bool(len(earlier))]).to_csv(index=False))
    return out / FILES[0]
