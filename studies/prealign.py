"""The page of Li et al. 2024: do words that are aligned before any text carry facts to another language?"""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure

from mothello.report.runs import Run
from mothello.report.style import LANGUAGE_COLORS, MUTED, canvas, legend_below, title
from studies import CRITERIA
from studies.numbers import decimal
from studies.paper import Claim, Found, Outcome, Page, every, means

LIMITS = CRITERIA.papers
CELLS = {
    "taught": "nothing done for it", "taught_switched": "switched words alone", "during": "words aligned during",
    "before": "words aligned before", "before_half": "half of the words", "before_quarter": "a quarter of the words",
    "before_shuffled": "shuffled words", "before_foreign": "label in the other language",
    "before_alone": "before, nothing switched", "late": "after half of the games",
}  # fmt: skip
"""Every cell but the control, and how the figure calls it."""
LANGUAGES = ("taught", "other")


def read(runs: Sequence[Run]) -> pd.DataFrame:
    """A row per run that was compared with one that never saw the facts: by how much likelier the fixed move is after
    the taught openings, in the language that was taught and in the other, with 95% over openings."""
    rows = []
    for run in runs:
        facts = run.rows[(run.rows.measure == "facts") & (run.rows.quantity == "fact_probability")]
        facts = facts[(facts.target == "taught") & (facts["map"] == "identity")]
        row: dict[str, object] = {"cell": run.name, "seed": run.seed}
        for place, language in zip(LANGUAGES, run.languages, strict=True):
            one = facts[facts.language == language].drop_duplicates("control").set_index("control")
            if {"trained", "other"} <= set(one.index):
                known = float(one.value["trained"] - one.value["other"])
                wide = float((((one.high - one.low) / 2)[["trained", "other"]] ** 2).sum() ** 0.5)
                row |= {place: known, f"{place}_low": known - wide, f"{place}_high": known + wide}
        if len(row) > 2:
            rows.append(row)
    return pd.DataFrame(
        rows, columns=["cell", "seed", *(f"{x}{end}" for x in LANGUAGES for end in ("", "_low", "_high"))]
    )


def answer(found: Found) -> str:
    known = {cell: value for cell in CELLS if (value := found.mean(cell, "other")) is not None}
    if not {"taught", "before"} <= set(known):
        return "No model was asked for its facts yet."
    text = "A fact that one language was taught changes the probability of its move in the other"
    more = {
        "taught": "where nothing is done for it",
        "before": "where words were aligned before any text and 5% switched in it",
        "taught_switched": "with the switching alone", "before_alone": "with the aligning alone",
        "late": "where both begin after half of the games",
    }  # fmt: skip
    parts = [f"by {decimal(known[cell])} {name}" for cell, name in more.items() if cell in known]
    own = found.mean("taught", "taught")
    return f"{text}: {', '.join(parts)}" + (f" (in the language itself by {decimal(own)})." if own is not None else ".")


def figure(found: Found) -> Figure:
    """What is known in both languages, cell by cell."""
    drawn, (axis,) = canvas(1, 4.4, width=6.2)
    for place, color, marker in zip(LANGUAGES, LANGUAGE_COLORS, "o^", strict=False):
        for row, cell in enumerate(reversed(CELLS)):
            values = found.of(cell, place)[place]
            label = f"asked in the {place} language"
            axis.scatter(values, [row] * len(values), s=30, color=color, marker=marker, label=label, alpha=0.8)
    axis.axvline(0, color=MUTED, linewidth=1)
    axis.set_yticks(range(len(CELLS)), list(reversed(CELLS.values())))
    axis.set(xlabel="probability of the fixed move, less that without the facts")
    title(axis, "What is known of facts taught in one language")
    legend_below(drawn, [axis])
    return drawn


def columns(found: Found, cell: str) -> Mapping[str, object]:
    return {
        "known, other language": found.shown(cell, "other"), "known, taught language": found.shown(cell, "taught"),
        "other language, difference to `taught`": found.difference(cell, "taught", "other"),
        "legality": found.shown(cell, "skill"),
    }  # fmt: skip


def _by_seed(found: Found, cell: str) -> list[float | None]:
    known = found.of(cell, "other").other
    return [float(known[seed]) if seed in known else None for seed in found.planned[cell]]


def carried(found: Found, cells: Sequence[str]) -> tuple[str, Outcome]:
    """24.1, seed by seed; and whether the taught language knows the facts alike in every cell."""
    before, taught = (_by_seed(found, cell) for cell in ("before", "taught"))
    own = {cell: found.mean(cell, "taught") for cell in CELLS}
    known = [value for value in own.values() if value is not None]
    outcomes: list[Outcome] = [None if x is None else x >= LIMITS["facts_known"] for x in before]
    outcomes += [None if x is None else x <= LIMITS["facts_unknown"] for x in taught]
    spread = max(known) - min(known) if known else 0.0
    outcomes.append(False if spread > LIMITS["alike"] else True if len(known) == len(own) else None)
    listed = "; ".join(f"`{x}` {', '.join(map(decimal, y))}" for x, y in {"before": before, "taught": taught}.items())
    return f"{listed}; taught language {decimal(min(known))} to {decimal(max(known))}" if known else "-", every(
        outcomes
    )


def legal_alike(found: Found, cells: Sequence[str]) -> tuple[str, Outcome]:
    """24.5: the label, and legality."""
    foreign, before = (found.mean(cell, "other") for cell in ("before_foreign", "before"))
    skills = [found.mean(cell, "skill") for cell in found.planned]
    known = [value for value in skills if value is not None]
    if foreign is None or before is None:
        return "-", None
    spread = max(known) - min(known)
    held = abs(foreign - before) <= LIMITS["alike"]
    outcome = every([held, False if spread > LIMITS["legal"] else None if None in skills else True])
    return f"{decimal(foreign)} and {decimal(before)}; legality differs by at most {decimal(spread)}", outcome


SAME = LIMITS["same"]
CLAIMS = {
    "24.1": Claim(list(CELLS), carried, "other"),
    "24.2": Claim(
        ["before", "during", "late", "taught"],
        means(lambda a, b, c, d: a >= b - SAME and b >= c - SAME and c >= d + LIMITS["late"], "other"), "other",
    ),
    "24.3": Claim(
        ["before", "before_half", "before_quarter"],
        means(lambda a, b, c: abs(a - b) <= LIMITS["alike"] and abs(a - c) <= LIMITS["quarter"], "other"), "other",
    ),
    "24.4": Claim(
        ["before", "taught_switched", "before_shuffled", "before_alone"],
        means(lambda a, b, c, d: min(b, c) >= LIMITS["most"] * a and d >= LIMITS["words_alone"] * a, "other"), "other",
    ),
    "24.5": Claim([*CELLS, "untaught"], legal_alike, "skill"),
}  # fmt: skip
PAGE = Page("prealign", answer, figure, columns, CLAIMS, {}, read)
