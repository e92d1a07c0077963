"""The page's Table 1: alignment by number of anchors, published beside ours, raw and up to a symmetry."""

from collections.abc import Mapping, Sequence

import pandas as pd

from mothello.report.published import TABLE_1
from mothello.report.results.cells import BAR, MIRRORS
from mothello.report.results.judgement import BANDS, NOT_REACHED, NOT_RUN, WITHIN, Judged, band, judge, near
from mothello.report.results.markdown import decimal, mean, measured, middle, out_of, over_seeds, table

PUBLISHED_OWN, PUBLISHED_CONSTANT = 0.97, 0.623
"""What published probes read in their own language, and the best constant on 8x8: the ends of the published scale."""
UNALIGNED = (0.53, 0.61)
"""Published levels of two atomic languages that are not aligned: a half turn or an unrelated game, and a reflection."""
BAND_NAMES = ("not aligned", "partly aligned", "aligned")
PARTLY = BANDS[1]
"""Share recovered up to which an aligned pair is called partly aligned."""
ATOMIC = "atomic + atomic"


def table_1(cells: pd.DataFrame, planned: Mapping[str, Sequence[int]]) -> str:
    """A row per published number and the unified regime, which has none. planned: the seeds of every cell."""
    head = [
        "pair", "anchors", "published", "raw", "best map", "own", "best map, random weights", "own, random weights",
        "constant", "layer",
        "aligned through", "seeds", "legal: strict / either colour", "word", "why",
    ]  # fmt: skip
    rows = []
    for pair, published in TABLE_1.items():
        for count, text in published.items():
            of = _cell(cells, pair, count)
            judged = _judged(float(text), of, pair, naive=count == 0)
            rows.append([pair, count, text, *_numbers(of, planned, count == 0), judged.word, judged.reason])
        unified = cells[(cells.pair == pair) & (cells.role == "unified")]
        if len(unified):
            rows.append([pair, "0, unified output", "aligned", *_numbers(unified, planned), *_unified(unified)])
    return table(head, rows)


def _cell(cells: pd.DataFrame, pair: str, count: int) -> pd.DataFrame:
    of = cells[(cells.pair == pair) & (cells.anchors == count)]
    return of[of.role == ("anchor" if count else "naive")]


def _numbers(of: pd.DataFrame, planned: Mapping[str, Sequence[int]], naive: bool = False) -> list[str]:
    across = [middle(of[name]) if naive and len(of) > 1 else measured(of, name) for name in ("raw", "best")]
    ends = [measured(of, "own"), *(mean(of[name]) for name in ("random_across", "random_weights", "constant"))]
    layers = " ".join(str(int(x)) for x in sorted(of.layer.dropna().unique())) or "-"
    known = of[of.raw.notna()]
    seeds = out_of(len(known), sum(len(planned.get(cell, ())) for cell in known.cell.unique()))
    strict, lenient = (measured(of, name) for name in ("strict", "lenient"))
    counted = {"below the bar": int((~of.reached.astype(bool)).sum()), "not measured": int(of.strict.isna().sum())}
    mark = ", ".join(f"{n} {what}" for what, n in counted.items() if n)
    return [*across, *ends, layers, winners(of), seeds, f"{strict} / {lenient}{mark and f' ({mark})'}"]


def winners(of: pd.DataFrame) -> str:
    """How many seeds are aligned through which map, such as "2 identity, 1 main (partly)"."""
    known = of[of.winner.notna()]
    partly = known.winner.where(known.winner.eq("none") | (known.recovered > PARTLY), known.winner + " (partly)")
    return ", ".join(f"{n} {name}" for name, n in partly.value_counts().items()) or "-"


def mirrored(of: pd.DataFrame) -> pd.DataFrame:
    """The seeds that are aligned through a map other than the identity."""
    return of[of.winner.isin(MIRRORS)]


def _judged(published: float, of: pd.DataFrame, pair: str, naive: bool) -> Judged:
    known = of[of.raw.notna()]
    if known.empty:
        return Judged(NOT_RUN)
    mirrors, changed = mirrored(known), ""
    if 2 * len(mirrors) > len(known):
        share = f"{len(mirrors)} of {len(known)} seeds aligned up to a symmetry"
        changed = f"{share} ({winners(mirrors)}), best map {decimal(float(mirrors.best.mean()))}"
    agrees, reason = _agrees(published, known, pair, naive)
    judged = judge(reached=bool(known.legal.mean() >= BAR), agrees=agrees, changed=changed, reason=reason)
    return Judged(judged.word, by_kind(known)) if judged.word == NOT_REACHED else judged


def by_kind(of: pd.DataFrame) -> str:
    """Strict legality by kind of language, such as "strict: atomic .970, split .885"."""
    kinds = pd.DataFrame(list(of.by_kind.dropna())).mean()
    return f"strict: {', '.join(f'{kind} {decimal(value)}' for kind, value in kinds.items())}" if len(kinds) else ""


def _agrees(published: float, of: pd.DataFrame, pair: str, naive: bool) -> tuple[bool, str]:
    """Whether ours says the same, and what it says instead. Naive pairs are judged by the seed in the middle: a mean
    over pairs that aligned and pairs that did not is the accuracy of none of them."""
    raw = over_seeds(of.raw)
    assert raw is not None
    seen = float(of.raw.median()) if naive else raw.mean
    through = f"; aligned through: {winners(of)}"
    if bool((of.board == "8x8").all()):
        levels = (published, *(UNALIGNED if pair == ATOMIC else ()))
        good = any(abs(level - seen) <= WITHIN for level in levels) if naive else near(published, raw)
        return (
            good,
            f"{decimal(seen)}, not {decimal(published, 2)}{through}. Likely: {of.games.iloc[0]:,} games, not 180 M",
        )
    share = (of.raw - of.constant) / (of.own - of.constant)
    seeds = f" (raw {share.min():.0%} to {share.max():.0%} of the way)" if len(of) > 1 else ""
    theirs = band(published, PUBLISHED_CONSTANT, PUBLISHED_OWN)
    found = band(seen, float(of.constant.mean()), float(of.own.mean()))
    likely = _more(of) if found > theirs else _less(of)
    return theirs == found, f"{BAND_NAMES[found]}{seeds}, published {BAND_NAMES[theirs]}{through}. Likely: {likely}"


def _more(of: pd.DataFrame) -> str:
    """Why ours would be aligned where the published pair was not."""
    size = int(str(of.board.iloc[0]).partition("x")[0])
    return f"a smaller board, where a move is one of {size * size - 4} and not of 60; another optimizer"


def _less(of: pd.DataFrame) -> str:
    """Why the published pair would be aligned where ours is not."""
    layers, games = of.layers.iloc[0], of.games.iloc[0]
    return f"{layers:.0f} layers and {games:,} games, not 8 layers and 180 M games"


def _unified(of: pd.DataFrame) -> list[str]:
    loss, legal = over_seeds(of.own - of.raw), over_seeds(of.legal)
    if loss is None or legal is None:
        return [NOT_RUN, ""]
    reason = f"loses {decimal(loss.mean)} across languages"
    return [*judge(reached=legal.mean >= BAR, agrees=loss.mean <= WITHIN, changed="", reason=reason)]
