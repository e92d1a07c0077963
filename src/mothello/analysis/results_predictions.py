"""Every prediction of results/predictions.md beside what was found: held, failed or open."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import pandas as pd

from mothello.analysis.markdown import decimal, over_seeds, table
from mothello.analysis.results_symmetry import LEFT, MAPS, held, left_judgement, linked, mirror_judgements, true_anchors
from mothello.analysis.results_table1 import winners

Row = list[str]
FALL = 0.03
"""By which a row may not fall from one number of anchors to the next, and what unified may lose (prediction 5)."""


def predictions(cells: Mapping[str, pd.DataFrame], images: Mapping[str, float], tuned: pd.DataFrame) -> str:
    """A row a prediction. cells: by study; tuned: results_transfer.transfer_rows."""
    rows = [*_mirrors(cells["mirror_anchors"], images), _placement(cells["anchor_placement"]), _naive(cells["table1"])]
    rows += [_many(cells["many_languages"]), *_anchors(cells["table1"]), *_transfer(tuned)]
    return table(["prediction", "what was found", "outcome"], rows)


def _count(judged: Sequence[bool | None]) -> str:
    return f"{sum(x is True for x in judged)} of {len(judged)} runs" if judged else "no run"


def _outcome(judged: Sequence[bool | None]) -> bool | None:
    """Held where it held in every run; open without one, or where some could not be tested and none failed."""
    return None if not judged or (None in judged and False not in judged) else False not in judged


def _mirrors(cells: pd.DataFrame, images: Mapping[str, float]) -> list[Row]:
    true, of = true_anchors(cells), linked(cells)
    found = [mirror_judgements(row, images[row.told], true) for _, row in of.iterrows() if row.told in images]
    what = (
        "1.1 mirror anchors: aligned through the map that they tell, in both directions",
        "1.2 mirror anchors: best map within .05 of true anchors",
        "1.3 mirror anchors: raw at most .03 above the agreement with the image",
    )
    rows = []
    for number, text in enumerate(what):
        judged = [judgements[number] for judgements in found]
        rows.append([text, _count(judged), held(_outcome(judged))])
    control = [bool(row.winner == "none") if row.reached else None for _, row in of.iterrows() if row.told not in MAPS]
    rows.append(
        ["1 negative control: a map outside the group does not align", _count(control), held(_outcome(control))]
    )
    failed = sum(judgements[0] is False for judgements in found)
    if len(found) == 6:
        word = "rejected" if failed > 1 else "stands"
        rows.append(
            ["1 the symmetry account is wrong if 1.1 fails on more than one of six runs", f"{failed} failed", word]
        )
    return rows


def _placement(cells: pd.DataFrame) -> Row:
    of = cells[cells.cell.isin(list(LEFT)) & cells.raw.notna()]
    judged = [left_judgement(row, LEFT[row.cell]) for _, row in of.iterrows()]
    tested = [x for x in judged if x is not None]
    found = f"{_count(tested)} that are aligned; {len(judged) - len(tested)} are not"
    return ["2 anchors: an aligned pair is aligned through a map that they leave", found, held(_outcome(tested))]


def _naive(cells: pd.DataFrame) -> Row:
    of = cells[(cells.cell == "naive") & cells.raw.notna()]
    aligned = of[of.winner != "none"]
    outcome = None if aligned.empty else bool((aligned.winner != "identity").any())
    return ["3 naive pairs: some are aligned through a map other than the identity", winners(of), held(outcome)]


def _many(cells: pd.DataFrame) -> Row:
    of = cells[cells.raw.notna()]
    text = "4 eight naive languages: no pair is aligned at this scale"
    if of.empty:
        return [text, "no run", held(None)]
    found = f"{of.aligned.sum():.0f} of {of.pairs.sum():.0f} pairs aligned, best map {decimal(of.best.mean())}"
    return [text, found, held(bool(of.aligned.sum() == 0))]


def _anchors(cells: pd.DataFrame) -> list[Row]:
    atomic = cells[(cells.pair == "atomic + atomic") & cells.raw.notna()]
    steps = [over_seeds(atomic[(atomic.anchors == n) & (atomic.role != "unified")].best) for n in (0, 1, 2, 4)]
    means = [step.mean for step in steps if step]
    outcome = None if len(means) < 4 else all(b >= a - FALL for a, b in pairwise(means))
    rows = [["5 best map does not fall with more anchors, atomic pair", " ".join(map(decimal, means)), held(outcome)]]
    unified = atomic[atomic.role == "unified"]
    loss = over_seeds(unified.own - unified.raw)
    told = None if loss is None else loss.mean <= FALL
    rows.append(["5 unified output loses at most .03", decimal(loss.mean if loss else None), held(told)])
    for kind in ("split", "compositional"):
        pairs = []
        for n in (0, 1, 2):
            here = cells[(cells.anchors == n) & (cells.role != "unified")]
            pair = [over_seeds(here[here.pair == name].best) for name in (f"atomic + {kind}", "atomic + atomic")]
            pairs += [(n, pair[0].mean, pair[1].mean)] if pair[0] and pair[1] else []
        shown = ", ".join(f"{n}: {decimal(low)} and {decimal(high)}" for n, low, high in pairs)
        lower = None if len(pairs) < 3 else all(low < high for _, low, high in pairs)
        rows.append([f"5 atomic + {kind} reads less than the atomic pair, below 4 anchors", shown or "-", held(lower)])
    return rows


def _transfer(tuned: pd.DataFrame) -> list[Row]:
    of = tuned[(tuned.part == "target") & (tuned.kind == "atomic")]
    ratio = {role: over_seeds(of[of.role == role].gain_ratio) for role in ("naive", "anchor", "unified")}
    gain = {role: over_seeds(of[of.role == role].gain) for role in ratio}
    rows = []
    for role, asked in (
        ("unified", "at least half"),
        ("naive", "less than a quarter"),
        ("anchor", "less than a quarter"),
    ):
        found = ratio[role]
        outcome = None if found is None else found.mean >= 0.5 if role == "unified" else found.mean < 0.25
        label = {"anchor": "eight anchors"}.get(role, role)
        shown = "-" if found is None else decimal(found.mean, 2)
        rows.append(
            [f"6 fine-tuning, {label}: the target gains {asked} of what the source gains", shown, held(outcome)]
        )
    naive, anchor = gain["naive"], gain["anchor"]
    text, told = "-", None
    if naive and anchor:
        text, told = f"{naive.mean:+.3f} naive, {anchor.mean:+.3f} eight anchors", anchor.mean < naive.mean
    return [*rows, ["6 fine-tuning: the target loses more with eight anchors than naive", text, held(told)]]
