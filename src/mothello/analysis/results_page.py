"""results/README.md: every published number beside ours, and the tested predictions, from committed results alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from mothello.analysis import results_figures, results_many, results_probes, results_symmetry, results_transfer
from mothello.analysis.board_figure import boards_figure, reading_boards
from mothello.analysis.cells import Expected, cell_table, select
from mothello.analysis.heatmaps import ordered_maps, scale
from mothello.analysis.markdown import image, ours, over_seeds, table
from mothello.analysis.results_cost import cost_table
from mothello.analysis.results_predictions import predictions
from mothello.analysis.results_table1 import table_1
from mothello.analysis.results_text import absent_text, conclusions, opening_text, setting_text
from mothello.analysis.runs import Run, find_runs
from mothello.analysis.tables import alignment_table
from mothello.rundir import write_whole

COST_NOTE = (
    "Minutes of processes, of which as many ran side by side as the machine has cores. Runs that several studies share "
    "are counted in each of them."
)
RESULTS = Path(__file__).parents[3] / "results"
"""Of this checkout."""
SCALES = {
    "paper": "the published board and model on a GPU",
    "mini": "a small board and model, two CPU cores; published numbers are compared in direction and order only",
}
MIRRORS = {
    "anchor_4": "true anchors", "mirror_rot180": "linked by rot180", "mirror_main": "linked by main",
    "mirror_anti": "linked by anti", "mirror_columns": "linked by columns",
}  # fmt: skip
PLACES = {
    "anchor_1": "1 off", "anchor_1_main": "1 main", "anchor_1_anti": "1 anti", "anchor_2": "2 off",
    "anchor_2_main": "2 main", "anchor_2_each": "one on each",
}  # fmt: skip


@dataclass(frozen=True)
class Study:
    """A study as the page needs it; cells by name."""

    name: str
    question: str
    cells: Mapping[str, Expected]


class _Page:
    """Text and figures of one scale, in order."""

    def __init__(self, scale_name: str, runs: Sequence[Run], studies: Sequence[Study], out: Path) -> None:
        self.scale, self.out, self.text = scale_name, out, []  # type: ignore[var-annotated]
        self.runs = {study.name: select(runs, study.cells) for study in studies}
        self.cells = {name: cell_table(of) for name, of in self.runs.items()}
        self.every = pd.concat(list(self.cells.values())).drop_duplicates("run")
        self.questions = {s.name: s.question for s in studies}

    def add(self, *blocks: str) -> None:
        self.text += [block for block in blocks if block]

    def begin(self, study: str, heading: str) -> pd.DataFrame:
        """A section's heading and question; its cells."""
        self.add(
            f"### {heading}", f"*{self.questions[study]}* `python scripts/study.py +study={study} scale={self.scale}`"
        )
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
        blocks.append(f"## Scale `{name}`: {what}")
        blocks += _scale(name, runs, studies[name], out) if runs else [absent_text(name)]
    page = out / "README.md"
    write_whole(page, ("\n\n".join(blocks).rstrip() + "\n").encode())
    return page


def _scale(name: str, runs: Sequence[Run], studies: Sequence[Study], out: Path) -> list[str]:
    page = _Page(name, runs, studies, out)
    if page.every.empty:
        return [*page.text, "No run here is one that a study asks for."]
    tuned, images = results_transfer.transfer_rows(page.runs["finetune"]), image_agreement(page.runs["mirror_anchors"])
    page.add(setting_text(page.runs, page.every), conclusions(page.cells, page.every, tuned))
    page.add("### Predictions", "Written down before the runs: [predictions.md](predictions.md).")
    page.add(predictions(page.cells, images, tuned))
    _table_1(page)
    _symmetry(page)
    _many(page)
    _transfer(page)
    _probes(page)
    page.add("### What it cost", cost_table(page.runs), COST_NOTE)
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
    page.add(table_1(cells))
    if cells.raw.notna().any():
        caption = "Cells read right across languages by number of anchors; every seed a point, bars are means."
        page.figure(results_figures.anchor_figure(cells), "table1", caption)
    page.add("Naive atomic pairs, seed by seed:", results_symmetry.naive_table(cells))


def _symmetry(page: _Page) -> None:
    cells, images = (
        page.begin("mirror_anchors", "The symmetry of the opening: mirror anchors"),
        image_agreement(page.runs["mirror_anchors"]),
    )
    page.add(results_symmetry.verdict(cells), results_symmetry.mirror_table(cells, images))
    if cells.raw.notna().any():
        caption = "Accuracy across languages under each map of the opening's group, by what the four anchors link."
        page.figure(results_figures.map_figure(cells, MIRRORS, images), "mirror_anchors", caption)
    _mirrored_boards(page)
    cells = page.begin("anchor_placement", "Where an anchor lies")
    page.add(results_symmetry.placement_table(cells))
    if cells.raw.notna().any():
        caption = "Accuracy across languages under each map, by the anchors' number and place."
        page.figure(results_figures.map_figure(cells, PLACES, images), "anchor_placement", caption)


def _mirrored_boards(page: _Page) -> None:
    """Boards of one mirrored run, as read and through its map."""
    for run in page.runs["mirror_anchors"]:
        g = run.name.removeprefix("mirror_")
        if run.probe is None or not run.probe.get("examples") or g not in results_symmetry.MAPS[1:]:
            continue
        drawn = boards_figure([reading_boards(example, through=g) for example in run.probe["examples"]])
        caption = (
            f"Boards as the first language's probe reads them, `{run.name}` seed {run.seed}; framed cells are wrong."
        )
        page.figure(drawn, "mirrored_boards", caption)
        return


def _many(page: _Page) -> None:
    cells = page.begin("many_languages", "Many naive languages")
    page.add(
        results_many.claim_table(cells, page.runs["many_languages"]),
        results_many.many_table(cells, page.runs["many_languages"]),
    )
    for run in page.runs["many_languages"]:
        if run.probe is None:
            continue
        rows, order = alignment_table([run]), run.probe["headline"]["mlp/absolute"]["classes"]["order"]
        caption = f"{len(run.languages)} naive languages, seed {run.seed}, by class; above raw, below the best map."
        drawn = ordered_maps(rows, "mlp", "absolute", scale(rows), order)
        page.figure(drawn, f"many_languages_{run.name}_{run.seed}", caption)
    cells = page.begin("emergence", "When alignment emerges")
    every = pd.concat([cells, page.cells["many_languages"]])
    widths = {
        str(run.path): run.config["model"]["d_model"]
        for name in ("emergence", "many_languages")
        for run in page.runs[name]
    }
    page.add(results_many.emergence_table(every, widths))


def _transfer(page: _Page) -> None:
    page.begin("finetune", "Fine-tuning on one language")
    rows = results_transfer.transfer_rows(page.runs["finetune"])
    page.add(results_transfer.transfer_table(rows))
    rows = rows[rows.kind == "atomic"]
    if len(rows):
        caption = "The atomic pair before and after fine-tuning on one language; dotted: its own tokens only."
        page.figure(results_figures.change_figure(rows), "finetune", caption)


def _probes(page: _Page) -> None:
    page.begin("probes", "Where the board is")
    rows = results_probes.probe_rows(page.runs["probes"])
    measured = [name for name in ("single", "naive", "unified") if (rows.cell == name).any()]
    for name in measured:
        page.add(f"`{name}`, error by layer (random weights in brackets):", results_probes.probe_table(rows, name))
    if measured:
        page.add(results_probes.claims(rows, measured[0], page.cells["probes"]))
        page.figure(
            results_figures.probe_figure(rows, measured[0]), "probes", f"Cells read right by layer, `{measured[0]}`."
        )
    page.add(_legality(page))


def _legality(page: _Page) -> str:
    """Strict and lenient legality side by side, every cell."""
    of = page.every[page.every.strict.notna()]
    rows: list[list[Any]] = []
    for name, group in of.groupby("cell", sort=False):
        numbers = [ours(over_seeds(group[key])) for key in ("legal", "strict", "lenient")]
        rows.append([name, len(group), *numbers])
    head = ["cell", "seeds", "strict, own training distribution", "strict, all games", "either colour, all games"]
    return "Legality, strict and as published:\n\n" + table(head, rows) if rows else ""
