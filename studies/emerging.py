"""The page of Conneau et al. 2020: which parts must two languages share?"""

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mothello.report.style import INK, LANGUAGE_COLORS, MUTED, canvas, legend_below, title
from studies import CRITERIA, PAPERS
from studies.numbers import percent
from studies.paper import TASK, Claim, Found, Page, means

LIMITS = CRITERIA.papers
TASKS = (TASK, "winner", "flips")
BASE = "shared"
DISTANCES = {"renamed": "", "compositional": "compositional_", "re-ordered": "reordered_"}
"""Of the second language, and how its cells' names begin."""
APART = {0: "shared", 2: "apart_2", 3: "apart_3"}
"""Layers apart, and the cell of each distance; of renamed languages one layer, too."""
OTHERS = {
    "no_anchors": "no anchors", "switched": "switched words", "shared_domain_half": "near domain",
    "shared_domain": "far domain", "apart_positions": "positions apart", "apart_head": "head apart",
    "apart_embeddings": "tokens apart", "apart_tokens": "both, no anchors",
}  # fmt: skip


def curve(found: Found, distance: str) -> dict[int, float]:
    """What is followed by the number of layers apart."""
    cells = {n: DISTANCES[distance] + name for n, name in APART.items()} | (
        {1: "apart_1"} if distance == "renamed" else {}
    )
    known = {n: found.mean(name, "follows") for n, name in sorted(cells.items())}
    return {n: value for n, value in known.items() if value is not None}


def answer(found: Found) -> str:
    known, parts = curve(found, "renamed"), []
    names = {0: "no layer", 1: "one layer", 2: "two layers", 3: "three layers"}
    if known:
        listed = ", ".join(f"{percent(value)} with {names[n]}" for n, value in known.items())
        parts.append(f"Of what the taught language gains, the other gains {listed} of four apart")
    if {0, 2, 3} <= set(known):
        appears = "appears" if cliff(known[0], known[2], known[3]) else "does not appear"
        parts.append(f"The cliff after the second layer {appears}")
    base, without = found.mean(BASE, "follows"), found.mean("no_anchors", "follows")
    if base is not None and without is not None:
        much = "more" if base - without > LIMITS["anchors"] else "no more"
        parts.append(f"Without anchors it gains {percent(without)}: anchors matter {much} than predicted")
        parts += _mirrored(found, "no_anchors")
    curves = {name: curve(found, name) for name in DISTANCES}
    ends = {name: (values[0], values[3]) for name, values in curves.items() if {0, 3} <= set(values)}
    if len(ends) > 1:
        left = ", ".join(f"{percent(last)} ({name}, of {percent(first)})" for name, (first, last) in ends.items())
        little = [name for name, (first, _) in ends.items() if first < LIMITS["follows"]]
        told = f" (of {' and '.join(little)} languages little follows that could be lost)" if little else ""
        parts.append(f"Three layers apart leave {left}{told}")
    return f"{'. '.join(parts) or 'No model was taught a task yet'}."


def _mirrored(found: Found, cell: str) -> list[str]:
    """Whether languages that are alike through a map of the opening alone look unlike: one part, or none."""
    ends = ("retrieval", "retrieval_best_map", "pointer")
    raw, best, pointer = (found.mean(cell, column) for column in ends)
    if raw is None or best is None or pointer is None or best - raw <= LIMITS["alike"]:
        return []
    text = (
        f"But {percent(best)} of their states find their like through a map of the opening ({percent(raw)} as they are)"
    )
    return [f"{text}, and of the pointer, which a mirror changes less, {percent(pointer)} follow"]


def figure(found: Found) -> Figure:
    """Follows by layers apart, a line per distance; below, what else differs from the default."""
    drawn, (above, below) = canvas(1, 6.2, 2, width=6.2)
    for (name, start), color, marker in zip(DISTANCES.items(), LANGUAGE_COLORS, "os^", strict=False):
        known = curve(found, name)
        above.plot(list(known), list(known.values()), color=color, marker=marker, label=name)
        for n in known:
            cell = "apart_1" if n == 1 else start + APART[n]
            values = found.of(cell, "follows").follows
            above.scatter([n] * len(values), values, s=14, color=color, alpha=0.6)
    title(above, "Layers of each language's own, of four")
    above.set(xlabel="layers apart", ylabel="the other's gain / the source's")
    above.set_xticks(range(4))
    _bars(below, found)
    legend_below(drawn, [above])
    return drawn


def _bars(axis: Axes, found: Found) -> None:
    base = found.mean(BASE, "follows")
    for place, name in enumerate(reversed(OTHERS)):
        values = found.of(name, "follows").follows - (base or 0.0)
        if base is not None and len(values):
            axis.barh(place, values.mean(), color=LANGUAGE_COLORS[0], alpha=0.6, height=0.55)
            axis.scatter(values, [place] * len(values), s=14, color=INK, zorder=3)
    axis.axvline(0, color=MUTED, linewidth=1)
    axis.set_yticks(range(len(OTHERS)), list(reversed(OTHERS.values())))
    axis.set(xlabel="difference to the default (four anchors, nothing apart)")
    title(axis, "What else differs, renamed languages")


def columns(found: Found, cell: str) -> Mapping[str, object]:
    published = PAPERS["emerging"]["cells"].get(cell)
    shown = " ".join("+" * (x > 0) + plain_points(x) for x in published) if published else "-"
    ours: dict[str, object] = {}
    for task in TASKS:
        ours[f"{task}: follows"] = found.shown(cell, "follows", task)
        ours[f"{task}: difference"] = found.difference(cell, BASE, "follows", task)
        if task == TASK:
            ours["pointer: follows"] = found.shown(cell, "pointer")
    return {"published XNLI NER LAS": shown, **ours}


def plain_points(value: float) -> str:
    """-22.6, .3"""
    return f"{value:.1f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.1f}"


def cliff(none: float, two: float, three: float) -> bool:
    """Whether something is lost from two layers apart to three, and more than from none to two."""
    return two - three > max(0.0, none - two)


def distances(found: Found) -> list[dict[str, str]]:
    return [
        {"cell": cell} | {name: found.shown(start + cell, "follows") for name, start in DISTANCES.items()}
        for cell in ("shared", "no_anchors", "apart_2", "apart_3")
    ]


CLAIMS = {
    "18.1": Claim(["shared", "no_anchors"], means(lambda a, b: a - b <= LIMITS["anchors"])),
    "18.2": Claim(["shared", "switched"], means(lambda a, b: b >= a - LIMITS["switched"])),
    "18.3": Claim(list(APART.values()), means(cliff)),
    "18.4": Claim(["no_anchors", "apart_tokens"], means(lambda a, b: abs(a - b) <= LIMITS["alike"])),
    "18.5": Claim(["shared", "compositional_shared", "reordered_shared"], means(lambda a, b, c: a >= b >= c)),
    "18.6": Claim(["shared", "shared_domain_half", "shared_domain"], means(lambda a, b, c: a > b > c)),
    "18.7": Claim(
        ["shared", "apart_head", "no_anchors", "apart_embeddings"],
        means(
            lambda shared, head, none, tokens: (
                abs(head - shared) <= LIMITS["anchors"] and tokens <= none + LIMITS["alike"]
            )
        ),
    ),
}
PAGE = Page("emerging", answer, figure, columns, CLAIMS, {"distances": distances})
