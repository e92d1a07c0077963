"""A word on each published number: reproduced, corrected, reinterpreted, differs, or not reached."""

from typing import NamedTuple

import pandas as pd

from mothello.report.statistics import Estimate
from studies import CRITERIA, PUBLISHED
from studies.data import MIRRORS
from studies.numbers import decimal, mean, over_seeds, percent, signed

REPRODUCED, CORRECTED, REINTERPRETED = "reproduced", "corrected", "reinterpreted"
DIFFERS, NOT_REACHED, NOT_RUN = "differs", "not reached", "not run"
BANDS = ("not aligned", "partly aligned", "aligned")
ATOMIC = "atomic + atomic"


class Judged(NamedTuple):
    """The word, and the reason."""

    word: str
    why: str = ""


def judge(*, learned: bool, agrees: bool, corrected: str = "", why: str, here: bool = True) -> Judged:
    """corrected: how a better scoring changes the conclusion, empty where it does not; why: the reason to differ; here:
    on the published board, since another board can only suggest another reading."""
    if not learned:
        return Judged(NOT_REACHED)
    if not agrees:
        return Judged(DIFFERS, why)
    return Judged(CORRECTED if here else REINTERPRETED, corrected) if corrected else Judged(REPRODUCED)


def near(published: float, ours: Estimate) -> bool:
    """Whether a published number agrees with ours on the same board."""
    low, high = ours.interval or (1.0, 0.0)
    inside = low <= published <= high and high - low <= CRITERIA.widest
    return inside or abs(published - ours.mean) <= CRITERIA.within


def band(accuracy: float, constant: float, own: float) -> int:
    """Index of BANDS."""
    share = (accuracy - constant) / (own - constant)
    return sum(share > edge for edge in CRITERIA.bands)


def direction(change: float) -> int:
    """-1 where legality falls, 0 where it stays, 1 where it rises."""
    return 0 if abs(change) <= CRITERIA.within else 1 if change > 0 else -1


def same_board(rows: pd.DataFrame) -> bool:
    return bool(len(rows) and (rows.board == PUBLISHED.board).all())


def learned(rows: pd.DataFrame) -> bool:
    return bool(rows.legal.mean() >= CRITERIA.bar)


def winners(rows: pd.DataFrame) -> str:
    """How many seeds have which verdict, such as "2 identity, 1 main (partly), 1 orbit only"."""
    return ", ".join(f"{count} {name}" for name, count in rows.verdict.value_counts().items()) or "-"


def judged_pair(published: float, rows: pd.DataFrame) -> Judged:
    """Two languages at one number of anchors. Naive pairs are judged by the seed in the middle: a mean over pairs that
    aligned and pairs that did not is the accuracy of none of them."""
    known = rows[rows.probed]
    if known.empty:
        return Judged(NOT_RUN)
    mirrored, corrected = known[known.winner.isin(MIRRORS)], ""
    if 2 * len(mirrored) > len(known):
        share = f"{len(mirrored)} of {len(known)} seeds aligned up to a symmetry"
        corrected = f"{share} ({winners(mirrored)}), best map {mean(mirrored.best)}"
    agrees, why = _numbers_agree(published, known) if same_board(known) else _bands_agree(published, known)
    here = same_board(known)
    judged = judge(learned=learned(known), agrees=agrees, corrected=corrected, why=why, here=here)
    return Judged(judged.word, by_kind(known)) if judged.word == NOT_REACHED else judged


def by_kind(rows: pd.DataFrame) -> str:
    """Strict legality by kind of language, such as "strict: atomic .970, split .885"."""
    kinds = pd.DataFrame(list(rows.by_kind.dropna())).mean()
    return f"strict: {', '.join(f'{kind} {decimal(value)}' for kind, value in kinds.items())}" if len(kinds) else ""


def _central(rows: pd.DataFrame) -> float:
    """The raw accuracy that a row is judged by."""
    return float(rows.raw.median() if rows.sharing.eq("naive").all() else rows.raw.mean())


def _numbers_agree(published: float, rows: pd.DataFrame) -> tuple[bool, str]:
    raw, ours = _central(rows), over_seeds(rows.raw)
    assert ours is not None
    levels = [published]
    if rows.pair.iloc[0] == ATOMIC:
        levels += [PUBLISHED.levels["half_turn"], PUBLISHED.levels["reflection"]]
    naive = rows.sharing.eq("naive").all()
    agrees = any(abs(level - raw) <= CRITERIA.within for level in levels) if naive else near(published, ours)
    why = f"{decimal(raw)}, not {decimal(published, 2)}; aligned through: {winners(rows)}. "
    return agrees, f"{why}Likely: {rows.games.iloc[0]:,} games, not {PUBLISHED.pretraining['games']}"


def _bands_agree(published: float, rows: pd.DataFrame) -> tuple[bool, str]:
    """On another board alignment is compared by bands."""
    share = (rows.raw - rows.constant) / (rows.own - rows.constant)
    seeds = f" (raw {share.min():.0%} to {share.max():.0%} of the way)" if len(rows) > 1 else ""
    theirs = band(published, PUBLISHED.constant, PUBLISHED.own)
    ours = band(_central(rows), float(rows.constant.mean()), float(rows.own.mean()))
    if ours > theirs:
        size = int(str(rows.board.iloc[0]).partition("x")[0])
        likely = f"a smaller board, where a move is one of {size * size - 4} and not of 60; another optimizer"
    else:
        layers, games = PUBLISHED.pretraining["layers"], PUBLISHED.pretraining["games"]
        likely = (
            f"{rows.layers.iloc[0]:.0f} layers and {rows.games.iloc[0]:,} games, not {layers} layers and {games} games"
        )
    why = f"{BANDS[ours]}{seeds}, published {BANDS[theirs]}; aligned through: {winners(rows)}. Likely: {likely}"
    return theirs == ours, why


def judged_unified(rows: pd.DataFrame) -> Judged:
    """Unified output, which has no published number: its probes must read the other language nearly as well."""
    loss = over_seeds(rows.own - rows.raw)
    if loss is None:
        return Judged(NOT_RUN)
    why = f"loses {decimal(loss.mean)} across languages"
    return judge(learned=learned(rows), agrees=loss.mean <= CRITERIA.unified_loss, why=why)


def at_levels(raw: pd.Series) -> float:
    """Share of the pairs that read raw at a published level."""
    levels = PUBLISHED.levels.values()
    return float(pd.concat([(raw - level).abs() <= CRITERIA.within for level in levels], axis=1).any(axis=1).mean())


def judged_family(rows: pd.DataFrame, count: int) -> Judged:
    """Many naive languages, pair by pair."""
    raw = pd.Series([value for values in rows.raw_pairs for value in values])
    middle = float(raw.median())
    low, high = PUBLISHED.most_pairs_of_five
    if not same_board(rows):
        agrees = middle <= float(rows.constant.mean()) + CRITERIA.within
    elif count == 5:
        agrees = low - CRITERIA.within <= middle <= high + CRITERIA.within
    else:
        occur = all(((raw - level).abs() <= CRITERIA.within).any() for level in PUBLISHED.levels.values())
        agrees = at_levels(raw) >= CRITERIA.family["levels"] and occur
    mirrored = sum(n for maps in rows.maps for name, n in maps.items() if name != "identity") / float(rows.pairs.sum())
    corrected = f"{percent(mirrored)} of the pairs are aligned through a mirror, best map {mean(rows.best)}"
    corrected = corrected if mirrored > CRITERIA.family["mirrored"] else ""
    why = f"the median pair reads {decimal(middle)} raw"
    return judge(learned=learned(rows), agrees=agrees, corrected=corrected, why=why, here=same_board(rows))


def judged_change(rows: pd.DataFrame, published: float) -> Judged:
    """Fine-tuning. Published and lenient scoring must agree on the change: on the same board by number, on another by
    its direction. Strict scoring that moves another way corrects it."""
    if rows.empty:
        return Judged(NOT_RUN)
    changes = [over_seeds(rows[f"{key}after"] - rows[f"{key}before"]) for key in ("", "lenient_", "own_")]
    strict, lenient, own = (change for change in changes if change is not None)
    agrees = near(published, lenient) if same_board(rows) else direction(lenient.mean) == direction(published)
    corrected = f"strict {signed(strict.mean)}, either color {signed(lenient.mean)}"
    corrected = "" if direction(strict.mean) == direction(lenient.mean) else corrected
    wrong, note = float(rows.wrong_after.mean()), ""
    if wrong > CRITERIA.wrong_language:
        note = f"{percent(wrong)} of the answers are in another language, in its own tokens {signed(own.mean)}"
    why = f"either color {signed(lenient.mean)}, published {signed(published)}{note and f'; {note}'}"
    judged = judge(learned=learned(rows), agrees=agrees, corrected=corrected, why=why, here=same_board(rows))
    return Judged(REPRODUCED, note) if judged.word == REPRODUCED else judged
