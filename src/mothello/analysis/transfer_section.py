"""The section on fine-tuning: curves, before / after / peak, alignment before and after."""

from typing import Any

from mothello.analysis import figures
from mothello.analysis.html import Markup, Text, figure, join, share, table
from mothello.analysis.material import Material
from mothello.analysis.statistics import estimate


def transfer_section(material: Material) -> Markup:
    """Empty without a fine-tuning."""
    if material.transfer.empty:
        return Markup("")
    chance = float(material.legality.chance.mean())
    caption = (
        "Strict top-1 legality of every language while the model is fine-tuned on one; thin lines are single seeds."
    )
    parts: list[Text] = [figure(figures.transfer_curves(material.transfer, chance), caption, "Transfer curves")]
    parts.append(_summary(material))
    parts.append(_alignment(material))
    return join(parts)


def _grouped(material: Material) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Fine-tunings by regime and source language, over seeds."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for regime, runs in material.groups.items():
        for run in runs:
            for transfer in run.transfers:
                groups.setdefault((regime, transfer["source"]), []).append(transfer)
    return groups


def _summary(material: Material) -> Markup:
    rows = []
    for (regime, source), transfers in _grouped(material).items():
        for language in transfers[0]["languages"]:
            found = [t["summary"][language] for t in transfers if language in t["summary"]]
            row: list[Text | None] = [regime, source, language + (" (source)" if language == source else "")]
            row += [f"{estimate([x[key] for x in found]).mean:.3f}" for key in ("before", "after", "peak")]
            row.append(f"{estimate([x['gain'] for x in found]).mean:+.3f}")
            ratios = [x["gain_ratio"] for x in found if x.get("gain_ratio") is not None]
            row.append(share(sum(ratios) / len(ratios), 2) if ratios else None)
            rows.append([*row, str(len(found))])
    head = ["regime", "fine-tuned on", "language", "before", "after", "peak", "gain", "gain / source's gain", "runs"]
    caption = (
        "Strict top-1 legality before and after fine-tuning. A dash: the source itself gained nothing, or is meant."
    )
    return table(head, rows, caption=caption, left=3)


def _alignment(material: Material) -> Markup:
    key, rows = f"{material.probe}/{material.target}", []
    for (regime, source), transfers in _grouped(material).items():
        for when in ("before", "after"):
            found = [t["alignment"][when]["headline"].get(key) for t in transfers if when in t.get("alignment", {})]
            present = [row for row in found if row is not None]
            if present:
                layers = ", ".join(str(x) for x in sorted({row["layer"] for row in present}))
                values = [_mean(present, name) for name in ("own", "cross", "cross_best_map", "constant")]
                rows.append([regime, source, when, layers, *map(share, values)])
    if not rows:
        return Markup("")
    head = ["regime", "fine-tuned on", "when", "layer", "own", "cross", "cross, best map", "constant"]
    caption = (
        f"Alignment before and after fine-tuning: {material.probe} probe, {material.target} colours, fitted anew each "
        "time; the size of these probes is the fine-tuning's own setting and may be below that of the headline's."
    )
    return table(head, rows, caption=caption, left=3)


def _mean(rows: list[dict[str, Any]], name: str) -> float | None:
    values = [row[name] for row in rows if row.get(name) is not None]
    return estimate(values).mean if values else None
