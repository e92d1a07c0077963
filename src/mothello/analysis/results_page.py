"""results/README.md: every published number beside ours, and the tested predictions, from committed results alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from mothello.analysis import results_figures, results_many, results_probes, results_symmetry, results_transfer
from mothello.analysis.cells import BAR, cell_table, same_probes
from mothello.analysis.heatmaps import ordered_maps, scale
from mothello.analysis.markdown import decimal, image, ours, over_seeds, table
from mothello.analysis.published import LINK, SOURCE
from mothello.analysis.results_cost import cost_table
from mothello.analysis.results_table1 import table_1, winners
from mothello.analysis.runs import Run, find_runs
from mothello.analysis.tables import alignment_table
from mothello.analysis.words import WORDS
from mothello.rundir import write_whole

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
    "naive": "no anchor", "anchor_1": "1 off", "anchor_1_main": "1 main", "anchor_1_anti": "1 anti",
    "anchor_2_main": "2 main", "anchor_2_each": "one on each",
}  # fmt: skip


@dataclass(frozen=True)
class Study:
    """A study as the page needs it."""

    name: str
    question: str
    cells: list[str]
    transfers: bool = False


class _Page:
    """Text and figures of one scale, in order."""

    def __init__(self, scale_name: str, runs: Sequence[Run], studies: Sequence[Study], out: Path) -> None:
        self.scale, self.out, self.text = scale_name, out, []  # type: ignore[var-annotated]
        self.runs = {s.name: same_probes([run for run in runs if run.name in s.cells]) for s in studies}
        self.cells = {name: cell_table(of) for name, of in self.runs.items()}
        self.every = cell_table(same_probes(runs))
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


def write_results(out: Path, studies: Sequence[Study]) -> Path:
    """Write OUT/README.md and the figures from the run folders under OUT/mini and OUT/paper; returns the page."""
    blocks = [_head()]
    for name, what in SCALES.items():
        runs = find_runs([str(out / name)]) if (out / name).is_dir() else []
        blocks.append(f"## Scale `{name}`: {what}")
        blocks += _scale(name, runs, studies, out) if runs else [_nothing(name)]
    page = out / "README.md"
    write_whole(page, ("\n\n".join(blocks).rstrip() + "\n").encode())
    return page


def _head() -> str:
    words = table(["word", "meaning"], [[f"**{word}**", meaning] for word, meaning in WORDS.items()])
    return "\n\n".join(
        [
            "# The mOthello study: published numbers beside ours",
            "Made by `make results` from the run folders beside this page; nothing is typed in by hand. "
            f"Published: [{SOURCE}]({LINK}). Accuracies are shares of cells that an MLP probe, fitted on one language, "
            "reads in another, both directions averaged, at the non-final layer with the best own accuracy; *raw* "
            "under the identity, *best map* under the best of the four maps that fix the opening. Brackets: 95% "
            "interval over seeds (t; none below three seeds). Legality is strict: legal for the side to move; *either "
            "colour* is the published criterion.",
            "Predictions that were written down before the runs: [predictions.md](predictions.md).",
            words,
        ]
    )


def _nothing(name: str) -> str:
    if name == "paper":
        return (
            "Not run: no GPU was at hand. The queue is one command, `make paper`, in resumable pieces; what a piece "
            "costs, and its first minutes on a CPU, is in [../docs/paper.md](../docs/paper.md)."
        )
    return "No runs here."


def _scale(name: str, runs: Sequence[Run], studies: Sequence[Study], out: Path) -> list[str]:
    page = _Page(name, runs, studies, out)
    page.add(_setting(page), _in_short(page))
    _table_1(page)
    _symmetry(page)
    _many(page)
    _transfer(page)
    _probes(page)
    page.add("### What it cost", cost_table(page.runs), "Runs that several studies share are counted in each of them.")
    return page.text


def _setting(page: _Page) -> str:
    first = next(run for of in page.runs.values() for run in of)
    model, results, env = first.config["model"], first.results, first.results.get("environment") or {}
    below = page.every[~page.every.reached.astype(bool)]
    marked = ", ".join(
        f"{cell}/{seed} ({decimal(legal)})"
        for cell, seed, legal in zip(below.cell, below.seed, below.legal, strict=True)
    )
    return (
        f"{results['board']}, {model['n_layer']} layers of width {model['d_model']}; {len(page.every)} runs on "
        f"{results.get('device')}, torch {(env.get('versions') or {}).get('torch')}. The budget of each study is "
        f"fixed. Runs below {BAR:.0%} strict legality on their own training distribution: {marked or 'none'}."
    )


def _in_short(page: _Page) -> str:
    """The conclusions, each with its numbers."""
    cells, lines = page.cells["table1"], ["### In short"]
    naive = cells[(cells.cell == "naive") & cells.raw.notna()]
    if len(naive):
        share = f"{int((naive.aligned > 0).sum())} of {len(naive)}"
        lines.append(
            f"* **Naive pairs.** Raw, a probe reads {ours(over_seeds(naive.raw))} of the other language's cells (best "
            f"constant {decimal(naive.constant.mean())}); under the best map of the opening's group "
            f"{ours(over_seeds(naive.best))}. {share} seeds are aligned up to a symmetry: {winners(naive)}."
        )
    if len(page.cells["mirror_anchors"]):
        lines.append(f"* **Mirror anchors.** {results_symmetry.verdict(page.cells['mirror_anchors'])}")
    tuned = results_transfer.transfer_rows(page.runs["finetune"])
    if len(tuned):
        lines.append(f"* **Transfer.** {results_transfer.in_short(tuned)}")
    strict, lenient = (over_seeds(page.every[name]) for name in ("strict", "lenient"))
    if strict is not None and lenient is not None:
        lines.append(
            f"* **Legality.** Over all runs {decimal(strict.mean)} of the moves are legal, {decimal(lenient.mean)} by "
            "the published criterion, which accepts a move of either colour."
        )
    return "\n".join([lines[0], "", *lines[1:]])


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
    cells = page.begin("anchor_placement", "Where an anchor lies")
    page.add(results_symmetry.placement_table(cells))
    with_naive = pd.concat([cells, page.cells["table1"].query("cell == 'naive'")])
    if cells.raw.notna().any():
        caption = "Accuracy across languages under each map, by the anchors' number and place."
        page.figure(results_figures.map_figure(with_naive, PLACES, images), "anchor_placement", caption)


def _many(page: _Page) -> None:
    cells = page.begin("many_languages", "Many naive languages")
    page.add(results_many.many_table(cells, page.runs["many_languages"]))
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
    page.add(results_transfer.verdict(rows), results_transfer.transfer_table(rows))
    if len(rows):
        caption = "Strict top-1 legality before and after fine-tuning on one language; dotted: its own tokens only."
        page.figure(results_figures.change_figure(rows), "finetune", caption)


def _probes(page: _Page) -> None:
    page.begin("probes", "Where the board is")
    rows = results_probes.probe_rows(page.runs["probes"])
    measured = [name for name in ("single", "naive", "unified") if (rows.cell == name).any()]
    for name in measured:
        page.add(f"`{name}`, error by layer (random weights in brackets):", results_probes.probe_table(rows, name))
    if measured:
        page.add(results_probes.claims(rows, measured[0]))
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


def studies_of(described: Mapping[str, tuple[str, Sequence[str]]]) -> list[Study]:
    """name -> (question, cells), as studies."""
    return [Study(name, question, list(cells)) for name, (question, cells) in described.items()]
