"""The words of results/README.md: how it opens, what a scale is, and the conclusions with their numbers."""

from collections import Counter
from collections.abc import Mapping, Sequence

import pandas as pd

from mothello.report.published import LINK, SOURCE
from mothello.report.results import many_languages as many
from mothello.report.results import symmetry, transfer
from mothello.report.results.cells import BAR
from mothello.report.results.judgement import ALIGNED, WORDS
from mothello.report.results.markdown import decimal, mean, middle, over_seeds, table
from mothello.report.results.table1 import winners
from mothello.report.runs import Run

GLOSSARY = """\
* **Languages.** An *atomic* language has one token a move, a *split* one one to three, a *compositional* one two,
  for column and row. A *naive* pair shares no token; *anchors* are moves whose token both share; with *unified
  output* both answer in one vocabulary.
* **Accuracies** are shares of cells that an MLP probe, fitted on one language, reads in another, both directions
  averaged, at the non-final layer with the best accuracy in its *own* language. *Constant*: the most frequent state
  of each cell at each ply. *Random weights*: the same probes on a model that was never trained.
* **Maps.** The coloured opening stays the same under four of the board's symmetries: the *identity*, the half turn
  *rot180*, and the reflections in the diagonals, *main* and *anti* (*columns* swaps its colours).
  *Raw* is read under the identity, *best map* under the best of the four. *Mixed*: pairs, or the two directions of
  one, through different maps, or only some of them.
* **Legality** is strict: the most likely next move is legal for the side to move. *Either colour*: the published
  criterion.
* **Intervals.** [95% over seeds] (t, from three seeds on; bootstrap from ten); below three seeds {95% over games of
  each model, from the least to the most}. Naive pairs fall into kinds: theirs are the median and (the least to the
  most)."""


def opening_text() -> str:
    words = table(["word", "meaning"], [[f"**{word}**", meaning] for word, meaning in WORDS.items()])
    return "\n\n".join(
        [
            "# The mOthello study: published numbers beside ours",
            "Made by `make results` from the run folders beside this page; no number of ours is typed in by hand. "
            f"Published, where no other source is named: [{SOURCE}]({LINK}). Predictions that were written down before "
            "the runs: [predictions.md](predictions.md).",
            GLOSSARY,
            words,
            ALIGNED,
        ]
    )


def absent_text(name: str) -> list[str]:
    """What stands for a scale without runs; nothing where it can be left out."""
    if name != "paper":
        return []
    text = (
        "No runs of this scale are committed. The queue is one command, `make paper`, in resumable pieces; what a "
        "piece costs, by arithmetic, and its first steps on a CPU: [../docs/paper.md](../docs/paper.md)."
    )
    return [text]


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
        f"{boards}; {shapes}; {len(every)} runs on {devices}, torch {torches}. The budget of each study is fixed, and "
        f"cells below the bar are marked, never trained longer. Runs below {BAR:.0%} strict legality on their own "
        f"training distribution: {marked or 'none'}."
    )


def budget_text(runs: Sequence[Run]) -> str:
    """How long the runs of a study were trained, and what their probes were fitted on."""
    if not runs:
        return ""
    every = [run.config["data"] for run in runs]
    budgets = Counter((round(data["games"] * data.get("epochs", 1)), data["batch_size"]) for data in every)
    said = [f"{games:,} games in steps of {batch} ({n} runs)" for (games, batch), n in sorted(budgets.items())]
    probes = [run.probe for run in runs if run.probe is not None]
    fits = {(probe["config"]["probe"]["games"], probe["games"]) for probe in probes}
    said += [f"probes fitted on {games:,} games and scored on {tested:,}" for games, tested in sorted(fits)]
    return f"Budget: {'; '.join(said)}."


def conclusions(
    cells_of: Mapping[str, pd.DataFrame], runs: Mapping[str, Sequence[Run]], every: pd.DataFrame, tuned: pd.DataFrame
) -> str:
    """The conclusions, each with its numbers."""
    cells, lines = cells_of["table1"], ["### In short"]
    naive = cells[(cells.cell == "naive") & cells.raw.notna()]
    if len(naive):
        aligned = naive[naive.winner != "none"]
        lines.append(
            f"* **Naive pairs.** {len(aligned)} of {len(naive)} seeds align without a common token, wholly or partly: "
            f"{winners(naive)}. Raw, a probe reads {middle(naive.raw)} of the other language's cells (best constant "
            f"{mean(naive.constant)}); under the best map {middle(naive.best)} (random weights: "
            f"{mean(naive.random_across)}), in its own language {mean(naive.own)}."
        )
    when = many.emergence_in_short(many.naive_rows(cells_of["emergence"], runs["emergence"]))
    if when:
        lines.append(f"* **When alignment emerges.** {when}")
    families = many.in_short(cells_of["many_languages"], runs["many_languages"])
    if families:
        lines.append(f"* **Many naive languages.** {families}")
    if len(cells_of["mirror_anchors"]):
        lines.append(f"* **Mirror anchors.** {symmetry.verdict(cells_of['mirror_anchors'])}")
    placed = symmetry.placement_verdict(cells_of["anchor_placement"])
    if placed:
        lines.append(f"* **Where an anchor lies.** {placed}")
    if len(tuned):
        lines.append(f"* **Transfer.** {transfer.in_short(tuned, cells_of['finetune'])}")
    learned = every[every.reached.astype(bool) & (every.prefix == "")]
    strict, lenient = (over_seeds(learned[name]) for name in ("strict", "lenient"))
    if strict is not None and lenient is not None:
        lines.append(
            f"* **Legality.** Over the runs that learned (all openings) {decimal(strict.mean)} of the moves are legal, "
            f"{decimal(lenient.mean)} by the published criterion, which accepts a move of either colour."
        )
    return "\n".join([lines[0], "", *lines[1:]])
