"""The page of Schaefer et al. 2024: do shared words help or harm, where some of them mean another move?"""

from collections.abc import Mapping, Sequence
from itertools import pairwise, product

from matplotlib.figure import Figure

from mothello.report.style import LANGUAGE_COLORS, MUTED, canvas, legend_below, title
from studies import PAPERS
from studies.numbers import decimal, percent
from studies.paper import TASK, Claim, Found, Outcome, Page, each_run, every

OVERLAPS = {"25": "a quarter shared", "50": "half shared", "all": "all shared"}
MEANING = {"false": 0.0, "half": 0.5, "true": 1.0}
"""End of a cell's name -> share of the shared words that mean the same move."""
BASE = "naive"


def cells_at(found: Found, overlap: str) -> dict[float, str]:
    """Cells of an overlap by the share of same meaning."""
    names = {share: f"shared_{overlap}_{name}" for name, share in MEANING.items()}
    return {share: name for share, name in names.items() if name in found.planned}


def answer(found: Found) -> str:
    parts = []
    if (base := found.mean(BASE, "follows")) is not None:
        parts.append(f"without a shared word {percent(base)}")
    for overlap, name in OVERLAPS.items():
        known = {share: found.mean(cell, "follows") for share, cell in cells_at(found, overlap).items()}
        shown = [f"{percent(x)} ({percent(share)} true)" for share, x in reversed(known.items()) if x is not None]
        parts += [f"with {name} {', '.join(shown)}"] if shown else []
    head = "Of what the taught language gains, the other gains"
    return f"{head}: {'; '.join(parts)}." if parts else "No model was taught a task yet."


def figure(found: Found) -> Figure:
    """Follows, and cells read across, by the share of shared words that mean the same; a line per overlap."""
    drawn, axes = canvas(1, 6.2, 2, width=6.2, sharex=True)
    for axis, column in zip(axes, ("follows", "raw"), strict=True):
        for (overlap, name), color, marker in zip(OVERLAPS.items(), LANGUAGE_COLORS, "os^", strict=False):
            cells = cells_at(found, overlap)
            known = {share: value for share, cell in cells.items() if (value := found.mean(cell, column)) is not None}
            axis.plot(list(known), list(known.values()), color=color, marker=marker, label=name)
            for share in known:
                values = found.of(cells[share], column)[column]
                axis.scatter([share] * len(values), values, s=14, color=color, alpha=0.6)
        if (base := found.mean(BASE, column)) is not None:
            axis.axhline(base, color=MUTED, linewidth=1.1, linestyle=(0, (4, 3)), label="no shared word")
    title(axes[0], "What transfers")
    axes[0].set(ylabel="the other's gain / the source's")
    title(axes[1], "How alike the languages are")
    axes[1].set(ylabel="cells read across, as they are", xlabel="shared words that mean the same")
    axes[1].set_xticks(list(MEANING.values()), [f"{share:.0%}" for share in MEANING.values()])
    legend_below(drawn, axes, columns=4)
    return drawn


def columns(found: Found, cell: str) -> Mapping[str, object]:
    paper = PAPERS["false_friends"]
    share = paper["cells"].get(cell)
    return {
        "published perplexity": f"{paper['perplexity'][share]:.1f}" if share is not None else "-",
        "excess nats": found.shown(cell, "excess"), "difference to naive": found.difference(cell, BASE, "excess"),
        **{f"{task}: follows": found.shown(cell, "follows", task) for task in (TASK, "flips")},
        **{f"{task}: difference": found.difference(cell, BASE, "follows", task) for task in (TASK, "flips")},
    }  # fmt: skip


def grid(found: Found) -> list[dict[str, str]]:
    rows = []
    for overlap, name in OVERLAPS.items():
        cells, row = cells_at(found, overlap), {"words": name}
        for share, (column, head) in product(MEANING.values(), {"follows": "follows", "raw": "across"}.items()):
            row[f"{share:.0%} true: {head}"] = found.shown(cells[share], column) if share in cells else "-"
        rows.append(row)
    return rows


def more_true(found: Found, cells: Sequence[str]) -> tuple[str, Outcome]:
    """20.2, overlap by overlap."""
    outcomes, shown = list[Outcome](), []
    for overlap, name in OVERLAPS.items():
        values = [found.mean(cell, "follows") for cell in cells_at(found, overlap).values()]
        known = [value for value in values if value is not None]
        rising = all(a < b for a, b in pairwise(known))
        outcomes.append(False if not rising else None if None in values else True)
        shown += [f"{name} {' '.join(map(decimal, known))}"] if known else []
    return "; ".join(shown) or "-", every(outcomes)


FALSE = [f"shared_{overlap}_false" for overlap in OVERLAPS]
MIXED = ["shared_25_true", "shared_25_half", "shared_50_true", "shared_50_half", "shared_all_half", *FALSE]
CLAIMS = {
    "20.1": Claim(
        ["shared_25_true", "shared_50_true"], each_run(lambda run: run.winner == "identity", "winner"), "winner"
    ),
    "20.2": Claim(MIXED, more_true),
    "20.3": Claim(FALSE, each_run(lambda run: not run.maps.get("identity"), "winner"), "winner"),
}
PAGE = Page("false_friends", answer, figure, columns, CLAIMS, {"grid": grid})
