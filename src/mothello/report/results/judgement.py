"""One word on each published number: reproduced, corrected, differs, or not reached."""

from typing import NamedTuple

from mothello.report.statistics import Estimate

WITHIN = 0.03
"""How near a number on the same board must be where it is outside our interval."""
WIDEST = 0.12
"""An interval wider than this holds no published number: it says nothing."""
BANDS = (0.15, 0.85)
"""Not aligned, partly aligned, aligned: cross-language accuracy as a share of the way from the best constant (0) to
what the probe reads in its own language (1)."""
REPRODUCED, CORRECTED, DIFFERS, NOT_REACHED, NOT_RUN = "reproduced", "corrected", "differs", "not reached", "not run"
WORDS = {
    REPRODUCED: "on the same board: the published value is in our 95% interval over seeds (no wider than .12) or "
    "within .03 of our mean. On another board: alignment is in the same band (not aligned, partly, aligned), legality "
    "moves the same way (rises, stays within .03, falls). Naive pairs are judged by the seed in the middle, unified "
    "output by losing at most .03 across languages",
    CORRECTED: "reproduced, but better scoring changes the conclusion that ours allows: most seeds are aligned through "
    "a mirror, or strict legality moves another way",
    DIFFERS: "neither; the likely reason stands beside it",
    NOT_REACHED: "our models stayed below 97% strict legality on their own training distribution",
    NOT_RUN: "asked for at this scale, but not run yet",
}
ALIGNED = (
    "A pair is **aligned** when its best map beats both the best constant and what the best of the four maps reads "
    "where readings are paired with other games (95% quantile); **partly** where that is at most 85% of the way from "
    "the best constant to what the probe reads in its own language. Bands: not aligned up to 15% of that way, partly "
    "up to 85%, aligned above; for published numbers that way leads from .623 (8x8, computed here) to .97.\n\n"
    "Predictions 1 to 6 were written before any run. These rules were not: bands, the median of naive pairs and the "
    "measure behind the bar were settled while the first atomic runs came in."
)


class Judged(NamedTuple):
    """The word, and why."""

    word: str
    reason: str = ""


def near(published: float, ours: Estimate) -> bool:
    """Whether a published value agrees with ours on the same board."""
    low, high = ours.interval or (1.0, 0.0)
    return (low <= published <= high and high - low <= WIDEST) or abs(published - ours.mean) <= WITHIN


def band(accuracy: float, constant: float, own: float) -> int:
    """0 not aligned, 1 partly, 2 aligned."""
    share = (accuracy - constant) / (own - constant)
    return sum(share > edge for edge in BANDS)


def direction(change: float) -> int:
    """Of legality: -1 falls, 0 stays, 1 rises."""
    return 0 if abs(change) <= WITHIN else 1 if change > 0 else -1


def judge(*, reached: bool, agrees: bool, changed: str, reason: str) -> Judged:
    """changed: how a better scoring changes the conclusion, empty where it does not; reason: why it differs."""
    if not reached:
        return Judged(NOT_REACHED)
    if not agrees:
        return Judged(DIFFERS, reason)
    return Judged(CORRECTED, changed) if changed else Judged(REPRODUCED)
