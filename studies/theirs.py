"""What the other papers claim, in our words, and whether it holds here: written after the runs, by sign and order."""

from collections.abc import Callable, Mapping
from itertools import product

from studies import align_mlm, realignment
from studies.align_mlm import CELLS, by_cell, points
from studies.emerging import LIMITS, cliff
from studies.paper import Found, Outcome, means

Judge = Callable[[Found], Outcome]


def by(rule: Callable[..., bool], *cells: str, column: str = "follows") -> Judge:
    """By the means of cells."""
    return lambda found: means(rule, column)(found, cells)[1]


def predicts(found: Found) -> Outcome:
    """Over the 16 cells of align_mlm."""
    whole, _, count = by_cell(points(found), "neighbours")
    return bool(whole < LIMITS["spearman"]) if count == len(CELLS) else None


def follows_more(found: Found) -> Outcome:
    return align_mlm.follows_more(found, CELLS)[1]


def far_less(found: Found) -> Outcome:
    """Two seeds, one of them with random weights."""
    alike, random = (found.mean("apart", column) for column in ("most_alike", "most_alike_random"))
    return None if alike is None or random is None else alike - random >= LIMITS["random"]


def rises(found: Found) -> Outcome:
    return realignment.rises(found, realignment.CELLS)[1]


def small_and_far(found: Found) -> Outcome:
    return realignment.weak_and_far(found, realignment.CELLS)[1]


def hurts(found: Found) -> Outcome:
    """Whether wrong entries cost a wide model something, in any language, before or during."""
    stages = [realignment.stage_of("wrong", schedule) for schedule in realignment.SCHEDULES]
    cells = realignment.of_width("large")
    gains = [realignment.gain(found, cell, stage) for cell, stage in product(cells, stages)]
    known = [value for value in gains if value is not None]
    return True if any(value < -realignment.CLEAR for value in known) else False if len(known) == len(gains) else None


def worth_more(found: Found) -> Outcome:
    """A game of the rarer language, in every seed."""
    equal, unequal = (found.of(cell, "rarer").rarer for cell in ("naive", "naive_9_1"))
    return bool(unequal.min() > equal.max()) if len(equal) and len(unequal) else None


THEIRS: Mapping[str, Mapping[str, Judge]] = {
    "emerging": {
        "words in common matter little": by(lambda a, b: a - b <= LIMITS["anchors"], "shared", "no_anchors"),
        "extra words in common do no harm": by(lambda a, b: b >= a - LIMITS["switched"], "shared", "switched"),
        "layers of each language's own cost little until most are": by(cliff, "shared", "apart_2", "apart_3"),
        "more distant languages follow less": by(
            lambda a, *others: a > max(others), "shared", "compositional_shared", "reordered_shared"
        ),
        "another domain costs something": by(lambda a, b: a > b, "shared", "shared_domain"),
    },
    "posthoc": {
        "two languages of one model are slightly more alike than models trained apart": by(
            lambda a, b: 0 <= a - b <= LIMITS["same"], "together", "apart", column="most_alike"
        ),
        "random weights are far less alike": far_less,
    },
    "align_mlm": {
        "the alignment of embeddings predicts what is lost": predicts,
        "ALIGN transfers more than MLM between inverted languages": follows_more,
        "MLM alone transfers where words are only renamed": by(lambda x: x >= LIMITS["half"], "mlm_renamed"),
    },
    "realignment": {
        "realignment before fine-tuning helps": rises,
        "it helps small models and distant languages most": small_and_far,
        "a faulty dictionary can hurt a strong model": hurts,
    },
    "imbalance": {
        "a game of a rare language is worth more": worth_more,
        "unequal shares make states more alike": by(
            lambda a, b: b - a > LIMITS["same"], "naive", "naive_9_1", column="cosine"
        ),
    },
    "prealign": {
        "words aligned late, and switched only then, carry less": by(
            lambda a, b: a - b > LIMITS["alike"], "before", "late", column="other"
        ),
        "switched words alone carry less": by(
            lambda a, b: b < LIMITS["most"] * a, "before", "taught_switched", column="other"
        ),
    },
    "false_friends": {
        "words in common lower the loss": by(
            lambda a, *others: a > max(others), "naive", "shared_25_true", "shared_50_true", column="excess"
        ),
    },
}  # fmt: skip
"""Study -> claim -> how it is judged."""


def theirs_of(study: str, found: Found) -> dict[str, list[str]]:
    """The claims of a study's paper, by whether they hold here."""
    words = {True: "holds here", False: "does not hold here", None: "open"}
    told: dict[str, list[str]] = {word: [] for word in words.values()}
    for claim, judge in THEIRS.get(study, {}).items():
        told[words[judge(found)]].append(claim)
    return {word: claims for word, claims in told.items() if claims}
