"""Sections on exact legality, on states compared without probes, and on interventions."""

import pandas as pd

from mothello.report import measure_figures
from mothello.report.html import Markup, Text, figure, join, table, tag
from mothello.report.material import Material
from mothello.report.sections import MANY_LANGUAGES, cell
from mothello.report.statistics import estimate

_LEGALITY = {
    "top1": "strict", "top1_restricted": "own tokens only", "lenient": "either colour", "mass": "mass",
    "mass_own_tokens": "mass, own tokens", "mass_any_move": "on any move", "wrong_language": "wrong language",
    "malformed": "malformed",
}  # fmt: skip


def _over_seeds(rows: pd.DataFrame, digits: int = 3) -> Text | None:
    """Mean over seeds of the mean over what else differs."""
    return cell(estimate(rows.groupby("run").value.mean().tolist()), digits) if len(rows) else None


def exact_section(material: Material) -> Markup:
    """Legality of whole moves on more games, with exact probabilities. Empty where it was not measured."""
    data = material.tidy
    data = data[(data.measure == "legality") & data.ply.isna()]
    if data.empty:
        return Markup("")
    rows: list[list[object]] = []
    for regime, of in data.groupby("regime", sort=False):
        names = list(dict.fromkeys(of.language))
        for name in names if len(names) <= MANY_LANGUAGES else [f"mean of {len(names)}"]:
            own = of[of.language == name] if len(names) <= MANY_LANGUAGES else of
            trained, chance = own[own.control == "trained"], own[own.control == "chance"]
            values = [_over_seeds(trained[trained.quantity == quantity]) for quantity in _LEGALITY]
            rows.append([regime, name, *values, _over_seeds(chance)])
    caption = (
        "Greedy decoding of whole moves after every ply, and exact probabilities by the chain rule over a move's "
        "tokens. Strict, either colour: shares of the greedy moves. Mass: probability on legal moves. On any move: "
        "probability on moves of the language at all. Chance: a random empty square."
    )
    return table(["regime", "language", *_LEGALITY.values(), "chance"], rows, caption=caption, left=2)


def state_section(material: Material) -> Markup:
    """Alignment without probes. Empty where it was not measured."""
    data = material.tidy
    if not measure_figures.has(data, "alignment"):
        return Markup("")
    caption = (
        "Parallel states of two languages, layer by layer: mean over ordered pairs, every regime a colour; thin lines "
        "are single seeds. Within a ply, and at one ply, the position in the row explains nothing."
    )
    parts: list[Text] = [figure(measure_figures.state_curves(data), caption, "Alignment without probes, by layer")]
    rows: list[list[object]] = []
    of = data[data.measure == "embedding"]
    for (regime, control), group in of.groupby(["regime", "control"], sort=False):
        name = f"{regime}" if control == "trained" else f"{regime}, random weights"
        near, margin = (group[group.quantity == quantity] for quantity in ("neighbours", "margin"))
        best = near.groupby(["run", "source", "language"]).value.transform("max") == near.value
        row: list[object] = [name, *(_over_seeds(part[part["map"] == "identity"]) for part in (near, margin))]
        rows.append([*row, _over_seeds(near[best])])
    if rows:
        head = ["regime", "same move is nearest", "margin", "nearest, best map"]
        caption = (
            "Token embeddings of the moves without a shared token (a word's mean): how often the nearest "
            "move of the other language is the same one, and its cosine less that of the nearest other move."
        )
        parts.append(table(head, rows, caption=caption))
    return join(parts)


def causal_section(material: Material) -> Markup:
    """Interventions and patching. Empty where none was made."""
    data = material.tidy
    if not (measure_figures.has(data, "causal") or measure_figures.has(data, "patching")):
        return Markup("")
    lead = tag(
        "p",
        "Does the model use what the probes read? Above: a state is moved along the direction in which a linear probe "
        "of its own or of another language reads one disc as flipped or gone, after that layer and every later one; "
        "the model's likeliest moves, as many as are legal, are held against the edited board. Below: states of "
        "another game, read in the same or in another language, are put in place of the game's own, after that layer "
        "alone; the moves are held against the other game's board.",
    )
    drawing = measure_figures.causal_curves(data)
    caption = "False plus missed moves, a mean over cases and languages; fewer is better. Thin lines are single seeds."
    return join([lead, figure(drawing, caption, "Errors after interventions and patching, by layer")])
