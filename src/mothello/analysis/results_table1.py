"""The page's Table 1: alignment by number of anchors, published beside ours, raw and up to a symmetry."""

import pandas as pd

from mothello.analysis.cells import BAR
from mothello.analysis.markdown import decimal, ours, over_seeds, table
from mothello.analysis.published import TABLE_1
from mothello.analysis.words import NOT_RUN, WITHIN, Judged, band, judge, near

PUBLISHED_OWN, PUBLISHED_CONSTANT = 0.97, 0.623
"""What published probes read in their own language, and the best constant on 8x8: the ends of the published scale."""
UNALIGNED = (0.53, 0.61)
"""Published levels of pairs that are not aligned: a half turn or an unrelated game, and a reflection."""
BAND_NAMES = ("not aligned", "partly aligned", "aligned")
PARTLY = 0.8
"""Share recovered below which an aligned pair is called partly aligned."""


def table_1(cells: pd.DataFrame) -> str:
    """A row per published number and the unified regime, which has none."""
    head = [
        "pair", "anchors", "published", "raw", "best map", "own", "constant", "random weights", "aligned through",
        "seeds", "legal: strict / either colour", "word", "why",
    ]  # fmt: skip
    rows = []
    for pair, published in TABLE_1.items():
        for count, text in published.items():
            of = _cell(cells, pair, count)
            judged = _judged(float(text), of, naive=count == 0)
            rows.append([pair, count, text, *_numbers(of), judged.word, judged.reason])
        unified = cells[(cells.pair == pair) & (cells.role == "unified")]
        if len(unified):
            rows.append([pair, "0, unified output", "aligned", *_numbers(unified), *_unified(unified)])
    return table(head, rows)


def _cell(cells: pd.DataFrame, pair: str, count: int) -> pd.DataFrame:
    of = cells[(cells.pair == pair) & (cells.anchors == count)]
    return of[of.role == ("anchor" if count else "naive")]


def _numbers(of: pd.DataFrame) -> list[str]:
    columns = ("raw", "best", "own", "constant", "random_weights")
    numbers = [ours(over_seeds(of[name])) for name in columns]
    strict, lenient = (ours(over_seeds(of[name])) for name in ("strict", "lenient"))
    mark = "" if of.reached.all() else f" ({int((~of.reached.astype(bool)).sum())} below the bar)"
    return [*numbers, winners(of), str(int(of.raw.notna().sum())), f"{strict} / {lenient}{mark}"]


def winners(of: pd.DataFrame) -> str:
    """How many seeds are aligned through which map, such as "2 identity, 1 main (partly)"."""
    known = of[of.winner.notna()]
    partly = known.winner.where(known.winner.eq("none") | (known.recovered >= PARTLY), known.winner + " (partly)")
    return ", ".join(f"{n} {name}" for name, n in partly.value_counts().items()) or "-"


def mirrored(of: pd.DataFrame) -> pd.DataFrame:
    """The seeds that are aligned through a map other than the identity."""
    return of[of.winner.isin(["rot180", "main", "anti"])]


def _judged(published: float, of: pd.DataFrame, naive: bool) -> Judged:
    known = of[of.raw.notna()]
    if known.empty:
        return Judged(NOT_RUN)
    mirrors, changed = mirrored(known), ""
    if 2 * len(mirrors) > len(known):
        share = f"{len(mirrors)} of {len(known)} seeds aligned up to a symmetry"
        changed = f"{share} ({winners(mirrors)}), best map {decimal(float(mirrors.best.mean()))}"
    agrees, reason = _agrees(published, known, naive)
    return judge(reached=bool(known.legal.mean() >= BAR), agrees=agrees, changed=changed, reason=reason)


def _agrees(published: float, of: pd.DataFrame, naive: bool) -> tuple[bool, str]:
    """Whether ours says the same, and what it says instead. Naive pairs are judged by the seed in the middle: a mean
    over pairs that aligned and pairs that did not is the accuracy of none of them."""
    raw = over_seeds(of.raw)
    assert raw is not None
    seen = float(of.raw.median()) if naive else raw.mean
    which = f"; aligned through: {winners(of)}"
    if bool((of.board == "8x8").all()):
        good = any(abs(level - seen) <= WITHIN for level in UNALIGNED) if naive else near(published, raw)
        return good, f"{decimal(seen)}, not {decimal(published, 2)}{which}"
    theirs = band(published, PUBLISHED_CONSTANT, PUBLISHED_OWN)
    found = band(seen, float(of.constant.mean()), float(of.own.mean()))
    return theirs == found, f"{BAND_NAMES[found]}, published {BAND_NAMES[theirs]}{which}"


def _unified(of: pd.DataFrame) -> list[str]:
    loss, legal = over_seeds(of.own - of.raw), over_seeds(of.legal)
    if loss is None or legal is None:
        return [NOT_RUN, ""]
    reason = f"loses {decimal(loss.mean)} across languages"
    return [*judge(reached=legal.mean >= BAR, agrees=loss.mean <= WITHIN, changed="", reason=reason)]
