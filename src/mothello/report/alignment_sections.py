"""Sections on what probes read: curves over layers, heat maps, example boards."""

from typing import Any

from mothello.othello.board import Board
from mothello.othello.notation import parse_game, svg_board
from mothello.report import figures, heatmaps
from mothello.report.html import Markup, Text, figure, join, paragraphs, share, table, tag
from mothello.report.material import Material
from mothello.report.runs import Run
from mothello.report.sections import cell
from mothello.report.statistics import headline

_COLUMNS = {
    "own": "own", "whole_board": "own, whole board", "cross": "cross", "cross_best_map": "cross, best map",
    "constant": "constant", "random_weights": "random weights", "shuffled": "shuffled",
}  # fmt: skip


def probe_section(material: Material) -> Markup:
    """Curves over layers for the headline's probe and the linear probe on mine and theirs; a table of all probes."""
    if not material.heads:
        return Markup("")
    pairs = [(material.probe, material.target)]
    measured = set(zip(material.headline.probe, material.headline.target, strict=True))
    pairs += [pair for pair in [("linear", "relative")] if pair in measured and pair not in pairs]
    parts: list[Text] = [
        figure(
            figures.layer_curves(material.alignment, probe, target),
            f"{probe} probe, {target} targets, by layer. Mean over languages and pairs; thin lines are single seeds.",
            f"Probe accuracy by layer, {probe} on {target} targets",
        )
        for probe, target in pairs
    ]
    rows = [
        [
            regime,
            probe,
            target,
            *(cell(row[k]) for k in _COLUMNS),
        ]
        for probe, target in dict.fromkeys(zip(material.headline.probe, material.headline.target, strict=True))
        for regime, row in headline(material.headline, probe, target).items()
    ]
    head = ["regime", "probe", "target", *_COLUMNS.values()]
    caption = (
        "Every probe at its own best non-final layer. Absolute: black, white, empty. Relative: mine, theirs, empty."
    )
    return join([*parts, table(head, rows, caption=caption, left=3)])


def map_section(material: Material) -> Markup:
    """Heat maps of every regime with at least two languages, on one colour scale."""
    data = material.alignment
    several = [regime for regime in material.heads if data[data.regime == regime].language.nunique() > 1]
    if not several:
        return paragraphs(["One language only: there is no pair to align."]) if material.heads else Markup("")
    limits = heatmaps.scale(data[(data.probe == material.probe) & (data.target == material.target)])
    parts: list[Text] = [
        tag(
            "p",
            "Four symmetries of the board leave the opening unchanged, so two languages with disjoint vocabularies can "
            "be aligned up to one of them. Upper row: the probe's reading against the true board. Lower row: against "
            "the best of the four images, named in the cell (id: identity, rot: half turn, main and anti: the "
            "diagonals; none: the pair is not aligned, that is, not above the 95% quantile of readings paired with "
            "other games and above the best constant). All maps share one colour scale.",
        ),
        *_agreement(material),
    ]
    for regime in several:
        parts += [tag("h3", regime), *_matrices(material, regime, limits)]
    return join(parts)


def _matrices(material: Material, regime: str, limits: tuple[float, float]) -> list[Markup]:
    """A heat map per layer; of many languages one per seed, reordered by symmetry class, with the classes in words."""
    data, what = material.alignment, f"{material.probe} probe, {material.target} colours"
    if data[data.regime == regime].language.nunique() <= heatmaps.MAX_LAYERWISE:
        drawing = heatmaps.alignment_maps(data, regime, material.probe, material.target, limits)
        return [figure(drawing, f"{regime}: {what}, mean over seeds.", f"Alignment matrices, {regime}")]
    parts = []
    for run in material.groups[regime]:
        head = (run.probe or {"headline": {}})["headline"].get(f"{material.probe}/{material.target}")
        if head is None:
            continue
        classes = head["classes"]
        own = data[data.run == str(run.path)]
        drawing = heatmaps.ordered_maps(own, material.probe, material.target, limits, classes["order"])
        caption = f"{regime}, seed {run.seed}: {what}, layer {head['layer']}. {class_sentence(classes)}"
        parts.append(figure(drawing, caption, f"Alignment matrices by symmetry class, {regime}, seed {run.seed}"))
    return parts


def class_sentence(classes: dict[str, Any]) -> str:
    """The symmetry classes of a model's languages, in words."""
    members = list(zip(classes["family"], classes["map"], strict=True))
    families = [f for f in dict.fromkeys(classes["family"]) if classes["family"].count(f) > 1]
    alone = len(members) - sum(classes["family"].count(f) for f in families)
    if not families:
        return "No two languages are aligned, under any map."
    blocks = sum(len({m for g, m in members if g == f}) for f in families)
    sizes = " and ".join(str(classes["family"].count(f)) for f in sorted(families))
    text = (
        f"Languages are ordered by symmetry class: {len(families)} famil{'y' if len(families) == 1 else 'ies'} "
        f"(of {sizes}) in {blocks} class{'es' if blocks > 1 else ''}"
    )
    text += f", {alone} aligned with none" if alone else ""
    return f"{text}; {share(classes['consistency'], 2)} of the aligned pairs have the map that the classes imply."


def _agreement(material: Material) -> list[Markup]:
    """What a perfect probe would read through a wrong map, per board size."""
    seen: dict[str, str] = {}
    for runs in material.groups.values():
        measure = runs[0].probe
        values = (measure or {}).get("image_agreement", {}).get(material.target)
        if values:
            listed = ", ".join(f"{name} {value:.3f}" for name, value in values.items() if name != "identity")
            seen.setdefault(runs[0].results["board"], listed)
    return [
        tag("p", f"A perfect reading through a wrong map would score, on {name}: {text}.")
        for name, text in seen.items()
    ]


def board_section(material: Material) -> Markup:
    """Example boards of one seed per regime: the truth, and readings by one probe from two languages."""
    parts: list[Text] = []
    for regime, runs in material.groups.items():
        examples = (runs[0].probe or {}).get("examples") or []
        parts += [tag("h3", regime)] if examples else []
        parts += [_example(runs[0], example) for example in examples]
    if not parts:
        return Markup("")
    lead = (
        "True boards and what one language's probe reads from each language. Red cells are misread; the red dot is the "
        "last move."
    )
    return join([tag("p", lead), *parts])


def _example(run: Run, example: dict[str, Any]) -> Markup:
    geometry = Board.of(int(run.results["board"].split("x")[0]))
    truth = example["truth"]
    last = geometry.moves[parse_game(example["game"], geometry)[-1]]
    boards = [_board(truth, truth, geometry, last, "truth")]
    for language, reading in example["readings"].items():
        boards.append(_board(reading, truth, geometry, last, f"read from {language}"))
    probe = f"{example['probe']} probe of {example['source']}, layer {example['layer']}"
    where = f"seed {run.seed}, after ply {example['ply']}; {probe}"
    return join([tag("p", tag("small", where)), tag("div", *boards, class_="boards")])


def _board(cells: list[int], truth: list[int], geometry: Board, last: int, label: str) -> Markup:
    wrong = [a != b for a, b in zip(cells, truth, strict=True)]
    right = len(truth) - sum(wrong)
    caption = label if cells is truth else f"{label}: {right} of {len(truth)} cells ({share(right / len(truth), 2)})"
    drawing = svg_board(cells, geometry, wrong=wrong, last=last, cell=24)
    return tag("figure", Markup(drawing), tag("figcaption", caption))
