"""The figures of the sections of results/README.md; studies/sections.py says which section has which."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.figure import Figure

from mothello.measures.probes.verdict import TWO_DOMAINS
from mothello.report.board_figure import boards_figure, domain_boards, reading_boards
from mothello.report.heatmaps import alignment_maps
from mothello.report.heatmaps import scale as limits
from mothello.report.table import domains, pairs, table_of
from studies import answers, course, data, factors, figures
from studies.runs import headline_of

if TYPE_CHECKING:
    from studies.scale import Scale

Drawn = Iterator[tuple[str, str, Figure]]
"""Name of the file, whose numbers (empty: everybody's), figure; none where there are no numbers for it."""


def nothing(scale: "Scale") -> Drawn:
    return iter(())


def table1(scale: "Scale") -> Drawn:
    """By the number of anchors; boards of a naive pair as read and through its map; the maps of a pair with two
    domains, square by square."""
    rows = scale.cells["table1"]
    if rows.probed.any():
        yield "table1", "", figures.anchor_figure(rows)
    naive = rows.cell == "naive"
    mirrored = rows[naive & rows.winner.isin(data.MIRRORS)].sort_values("recovered", ascending=False)
    yield from _boards(scale, "naive_boards", mirrored, mirrored.winner)
    divided = rows[naive & rows.kinds.map(lambda x: isinstance(x, dict) and x.get(TWO_DOMAINS, 0) > 0)]
    for run in [run for run in scale.runs["table1"] if str(run.path) in set(divided.run)][:1]:
        table, head = table_of([run]), headline_of(run)
        known = pairs(table, "mlp", "absolute")
        squares = domains(table, known[known.layer == head.layer] if head else known, "mlp", "absolute")
        boards = {
            f"{source} reads {language}": dict(zip(one.square, one["map"], strict=True))
            for (source, language), one in squares.groupby(["source", "language"], sort=False)
        }
        yield "two_domains", f"seed {run.seed}", domain_boards(boards, int(run.results["board"][0]))


def mirror_anchors(scale: "Scale") -> Drawn:
    """What each map reads; boards of the first pair with mirror anchors."""
    yield from _maps(scale, "mirror_anchors", figures.MIRROR_PANELS)
    linked = scale.cells["mirror_anchors"].query("probed")
    linked = linked[linked.link.isin(data.MIRRORS)]
    yield from _boards(scale, "mirrored_boards", linked, linked.link)


def anchor_placement(scale: "Scale") -> Drawn:
    """What each map reads, by where the anchor is."""
    yield from _maps(scale, "anchor_placement", figures.PLACEMENT_PANELS)


def many_languages(scale: "Scale") -> Drawn:
    """Of every family, who reads whom, ordered by class."""
    for run in scale.runs["many_languages"]:
        head = headline_of(run)
        if head is not None and head.classes is not None:
            rows = pairs(table_of([run]), "mlp", "absolute")
            drawn = alignment_maps(rows[rows.layer == head.layer], limits(rows), head.classes.order)
            whose = f"{len(run.languages)} naive languages, seed {run.seed}"
            yield f"many_languages_{run.name}_{run.seed}", whose, drawn


def emergence(scale: "Scale") -> Drawn:
    """Alignment by the number of games."""
    naive = scale.naive()
    if naive.games.nunique() > 1:
        yield "emergence", "", figures.emergence_figure(naive)


def along(scale: "Scale") -> Drawn:
    """Alignment along each training of `course`."""
    if len(scale.read["course"]):
        yield "course", "", course.figure(scale.read["course"])


def factor(study: str, scale: "Scale") -> Drawn:
    """Alignment by what a study varies, in its order."""
    rows = scale.cells[study]
    if factors.begun(rows):
        order = {cell: place for place, cell in enumerate(scale.studies[study].planned)}
        yield study, "", figures.factor_figure(rows[rows.probed].sort_values("cell", key=lambda x: x.map(order)))


def finetune(scale: "Scale") -> Drawn:
    """Before and after fine-tuning; what the other language gains, by what it answers in; along the fine-tuning."""
    tuned, read = scale.tuned[scale.tuned.kind == "atomic"], scale.read["finetune"]
    if len(tuned):
        yield "finetune", "", figures.change_figure(tuned)
    if (read.softmax == "language").any():
        yield "answers", "", figures.answer_figure(answers.ratios(read.query("learned")))
        yield "courses", "", figures.course_figure(read)


def probes(scale: "Scale") -> Drawn:
    """Errors of probes by layer."""
    for cell in scale.probed()[:1]:
        yield "probes", cell, figures.probe_figure(scale.read["probes"], cell)


def _maps(scale: "Scale", study: str, panels: Mapping[str, str]) -> Drawn:
    if scale.cells[study].probed.any():
        yield study, "", figures.map_figure(scale.cells[study], panels, scale.images)


def _boards(scale: "Scale", name: str, shown: pd.DataFrame, through: pd.Series) -> Drawn:
    """Boards as the first of some runs reads them, and through its map."""
    runs = {str(run.path): run for chosen in scale.runs.values() for run in chosen}
    for path, link in zip(shown.run, through, strict=True):
        probe = runs[path].measure("probes")
        if probe is not None and probe.examples:
            boards = [reading_boards(example, link) for example in probe.examples]
            yield name, f"`{runs[path].name}` seed {runs[path].seed}", boards_figure(boards)
            return
