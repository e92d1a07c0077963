"""What the other papers claim, in our words, and whether it holds here: written after the runs.

A claim is a difference that lies above zero, by seed or by setting: it holds where its 95% interval lies above zero,
does not where it lies below, and is open otherwise, and with fewer than three of them."""

from collections.abc import Callable, Iterable, Mapping
from itertools import product

import pandas as pd

from studies.align_mlm import CELLS, points
from studies.correlation import correlation
from studies.emerging import LIMITS
from studies.numbers import over_seeds
from studies.paper import Found, Outcome
from studies.posthoc import PAIRS, layers
from studies.realignment import CELLS as SETTINGS
from studies.realignment import CLEAR, DISTANCES, SCHEDULES, WIDTHS, change, gain, of_width, stage_of

Judge = Callable[[Found], Outcome]
GOLD = stage_of("gold", "before")


def positive(values: Iterable[float | None]) -> Outcome:
    """Whether their mean is, by its interval."""
    mean = over_seeds(values)
    if mean is None or mean.interval is None:
        return None
    low, high = mean.interval
    return True if low > 0 else False if high < 0 else None


def more(one: str, other: str, column: str = "follows", by: float = 0.0) -> Judge:
    """One cell has more of it than another one, seed by seed, by more than so much."""
    return lambda found: positive(found.of(one, column)[column] - found.of(other, column)[column] - by)


def less(one: str, other: str, by: float) -> Judge:
    """What one cell follows by more than another one is less than so much."""
    return lambda found: positive(by + found.of(other, "follows").follows - found.of(one, "follows").follows)


def cliff(found: Found) -> Outcome:
    """More is lost from two layers apart to three than from none to two."""
    none, two, three = (found.of(cell, "follows").follows for cell in ("shared", "apart_2", "apart_3"))
    return positive((two - three) - (none - two))


def farther_less(found: Found) -> Outcome:
    """Renamed languages follow by more than either of the farther ones."""
    near, *far = (found.of(cell, "follows").follows for cell in ("shared", "compositional_shared", "reordered_shared"))
    return positive(near - pd.concat(far, axis=1).max(axis=1, skipna=False))


def far_less(found: Found) -> Outcome:
    """Of two models trained apart, one with random weights; over what they differ by."""
    cells = [cell for cell in PAIRS if len(found.of(cell, "most_alike_random"))]
    ends = ("most_alike", "most_alike_random")
    alike = {cell: [found.mean(cell, column) for column in ends] for cell in cells}
    return positive(a - b - LIMITS["random"] for a, b in alike.values() if a is not None and b is not None)


def lower_more(found: Found) -> Outcome:
    """The first block is more alike than the last, over the pairs of models."""
    blocks = layers(found, "cka_")[1:]
    ends = [[found.mean(cell, f"cka_{block}") for cell in PAIRS] for block in (blocks[:1] + blocks[-1:])]
    return positive(a - b for a, b in zip(*ends, strict=True) if a is not None and b is not None) if ends else None


def predicts(found: Found) -> Outcome:
    """BS - BZ falls with the alignment of embeddings, over the 16 cells."""
    known = points(found)
    one = correlation(known, "neighbours", "delta")
    if one is None or known.cell.nunique() < len(CELLS):
        return None
    return True if one.high < LIMITS["spearman"] else False if one.low > LIMITS["spearman"] else None


def halfway(found: Found) -> Outcome:
    return positive(found.of("mlm_renamed", "follows").follows - LIMITS["half"])


def rises(found: Found) -> Outcome:
    """Over the settings that are here."""
    return positive(gain(found, cell, GOLD) for cell in SETTINGS)


def pairs(found: Found, ones: Iterable[str], others: Iterable[str]) -> Outcome:
    """The gains of some settings less those of others, seed by seed."""
    parts = [change(found, a, GOLD) - change(found, b, GOLD) for a, b in zip(ones, others, strict=True)]
    return positive(value for part in parts for value in part)


def smaller_more(found: Found) -> Outcome:
    return pairs(found, of_width("small"), of_width("large"))


def distant_more(found: Found) -> Outcome:
    near, far = ([f"{distance}_{width}" for width in WIDTHS] for distance in (DISTANCES[0], DISTANCES[-1]))
    return pairs(found, far, near)


def hurts(found: Found) -> Outcome:
    """Wrong entries cost a wide model something; over languages, before and during."""
    stages = [stage_of("wrong", schedule) for schedule in SCHEDULES]
    gains = [gain(found, cell, stage) for cell, stage in product(of_width("large"), stages)]
    return positive(-CLEAR - value for value in gains if value is not None)


THEIRS: Mapping[str, Mapping[str, Judge]] = {
    "emerging": {
        "words in common matter little": less("shared", "no_anchors", LIMITS["anchors"]),
        "extra words in common do no harm": more("switched", "shared", by=-LIMITS["switched"]),
        "layers of each language's own cost little until most are": cliff,
        "more distant languages follow less": farther_less,
        "another domain costs something": more("shared", "shared_domain"),
    },
    "posthoc": {
        "two languages of one model are more alike than models trained apart": more("together", "apart", "most_alike"),
        "random weights are far less alike": far_less,
        "lower layers are most alike": lower_more,
    },
    "align_mlm": {
        "the alignment of embeddings predicts what is lost": predicts,
        "ALIGN transfers more than MLM between inverted languages": more("align_inverted", "mlm_inverted"),
        "MLM alone transfers where words are only renamed": halfway,
    },
    "realignment": {
        "realignment before fine-tuning helps": rises,
        "it helps distant languages most": distant_more,
        "it helps small models most": smaller_more,
        "a faulty dictionary hurts a strong model": hurts,
    },
    "imbalance": {
        "a game of a rare language is worth more": more("naive_9_1", "naive", "rarer"),
        "unequal shares make languages more alike (probes through the best map)": more("naive_9_1", "naive", "best"),
    },
    "prealign": {
        "words aligned late carry less": more("before", "late", "other"),
        "switched words alone carry less": more("before", "taught_switched", "other"),
    },
    "false_friends": {
        "words in common lower the loss": more("naive", "shared_50_true", "excess"),
    },
}
"""Study -> claim -> how it is judged."""


def theirs_of(study: str, found: Found) -> dict[str, list[str]]:
    """The claims of a study's paper, by whether they hold here."""
    words = {True: "holds here", False: "does not hold here", None: "open"}
    told: dict[str, list[str]] = {word: [] for word in words.values()}
    for claim, judge in THEIRS.get(study, {}).items():
        told[words[judge(found)]].append(claim)
    return {word: claims for word, claims in told.items() if claims}
