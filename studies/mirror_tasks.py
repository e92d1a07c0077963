"""The page of the question that mirror anchors ask of Hua et al. 2024: does a skill follow through a mirror?"""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from mothello.report.style import LANGUAGE_COLORS, MUTED, canvas, legend_below, title
from studies import CRITERIA
from studies.numbers import decimal, percent
from studies.paper import Claim, Found, Outcome, Page, every, means

LIMITS = CRITERIA.papers
BASE = "anchor_4"
MIRRORS = ["mirror_rot180", "mirror_main", "mirror_anti"]
GROUPS = {
    "true anchors": ["anchor_1", "anchor_2", "anchor_4"], "unified output": ["unified"], "mirror anchors": MIRRORS,
}  # fmt: skip
MOVED = ("follows_moved", "pointer_moved")
"""Of a run: the direction and the pointer, read through the best map."""


def answer(found: Found) -> str:
    if not any(found.mean(cell, "pointer") is not None for cell in MIRRORS):
        return "No pair that is aligned through a mirror was taught a task yet."
    direction, pointer, raw = (_over_mirrors(found, column) for column in ("follows", "pointer", "raw"))
    text = "Aligned through a mirror or a rotation, the other language gains"
    text += f" {percent(direction)} of what the taught one does in naming a direction, {percent(pointer)} in pointing"
    text += f" (probes read {decimal(raw)} of its cells as they are)"
    if any(found.mean(cell, MOVED[0]) is not None for cell in MIRRORS):
        moved = [percent(_over_mirrors(found, column)) for column in MOVED]
        text += f"; read through its map, {' and '.join(moved)}"
    base, pointed = found.mean(BASE, "follows"), found.mean(BASE, "pointer")
    if base is not None and pointed is not None:
        text += f". With four true anchors it gains {percent(base)} and {percent(pointed)}"
    return f"{text}."


def _over_mirrors(found: Found, column: str) -> float:
    return fmean(x for cell in MIRRORS if (x := found.mean(cell, column)) is not None)


def figure(found: Found) -> Figure:
    """What is followed of both, by cells read across: as they are, and through the best map of the opening."""
    drawn, axes = canvas(2, 3.6, sharey=True, sharex=True)
    panels = {"raw": ("As it is", ("follows", "pointer")), "best": ("Through the best map", MOVED)}
    for axis, (column, (head, taught)) in zip(axes, panels.items(), strict=True):
        for (name, cells), color in zip(GROUPS.items(), LANGUAGE_COLORS, strict=False):
            for what, label, marker in zip(taught, ("direction", "pointer"), "oD", strict=True):
                rows = pd.concat([found.of(x, what)[[what]].join(found.of(x, column)[column]).dropna() for x in cells])
                filled = color if label == "pointer" else "none"
                look: Mapping[str, Any] = {"marker": marker, "label": f"{name}: {label}", "facecolors": filled}
                axis.scatter(rows[column], rows[what], s=28, edgecolors=color, **look)
        axis.axhline(0, color=MUTED, linewidth=1, linestyle=":")
        axis.set(xlabel="cells of the other language read right")
        title(axis, head)
    axes[0].set(ylabel="the other's gain / the source's")
    legend_below(drawn, axes, columns=len(GROUPS))
    return drawn


def through_the_map(found: Found, cells: Sequence[str]) -> tuple[str, Outcome]:
    """26.5, of every run: direction and pointer through its best map, which is the one that its anchors link."""
    bases = [found.mean(BASE, column) for column in MOVED]
    known = [
        (cell, str(name), [float(direction), float(pointer)])
        for cell in cells
        for name, direction, pointer in found.of(cell, "follows_moved")[["map", *MOVED]].itertuples(index=False)
    ]
    left = sum(len(found.planned[cell]) for cell in cells) - len(known)
    parts = [f"{cell} {' and '.join(map(decimal, ends))} ({name})" for cell, name, ends in known]
    text = f"{'; '.join(parts) or '-'} against {' and '.join(map(decimal, bases))}"
    if None in bases:
        return text, None
    tests = [
        abs(end - (base or 0)) <= LIMITS["alike"] for *_, ends in known for end, base in zip(ends, bases, strict=True)
    ]
    linked = [name == cell.removeprefix("mirror_") for cell, name, _ in known]
    return text, every([*tests, *linked, *[None] * left])


def columns(found: Found, cell: str) -> Mapping[str, object]:
    return {
        "pointer follows": found.shown(cell, "pointer"),
        "difference to four anchors": found.difference(cell, BASE, "pointer"),
        "direction follows": found.shown(cell, "follows"),
        "its difference": found.difference(cell, BASE),
        "answers right through": " ".join(found.of(cell, "map")["map"].unique()) or "-",
        "pointer through it": found.shown(cell, "pointer_moved"),
        "direction through it": found.shown(cell, "follows_moved"),
        "direction: taught, other": f"{found.shown(cell, 'source')}, {found.shown(cell, 'target')}",
    }  # fmt: skip


def turned_away(found: Found, cells: Sequence[str]) -> tuple[str, Outcome]:
    """26.2, of every run."""
    base = found.mean(BASE, "follows")
    known = [value for cell in cells for value in found.of(cell, "follows").follows]
    left = sum(len(found.planned[cell]) for cell in cells) - len(known)
    text = f"{', '.join(map(decimal, known)) or '-'} against {decimal(base)}"
    return text, None if base is None else every([*(x <= LIMITS["half"] * base for x in known), *[None] * left])


def unlike_and_yet(found: Found, cells: Sequence[str]) -> tuple[str, Outcome]:
    """26.3, of every run: cells read as they are, and how much the pointer follows."""
    parts = [found.of(cell, "pointer")[["pointer"]].join(found.of(cell, "raw").raw).dropna() for cell in cells]
    known = [
        (float(raw), float(pointer)) for rows in parts for raw, pointer in zip(rows.raw, rows.pointer, strict=True)
    ]
    left = sum(len(found.planned[cell]) for cell in cells) - len(known)
    tests = [raw < LIMITS["mirrored"] and pointer >= LIMITS["half"] for raw, pointer in known]
    text = ", ".join(f"{decimal(raw)} and {decimal(pointer)}" for raw, pointer in known)
    return text or "-", every([*map(bool, tests), *[None] * left])


def as_true_anchors(*values: float) -> bool:
    """26.1: the mean of the mirrors against four true anchors."""
    *mirrors, base = values
    return abs(fmean(mirrors) - base) <= LIMITS["alike"]


CLAIMS = {
    "26.1": Claim([*MIRRORS, BASE], means(as_true_anchors, "pointer"), "pointer"),
    "26.2": Claim(MIRRORS, turned_away),
    "26.3": Claim(MIRRORS, unlike_and_yet, "pointer"),
    "26.4": Claim([BASE, "unified"], means(lambda four, unified: unified - four <= LIMITS["alike"])),
    "26.5": Claim([*MIRRORS, BASE], lambda found, cells: through_the_map(found, cells[:-1]), "follows_moved"),
}
PAGE = Page("mirror_tasks", answer, figure, columns, CLAIMS, {})
