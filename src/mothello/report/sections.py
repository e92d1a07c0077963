"""Sections on the whole: what happened, the headline, training, legality. A section is Markup, empty to be left out."""

from collections.abc import Iterator, Sequence

import pandas as pd

from mothello.report import figures
from mothello.report.html import Markup, Text, figure, join, paragraphs, share, table, tag
from mothello.report.material import Material
from mothello.report.runs import Run
from mothello.report.statistics import MIN_SEEDS, Estimate, estimate
from mothello.report.verdict import anchor_sentences, describe, verdicts

NO_PROBES = "No run was probed, so nothing can be said about alignment: python scripts/probe.py run=FOLDER."
MANY_LANGUAGES = 8
"""More languages than this share one row of the legality table."""


def cell(value: Estimate | None, digits: int = 3) -> Text | None:
    """A mean over seeds as a table cell, with its interval below."""
    if value is None:
        return None
    mean = f"{value.mean:.{digits}f}"
    if value.low is None or value.high is None:
        return mean
    return join([mean, tag("small", f"{value.low:.{digits}f} to {value.high:.{digits}f}")], Markup("<br>"))


def what_happened(material: Material) -> Markup:
    """Sentences computed from the numbers, the verdict first."""
    if not material.heads:
        return paragraphs([NO_PROBES])
    boxes = [
        tag("div", tag("p", tag("strong", v.sentence)), class_="verdict" if v.shows else "verdict no")
        for v in verdicts(material.groups, material.heads)
    ]
    sentences: list[Text] = [
        describe(regime, material.groups[regime], row, material.layers(regime))
        for regime, row in material.heads.items()
    ]
    unprobed = [regime for regime in material.groups if regime not in material.heads]
    if unprobed:
        sentences.append(f"Not probed: {', '.join(unprobed)}.")
    sentences += anchor_sentences(material.groups, material.heads)
    sentences.append(_seeds_sentence(material))
    return join([*boxes, paragraphs(sentences)])


def _seeds_sentence(material: Material) -> str:
    counts = [row["own"].n for row in material.heads.values() if row["own"] is not None]
    parts = []
    if max(counts) >= MIN_SEEDS:
        parts.append(
            "Brackets hold 95% intervals over seeds (Student's t for three to nine seeds, bootstrap from ten)."
        )
    if min(counts) < MIN_SEEDS:
        parts.append("Fewer than three seeds give no interval: such differences are those of these runs.")
    return " ".join(parts)


def headline_section(material: Material) -> Markup:
    """The table of regimes, and every seed as a point."""
    head = ["regime", "seeds", "games seen", "strict legality"]
    probed = [
        "layer",
        "own",
        "cross",
        "cross, best map",
        "winning maps (of aligned pairs)",
        "constant",
        "random weights",
    ]
    rows = [_headline_row(material, regime, runs) for regime, runs in material.groups.items()]
    caption = (
        f"Means over seeds. Probe columns: {material.probe} probe on {material.target} colours, at the non-final layer "
        "with the best own accuracy, share of cells read correctly. Cross: one language's probe reads another. Below "
        "the winning maps: how many ordered pairs count as aligned."
    )
    if not material.heads:
        return join([table(head, [row[:4] for row in rows], caption="Means over seeds."), *_measured_early(material)])
    parts = [table(head + probed, rows, caption=caption)]
    drawing = figures.headline_points(material.headline, material.probe, material.target)
    text = "Every seed is a point. The bar spans the loss across languages; the grey marks are the two baselines."
    parts.append(figure(drawing, text, "Own and cross accuracy of every regime"))
    return join([*parts, *_measured_early(material)])


def _measured_early(material: Material) -> Iterator[Markup]:
    """A line for each measure of a model that had not been trained to the end (its last checkpoint was damaged)."""
    for run in (run for runs in material.groups.values() for run in runs):
        steps = run.results["steps"]
        for measure in (*run.probes, *run.transfers):
            if measure.get("step", steps) < steps:
                where = f"{run.name}, seed {run.seed}, {measure['folder']}"
                yield tag("p", f"{where}: measured after {measure['step']:,} of {steps:,} steps.")


def _headline_row(material: Material, regime: str, runs: Sequence[Run]) -> list[Text | None]:
    legal = estimate([run.results["final"]["val/top1"] for run in runs])
    seeds = f"{len(runs)}"
    row: list[Text | None] = [regime, seeds, f"{runs[0].results['games']:,}", cell(legal)]
    values = material.heads.get(regime)
    if values is None:
        return [*row, *[None] * 7]
    layers = ", ".join(str(x) for x in sorted(set(material.layers(regime))))
    row += [layers, cell(values["own"]), cell(values["cross"]), cell(values["cross_best_map"])]
    return [*row, _winning(material, regime), cell(values["constant"]), cell(values["random_weights"])]


def _winning(material: Material, regime: str) -> Text | None:
    """Counts of the winning map over the ordered pairs that are aligned, and how many those are, over seeds."""
    data = material.alignment
    data = data[(data.regime == regime) & (data.probe == material.probe) & (data.target == material.target)]
    pairs = data[data.headline.astype(bool) & (data["map"] == "identity") & (data.source != data.language)]
    if pairs.empty:
        return None
    winners = pairs[pairs.aligned.astype(bool)].best_map.value_counts()
    counts = ", ".join(f"{name}: {n}" for name, n in winners.items()) or "none"
    return join([counts, tag("small", f"{winners.sum()} of {len(pairs)} aligned")], Markup("<br>"))


def training_section(material: Material) -> Markup:
    """Curves of loss and legality."""
    if material.training.empty or "val/loss" not in material.training:
        return Markup("")
    caption = (
        "Loss on held-out games against the conditional entropy of the corpus (the floor of any model), and strict "
        "top-1 legality against a random empty square. Means over languages; thin lines are single seeds."
    )
    curves = figure(figures.training_curves(material.training), caption, "Loss and legality while training")
    if "train/seconds" not in material.training:
        return curves
    caption = (
        "One line a run, by the clock, compiling and earlier evaluations included. Times compare on one machine only, "
        "and under one load."
    )
    return join([curves, figure(figures.skill_curves(material.training), caption, "Legality against minutes")])


def legality_section(material: Material) -> Markup:
    """The table of the final evaluation and legality by ply."""
    rows = []
    for regime, data in material.legality.groupby("regime", sort=False):
        languages = data.language.nunique()
        keys = ["language"] if languages <= MANY_LANGUAGES else ["role"]
        for _, group in data.groupby(keys, sort=False):
            name = group.language.iloc[0] if languages <= MANY_LANGUAGES else f"mean of {languages}"
            rows.append([regime, name, ", ".join(dict.fromkeys(group.kind)), *_legality_cells(group)])
    head = [
        "regime", "language", "kind", "strict", "either colour", "chance", "legal mass", "wrong language", "malformed",
        "loss", "floor", "excess",
    ]  # fmt: skip
    caption = (
        "Shares of positions on held-out games; loss, floor and their difference in nats per scored token. Small: "
        "standard error over games. Either colour is the criterion of the published code, for comparison only."
    )
    parts = [table(head, rows, caption=caption, left=3)]
    if len(material.plies):
        text = "Strict legality of the next move by ply, mean over languages."
        parts.append(figure(figures.ply_curves(material.plies), text, "Legality by ply"))
    return join(parts)


def _mean(values: pd.Series) -> float | None:
    present = pd.to_numeric(values, errors="coerce").dropna()
    return float(present.mean()) if len(present) else None


def _legality_cells(group: pd.DataFrame) -> list[Text | None]:
    error = _mean(group.top1_standard_error) if len(group) == 1 else None
    strict = share(_mean(group.top1)) or "-"
    cells: list[Text | None] = [strict if error is None else join([strict, tag("small", f"± {error:.3f}")], " ")]
    cells += [share(_mean(group.lenient)), share(_mean(group.chance))]
    mass, first = _mean(group["mass"]), _mean(group.mass_first_token)
    cells.append(share(mass) if mass is not None else None if first is None else f"{first:.3f} (first token)")
    return cells + [share(_mean(group[key])) for key in ("wrong_language", "malformed", "loss", "floor", "excess_nats")]
