"""The page's Table 1: alignment by number of anchors, published beside ours, raw and up to a symmetry."""

import pandas as pd

from mothello.analysis.markdown import decimal, ours, over_seeds, table
from mothello.analysis.published import TABLE_1
from mothello.analysis.statistics import Estimate
from mothello.analysis.words import NOT_RUN, WITHIN, Judged, judge, near

UNREAD = 0.63
"""Published values up to here are levels of unaligned pairs: images, unrelated boards, the best constant (.623)."""
MOVED = 0.03
"""A step from one number of anchors to the next that counts as one."""


def table_1(cells: pd.DataFrame) -> str:
    """A row per published number and the unified regime, which has none."""
    head = [
        "pair", "anchors", "published", "raw", "best map", "own", "constant", "random weights", "winning maps", "seeds",
        "legal: strict / either colour", "word", "why",
    ]  # fmt: skip
    rows = []
    for pair, published in TABLE_1.items():
        before: tuple[float, Estimate] | None = None
        for count, text in published.items():
            of = _cell(cells, pair, count)
            raw = over_seeds(of.raw)
            judged = _judged(float(text), of, before)
            rows.append([pair, count, text, *_numbers(of), judged.word, judged.reason])
            before = (float(text), raw) if raw is not None else None
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
    """How many seeds each map won in, such as "2 identity, 1 main"."""
    counts = of.winner.dropna().value_counts()
    return ", ".join(f"{n} {name}" for name, n in counts.items()) or "-"


def mirrored(of: pd.DataFrame) -> pd.DataFrame:
    """The seeds that are aligned through a map other than the identity."""
    return of[~of.winner.isin(["identity", "none"]) & of.winner.notna()]


def _judged(published: float, of: pd.DataFrame, before: tuple[float, Estimate] | None) -> Judged:
    raw = over_seeds(of.raw)
    if raw is None:
        return Judged(NOT_RUN)
    constant = float(of.constant.mean())
    reached = over_seeds(of.legal)
    assert reached is not None
    mirrors = mirrored(of)
    changed = ""
    if len(mirrors):
        share = f"{len(mirrors)} of {len(of)} seeds aligned up to a symmetry"
        changed = f"{share} ({winners(mirrors)}), best map {decimal(float(mirrors.best.mean()))}"
    agrees, reason = _agrees(published, raw, constant, before, same=bool((of.board == "8x8").all()))
    return judge(reached=reached.mean >= 0.97, agrees=agrees, changed=changed, reason=reason)


def _agrees(
    published: float, raw: Estimate, constant: float, before: tuple[float, Estimate] | None, same: bool
) -> tuple[bool, str]:
    """Whether ours says the same, and what it says instead. On another board: on the same side of what a guess reads,
    and moved the same way from the number of anchors before it."""
    if same:
        return near(published, raw), f"{decimal(raw.mean)}, not {decimal(published, 2)}"
    reads = raw.mean > constant + WITHIN
    if (published > UNREAD) != reads:
        return False, f"{'above' if reads else 'not above'} the best constant at this budget"
    if before is not None:
        theirs, change = published - before[0], raw.mean - before[1].mean
        if abs(theirs) >= MOVED and theirs * change < 0:
            return False, f"moves by {change:+.3f} from the number of anchors before, published {theirs:+.2f}"
    return True, ""


def _unified(of: pd.DataFrame) -> list[str]:
    loss, legal = over_seeds(of.own - of.raw), over_seeds(of.legal)
    assert loss is not None or not len(of)
    if loss is None or legal is None:
        return [NOT_RUN, ""]
    reason = f"loses {decimal(loss.mean)} across languages"
    return [*judge(reached=legal.mean >= 0.97, agrees=loss.mean <= MOVED, changed="", reason=reason)]
