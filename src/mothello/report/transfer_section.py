"""The section on fine-tuning: curves, before / after / peak, alignment before and after."""

from typing import Any

import pandas as pd

from mothello.files import fingerprint
from mothello.report import figures
from mothello.report.html import Markup, Text, figure, join, share, table
from mothello.report.material import Material
from mothello.report.regimes import role
from mothello.report.sections import cell
from mothello.report.statistics import estimate


def transfer_section(material: Material) -> Markup:
    """Empty without a fine-tuning."""
    if material.transfer.empty:
        return Markup("")
    chance = float(material.legality.chance.mean())
    caption = (
        "Strict top-1 legality of every language while the model is fine-tuned on one; thin lines are single seeds. "
        "Dashed: the same fine-tuning of a model with random weights."
    )
    parts: list[Text] = [figure(figures.transfer_curves(material.transfer, chance), caption, "Transfer curves")]
    parts.append(_summary(material))
    parts += [_openings(material), _alignment(material), _along(material)]
    return join(parts)


def _grouped(material: Material) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Fine-tunings by regime and source language, over seeds; those of other settings apart, with their settings."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for regime, runs in material.groups.items():
        transfers = [transfer for run in runs for transfer in run.transfers]
        for transfer in transfers:
            alike = {_setting(other) for other in transfers if other["source"] == transfer["source"]}
            label = transfer["source"] + (f", {_setting(transfer)}" if len(alike) > 1 else "")
            groups.setdefault((regime, label), []).append(transfer)
    return groups


def _setting(transfer: dict[str, Any]) -> str:
    """What tells fine-tunings apart that are no seeds of one another."""
    settings = dict((transfer.get("config") or {}).get("transfer") or {})
    settings.pop("source", None)
    return f"{transfer['games']:,} games ({fingerprint(settings)})"


def _summary(material: Material) -> Markup:
    rows = []
    for (regime, label), transfers in _grouped(material).items():
        source = transfers[0]["source"]
        for language in transfers[0]["languages"]:
            found = [t["summary"][language] for t in transfers if language in t["summary"]]
            row: list[Text | None] = [regime, label, language + (" (source)" if language == source else "")]
            row += [cell(estimate([x[key] for x in found])) for key in ("before", "after", "peak")]
            row.append(f"{estimate([x['gain'] for x in found]).mean:+.3f}")
            ratios = [x["gain_ratio"] for x in found if x.get("gain_ratio") is not None]
            row.append(share(sum(ratios) / len(ratios), 2) if ratios else None)
            row += [_digits(_mean(found, key)) for key in ("forgetting", "scratch")]
            rows.append([*row, str(len(found))])
    head = [
        "regime", "fine-tuned on", "language", "before", "after", "peak", "gain", "gain / source's gain", "forgotten",
        "from scratch", "runs",
    ]  # fmt: skip
    caption = (
        "Strict top-1 legality before and after fine-tuning. Forgotten: the peak less what is left. From scratch: "
        "after the same fine-tuning of random weights. A dash: the source itself gained nothing or is meant, or it was "
        "not measured."
    )
    return table(head, rows, caption=caption, left=3)


def _watched(material: Material) -> pd.DataFrame:
    """The tidy tables of all fine-tunings, with their regime and run."""
    parts = [
        t["table"].assign(regime=regime, run=f"{run.path}/{t['folder']}")
        for regime, runs in material.groups.items()
        for run in runs
        for t in run.transfers
    ]
    data = pd.concat(parts, ignore_index=True)
    return data[(data.measure == "transfer") & (data.control == "trained")]


def _ends(data: pd.DataFrame) -> list[str | None]:
    """Means over runs before and after: at the first and at the last step."""
    ordered = data.sort_values("step").groupby("run").value
    return [f"{found.mean():.3f}" for found in (ordered.first(), ordered.last())]


def _openings(material: Material) -> Markup:
    """Legality on the openings asked for, before and after."""
    data = _watched(material)
    data = data[(data.quantity == "top1") & (data.opening != "")]
    keys = ["regime", "source", "opening", "language"]
    rows = [[*key, *_ends(group)] for key, group in data.groupby(keys, sort=False)]
    if not rows:
        return Markup("")
    head = ["regime", "fine-tuned on", "games that begin", "language", "before", "after"]
    return table(head, rows, caption="Strict top-1 legality on held-out games of one opening.", left=4)


def _along(material: Material) -> Markup:
    """Retrieval of the other languages' states by the source's, along the fine-tuning."""
    data = _watched(material)
    data = data[data.quantity == "retrieval_same_ply"]
    rows = [[*key, *_ends(group)] for key, group in data.groupby(["regime", "source", "language"], sort=False)]
    if not rows:
        return Markup("")
    data = data.assign(role=[role(material.groups[regime][0]) for regime in data.regime])
    caption = (
        "The source's states at the middle layer find those of another language among states at the same ply (P@1)."
    )
    drawing = figures.retrieval_along(data)
    head = ["regime", "fine-tuned on", "language", "before", "after"]
    return join([figure(drawing, caption, "Alignment along the fine-tuning"), table(head, rows, left=3)])


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


def _digits(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"


def _mean(rows: list[dict[str, Any]], name: str) -> float | None:
    values = [row[name] for row in rows if row.get(name) is not None]
    return estimate(values).mean if values else None
