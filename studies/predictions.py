"""Every prediction of predictions.md with what the runs that learned say: held, failed or open."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, pairwise
from typing import Any, NamedTuple

import pandas as pd

from studies import CRITERIA, answers, claims
from studies.data import MAPS, MIRRORS, consistency, count_classes
from studies.judge import ATOMIC, at_levels, winners
from studies.numbers import decimal, mean, middle, over_seeds, percent, plain, signed, text
from studies.outcomes import LIMITS
from studies.tables import Planned

COULD_NOT_FAIL = "could not fail"


class Prediction(NamedTuple):
    text: str
    found: str
    outcome: bool | str | None
    """None: no run tested it."""
    rows: pd.DataFrame
    """Runs that learned; those of the cells could test it."""
    cells: Sequence[str]
    check: bool = False
    """It could not fail, or hardly, so that it checks the code and is no evidence."""
    asked: int = 0
    """The runs that its study asks for; 0: all that any study asks for of its cells."""


def every(outcomes: Sequence[bool | None]) -> bool | None:
    """Held where it held in every run; open without a run, or where some could not test it and none failed."""
    return None if not outcomes or (None in outcomes and False not in outcomes) else False not in outcomes


def _count(outcomes: Sequence[bool | None]) -> str:
    return f"{sum(x is True for x in outcomes)} of {len(outcomes)}" if outcomes else "-"


def prediction_table(
    cells: Mapping[str, pd.DataFrame],
    tuned: pd.DataFrame,
    courses: pd.DataFrame,
    more: Iterable[Prediction],
    planned: Planned,
    scale: str = "mini",
    smaller: pd.DataFrame | None = None,
) -> list[dict[str, Any]]:
    """A row per prediction. cells: by study, with outcomes; tuned: data.finetuned; courses: answers.courses; more:
    those of other tables; planned: the seeds of every cell; smaller: the courses of the scale that this one repeats."""
    learned = {name: rows[rows.learned & rows.probed] for name, rows in cells.items()}
    table_1, many = learned["table1"], learned["many_languages"]
    rows = []
    for prediction in chain(
        mirrors(learned["mirror_anchors"]), control(learned["mirror_anchors"], table_1),
        account(learned["mirror_anchors"]), placement(learned["anchor_placement"]), naive(table_1),
        eight(many) if planned.get("naive_8") else (), twenty(many, bool(planned.get("naive_20"))), anchors(table_1),
        kinds(table_1), finetuning(tuned[tuned.learned]), answered(courses[courses.learned], smaller),
        one_factor(cells, scale), more,
    ):  # fmt: skip
        names, tested = prediction.cells, prediction.rows
        count = len(tested[tested.cell.isin(list(names))][["cell", "seed"]].drop_duplicates())
        asked = prediction.asked or sum(len(planned.get(name, ())) for name in names)
        runs = f"{count} of {asked}" if names else "-"
        head: dict[str, Any] = {"prediction": prediction.text, "what was found": prediction.found}
        held = prediction.outcome in (True, "stands")
        outcome = COULD_NOT_FAIL if prediction.check and held else prediction.outcome
        rows.append(head | {"runs": runs, "outcome": outcome})
    return rows


MIRRORED = [f"mirror_{name}" for name in MIRRORS]


def mirrors(cells: pd.DataFrame) -> Iterator[Prediction]:
    rows = cells[cells.cell.isin(MIRRORED)]
    claims = {
        "1.1": "aligned through the map that they link, in both directions",
        "1.2": f"best map within {plain(LIMITS['below_true_anchors'])} of true anchors",
        "1.3": f"raw at most {plain(LIMITS['above_image'])} above the agreement with the image",
    }
    for number, claim in claims.items():
        each = rows[number].tolist()
        yield Prediction(f"{number} mirror anchors: {claim}", _count(each), every(each), rows, MIRRORED, check=True)


def control(cells: pd.DataFrame, pairs: pd.DataFrame) -> Iterator[Prediction]:
    rows, pairs, names = cells[cells.cell == "mirror_columns"], pairs[pairs.cell == "naive"], ["mirror_columns"]
    outcomes, known = rows.control.tolist(), rows[rows.linked_map.notna()]
    claim = "1 negative control: anchors that link a map outside the group align through none of the four"
    yield Prediction(claim, _count(outcomes), every(outcomes), rows, names)
    found = f"{_count(known.own_map.tolist())}; reads {mean(known.linked_map)}"
    claim = "1 negative control, asked afterward: not through the map that its anchors link either"
    yield Prediction(claim, found, "not predicted", rows, names)
    found, outcome = "-", None
    if len(rows) and len(pairs):
        found = f"best map {mean(rows.best)}, naive pairs {middle(pairs.best)}"
        outcome = bool(rows.best.mean() <= pairs.best.median() + LIMITS["fall"])
    yield Prediction("1 negative control: no better off than naive pairs", found, outcome, rows, names)


def account(cells: pd.DataFrame) -> Iterator[Prediction]:
    rows = cells[cells.cell.isin(MIRRORED)]
    failed = rows["1.1"].tolist().count(False)
    tested = len(rows) >= LIMITS["mirror_runs"]
    outcome = "rejected" if failed > LIMITS["mirror_failures"] else "stands" if tested else None
    claim = "1 the symmetry account is wrong if 1.1 fails on more than one of six runs"
    yield Prediction(claim, f"{failed} failed", outcome, rows, MIRRORED, check=True)


def placement(cells: pd.DataFrame) -> Iterator[Prediction]:
    names = list(CRITERIA.placement)
    rows = cells[cells.cell.isin(names)]
    tested = rows["2"].dropna().tolist()
    found = f"{_count(tested)} that are aligned; {len(rows) - len(tested)} are not"
    claim = "2 anchors: an aligned pair is aligned through a map that they leave"
    yield Prediction(claim, found, every(tested), rows, names)


def naive(cells: pd.DataFrame) -> Iterator[Prediction]:
    rows = cells[cells.cell == "naive"]
    aligned = rows[rows.winner.isin(MAPS)]
    outcome = bool(aligned.winner.isin(MIRRORS).any()) if len(aligned) else None
    claim = "3 naive pairs: where some are aligned, one at least through a map other than the identity"
    yield Prediction(claim, winners(rows), outcome, rows, ["naive"], check=True)
    known, found = rows[rows.other_maps.notna()], "-"
    outcomes = known["8"].tolist()
    if outcomes:
        most, free = max(known.other_maps.max(), known.other_maps_swapped.max()), ~known.winner.isin(MAPS)
        found = f"{_count(outcomes)}, {free.sum()} free to fail; most {decimal(most)}, constant {mean(known.constant)}"
    claim = "8 naive pairs: no map outside the group reads above the best constant"
    yield Prediction(claim, found, every(outcomes), known, ["naive"])


def eight(cells: pd.DataFrame) -> Iterator[Prediction]:
    rows = cells[cells.cell == "naive_8"]
    found, none, maps, consistent, count, few = "-", None, "-", None, "-", None
    if len(rows):
        none = bool(rows.aligned.sum() == 0)
        found = f"{rows.aligned.sum()} of {rows.pairs.sum()} pairs aligned, best map {mean(rows.best)}"
    if none is False:
        share, most = consistency(rows), int(rows.classes.map(count_classes).max())
        maps, consistent = f"consistent in {percent(share)}", share >= LIMITS["consistency"]
        count, few = str(most), most <= LIMITS["classes"]
    head = "4 eight naive languages:"
    yield Prediction(f"{head} no pair is aligned at this scale", found, none, rows, ["naive_8"])
    claim = f"{head} if pairs are aligned, their maps are consistent"
    yield Prediction(claim, maps, consistent, rows, ["naive_8"])
    yield Prediction("4 the same: at most four classes", count, few, rows, ["naive_8"])


def twenty(cells: pd.DataFrame, asked: bool) -> Iterator[Prediction]:
    """7, which is about the published scale."""
    rows, within = cells[cells.cell == "naive_20"], plain(CRITERIA.within)
    found: list[tuple[str, bool | None]] = [("-", None)] * 3
    if not asked:
        claim = "7 twenty naive languages, at the published scale"
        yield Prediction(claim, "-", "not planned at this scale", rows, [])
        return
    if len(rows):
        share = min(at_levels(pd.Series(values)) for values in rows.raw_pairs)
        group = all(set(MAPS) <= set(maps) for maps in rows.maps) and consistency(rows) >= LIMITS["consistency"]
        found = [
            (f"{mean(rows.best)}, own {mean(rows.own)}", bool((rows.best >= rows.own - LIMITS["below_own"]).all())),
            ("; ".join(map(text, rows.maps)), group),
            (f"{percent(share)} within {within} of one", bool(share >= CRITERIA.family["levels"])),
        ]
    claims = (
        f"twenty naive languages: the best map reads within {plain(LIMITS['below_own'])} of the own language",
        "the same: the winning maps form the group",
        "the same: raw, pairs read .97, .61 or .53",
    )
    for claim, (shown, outcome) in zip(claims, found, strict=True):
        yield Prediction(f"7 {claim}", shown, outcome, rows, ["naive_20"])


def anchors(cells: pd.DataFrame) -> Iterator[Prediction]:
    atomic = cells[cells.pair == ATOMIC]
    pairs, unified = atomic[atomic.sharing != "unified"], atomic[atomic.sharing == "unified"]
    steps = [value.mean for n in (0, 1, 2, 4) if (value := over_seeds(pairs[pairs.anchors == n].best))]
    outcome = None if len(steps) < 4 else all(b >= a - LIMITS["fall"] for a, b in pairwise(steps))
    claim = f"5 best map does not fall by more than {plain(LIMITS['fall'])} with more anchors, atomic pair (means)"
    names = ["naive", "anchor_1", "anchor_2", "anchor_4"]
    yield Prediction(claim, " ".join(map(decimal, steps)) or "-", outcome, atomic, names)
    loss = over_seeds(unified.own - unified.raw)
    outcome = None if loss is None else loss.mean <= CRITERIA.unified_loss
    claim = f"5 unified output loses at most {plain(CRITERIA.unified_loss)}"
    yield Prediction(claim, decimal(loss.mean if loss else None), outcome, atomic, ["unified"])


def kinds(cells: pd.DataFrame) -> Iterator[Prediction]:
    """5, of languages with several tokens per move."""
    means = cells[cells.sharing != "unified"].groupby(["anchors", "pair"]).best.mean()
    for kind in ("split", "compositional"):
        pairs = [(n, means.get((n, f"atomic + {kind}")), means.get((n, ATOMIC))) for n in (0, 1, 2)]
        known = [(n, low, high) for n, low, high in pairs if low is not None and high is not None]
        found = ", ".join(f"{n}: {decimal(low)} and {decimal(high)}" for n, low, high in known)
        outcome = None if len(known) < 3 else all(low < high for _, low, high in known)
        claim = f"5 atomic + {kind} reads less than the atomic pair, below 4 anchors (best map)"
        yield Prediction(
            claim, found or "-", outcome, cells, [f"{kind}_{x}" for x in ("naive", "anchor_1", "anchor_2")]
        )


def finetuning(tuned: pd.DataFrame) -> Iterator[Prediction]:
    rows = tuned[(tuned.part == "target") & (tuned.kind == "atomic")]
    names = {"unified": "prefix_unified", "naive": "prefix_naive", "anchors": "prefix_anchor_8"}
    groups = {sharing: rows[rows.sharing == sharing] for sharing in names}
    high, low = LIMITS["gain_unified"], LIMITS["gain_others"]
    for sharing, cell in names.items():
        outcome, found, ratio = None, "-", over_seeds(groups[sharing].gain_ratio)
        if ratio is not None:
            outcome = ratio.mean >= high if sharing == "unified" else ratio.mean < low
            found = f"{ratio.mean:+.2f} of the source's gain"
        share = "at least half" if sharing == "unified" else "less than a quarter"
        label = "eight anchors" if sharing == "anchors" else sharing
        claim = f"6 fine-tuning, {label}: the target gains {share} of what the source gains"
        yield Prediction(claim, found, outcome, rows, [cell])
    found, outcome = "-", None
    if len(groups["naive"]) and len(groups["anchors"]):
        gains = [groups[name].gain.mean() for name in ("naive", "anchors")]
        kept = [(groups[name].own_after - groups[name].own_before).mean() for name in ("naive", "anchors")]
        found, outcome = f"{signed(gains[0])} naive, {signed(gains[1])} eight anchors", bool(gains[1] < gains[0])
        found += f"; in its own tokens {signed(kept[0])} and {signed(kept[1])}"
    claim = "6 fine-tuning: the target loses more with eight anchors than naive"
    yield Prediction(claim, found, outcome, rows, [names["naive"], names["anchors"]])


def answered(courses: pd.DataFrame, smaller: pd.DataFrame | None) -> Iterator[Prediction]:
    """9, and 17.2 where there is a smaller scale to compare with."""
    tested = courses[(courses.softmax == "language") | (courses.sharing == "unified")]
    both = [answers.same_signs(courses, smaller[smaller.learned])] if smaller is not None else []
    for claim, found, outcome, cells in (*answers.predictions(courses), *both):
        yield Prediction(claim, found, outcome, tested, cells)


def one_factor(cells: Mapping[str, pd.DataFrame], scale: str) -> Iterator[Prediction]:
    """10 to 14 and 17.1, of all probed runs: what these studies hold fixed is the budget."""
    for claim, rows, found, outcome in claims.predictions(cells, scale):
        yield Prediction(claim.text, found, outcome, rows, claim.cells)


def told(
    claims: Iterable[tuple[str, str, bool | None, Sequence[str]]], rows: pd.DataFrame, planned: Planned
) -> Iterator[Prediction]:
    """Those of a table of its own, whose study asks for the planned seeds."""
    for claim, found, outcome, cells in claims:
        yield Prediction(claim, found, outcome, rows, cells, asked=sum(len(planned.get(name, ())) for name in cells))
