"""The words of results/README.md: how it opens, what a scale is, and the conclusions with their numbers."""

from collections.abc import Mapping, Sequence

import pandas as pd

from mothello.analysis import results_symmetry, results_transfer
from mothello.analysis.cells import BAR
from mothello.analysis.markdown import decimal, ours, over_seeds, table
from mothello.analysis.published import LINK, SOURCE
from mothello.analysis.results_table1 import winners
from mothello.analysis.runs import Run
from mothello.analysis.words import WORDS


def opening_text() -> str:
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


def absent_text(name: str) -> str:
    if name == "paper":
        return (
            "No runs of this scale are committed. The queue is one command, `make paper`, in resumable pieces; what a "
            "piece costs, by arithmetic, is in [../docs/paper.md](../docs/paper.md)."
        )
    return "No runs here."


def setting_text(runs: Mapping[str, Sequence[Run]], every: pd.DataFrame) -> str:
    """Board, model, machine, and which runs are below the bar."""
    every_run = [run for of in runs.values() for run in of]
    boards, devices, torches = (
        ", ".join(sorted({str(value) for value in values}))
        for values in (
            [run.results["board"] for run in every_run],
            [run.results.get("device", "?") for run in every_run],
            [((run.results.get("environment") or {}).get("versions") or {}).get("torch", "?") for run in every_run],
        )
    )
    models = sorted({(run.config["model"]["n_layer"], run.config["model"]["d_model"]) for run in every_run})
    shapes = ", ".join(f"{layers} layers of width {width}" for layers, width in models)
    below = every[~every.reached.astype(bool)]
    marked = ", ".join(
        f"{cell}/{seed} ({decimal(legal)})"
        for cell, seed, legal in zip(below.cell, below.seed, below.legal, strict=True)
    )
    return (
        f"{boards}; {shapes}; {len(every)} runs on {devices}, torch {torches}. The budget of each study is fixed. "
        f"Runs below {BAR:.0%} strict legality on their own training distribution: {marked or 'none'}."
    )


def conclusions(cells_of: Mapping[str, pd.DataFrame], every: pd.DataFrame, tuned: pd.DataFrame) -> str:
    """The conclusions, each with its numbers."""
    cells, lines = cells_of["table1"], ["### In short"]
    naive = cells[(cells.cell == "naive") & cells.raw.notna()]
    if len(naive):
        aligned = naive[naive.winner != "none"]
        lines.append(
            f"* **Naive pairs.** Raw, a probe reads {ours(over_seeds(naive.raw))} of the other language's cells (best "
            f"constant {decimal(naive.constant.mean())}); under the best map of the opening's group "
            f"{ours(over_seeds(naive.best))}, in its own language {ours(over_seeds(naive.own))}. {len(aligned)} of "
            f"{len(naive)} seeds are aligned: {winners(naive)}."
        )
    if len(cells_of["mirror_anchors"]):
        lines.append(f"* **Mirror anchors.** {results_symmetry.verdict(cells_of['mirror_anchors'])}")
    if len(tuned):
        lines.append(f"* **Transfer.** {results_transfer.in_short(tuned)}")
    learned = every[every.reached.astype(bool) & (every.prefix == "")]
    strict, lenient = (over_seeds(learned[name]) for name in ("strict", "lenient"))
    if strict is not None and lenient is not None:
        lines.append(
            f"* **Legality.** Over the runs that learned (all openings) {decimal(strict.mean)} of the moves are legal, "
            f"{decimal(lenient.mean)} by the published criterion, which accepts a move of either colour."
        )
    return "\n".join([lines[0], "", *lines[1:]])
