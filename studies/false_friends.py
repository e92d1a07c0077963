"""The page of Schaefer et al. 2024: do shared words help or harm, where some of them mean another move?"""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from mothello.report.style import LANGUAGE_COLORS, MUTED, canvas, legend_below, title
from studies import PAPERS
from studies.numbers import decimal
from studies.paper import TASK, Claim, Found, Outcome, Page, Section, each_run, every

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
    for overlap, name in OVERLAPS.items():
        known = [(share, found.mean(cell, "follows")) for share, cell in cells_at(found, overlap).items()]
        shown = [f"{decimal(value, 2)} ({share:.0%} true)" for share, value in known if value is not None]
        parts += [f"{name} {', '.join(shown)}"] if shown else []
    base = found.mean(BASE, "follows")
    head = f"Without a shared word the other language gains {decimal(base, 2)} of what the one gains that is taught" if base is not None else ""
    listed = f"With words {'; '.join(parts)}" if parts else ""
    return ". ".join(part for part in (head, listed) if part) + "." if head or listed else "Nothing was learned yet."


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
        **{f"{task}, difference": found.difference(cell, BASE, "follows", task) for task in (TASK, "flips")},
        "follows: bracket / flips": f"{found.shown(cell, 'follows')} / {found.shown(cell, 'follows', 'flips')}",
    }  # fmt: skip


def grid(found: Found) -> list[dict[str, object]]:
    """Follows and raw accuracy by overlap and meaning."""
    rows = []
    for overlap, name in OVERLAPS.items():
        cells = cells_at(found, overlap)
        shown = {
            f"{share:.0%} true: {head}": found.shown(cells[share], column) if share in cells else "-"
            for share in MEANING.values()
            for head, column in (("follows", "follows"), ("raw", "raw"))
        }
        rows.append({"words": name, **shown})
    return rows


def more_true(found: Found, cells: Sequence[str]) -> tuple[str, Outcome]:
    """20.2, overlap by overlap."""
    outcomes, shown = list[Outcome](), []
    for overlap, name in OVERLAPS.items():
        values = [found.mean(cell, "follows") for cell in cells_at(found, overlap).values()]
        known = [value for value in values if value is not None]
        rising = all(a < b for a, b in zip(known, known[1:], strict=False))
        outcomes.append(False if not rising else None if None in values else True)
        shown += [f"{name} {' '.join(map(decimal, known))}"] if known else []
    return "; ".join(shown) or "-", every(outcomes)


FALSE = [f"shared_{overlap}_false" for overlap in OVERLAPS]
CLAIMS = [
    Claim("20.1 where all shared words mean the same, pairs are aligned under the identity on all seeds",
          ["shared_25_true", "shared_50_true"], each_run(lambda run: run.winner == "identity", "winner"), "winner"),
    Claim("20.2 at each overlap the target follows more the larger the share of shared words that mean the same",
          ["shared_25_true", "shared_25_half", "shared_50_true", "shared_50_half", "shared_all_half", *FALSE], more_true),
    Claim("20.3 where none of them does, no pair is aligned under the identity",
          FALSE, each_run(lambda run: not run.maps.get("identity"), "winner"), "winner"),
]  # fmt: skip
PAGE = Page(
    "false_friends", "Do shared words help or harm, where some of them mean another move?", 20, answer, figure,
    "What the other language gains of bracket as a share of the source's gain, and cells that probes of one language read in the other, by the "
    "share of shared words that mean the same move. A point is a seed.",
    columns, CLAIMS,
    lambda found: [Section("By overlap and meaning", "Follows of the task `bracket`, and cells read across languages as they are.", grid(found))],
    [
        "The models are causal: skill is the share of legal moves. A word that means different moves in both languages says which is meant by its "
        "company alone, so a legal move is a harder question with false friends.",
        "*Excess nats*: the loss above what no model can go below, the logarithm of the perplexity above the best possible one. Published "
        "perplexities have no such floor, so only their order is to be compared.",
        "Published words all mean the same (clones); false friends were not published.",
    ],
)  # fmt: skip
