"""Rows of the page's tables: a row per run, or per setting with its seeds summarized. scale.md.j2 picks the columns."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from studies import CRITERIA, PUBLISHED
from studies.data import MIRRORS, records
from studies.judge import (
    ATOMIC,
    NOT_RUN,
    Judged,
    judge,
    judged_change,
    judged_family,
    judged_pair,
    judged_unified,
    learned,
    same_board,
    winners,
)
from studies.numbers import decimal, interval, mean, measured, middle, out_of, over_seeds, text

Rows = list[dict[str, Any]]
Planned = Mapping[str, Sequence[int]]
SHARING = {"naive": "naive", "anchors": "8 anchors", "unified": "unified output"}


def summary(rows: pd.DataFrame, planned: Planned) -> dict[str, Any]:
    """The seeds of one setting, every number as text. Naive pairs, which fall into kinds, are given by their median."""
    naive = len(rows) > 1 and rows.sharing.eq("naive").all()
    known = rows[rows.probed]
    counts = {"below the bar": int((~rows.learned.astype(bool)).sum()), "not measured": int(rows.strict.isna().sum())}
    mark = ", ".join(f"{n} {what}" for what, n in counts.items() if n)
    return {
        **{name: middle(rows[name]) if naive else measured(rows, name) for name in ("raw", "best")},
        **{name: measured(rows, name) for name in ("own", "strict", "lenient", "legal")},
        **{name: mean(rows[name]) for name in ("constant", "orbit", "random_own", "random_across", "chance")},
        "layer": " ".join(str(int(layer)) for layer in sorted(rows.layer.dropna().unique())) or "-",
        "through": winners(rows),
        "runs": len(rows),
        "seeds": out_of(len(known), sum(len(planned.get(cell, ())) for cell in known.cell.unique())),
        "legality": f"{measured(rows, 'strict')} / {measured(rows, 'lenient')}{mark and f' ({mark})'}",
    }


def table_1(cells: pd.DataFrame, planned: Planned) -> Rows:
    """A row per published number that the study asks for or has runs for, and unified output, which has none."""
    rows: Rows = []
    for pair, published in PUBLISHED.table_1.items():
        group = cells[cells.pair == pair]
        for count, value in published.items():
            same = group[(group.anchors == count) & (group.sharing == ("anchors" if count else "naive"))]
            if same.empty and not planned.get(cell_of(pair, count)):
                continue
            shared = f"{count} anchor{'s' * (count > 1)}" if count else "naive"
            head = {"shown": f"{pair}, {shared}", "published": decimal(value, 2)}
            rows.append(head | summary(same, planned) | judged_pair(value, same)._asdict())
        unified = group[group.sharing == "unified"]
        if len(unified):
            head = {"shown": f"{pair}, unified output", "published": "aligned"}
            rows.append(head | summary(unified, planned) | judged_unified(unified)._asdict())
    return rows


def cell_of(pair: str, anchors: int) -> str:
    """The cell of Table 1 for a published number, such as split_anchor_2."""
    kind = pair.split(" + ")[1]
    return ("" if kind == "atomic" else f"{kind}_") + (f"anchor_{anchors}" if anchors else "naive")


def mirrors(cells: pd.DataFrame) -> Rows:
    """Runs whose anchors link a map of the group, that map in bold."""
    rows = records(cells[cells.link.isin(MIRRORS) & cells.probed])
    return [row | {row["link"]: f"**{decimal(row[row['link']])}**"} for row in rows]


def placements(cells: pd.DataFrame) -> Rows:
    """The probed runs of anchor_placement, by place."""
    return [row for name in CRITERIA.placement for row in records(cells[(cells.cell == name) & cells.probed])]


def families(cells: pd.DataFrame, planned: Planned) -> Rows:
    """Families of naive languages that the study asks for at this scale, compared with the published ones."""
    rows: Rows = []
    for count, seeds in sorted((int(name.removeprefix("naive_")), seeds) for name, seeds in planned.items() if seeds):
        same = cells[(cells.pair == f"{count} atomic") & (cells.sharing == "naive") & cells.probed]
        judged = Judged(NOT_RUN) if same.empty else Judged("-")
        if len(same) and count in PUBLISHED.families:
            judged = judged_family(same, count)
        numbers = {name: measured(same, name) for name in ("raw", "best", "own")}
        pairs = f"{same.aligned.sum():.0f} of {same.pairs.sum():.0f}" if len(same) else "-"
        head = {"count": count, "published": PUBLISHED.families.get(count, "-"), "pairs": pairs}
        rows.append(head | numbers | {"seeds": out_of(len(same), len(seeds))} | judged._asdict())
    return rows


def emergence(naive: pd.DataFrame) -> Rows:
    """Naive languages by their number, width and games."""
    rows: Rows = []
    for _, group in naive.groupby(["pairs", -naive.width, "games"]):
        first = group.iloc[0]
        each = first.games / (2 if first.pairs == 2 else int(first.pair.split()[0]))
        outcomes = ", ".join(map(_outcome, records(group.sort_values("seed"))))
        head = {"pair": first.pair, "games": f"{first.games:,}", "each": f"{each:,.0f}", "width": first.width}
        numbers = {"raw": middle(group.raw), "best": middle(group.best), "strict": mean(group.strict)}
        numbers["relative"] = middle(group.relative)
        rows.append(head | summary(group, {}) | numbers | {"own": mean(group.own), "outcomes": outcomes})
    return rows


def _outcome(row: Mapping[str, Any]) -> str:
    """Such as "main (partly) 74%" or "56 of 56 (identity 24, rot180 32) 99%"."""
    through = str(row["verdict"])
    if row["pairs"] > 2:
        through = f"{int(row['aligned'])} of {int(row['pairs'])}" + (f" ({text(row['maps'])})" if row["maps"] else "")
    far = f" {row['recovered']:.0%}" if row["winner"] != "none" else ""
    return f"{through}{far}{'' if row['learned'] else ' (below the bar)'}"


def finetunings(tuned: pd.DataFrame, planned: Planned) -> Rows:
    """A row per published curve of the cells that the study asks for, and per language of other families."""
    rows: Rows = []
    for kind, sharing in published_curves():
        group = tuned[(tuned.kind == kind) & (tuned.sharing == sharing)]
        seeds = planned.get(curve_cell(kind, sharing), ())
        for part, course in PUBLISHED.finetuning[kind][sharing].items() if len(group) or seeds else ():
            same = group[group.part == part]
            head = {"pair": kind, "sharing": SHARING[sharing], "part": part, "published": _course(*course)}
            numbers = _changes(same) | {"seeds": out_of(same.seed.nunique(), len(seeds))}
            rows.append(head | numbers | judged_change(same, course[1] - course[0])._asdict())
    others = tuned[~tuned.kind.isin(list(PUBLISHED.finetuning))]
    for _, same in others.groupby(["kind", "sharing", "part", "language"], sort=False):
        first = same.iloc[0]
        head = {"pair": first.kind, "sharing": SHARING.get(first.sharing, first.sharing), "published": "-"}
        head |= {"part": f"{first.part} ({first.language})", "seeds": same.seed.nunique(), "word": "-", "why": ""}
        rows.append(head | _changes(same))
    return rows


def published_curves() -> list[tuple[str, str]]:
    return [(kind, sharing) for kind, curves in PUBLISHED.finetuning.items() for sharing in curves]


def curve_cell(kind: str, sharing: str) -> str:
    """The study's cell of a published curve."""
    return f"{'' if kind == 'atomic' else f'{kind}_'}prefix_{'anchor_8' if sharing == 'anchors' else sharing}"


def _course(before: float, after: float, peak: float | None = None) -> str:
    high = f" (peak {decimal(peak)})" if peak is not None and peak > max(before, after) + 0.005 else ""
    return f"{decimal(before)} to {decimal(after)}{high}"


def _changes(rows: pd.DataFrame) -> dict[str, str]:
    means = {name: rows[name].mean() for name in rows if str(name).endswith(("before", "after", "peak"))}
    courses = {
        name: _course(*(means[f"{key}{end}"] for end in ("before", "after", "peak"))) if len(rows) else "-"
        for name, key in (("lenient", "lenient_"), ("strict", ""), ("own", "own_"))
    }
    change = interval(over_seeds(rows.lenient_after - rows.lenient_before))
    peak, wrong = decimal(means["peak"]), decimal(means["wrong_after"])
    return courses | {"change": change, "peak": peak, "wrong": wrong, "scratch": mean(rows.scratch)}


def openings(cells: pd.DataFrame) -> Rows:
    """Alignment of the atomic pairs that were pretrained on one opening, before they are fine-tuned."""
    rows = cells[(cells.opening != "") & cells.probed & (cells.pair == ATOMIC)]
    groups = [(group.iloc[0], group) for _, group in rows.groupby(["opening", "sharing"], sort=False)]
    return [
        {"opening": x.opening, "sharing": SHARING.get(x.sharing, x.sharing)} | summary(rows, {}) for x, rows in groups
    ]


def probe_errors(errors: pd.DataFrame, cell: str) -> Rows:
    """Error by layer of one cell, its random-weights control in brackets."""
    rows: Rows = []
    for probe, target in (("mlp", "absolute"), ("mlp", "relative"), ("linear", "absolute"), ("linear", "relative")):
        same = errors[(errors.cell == cell) & (errors.probe == probe) & (errors.target == target)]
        published = PUBLISHED.probe_errors[probe].get(target)
        row: dict[str, Any] = {"probe, colors": f"{probe}, {target}"}
        row["published, 8x8, layers 1-8"] = " ".join(map(decimal, published)) if published else "-"
        for layer, group in same.groupby("layer"):
            means = group.groupby("control").error.mean()
            row[f"layer {layer:.0f}"] = f"{decimal(means.get('trained'))} ({decimal(means.get('random_weights'))})"
        rows += [row] if len(same) else []
    return rows


def probe_claims(errors: pd.DataFrame, cells: pd.DataFrame, cell: str) -> Rows:
    """What was published about probes compared with ours: on the same board by number, else by order."""
    rows, cells = errors[errors.cell == cell], cells[cells.cell == cell]
    means = rows.groupby(["probe", "target", "control", "layer"]).error.mean()
    ours = means.groupby(level=["probe", "target", "control"]).min().to_dict()
    values = {key: ours[tuple(name.split())] for key, name in PUBLISHED.probe_names.items()}
    found: Rows = []
    for claim in PUBLISHED.probe_claims:
        numbers = [values[name] for name in claim["ours"]]
        ordered = min(numbers) == values[claim["less"]] and min(numbers) * CRITERIA.probes["factor"] < max(numbers)
        if same_board(cells):
            near = CRITERIA.within
            agrees = all(low - near <= values[name] <= high + near for name, (low, high) in claim["published"].items())
        else:
            agrees = ordered
        why = "the same order, at other distances" if min(numbers) == values[claim["less"]] else "the other order"
        judged = judge(learned=learned(cells), agrees=agrees, why=why)
        shown = {"published": claim["text"], "ours": " against ".join(map(decimal, numbers))}
        found.append(shown | {"seeds": rows.seed.nunique()} | judged._asdict())
    return [*found, *_small_board(cells, values["relative"])]


def _small_board(cells: pd.DataFrame, relative: float) -> Iterable[dict[str, Any]]:
    """What was published for 6x6: shares near 1, judged by their errors."""
    small = PUBLISHED.small_board
    cells = cells[cells.board == small["board"]]
    for share, claim in zip((cells.strict.mean(), 1 - relative), small["claims"] if len(cells) else (), strict=False):
        why = f"{cells.layers.iloc[0]} layers and {cells.games.iloc[0]:,} games, not {small['model']}"
        agrees = 1 - share <= CRITERIA.probes["share"] * (1 - claim["share"])
        judged = Judged(NOT_RUN) if pd.isna(share) else judge(learned=learned(cells), agrees=agrees, why=why)
        yield {"published": claim["text"], "ours": decimal(share), "seeds": len(cells)} | judged._asdict()


def legality(cells: pd.DataFrame) -> Rows:
    """Strict and lenient legality of every cell; of models of one opening also on their own training distribution."""
    groups = cells[cells.strict.notna()].groupby("cell", sort=False)
    rows = [{"cell": name} | summary(group, {}) | {"opened": group.opening.ne("").all()} for name, group in groups]
    return [row | {"own": row["legal"] if row["opened"] else "the same"} for row in rows]


def costs(rows: pd.DataFrame) -> Rows:
    """Per study: runs, minutes of each part per run, all minutes, memory. Runs shared by studies count in each."""
    found: Rows = []
    for name, study in rows.groupby("study", sort=False):
        row: dict[str, Any] = {"study": name, "runs": study.run.nunique(), "minutes": f"{study.seconds.sum() / 60:.0f}"}
        for part in ("training", "measures", "finetuning"):
            minutes = study.seconds.where(study.part == part, 0).groupby(study.run).sum() / 60
            low, high = f"{minutes.min():.1f}", f"{minutes.max():.1f}"
            row[part] = "-" if not minutes.any() else low if low == high else f"{low} to {high}"
        row |= {key: ", ".join(sorted(set(study[key].astype(str)))) for key in ("device", "threads")}
        found.append(row | {"memory": decimal(study.memory.max(), 1)})
    return found
