"""Every prediction of results/predictions.md beside what was found: held, failed or open."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import pandas as pd

from mothello.report.results.cells import MAPS, MIRRORS, MOST
from mothello.report.results.markdown import decimal, mean, middle, over_seeds, signed, table
from mothello.report.results.symmetry import (
    LEFT,
    control_judgement,
    held,
    left_judgement,
    linked,
    mirror_judgements,
    outside_judgement,
    own_map_judgement,
    true_anchors,
)
from mothello.report.results.table1 import ATOMIC, winners

Row = list[str]
Planned = Mapping[str, Sequence[int]]
FALL = 0.03
"""By which a row may not fall from one number of anchors to the next, and what unified may lose (prediction 5)."""
NEAR_OWN = 0.05
"""How far below the own language the best map may read at the published scale (prediction 7)."""


def predictions(
    cells: Mapping[str, pd.DataFrame], images: Mapping[str, float], tuned: pd.DataFrame, planned: Planned
) -> str:
    """A row a prediction, from the runs that learned. cells: by study; tuned: transfer.transfer_rows; planned:
    the seeds of every cell that the studies ask for."""
    learned = {name: of[of.reached.astype(bool) & of.raw.notna()] for name, of in cells.items()}
    tuned = tuned[tuned.reached.astype(bool)]
    rows = _mirrors(learned["mirror_anchors"], learned["table1"], images, planned)
    rows += [_placement(learned["anchor_placement"], planned), *_naive(learned["table1"], planned)]
    rows += [*_many(learned["many_languages"], planned), *_anchors(learned["table1"], planned)]
    found = table(["prediction", "what was found", "runs", "outcome"], [*rows, *_transfer(tuned, planned)])
    return f"{found}\n\n{_weak(learned['table1'], learned['mirror_anchors'])}".rstrip()


def _weak(cells: pd.DataFrame, mirrored: pd.DataFrame) -> str:
    """What the outcomes do not say by themselves."""
    said = []
    if any(own_map_judgement(row) is False for _, row in mirrored.iterrows()):
        said.append(
            "1.1 to 1.3 are weaker tests of the opening's symmetry than they were meant to be, since anchors tie "
            "languages through a map outside the group, too."
        )
    aligned = cells[(cells.cell == "naive") & cells.winner.isin(MAPS)]
    if len(aligned):
        tied = cells[cells.role.isin(["anchor", "unified"])]
        outside = tied[["outside_kept", "outside_exchanged"]].max(axis=1).dropna()
        beside = f", as pairs with common tokens do ({decimal(outside.max())} at most)" if len(outside) else ""
        said.append(
            "8 was written when the best of the four maps was known for three seeds of the scale `mini`, and what is "
            f"aligned through a map of the group must read about a half outside it{beside}. What counts is that all "
            f"{len(aligned)} aligned seeds chose one of the four maps of the group, out of eight."
        )
    return f"*{' '.join(said)}*" if said else ""


def _runs(of: pd.DataFrame, cells: Sequence[str], planned: Planned) -> str:
    """Such as "3 of 5": runs that could be tested, of those that the studies ask for."""
    here = of[of.cell.isin(list(cells))]
    return f"{len(here[['cell', 'seed']].drop_duplicates())} of {sum(len(planned.get(name, ())) for name in cells)}"


def _outcome(judged: Sequence[bool | None]) -> bool | None:
    """Held where it held in every run; open without one, or where some could not be tested and none failed."""
    return None if not judged or (None in judged and False not in judged) else False not in judged


def _said(judged: Sequence[bool | None]) -> str:
    return f"{sum(x is True for x in judged)} of {len(judged)}" if judged else "-"


def _mirrors(cells: pd.DataFrame, naive: pd.DataFrame, images: Mapping[str, float], planned: Planned) -> list[Row]:
    true, of = true_anchors(cells), linked(cells)
    inside, outside = of[of.told.isin(MIRRORS)], of[~of.told.isin(MAPS)]
    found = [mirror_judgements(row, images[row.told], true) for _, row in inside.iterrows()]
    names = [f"mirror_{g}" for g in MIRRORS]
    what = (
        "1.1 mirror anchors: aligned through the map that they tell, in both directions",
        "1.2 mirror anchors: best map within .05 of true anchors",
        "1.3 mirror anchors: raw at most .03 above the agreement with the image",
    )
    rows = []
    for number, text in enumerate(what):
        judged = [judgements[number] for judgements in found]
        rows.append([text, _said(judged), _runs(of, names, planned), held(_outcome(judged))])
    control = [control_judgement(row) for _, row in outside.iterrows()]
    runs = _runs(of, ["mirror_columns"], planned)
    text = "1 negative control: anchors that tell a map outside the group align through none of the four"
    rows.append([text, _said(control), runs, held(_outcome(control))])
    known = outside[outside.told_kept.notna()]
    own = [own_map_judgement(row) for _, row in known.iterrows()]
    text = "1 negative control, asked afterwards: not through the map that its anchors tell either"
    rows.append([text, f"{_said(own)}; reads {mean(known.told_kept)}", runs, "not predicted"])
    pairs = naive[naive.cell == "naive"]
    both = len(outside) and len(pairs)
    numbers = f"best map {mean(outside.best)}, naive pairs {middle(pairs.best)}" if both else "-"
    better = bool(outside.best.mean() <= pairs.best.median() + FALL) if both else None
    rows.append(["1 negative control: no better off than naive pairs", numbers, runs, held(better)])
    failed = sum(judgements[0] is False for judgements in found)
    word = "rejected" if failed > 1 else "stands" if len(found) >= 6 else "open"
    text = "1 the symmetry account is wrong if 1.1 fails on more than one of six runs"
    return [*rows, [text, f"{failed} failed", _runs(of, names, planned), word]]


def _placement(cells: pd.DataFrame, planned: Planned) -> Row:
    of = cells[cells.cell.isin(list(LEFT))]
    judged = [left_judgement(row, LEFT[row.cell]) for _, row in of.iterrows()]
    tested = [x for x in judged if x is not None]
    found = f"{_said(tested)} that are aligned; {len(judged) - len(tested)} are not"
    text = "2 anchors: an aligned pair is aligned through a map that they leave"
    return [text, found, _runs(of, list(LEFT), planned), held(_outcome(tested))]


def _naive(cells: pd.DataFrame, planned: Planned) -> list[Row]:
    of = cells[cells.cell == "naive"]
    aligned = of[of.winner.isin(MAPS)]
    outcome = None if aligned.empty else bool(aligned.winner.isin(MIRRORS).any())
    text = "3 naive pairs: where some are aligned, one at least through a map other than the identity"
    rows = [[text, winners(of), _runs(of, ["naive"], planned), held(outcome)]]
    known = of[of.outside_kept.notna()]
    judged = [outside_judgement(row) for _, row in known.iterrows()]
    most = max(known.outside_kept.max(), known.outside_exchanged.max()) if len(known) else None
    found = f"{_said(judged)}; the most is {decimal(most)}, best constant {mean(known.constant)}" if judged else "-"
    text = "8 naive pairs: no map outside the group reads above the best constant"
    return [*rows, [text, found, _runs(known, ["naive"], planned), held(_outcome(judged))]]


def _many(cells: pd.DataFrame, planned: Planned) -> list[Row]:
    """What was predicted for the scale's own families."""
    rows = []
    if planned.get("naive_8"):
        of, runs = cells[cells.cell == "naive_8"], _runs(cells, ["naive_8"], planned)
        none, found, maps, fits, few = None, "-", "-", None, None
        if len(of):
            none = bool(of.aligned.sum() == 0)
            found = f"{of.aligned.sum():.0f} of {of.pairs.sum():.0f} pairs aligned, best map {mean(of.best)}"
        if none is False:
            maps, fits = f"consistent in {of.consistency.min():.0%}", bool(of.consistency.min() >= 0.95)
            few = bool(of.classes.max() <= 4)
        rows = [
            ["4 eight naive languages: no pair is aligned at this scale", found, runs, held(none)],
            ["4 eight naive languages: if pairs are aligned, their maps are consistent", maps, runs, held(fits)],
            ["4 the same: at most four classes", "-" if few is None else f"{of.classes.max():.0f}", runs, held(few)],
        ]
    return [*rows, *_twenty(cells[cells.cell == "naive_20"], planned)]


def _twenty(of: pd.DataFrame, planned: Planned) -> list[Row]:
    """Prediction 7, of the published scale."""
    texts = (
        "7 twenty naive languages: the best map reads within .05 of the own language",
        "7 the same: the winning maps form the group",
        "7 the same: raw, pairs read .97, .61 or .53",
    )
    if not planned.get("naive_20"):
        return [["7 twenty naive languages, at the published scale", "-", "-", "not asked for at this scale"]]
    if of.empty:
        return [[text, "-", _runs(of, ["naive_20"], planned), held(None)] for text in texts]
    near = bool((of.best >= of.own - NEAR_OWN).all())
    group = bool((of.maps.map(lambda text: all(g in text for g in MAPS)) & (of.consistency >= 0.95)).all())
    levels = bool((of.at_levels >= MOST).all())
    found = (f"{mean(of.best)}, own {mean(of.own)}", "; ".join(of.maps), f"{of.at_levels.min():.0%} within .03 of one")
    judged = (near, group, levels)
    rows = zip(texts, found, judged, strict=True)
    return [[text, shown, _runs(of, ["naive_20"], planned), held(told)] for text, shown, told in rows]


def _anchors(cells: pd.DataFrame, planned: Planned) -> list[Row]:
    atomic, counts = cells[cells.pair == ATOMIC], {0: "naive", 1: "anchor_1", 2: "anchor_2", 4: "anchor_4"}
    steps = [over_seeds(atomic[(atomic.anchors == n) & (atomic.role != "unified")].best) for n in counts]
    means = [step.mean for step in steps if step]
    outcome = None if len(means) < 4 else all(b >= a - FALL for a, b in pairwise(means))
    runs = _runs(atomic, list(counts.values()), planned)
    text = "5 best map does not fall by more than .03 with more anchors, atomic pair (means)"
    rows = [[text, " ".join(map(decimal, means)) or "-", runs, held(outcome)]]
    unified = atomic[atomic.role == "unified"]
    loss = over_seeds(unified.own - unified.raw)
    told = None if loss is None else loss.mean <= FALL
    runs = _runs(atomic, ["unified"], planned)
    rows.append(["5 unified output loses at most .03", decimal(loss.mean if loss else None), runs, held(told)])
    for kind in ("split", "compositional"):
        pairs = []
        for n in (0, 1, 2):
            here = cells[(cells.anchors == n) & (cells.role != "unified")]
            pair = [over_seeds(here[here.pair == name].best) for name in (f"atomic + {kind}", ATOMIC)]
            pairs += [(n, pair[0].mean, pair[1].mean)] if pair[0] and pair[1] else []
        shown = ", ".join(f"{n}: {decimal(low)} and {decimal(high)}" for n, low, high in pairs)
        lower = None if len(pairs) < 3 else all(low < high for _, low, high in pairs)
        runs = _runs(cells, [f"{kind}_{name}" for n, name in counts.items() if n < 4], planned)
        text = f"5 atomic + {kind} reads less than the atomic pair, below 4 anchors (best map)"
        rows.append([text, shown or "-", runs, held(lower)])
    return rows


def _transfer(tuned: pd.DataFrame, planned: Planned) -> list[Row]:
    of = tuned[(tuned.part == "target") & (tuned.kind == "atomic")]
    cells = {"unified": "prefix_unified", "naive": "prefix_naive", "anchor": "prefix_anchor_8"}
    ratio = {role: over_seeds(of[of.role == role].gain_ratio) for role in cells}
    gain = {role: over_seeds(of[of.role == role].gain) for role in cells}
    rows = []
    for role, asked in (
        ("unified", "at least half"),
        ("naive", "less than a quarter"),
        ("anchor", "less than a quarter"),
    ):
        found = ratio[role]
        outcome = None if found is None else found.mean >= 0.5 if role == "unified" else found.mean < 0.25
        label = {"anchor": "eight anchors"}.get(role, role)
        shown = "-" if found is None else f"{found.mean:+.2f} of the source's gain"
        text = f"6 fine-tuning, {label}: the target gains {asked} of what the source gains"
        rows.append([text, shown, _runs(of, [cells[role]], planned), held(outcome)])
    naive, anchor = gain["naive"], gain["anchor"]
    text, told = "-", None
    if naive and anchor:
        text, told = f"{signed(naive.mean)} naive, {signed(anchor.mean)} eight anchors", anchor.mean < naive.mean
        kept = [over_seeds((of.own_after - of.own_before)[of.role == role]) for role in ("naive", "anchor")]
        if kept[0] and kept[1]:
            text += f"; in its own tokens {signed(kept[0].mean)} and {signed(kept[1].mean)}"
    runs = _runs(of, [cells["naive"], cells["anchor"]], planned)
    return [*rows, ["6 fine-tuning: the target loses more with eight anchors than naive", text, runs, held(told)]]
