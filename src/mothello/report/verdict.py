"""What happened, in sentences: pure functions of the headline over seeds. Every sentence states its numbers."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mothello.report.regimes import anchors, role, setting
from mothello.report.runs import Run
from mothello.report.statistics import Estimate, Headline

READS_ABOVE = 0.05
"""Own accuracy above the best constant and above random weights that counts as reading the board."""
ALIGNED_BELOW = 0.03
"""Loss across languages up to which the unified regime counts as aligned."""
UNALIGNED_ABOVE = 0.15
"""Loss across languages from which the naive regime counts as not aligned."""


class Verdict(NamedTuple):
    """One comparison of a naive and a unified regime. shows is None when it cannot be judged."""

    shows: bool | None
    sentence: str


def number(value: Estimate | None) -> str:
    """Mean over seeds, with the interval where there is one."""
    if value is None:
        return "not measured"
    interval = f" [{value.low:.3f}, {value.high:.3f}]" if value.interval else ""
    return f"{value.mean:.3f}{interval}"


def describe(regime: str, runs: Sequence[Run], row: Headline, layers: Sequence[int]) -> str:
    """The numbers of one regime in a sentence."""
    where = " and ".join(str(x) for x in sorted(set(layers)))
    seeds = f"{len(layers)} seed" + ("s" if len(layers) > 1 else "")
    own = f"{regime} ({seeds}, layer {where}): a probe reads {number(row['own'])} of the cells in its own language"
    baselines = f"the best constant reaches {number(row['constant'])}, random weights {number(row['random_weights'])}"
    if row["cross"] is None:
        return f"{own}; there is no second language to read. For comparison, {baselines}."
    return (
        f"{own} and {number(row['cross'])} in another, a loss across languages of {number(row['loss_across'])}; "
        f"{baselines}."
    )


def _unread(regime: str, row: Headline) -> list[str]:
    """Why a regime does not count as reading the board."""
    own, reasons = row["own"], []
    for name, label in (("constant", "the best constant"), ("random_weights", "random weights")):
        base = row[name]
        if own is None or base is None:
            reasons.append(f"{regime} has no number for {label}")
        elif own.mean - base.mean < READS_ABOVE:
            gap = own.mean - base.mean
            place = f"{gap:.3f} above {label}" if gap >= 0 else f"{-gap:.3f} below {label}"
            reasons.append(f"{regime} reads its own language only {place} (at least {READS_ABOVE:.2f} above is asked)")
    return reasons


def judge(naive: str, naive_row: Headline, unified: str, unified_row: Headline) -> Verdict:
    """Does one output space align what disjoint vocabularies leave apart? Names every condition that fails."""
    reasons = _unread(naive, naive_row) + _unread(unified, unified_row)
    lost, kept = naive_row["loss_across"], unified_row["loss_across"]
    if lost is None or kept is None:
        return Verdict(None, f"No verdict on {naive} and {unified}: one of them has no second language.")
    if kept.mean > ALIGNED_BELOW:
        reasons.append(f"{unified} loses {kept.mean:.3f} across languages (at most {ALIGNED_BELOW:.2f} is asked)")
    if lost.mean < UNALIGNED_ABOVE:
        reasons.append(f"{naive} loses only {lost.mean:.3f} across languages (at least {UNALIGNED_ABOVE:.2f} is asked)")
    if reasons:
        return Verdict(False, f"The effect does not show in this run because {'; and '.join(reasons)}.")
    return Verdict(
        True,
        f"The effect shows: {unified} loses {kept.mean:.3f} across languages (at most {ALIGNED_BELOW:.2f} is asked), "
        f"{naive} {lost.mean:.3f} (at least {UNALIGNED_ABOVE:.2f}), and both read their own language at least "
        f"{READS_ABOVE:.2f} above the best constant and above random weights.",
    )


def verdicts(groups: Mapping[str, Sequence[Run]], heads: Mapping[str, Headline]) -> list[Verdict]:
    """One for every naive and unified regime on the same board, languages and opening."""
    found = []
    for naive, unified in _pairs(groups, "naive", "unified"):
        if naive in heads and unified in heads:
            found.append(judge(naive, heads[naive], unified, heads[unified]))
    missing = "No verdict: it takes probed runs of a naive and a unified regime on the same board and languages."
    return found or [Verdict(None, missing)]


def _pairs(groups: Mapping[str, Sequence[Run]], first: str, second: str) -> list[tuple[str, str]]:
    roles = {label: (role(runs[0]), setting(runs[0])) for label, runs in groups.items()}
    left = [label for label, (kind, _) in roles.items() if kind == first]
    right = [label for label, (kind, _) in roles.items() if kind == second]
    return [(a, b) for a in left for b in right if roles[a][1] == roles[b][1]]


def anchor_sentences(groups: Mapping[str, Sequence[Run]], heads: Mapping[str, Headline]) -> list[str]:
    """For every anchor regime: what it lost, beside naive, and how far it is from the published training."""
    sentences = []
    for label, runs in groups.items():
        if role(runs[0]) != "anchor" or label not in heads:
            continue
        loss = heads[label]["loss_across"]
        if loss is None:
            continue
        sentence = _anchor_sentence(label, runs[0], loss.mean)
        for naive, anchored in _pairs(groups, "naive", "anchor"):
            other = heads.get(naive, {}).get("loss_across")
            if anchored == label and other is not None:
                word = "less" if loss.mean < other.mean else "more"
                sentence += f" That is {abs(other.mean - loss.mean):.3f} {word} than {naive} loses ({other.mean:.3f})."
        sentences.append(sentence)
    return sentences


def _anchor_sentence(label: str, run: Run, loss: float) -> str:
    count, games = anchors(run), f"{run.results['games']:,} games seen (published: 20 M games x 9 epochs)"
    shared = f"{count} shared move" + ("s" if count != 1 else "")
    start = f"{label} ({shared}) loses {loss:.3f} across languages after {games}. "
    if loss <= ALIGNED_BELOW:
        return start + f"The anchors align the languages here already (loss at most {ALIGNED_BELOW:.2f})."
    minutes = run.results.get("seconds", 0.0) / 60
    return start + (
        "The anchors do not align the languages fully in this run: anchors need longer training than these "
        f"{minutes:.1f} minutes to show their whole effect (published: cross-language accuracy .97 with four anchors)."
    )
