"""Studies that change one thing about naive pairs: how often they align, and through which map.

A run is *settled* when all of its ordered pairs are aligned or divided (two domains). All probed runs count, also those
below the bar: the budget is what these studies hold fixed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from scipy.stats import fisher_exact

from studies.numbers import decimal, mean, middle, out_of, over_seeds, percent, plain

HEADINGS = {
    "when": "What drives alignment",
    "asymmetry": "How asymmetric the games must be",
    "recipe": "Recipe or game",
    "parallel": "Parallel games",
}
"""Studies of one factor, in the order of the page."""
CELLS = {
    "when": "`expected`: trained on the exact distribution over legal moves instead of one move of it, `_200k` to "
    "about the skill of `naive`; `narrow`, `wide`: width 64 and 256 instead of 128; `decay_0`, `decay_3`: weight decay "
    "0 and .3 instead of .1; `batch_32`, `batch_128`: games a step instead of 64.",
    "asymmetry": "`opening_P`: P% of the games begin with the same one of four first moves, which share the rest; in "
    "`naive` each has a quarter.",
    "recipe": "`gpt2_adamw`: the block of GPT-2 and AdamW instead of ours and Muon, for twice the games of `naive`; "
    "`240k`: ours for half of them. Both end about as far from the floor.",
    "parallel": "Every game is seen twice: `twice`, drawn for each language by itself; `parallel`, the same games in "
    "both; `disjoint`, no game in both.",
}
"""What the cells change."""


LIKELY = 0.05
"""Two shares are told apart where chance alone makes them so different less often than this."""


def begun(cells: pd.DataFrame) -> bool:
    """Whether there is something to compare: probed runs of two cells."""
    return cells[cells.probed].cell.nunique() > 1


def table(cells: pd.DataFrame, planned: Mapping[str, Sequence[int]]) -> list[dict[str, Any]]:
    """A row per cell that is asked for."""
    rows = []
    for name, seeds in planned.items():
        same = cells[(cells.cell == name) & cells.probed].sort_values("seed")
        far = over_seeds(same.recovered)
        if len(seeds):
            rows.append({
                "cell": name, "verdict, by seed": ", ".join(same.verdict) or "-",
                "settled": f"{int(same.settled.sum())} of {len(same)}" if len(same) else "-",
                "recovered": percent(far.mean) if far else "-", "raw": middle(same.raw), "best map": middle(same.best),
                "in relative colors": middle(same.relative),
                "own": mean(same.own), "strict": mean(same.strict), "excess nats": mean(same.excess),
                "seeds": out_of(len(same), len(seeds)),
            })  # fmt: skip
    return rows


def answer(cells: pd.DataFrame, planned: Mapping[str, Sequence[int]]) -> str:
    """Which cells settle more or less often than the first, by Fisher's exact test of two shares."""
    known = {name: cells[(cells.cell == name) & cells.probed] for name, seeds in planned.items() if seeds}
    counts = {name: (int(rows.settled.sum()), len(rows)) for name, rows in known.items() if len(rows)}
    (first, (settled, runs)), *others = counts.items()
    left = {x: fisher_exact([[settled, runs - settled], [a, n - a]]).pvalue for x, (a, n) in others}
    apart = [f"`{x}` ({counts[x][0]} of {counts[x][1]}, p = {decimal(p, 3)})" for x, p in left.items() if p < LIKELY]
    rest = "no other share is" if apart else "no share is"
    found = f"{', '.join(apart)} {'differ' if len(apart) > 1 else 'differs'} from that; " if apart else ""
    return (
        f"`{first}` settles, aligned or in two domains, on {settled} of {runs} seeds; {found}{rest} further from it "
        f"than chance may be (Fisher's exact test, p < {plain(LIKELY)})."
    )


def baselines(cells: pd.DataFrame) -> list[dict[str, Any]]:
    """What a reading must beat, over all runs of a study."""
    rows = cells[cells.probed]
    names = {"best constant": "constant", "orbit reader": "orbit", "random weights, best map": "random_across",
             "random weights, own language": "random_own"}  # fmt: skip
    return [{label: mean(rows[name]) for label, name in names.items()}] if len(rows) else []
