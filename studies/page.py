"""results/README.md and its figures, from the committed runs: the templates filled with the tables of every scale."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from mothello.files import whole_file, write_whole
from mothello.measures.probes.verdict import KINDS
from mothello.report.runs import Run, find_runs
from mothello.report.style import save
from studies import CRITERIA, PAPERS, PUBLISHED, answers, data, factors, tables
from studies.judge import winners
from studies.runs import Study, of_page
from studies.scale import SCALES, Scale
from studies.sections import SECTIONS
from studies.templates import filled

FILTERS = {
    "winners": winners, "count_classes": data.count_classes, "records": data.records,
}  # fmt: skip

CAPTIONS = {
    "table1": "Cells read right across languages by number of anchors. A point is a seed, a bar a mean.",
    "finetune": "The atomic pair during fine-tuning on one language, every seed. Dotted: choosing among the language's "
    "own tokens.",
    "answers": "What the language that was not trained on gains, as a share of the source's gain, by what it answers "
    "in. A point is a seed that learned (strict legality of 97%), a line the mean.",
}
"""Of the two figures that come first."""


Runs = Mapping[str, Sequence[Run]]
"""By scale."""


def runs_below(out: Path) -> Runs:
    """The runs in the folders OUT/SCALE."""
    return {name: find_runs([str(out / name)]) for name in SCALES if (out / name).is_dir()}


def write_results(out: Path, runs: Runs, studies: Mapping[str, Sequence[Study]], beside: Mapping[str, str]) -> Path:
    """Write OUT/README.md, which quotes OUT/question/README.md, and the figures in OUT/SCALE; returns the page.
    studies: by scale; beside: titles of the other pages, by their folder."""
    scales: list[Scale] = []
    for name in SCALES:
        found = of_page(runs.get(name, ()), studies.get(name, ()))
        if found or name == "paper":  # whose absence is explained
            smaller = next((scale for scale in scales if (name, scale.name) == ("board8", "mini")), None)
            scales.append(Scale(name, found, studies.get(name, ()) if found else (), smaller))
        if found and len(scales[-1].every):
            draw(scales[-1], out / name / "figures")
    words = {"criteria": CRITERIA, "published": PUBLISHED, "verdicts": KINDS, "captions": CAPTIONS, "beside": beside}
    words |= {"lead": lead(out), "papers": defaultdict(dict, PAPERS)}
    rooms = {"tables": tables, "answers": answers, "factors": factors, "sections": SECTIONS}
    page = out / "README.md"
    write_whole(page, filled("page.md.j2", FILTERS, scales=scales, **rooms, **words).encode())
    return page


def lead(out: Path) -> str:
    """What the page of the question answers; empty where it is not written, or has no answer yet."""
    page = out / "question" / "README.md"
    found = re.search(r"^\*\*(Yes|In part|No): (.+)\*\*$", page.read_text() if page.exists() else "", re.M)
    return f"{found[1]}: {found[2].replace('](#', '](question/README.md#')}" if found else ""


def draw(scale: Scale, folder: Path) -> None:
    """Write every figure that there are numbers for, and note it in the scale."""
    for section in SECTIONS.values():
        for name, whose, drawing in section.draw(scale):
            saved(drawing, folder / f"{name}.png")
            scale.figures[name] = whose


def saved(drawing: Figure, path: Path) -> None:
    """Write a figure, the same bytes whenever it is drawn."""
    with whole_file(path) as file:
        save(drawing, file, metadata={"Software": None})
