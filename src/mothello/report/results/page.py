"""results/README.md: every published number beside ours, and the tested predictions, from committed results alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from mothello.files import write_whole
from mothello.report.board_figure import boards_figure, reading_boards
from mothello.report.heatmaps import ordered_maps, scale
from mothello.report.results import figures, probes, symmetry, transfer
from mothello.report.results import many_languages as many
from mothello.report.results.cells import MIRRORS, Expected, cell_table, select
from mothello.report.results.cost import cost_table
from mothello.report.results.markdown import image, mean, measured, table
from mothello.report.results.predictions import predictions
from mothello.report.results.table1 import table_1
from mothello.report.results.text import absent_text, budget_text, conclusions, opening_text, setting_text
from mothello.report.runs import Run, find_runs
from mothello.report.tables import alignment_table

RESULTS = Path(__file__).parents[4] / "results"
"""Of this checkout."""
SCALES = {
    "published": "the published board, model and budget on a GPU",
    "paper": "the published board and model on a GPU, 1/9 of the published pretraining",
    "mini": "a small board and model, two CPU cores; published numbers are compared in direction and order only",
}


@dataclass(frozen=True)
class Study:
    """A study as the page needs it; cells by name."""

    name: str
    question: str
    cells: Mapping[str, Expected]
    planned: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """The seeds that are asked for at this scale, by cell."""


def runs_of(study: Study, runs: Sequence[Run]) -> list[Run]:
    """The runs of a study, with the measurements that it asks for: its seeds, and others that were measured alike."""
    found = select(runs, study.cells)
    return [run for run in found if run.probe is not None or run.seed in study.planned.get(run.name, [run.seed])]


class _Page:
    """Text and figures of one scale, in order."""

    def __init__(self, scale_name: str, runs: Sequence[Run], studies: Sequence[Study], out: Path) -> None:
        self.scale, self.out, self.text = scale_name, out, []  # type: ignore[var-annotated]
        self.runs = {study.name: runs_of(study, runs) for study in studies}
        self.cells = {name: cell_table(of) for name, of in self.runs.items()}
        self.every = pd.concat(list(self.cells.values())).drop_duplicates("run")
        self.questions = {study.name: study.question for study in studies}
        self.planned: dict[str, list[int]] = {}
        for study in studies:
            for cell, seeds in study.planned.items():
                self.planned[cell] = sorted({*self.planned.get(cell, []), *seeds})
        self.asked = {study.name: study.planned for study in studies}

    def add(self, *blocks: str) -> None:
        self.text += [block for block in blocks if block]

    def begin(self, study: str, heading: str) -> pd.DataFrame:
        """A section's heading and question; its cells."""
        command = f"`python scripts/study.py +study={study} scale={self.scale}`"
        self.add(f"### {heading}", f"*{self.questions[study]}* {command}", budget_text(self.runs[study]))
        return self.cells[study]

    def figure(self, drawn: Figure, name: str, caption: str) -> None:
        """Save as SCALE/figures/NAME.png."""
        path = self.out / self.scale / "figures" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        drawn.savefig(path, dpi=110, metadata={"Software": None})
        self.add(image(f"{self.scale}/figures/{name}.png", caption), f"*{caption}*")


def write_results(out: Path, studies: Mapping[str, Sequence[Study]]) -> Path:
    """Write OUT/README.md and the figures from the run folders under OUT/SCALE; returns the page. studies: by scale."""
    blocks = [opening_text()]
    for name, what in SCALES.items():
        runs = find_runs([str(out / name)]) if (out / name).is_dir() else []
        text = _scale(name, runs, studies[name], out) if runs else absent_text(name)
        blocks += [f"## Scale `{name}`: {what}", *text] if text else []
    page = out / "README.md"
    write_whole(page, ("\n\n".join(blocks).rstrip() + "\n").encode())
    return page


def _scale(name: str, runs: Sequence[Run], studies: Sequence[Study], out: Path) -> list[str]:
    page = _Page(name, runs, studies, out)
    if page.every.empty:
        return [*page.text, "No run here is one that a study asks for."]
    tuned, images = transfer.transfer_rows(page.runs["finetune"]), image_agreement(page.runs["mirror_anchors"])
    page.add(setting_text(page.runs, page.every), conclusions(page.cells, page.runs, page.every, tuned))
    page.add(
        "### Predictions",
        "Written down before the runs: [predictions.md](predictions.md). *Open*: no run above the bar tests it yet.",
    )
    page.add(predictions(page.cells, images, tuned, page.planned))
    _table_1(page)
    _symmetry(page)
    _many(page)
    _transfer(page)
    _probes(page)
    page.add("### What it cost", cost_table(page.runs))
    return page.text


def image_agreement(runs: Sequence[Run]) -> dict[str, float]:
    """Share of cells in which boards agree with their image under each map but the identity, as measured."""
    for run in runs:
        if run.probe is not None and "image_agreement" in run.probe:
            found: dict[str, float] = run.probe["image_agreement"]["absolute"]
            return {key: value for key, value in found.items() if key != "identity"}
    return {}


def _table_1(page: _Page) -> None:
    cells = page.begin("table1", "Table 1: how many anchors align two languages")
    page.add(table_1(cells, page.planned))
    if cells.raw.notna().any():
        caption = "Cells read right across languages by number of anchors; every seed a point, bars are means."
        page.figure(figures.anchor_figure(cells), "table1", caption)
    page.add("Naive atomic pairs, seed by seed:", symmetry.naive_table(cells))
    naive = cells[(cells.cell == "naive") & cells.winner.isin(MIRRORS)].sort_values("recovered", ascending=False)
    if len(naive):
        run = next(run for run in page.runs["table1"] if str(run.path) == naive.run.iloc[0])
        _boards(page, run, naive.winner.iloc[0], "naive_boards", "Two languages without a common token: boards")


def _symmetry(page: _Page) -> None:
    cells, images = (
        page.begin("mirror_anchors", "The symmetry of the opening: mirror anchors"),
        image_agreement(page.runs["mirror_anchors"]),
    )
    page.add(symmetry.verdict(cells), symmetry.mirror_table(cells, images))
    page.add(symmetry.control_table(cells, page.cells["table1"]))
    if cells.raw.notna().any():
        caption = "Accuracy across languages under each map of the opening's group, by what the four anchors link."
        page.figure(figures.map_figure(cells, symmetry.MIRROR_NAMES, images), "mirror_anchors", caption)
    for run in page.runs["mirror_anchors"]:
        if (g := run.name.removeprefix("mirror_")) in MIRRORS and _boards(page, run, g, "mirrored_boards", "Boards"):
            break
    cells = page.begin("anchor_placement", "Where an anchor lies")
    page.add(symmetry.placement_table(cells))
    if cells.raw.notna().any():
        caption = (
            "Accuracy across languages under each map, by the anchors' number and place (off the diagonals, on one)."
        )
        page.figure(figures.map_figure(cells, symmetry.SHORT, images), "anchor_placement", caption)


def _boards(page: _Page, run: Run, g: str, name: str, what: str) -> bool:
    """Boards of one run, as read and through the map g; whether there are any."""
    if run.probe is None or not run.probe.get("examples"):
        return False
    drawn = boards_figure([reading_boards(example, through=g) for example in run.probe["examples"]])
    caption = f"{what} as the first language's probe reads them, `{run.name}` seed {run.seed}; framed cells are wrong."
    page.figure(drawn, name, caption)
    return True


def _many(page: _Page) -> None:
    cells = page.begin("many_languages", "Many naive languages")
    page.add(
        many.claim_table(cells, page.runs["many_languages"], page.asked["many_languages"]),
        many.many_table(cells, page.runs["many_languages"]),
    )
    for run in page.runs["many_languages"]:
        if run.probe is None:
            continue
        rows, order = alignment_table([run]), run.probe["headline"]["mlp/absolute"]["classes"]["order"]
        caption = f"{len(run.languages)} naive languages, seed {run.seed}, by class; above raw, below the best map."
        drawn = ordered_maps(rows, "mlp", "absolute", scale(rows), order)
        page.figure(drawn, f"many_languages_{run.name}_{run.seed}", caption)
    cells = page.begin("emergence", "When alignment emerges")
    together = [*page.runs["emergence"], *page.runs["many_languages"]]
    naive = many.naive_rows(pd.concat([cells, page.cells["many_languages"]]), together)
    page.add(many.emergence_table(naive))
    if naive.games.nunique() > 1:
        caption = "Cells read right across naive languages under the best map, by games of pretraining; a point a seed."
        page.figure(figures.emergence_figure(naive), "emergence", caption)


def _transfer(page: _Page) -> None:
    cells = page.begin("finetune", "Fine-tuning on one language")
    rows = transfer.transfer_rows(page.runs["finetune"])
    page.add(transfer.tuning_text(page.runs["finetune"]), transfer.transfer_table(rows, page.planned))
    rows = rows[rows.kind == "atomic"]
    if len(rows):
        caption = "The atomic pair while it is fine-tuned on one language, every seed; dotted: its own tokens only."
        page.figure(figures.change_figure(rows), "finetune", caption)
    page.add(transfer.prefix_table(cells))


def _probes(page: _Page) -> None:
    page.begin("probes", "Where the board is")
    page.add(probes.SOURCES)
    rows = probes.probe_rows(page.runs["probes"])
    measured = [name for name in ("single", "naive", "unified") if (rows.cell == name).any()]
    for name in measured:
        page.add(f"`{name}`, error by layer (random weights in brackets):", probes.probe_table(rows, name))
    if measured:
        page.add(probes.claims(rows, measured[0], page.cells["probes"]))
        page.figure(figures.probe_figure(rows, measured[0]), "probes", f"Cells read right by layer, `{measured[0]}`.")
    page.add(_legality(page))


def _legality(page: _Page) -> str:
    """Strict and lenient legality side by side, every cell."""
    of = page.every[page.every.strict.notna()]
    rows: list[list[Any]] = []
    for name, group in of.groupby("cell", sort=False):
        own = measured(group, "legal") if group.prefix.ne("").all() else "the same"
        numbers = [mean(group.chance), measured(group, "strict"), measured(group, "lenient"), own]
        rows.append([name, len(group), *numbers])
    head = ["cell", "seeds", "chance, strict", "strict", "either colour", "strict, own training distribution"]
    what = (
        "Legality on games of every opening, strict and as published; models of one opening also on that opening, by "
    )
    what += "the estimate that training makes on held-out games. Chance: any empty square."
    return f"### Legality, cell by cell\n\n{what}\n\n{table(head, rows)}" if rows else ""
