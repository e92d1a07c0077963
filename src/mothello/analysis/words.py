"""One word on each published number: reproduced, corrected, differs, or not reached."""

from typing import NamedTuple

from mothello.analysis.statistics import Estimate

WITHIN = 0.03
"""How near a number on the same board must be where it is outside our interval."""
REPRODUCED, CORRECTED, DIFFERS, NOT_REACHED, NOT_RUN = "reproduced", "corrected", "differs", "not reached", "not run"
WORDS = {
    REPRODUCED: "the published value is in our 95% interval or within .03 of our mean (same board); on "
    "another board: the same direction and order",
    CORRECTED: "reproduced, but strict or symmetry-aware scoring changes the conclusion",
    DIFFERS: "neither; the likely reason stands beside it",
    NOT_REACHED: "our models stayed below 97% strict legality on their own training distribution",
    NOT_RUN: "no run at this scale",
}


class Judged(NamedTuple):
    """The word, and why."""

    word: str
    reason: str = ""


def near(published: float, ours: Estimate) -> bool:
    """Whether a published value agrees with ours on the same board."""
    inside = ours.interval is not None and ours.interval[0] <= published <= ours.interval[1]
    return inside or abs(published - ours.mean) <= WITHIN


def judge(*, reached: bool, agrees: bool, changed: str, reason: str) -> Judged:
    """changed: how a better scoring changes the conclusion, empty where it does not; reason: why it differs."""
    if not reached:
        return Judged(NOT_REACHED)
    if not agrees:
        return Judged(DIFFERS, reason)
    return Judged(CORRECTED, changed) if changed else Judged(REPRODUCED)
