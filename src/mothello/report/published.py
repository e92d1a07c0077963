"""The published numbers beside ours. Source of what is published: Hua, Yun, Pavlick, Findings of NAACL 2024."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from mothello.report.html import Markup, join, share, table, tag
from mothello.report.material import Material
from mothello.report.regimes import anchors, role
from mothello.report.runs import Run
from mothello.report.statistics import estimate

SOURCE = "Hua, Yun, Pavlick, Findings of NAACL 2024, arXiv 2404.12444"
LINK = "https://arxiv.org/abs/2404.12444"

TABLE_1 = {
    "atomic + atomic": {0: ".53", 1: ".82", 2: ".97", 4: ".97"},
    "atomic + split": {0: ".47", 1: ".47", 2: ".73", 4: ".97"},
    "atomic + compositional": {0: ".51", 1: ".59", 2: ".67", 4: ".97"},
}
"""Alignment accuracy of two languages at layer 6 by number of anchors."""

TRANSFER = {
    ("atomic", "naive"): "92 to 99.7 / 91 to 89.6",
    ("atomic", "anchor"): "90.7 to 99.6 / 90 to 70.7",
    ("atomic", "unified"): "90.8 to 99.1 / same as source",
    ("split", "naive"): "81 to 98.3 / 88.8 to 35",
    ("split", "anchor"): "80.7 to 98 / 85.5 to 60",
    ("split", "unified"): "91.5 to 99.6 / 91.8 to 89.2 (peak 95.7)",
    ("compositional", "naive"): "81.7 to 98 / 82 to 45",
    ("compositional", "anchor"): "77.5 to 98 / 80 to 64",
    ("compositional", "unified"): "93 to 99.5 / 82.8 to 87.3 (peak 92.8)",
}
"""Top-1 legality in per cent, source / target, read off plots (+-0.5), 8 anchors; legal for either colour."""


class Row(NamedTuple):
    """One published number beside ours, and what differs."""

    what: str
    published: str
    ours: str
    differs: str


def published_section(material: Material) -> Markup:
    """The table, with its source."""
    rows = [row for regime, runs in material.groups.items() for row in _rows(material, regime, runs)]
    rows += _symmetry_rows(material)
    if not rows:
        return Markup("")
    link = tag("a", SOURCE, href=LINK)
    lead = tag(
        "p",
        "Published: ",
        link,
        ", unless a row names another source. What is published was measured at another scale.",
    )
    body = [[row.what, row.published, row.ours, row.differs] for row in rows]
    return join([lead, table(["quantity", "published", "here", "what differs"], body, left=4)])


def differences(run: Run) -> str:
    """The scale of a run where it is not the published one."""
    settings, model = run.results, run.config.get("model") or {}
    found = []
    if settings["board"] != "8x8":
        found.append(f"{settings['board']} board, not 8x8")
    if model.get("n_layer") != 8 or model.get("d_model") != 512:
        found.append(f"{model.get('n_layer')} layers of width {model.get('d_model')}, not 8 of 512")
    found.append(f"{settings['games']:,} games seen, not 20 M x 9")
    return "; ".join(found)


def _pair(run: Run) -> str:
    kinds = sorted((x["kind"] for x in run.results["languages"]), key=lambda kind: (kind != "atomic", kind))
    return " + ".join(kinds)


def _rows(material: Material, regime: str, runs: Sequence[Run]) -> list[Row]:
    rows, run = [], runs[0]
    values = material.heads.get(regime)
    if values is not None and values["own"] is not None:
        layer = ", ".join(str(x) for x in sorted(set(material.layers(regime))))
        here = f"{values['own'].mean:.3f} (layer {layer})"
        rows.append(Row(f"{regime}: own language, {material.probe} probe", ".95-.97 (layer 6)", here, differences(run)))
        if values["cross"] is not None:
            best = values["cross_best_map"]
            here = f"{values['cross'].mean:.3f}" + (f" (best map {best.mean:.3f})" if best else "")
            text, note = _alignment(run)
            rows.append(Row(f"{regime}: cross accuracy, {_pair(run)}", text, here, f"{differences(run)}; {note}"))
    label = regime if len(runs) == 1 else f"{regime}, seed {run.seed}"
    return rows + [_transfer(label, run, transfer) for transfer in run.transfers] + _legality(regime, runs)


def _alignment(run: Run) -> tuple[str, str]:
    """The published value for a run's regime and languages, and a note on it."""
    kind, pair, count = role(run), _pair(run), anchors(run)
    if kind == "unified":
        return "aligned (no value in Table 1)", "the best non-final layer, not layer 6"
    if len(run.languages) != 2 and kind == "naive":
        return ".53-.63 (5 languages), .53 or .61 between blocks (20)", "the best non-final layer, not layer 6"
    value = TABLE_1.get(pair, {}).get(count)
    note = "the best non-final layer, not layer 6"
    if kind == "anchor":
        placement = ((run.config.get("languages") or {}).get("anchors") or {}).get("placement")
        note += f"; {count} anchors, placement {placement}" if placement else f"; {count} anchors"
    return value or "no value for these languages", note


def _transfer(regime: str, run: Run, transfer: dict[str, Any]) -> Row:
    """Before and after of source and first target, strict and for either colour."""
    source = transfer["source"]
    targets = [name for name in transfer["languages"] if name != source][:1]
    lines = [line for line in transfer["metrics"] if f"val/{source}/lenient" in line]

    def change(name: str) -> str:
        row = transfer["summary"][name]
        text = f"{100 * row['before']:.1f} to {100 * row['after']:.1f}"
        if lines:
            ends = [100 * line[f"val/{name}/lenient"] for line in (lines[0], lines[-1])]
            text += f" (either colour {ends[0]:.1f} to {ends[1]:.1f})"
        return text

    # the published curves pair an atomic source with a language of the named kind
    others = [x["kind"] for x in run.results["languages"] if x["name"] != source] or ["atomic"]
    published = TRANSFER.get((others[0], role(run)), "no such pair")
    prefix = (run.config.get("data") or {}).get("prefix")
    note = "pretrained on one opening, as published" if prefix else "pretrained on all openings, not on d3 c3 b3 alone"
    here = " / ".join(change(name) for name in [source, *targets])
    differs = f"{note}; {transfer['games']:,} fine-tuning games, not 102,400 x 4; {differences(run)}"
    return Row(f"{regime}: fine-tuned on {source}, top-1 legality %, source / target", published, here, differs)


def _legality(regime: str, runs: Sequence[Run]) -> list[Row]:
    """The one published legality on a small board."""
    run = runs[0]
    if run.results["board"] != "6x6":
        return []
    strict, lenient = (estimate([x.results["final"][f"val/{key}"] for x in runs]).mean for key in ("top1", "lenient"))
    here = f"{100 * strict:.2f} strict, {100 * lenient:.2f} either colour"
    differs = f"earlier work, one language, 8 layers of width 256, 2 M games; here {len(run.languages)} languages, "
    differs += f"{run.config.get('model', {}).get('n_layer')} layers, {run.results['games']:,} games seen"
    return [Row(f"{regime}: legal next moves on 6x6, %", "99.97", here, differs)]


def _symmetry_rows(material: Material) -> list[Row]:
    """The levels of unaligned pairs beside the agreement of a board with its images."""
    for runs in material.groups.values():
        values = ((runs[0].probe or {}).get("image_agreement") or {}).get("absolute")
        if values:
            name = runs[0].results["board"]
            here = ", ".join(f"{key} {share(value)}" for key, value in values.items() if key != "identity")
            differs = f"ours is the agreement of {name} boards with their images, not a model's number"
            if name != "8x8":
                differs += "; on 8x8 it is .526 (half turn) and .612 (diagonals)"
            return [Row("levels between blocks of naive languages", ".53 and .61", here, differs)]
    return []
