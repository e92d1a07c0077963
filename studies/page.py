"""results/README.md and its figures, from the committed runs: the templates filled with the tables of every scale."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from mothello.files import whole_file, write_whole
from mothello.measures.probes.verdict import KINDS, TWO_DOMAINS
from mothello.report.board_figure import boards_figure, domain_boards, reading_boards
from mothello.report.heatmaps import alignment_maps
from mothello.report.heatmaps import scale as limits
from mothello.report.runs import Run, find_runs
from mothello.report.style import save
from mothello.report.table import domains, pairs, table_of
from studies import CRITERIA, PAPERS, PUBLISHED, answers, course, data, factors, figures, tables
from studies.judge import winners
from studies.runs import Study, headline_of, of_page
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
    for name, whose, drawing in (*_curves(scale), *_boards(scale), *_domains(scale), *_heat_maps(scale)):
        saved(drawing, folder / f"{name}.png")
        scale.figures[name] = whose


def saved(drawing: Figure, path: Path) -> None:
    """Write a figure, the same bytes whenever it is drawn."""
    with whole_file(path) as file:
        save(drawing, file, metadata={"Software": None})


Drawn = Iterator[tuple[str, str, Figure]]
"""Name, whose numbers, figure."""


def _curves(scale: Scale) -> Drawn:
    cells, atomic, naive = scale.cells, scale.tuned[scale.tuned.kind == "atomic"], scale.naive()
    panels = {"mirror_anchors": figures.MIRROR_PANELS, "anchor_placement": figures.PLACEMENT_PANELS}
    if cells["table1"].probed.any():
        yield "table1", "", figures.anchor_figure(cells["table1"])
    for name in (name for name in panels if cells[name].probed.any()):
        yield name, "", figures.map_figure(cells[name], panels[name], scale.images)
    if naive.games.nunique() > 1:
        yield "emergence", "", figures.emergence_figure(naive)
    for name in (name for name in factors.HEADINGS if factors.begun(cells[name])):
        rows = cells[name][cells[name].probed]
        order = {cell: place for place, cell in enumerate(scale.studies[name].planned)}
        yield name, "", figures.factor_figure(rows.sort_values("cell", key=lambda x: x.map(order)))
    if len(scale.read["course"]):
        yield "course", "", course.figure(scale.read["course"])
    if len(atomic):
        yield "finetune", "", figures.change_figure(atomic)
    if (scale.read["finetune"].softmax == "language").any():
        yield "answers", "", figures.answer_figure(answers.ratios(scale.read["finetune"].query("learned")))
        yield "courses", "", figures.course_figure(scale.read["finetune"])
    if scale.probed():
        yield "probes", scale.probed()[0], figures.probe_figure(scale.read["probes"], scale.probed()[0])


def _boards(scale: Scale) -> Drawn:
    """Boards of one naive pair and of one with mirror anchors, as read and through their map."""
    rows = scale.cells["table1"].sort_values("recovered", ascending=False)
    naive = rows[(rows.cell == "naive") & rows.winner.isin(data.MIRRORS)]
    linked = scale.cells["mirror_anchors"].query("probed")
    linked = linked[linked.link.isin(data.MIRRORS)]
    for name, shown, through in (("naive_boards", naive, naive.winner), ("mirrored_boards", linked, linked.link)):
        maps = dict(zip(shown.run, through, strict=True))
        runs = {str(run.path): run for chosen in scale.runs.values() for run in chosen}
        probes = [(runs[path], runs[path].measure("probes"), link) for path, link in maps.items()]
        for run, probe, link in [x for x in probes if x[1] and x[1].examples][:1]:
            assert probe is not None
            boards = [reading_boards(example, link) for example in probe.examples]
            yield name, f"`{run.name}` seed {run.seed}", boards_figure(boards)


def _domains(scale: Scale) -> Drawn:
    """The map of every square, of the first naive pair that has two domains."""
    rows = scale.cells["table1"]
    divided = rows[(rows.cell == "naive") & rows.kinds.map(lambda x: isinstance(x, dict) and x.get(TWO_DOMAINS, 0) > 0)]
    for run in [run for run in scale.runs["table1"] if str(run.path) in set(divided.run)][:1]:
        table, head = table_of([run]), headline_of(run)
        data = pairs(table, "mlp", "absolute")
        squares = domains(table, data[data.layer == head.layer] if head else data, "mlp", "absolute")
        boards = {
            f"{source} reads {language}": dict(zip(one.square, one["map"], strict=True))
            for (source, language), one in squares.groupby(["source", "language"], sort=False)
        }
        yield "two_domains", f"seed {run.seed}", domain_boards(boards, int(run.results["board"][0]))


def _heat_maps(scale: Scale) -> Drawn:
    for run in scale.runs["many_languages"]:
        head = headline_of(run)
        if head is not None and head.classes is not None:
            rows = pairs(table_of([run]), "mlp", "absolute")
            drawn = alignment_maps(rows[rows.layer == head.layer], limits(rows), head.classes.order)
            whose = f"{len(run.languages)} naive languages, seed {run.seed}"
            yield f"many_languages_{run.name}_{run.seed}", whose, drawn
