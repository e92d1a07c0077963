"""What the page's sections on probes hold: curves over layers, heat maps, example boards; and those on fine-tuning."""

from collections.abc import Iterator
from typing import Any

import pandas as pd
from tqdm import tqdm

from mothello.measures.probes.headline import Headline, headline, kinds
from mothello.report import heatmaps, transfer_figures
from mothello.report.board_figure import domain_boards
from mothello.report.figures import layer_curves, of_kind
from mothello.report.markup import image, over_runs, table
from mothello.report.panels import Panel, panels
from mothello.report.sections import Groups, Summaries
from mothello.report.sentences import Summary, class_sentence
from mothello.report.statistics import share_of
from mothello.report.table import domains, image_agreement, pairs, pretrained, transfer

COLUMNS = {
    "own": "own", "whole_board": "own, whole board", "across": "across", "across_best_map": "across, best map",
    "constant": "constant", "orbit": "orbit reader", "random_weights": "random weights", "shuffled": "shuffled",
}  # fmt: skip


MANY = 8
"""More labels than this show one kind of probe, and the headline's layer only; the tables hold the others."""


def probes(rows: pd.DataFrame, heads: pd.DataFrame, probe: str, target: str) -> dict[str, Any]:
    """Curves over layers for the headline's probe and, of few labels, the linear probe on relative colors; a table of
    all probes."""
    measured = list(dict.fromkeys(zip(heads.probe, heads.target, strict=True)))
    shown = dict.fromkeys([(probe, target), *(pair for pair in measured if pair == ("linear", "relative"))])
    if heads.label.nunique() > MANY:
        shown = {(probe, target): None}
    layers = []
    for kind, colors in shown:
        what = f"{kind} probe, {colors} colors, by layer"
        data = of_kind(pretrained(rows), kind, colors)
        layers += [
            panel._replace(caption=f"{what}. Mean over languages and pairs; thin lines are single seeds.")
            for panel in panels(data, layer_curves, f"Probe accuracy by layer, {kind}, {colors} colors")
        ]
    lines = [
        [label, *pair, *(share_of(group[name]) for name in COLUMNS)]
        for pair in measured
        for label, group in heads[(heads.probe == pair[0]) & (heads.target == pair[1])].groupby("label", sort=False)
    ]
    return {"layers": layers, "probes": table(["run", "probe", "target", *COLUMNS.values()], lines, left=3)}


def maps(rows: pd.DataFrame, groups: Groups, summaries: Summaries, probe: str, target: str) -> dict[str, Any]:
    """Heat maps of every label with at least two languages, on one color scale."""
    data = pairs(rows, probe, target)
    several = [label for label, summary in summaries.items() if summary.pairs]
    if not several:
        return {"single": bool(summaries)}
    limits, what = heatmaps.scale(data), f"{probe} probe, {target} colors"
    labels = tqdm(several, desc="heat maps", unit="run", delay=1, leave=False)
    matrices = [
        x
        for label in labels
        for x in _matrices(data[data.label == label], summaries[label], what, limits, len(several) > MANY)
    ]
    names = {str(run.path): run.results["board"] for runs in groups.values() for run in runs}
    agreement = {
        names[run]: ", ".join(f"{name} {value:.3f}" for name, value in values.items())
        for run, values in image_agreement(rows, target).items()
    }
    return {"maps": matrices, "agreement": agreement, "domains": list(_domains(domains(rows, data, probe, target)))}


def _domains(squares: pd.DataFrame) -> Iterator[Panel]:
    """A figure per label of which squares are read through which map. squares: table.domains."""
    for label, group in squares.groupby("label", sort=False):
        boards = {
            f"{source} reads {language}, seed {seed}": dict(zip(one.square, one["map"], strict=True))
            for (seed, source, language), one in group.groupby(["seed", "source", "language"], sort=False)
        }
        drawing = domain_boards(boards, round(group.square.nunique() ** 0.5))
        yield Panel(image(drawing, f"Maps of the squares, {label}"), f"{label}: the map of every square.")


def _matrices(
    data: pd.DataFrame, summary: Summary, what: str, limits: tuple[float, float], one_layer: bool
) -> Iterator[Panel]:  # fmt: skip
    """A heat map per layer, or of the usual layer of the headline; of many languages one per seed, ordered by symmetry
    class, with the classes in words."""
    label = summary.label
    if data.language.nunique() <= heatmaps.MAX_LAYERWISE:
        data = data[data.layer == summary.heads.layer.mode()[0]] if one_layer else data
        drawing = heatmaps.alignment_maps(data, limits)
        yield Panel(image(drawing, f"Alignment matrices, {label}"), f"{label}: {what}, mean over seeds.", label)
        return
    columns = ("run", "seed", "layer", "classes")
    for index, (run, seed, layer, classes) in enumerate(zip(*(summary.heads[x] for x in columns), strict=True)):
        own = data[(data.run == run) & (data.layer == layer)]
        drawing = heatmaps.alignment_maps(own, limits, classes.order)
        caption = f"{label}, seed {seed}: {what}, layer {layer}. {class_sentence(classes)}"
        alternative = f"Alignment matrices by symmetry class, {label}, seed {seed}"
        yield Panel(image(drawing, alternative), caption, "" if index else label)


KEYS = ["label", "source", "language"]
AMONG = {
    "top1": "all tokens",
    "top1_restricted": "its own tokens",
    "top1_translated": "the source's tokens, translated",
}
"""What an answer is chosen among."""
SUMMARY = {
    "peak": "peak", "gain": "gain", "gain_ratio": "gain / source's gain", "forgetting": "forgotten",
}  # fmt: skip


def transfers(rows: pd.DataFrame, groups: Groups, probe: str, target: str) -> dict[str, Any]:
    """Curves, ends, openings, retrieval and alignment of fine-tunings."""
    curves = transfer(rows)
    everywhere = curves[curves.opening == ""]
    if everywhere.empty:
        return {}
    chance = transfer(rows, control="chance").value.mean()
    scratch = transfer(rows, control="scratch")
    scratch = scratch[scratch.opening == ""]
    drawing = transfer_figures.transfer_curves(everywhere, scratch, float(chance))
    watched, named = transfer(rows, "retrieval_same_ply"), "Retrieval along the fine-tuning"
    along = panels(watched, transfer_figures.retrieval_curves, named) if len(watched) else []
    head, ends = ["run", "fine-tuned on", "language"], ["before", "after"]
    other = ["run", "fine-tuned on", "games that begin", "language"]
    return {
        "transfer": image(drawing, "Transfer curves"), "retrieval": along, **_answers(rows, float(chance)),
        "ends": table(
            [*head, *ends, *SUMMARY.values(), "from scratch", "runs"], _summary(rows, everywhere, scratch), left=3
        ),
        "openings": table([*other, *ends], _ends(curves[curves.opening != ""], "opening"), left=4),
        "retrieved": table([*head, *ends], _ends(watched), left=3),
        "refitted": table(
            ["run", "fine-tuned on", "when", "layer", *list(COLUMNS.values())[:5]],
            list(_before_and_after(groups, probe, target)), left=3,
        ),
    }  # fmt: skip


def _answers(rows: pd.DataFrame, chance: float) -> dict[str, Any]:
    """What targets answer where they may choose among all tokens, their own, or the source's."""
    answers = {name: transfer(rows, quantity) for quantity, name in AMONG.items()}
    answers = {name: curves[curves.opening == ""] for name, curves in answers.items()}
    if answers[AMONG["top1_translated"]].empty:
        return {}
    measured = rows[(rows.measure == "transfer") & rows.step.isna()].assign(run=lambda x: x.run + "/" + x.finetuning)
    lines = []
    for key, group in answers["all tokens"].groupby(KEYS, sort=False):
        for (quantity, among), curves in zip(AMONG.items(), answers.values(), strict=True):
            own, ratio = (part[(part[KEYS] == list(key)).all(axis=1)] for part in (curves, measured))
            ratio = ratio[ratio.quantity == "gain_ratio" + quantity.removeprefix("top1")]
            if key[1] != key[2]:
                lines.append([*key, among, *_means(own), over_runs(ratio), group.run.nunique()])
    head = ["run", "fine-tuned on", "language", "answered in", "before", "after", "gain / source's gain", "runs"]
    figure = transfer_figures.answer_curves(answers, chance)
    return {
        "answered": image(figure, "What targets answer"),
        "answers": table(head, lines, left=4),
    }


def _means(data: pd.DataFrame) -> list[Any]:
    """Over runs, at the first and at the last step."""
    ordered = data.sort_values("step").groupby("run").value
    return [share_of(ordered.first()), share_of(ordered.last())]


def _ends(data: pd.DataFrame, *more: str) -> list[list[Any]]:
    keys = [*KEYS[:2], *more, KEYS[2]]
    return [[*key, *_means(group)] for key, group in data.groupby(keys, sort=False)]


def _summary(rows: pd.DataFrame, curves: pd.DataFrame, scratch: pd.DataFrame) -> list[list[Any]]:
    measured = rows[(rows.measure == "transfer") & rows.step.isna()].assign(run=lambda x: x.run + "/" + x.finetuning)
    lines: list[list[Any]] = []
    for key, group in curves.groupby(KEYS, sort=False):
        own, control = ((part[KEYS] == list(key)).all(axis=1) for part in (measured, scratch))
        numbers = [over_runs(measured[own & (measured.quantity == name)]) for name in SUMMARY]
        label, source, language = key
        name = f"{language} (source)" if language == source else language
        lines.append([label, source, name, *_means(group), *numbers, _means(scratch[control])[1], group.run.nunique()])
    return lines


def _before_and_after(groups: Groups, probe: str, target: str) -> Iterator[list[Any]]:
    """The headline of probes fitted alike before and after each fine-tuning."""
    for label, runs in groups.items():
        children = [(run, child) for run in runs for child in run.finetunings]
        for source in dict.fromkeys(child.source for _, child in children):
            ends: dict[str, list[Headline]] = {"before": [], "after": []}
            for run, child in children:
                if child.source == source and (after := child.measure("probes")) is not None:
                    before = [measure for measure in run.measures if measure.folder == after.folder]
                    for when, measure in (("after", after), *(("before", measure) for measure in before)):
                        if (probe, target) in kinds(measure.rows):
                            ends[when].append(headline(measure.rows, probe, target))
            for when, heads in ends.items():
                if heads:
                    part = pd.DataFrame(heads)
                    layers = ", ".join(map(str, sorted(set(part.layer))))
                    yield [label, source, when, layers, *(share_of(part[name]) for name in list(COLUMNS)[:5])]
