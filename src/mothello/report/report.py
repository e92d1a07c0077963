"""One self-contained page over a set of runs: every number on it is read from the run folders."""

from pathlib import Path

from mothello.report.alignment_sections import board_section, map_section, probe_section
from mothello.report.html import Markup, page
from mothello.report.material import Material, gather, write_tables
from mothello.report.measure_sections import causal_section, exact_section, state_section
from mothello.report.reference import definition_section, repeat_section
from mothello.report.runs import Run
from mothello.report.sections import headline_section, legality_section, training_section, what_happened
from mothello.report.transfer_section import transfer_section


def page_of(material: Material, title: str, question: str, files: list[str]) -> str:
    """The page as text; it asks nothing of the network. Sections without material are left out. files: beside it."""
    sections: list[tuple[str, Markup]] = [
        ("What happened", what_happened(material)),
        ("Headline", headline_section(material)),
        ("Training", training_section(material)),
        ("Legality", legality_section(material)),
        ("Exact legality", exact_section(material)),
        ("Probes by layer", probe_section(material)),
        ("Alignment of languages", map_section(material)),
        ("Alignment without probes", state_section(material)),
        ("Interventions", causal_section(material)),
        ("Example boards", board_section(material)),
        ("Transfer", transfer_section(material)),
        ("How to repeat", repeat_section(material, files)),
        ("What the quantities mean", definition_section()),
    ]
    return page(title, question, [section for section in sections if section[1]])


def write_report(runs: list[Run], out: Path, title: str, question: str = "") -> Path:
    """Write OUT/index.html and the tables as CSV; returns the page's path. ValueError without runs."""
    if not runs:
        raise ValueError("report: there is no finished run to report on")
    out.mkdir(parents=True, exist_ok=True)
    material = gather(runs)
    path = out / "index.html"
    path.write_text(page_of(material, title, question, write_tables(material, out)), encoding="utf-8")
    return path
