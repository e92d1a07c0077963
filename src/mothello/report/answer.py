"""The sentence on top of the page: which models align their languages, and how, judged through the best map."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from mothello.measures.probes.verdict import ONE_MAP
from mothello.report.sentences import READS_ABOVE, Summary, sentences
from mothello.report.sharing import setting, sharing_of

DIRECT, MAPPED, PARTLY, APART = "as they are", "through a map", "in part", "not"
UNREAD, SINGLE = "board not read", "one language"
CLAUSES = {
    DIRECT: "{names} align{s} {its} languages as they are",
    MAPPED: "{names} align{s} {its} languages through a turn or mirror of the board ({maps})",
    PARTLY: "{counts}",
    APART: "{names} align{s} {its} languages under no map",
    UNREAD: "{names} do{es} not read the board of {its} own languages, so nothing is said of {them}",
}
FAMILIES = {
    "naive": "without a common token",
    "anchors": "with some common tokens",
    "unified": "with one vocabulary of answers",
}
NAMED = 6
"""Labels up to which the sentence names each; of more it counts the models by what is shared."""


def outcome(head: Mapping[Any, Any]) -> str:
    """How one model aligns its languages. Whole means that one map is enough for every pair; a pair that only a part of
    the board is read of, or fewer pairs than all, is in part. head: the columns of Headline."""
    bases = [float(head[name]) for name in ("constant", "random_weights") if pd.notna(head[name])]
    if not bases or float(head["own"]) - max(bases) < READS_ABOVE:
        return UNREAD
    if pd.isna(head["across"]):
        return SINGLE
    maps, kinds = head["maps"] or {}, head["kinds"] or {}
    if not sum(maps.values()):
        return APART
    if kinds.get(ONE_MAP, 0) < head["pairs"]:
        return PARTLY
    return DIRECT if {name for name, count in maps.items() if count} == {"identity"} else MAPPED


def outcomes(summary: Summary) -> Counter[str]:
    """Of the models of a label."""
    return Counter(map(outcome, summary.heads.to_dict("records")))


def answer(summaries: Iterable[Summary]) -> str:
    """One sentence; empty where no model has two languages and was probed."""
    judged = [(summary, found) for summary in summaries if set(found := outcomes(summary)) - {SINGLE}]
    if not judged:
        return ""
    if len(judged) <= NAMED:
        return _named([(summary, _whole(found)) for summary, found in judged])
    families: dict[str, Counter[str]] = {}
    for summary, found in judged:
        families.setdefault(str(summary.heads.sharing.iloc[0]), Counter()).update(found)
    read = {name: found for name, found in families.items() if found.total() > found[UNREAD]}
    parts = [f"{FAMILIES[name]} in {_counted(found)}" for name, found in read.items()]
    parts = [*parts[:1], *(part.replace(" models", "") for part in parts[1:])]
    return f"Languages align {'; '.join(parts)}." if parts else "No model reads the board of its own languages yet."


def besides(summaries: Iterable[Summary]) -> str:
    """What the sentence leaves out: how many models align in part, under no map, or do not read the board."""
    found = sum((outcomes(summary) for summary in summaries), Counter[str]())
    said = {"Aligned in part": found[PARTLY], "Under no map": found[APART], "Board not read": found[UNREAD]}
    return " ".join(f"{words}: {count} models." for words, count in said.items() if count).replace(
        " 1 models", " 1 model"
    )


def _counted(found: Counter[str]) -> str:
    """Such as "7 of 9 models (3 as they are, 4 turned or mirrored)"."""
    how = {"as they are": found[DIRECT], "turned or mirrored": found[MAPPED]}
    said = ", ".join(f"{count} {words}" for words, count in how.items() if count)
    number = f"{sum(how.values())} of {found.total() - found[UNREAD] - found[SINGLE]} models"
    if len([count for count in how.values() if count]) == 1:
        said = next(words for words, count in how.items() if count)
    return f"{number} ({said})" if said else number


def _named(judged: Sequence[tuple[Summary, str]]) -> str:
    """A clause for every outcome, with its labels."""
    clauses = []
    for kind, words in CLAUSES.items():
        own = [summary for summary, found in judged if found == kind]
        one = len(own) == 1
        counts = "; ".join(map(_part, own))
        more = {"maps": "; ".join(x.winners for x in own), "counts": counts, "its": "its" if one else "their"}
        verb = {"s": "s" * one, "es": "es" * one, "them": "it" if one else "them"}
        if own:
            clauses.append(words.format(names=" and ".join(x.label for x in own), **more, **verb))
    return f"{'; '.join(clauses)}."


def _part(summary: Summary) -> str:
    """What one label aligns in part: so many models, or so many pairs of its only one."""
    if len(summary.heads) > 1:
        return f"{summary.label} aligns its languages in {_counted(outcomes(summary))}"
    return f"{summary.label} aligns its languages in part ({summary.aligned} of {summary.pairs} pairs; {summary.kinds})"


def _whole(found: Counter[str]) -> str:
    """The outcome of a label: that of all its models that read their own boards, else the most cautious one that says
    what they have in common."""
    found = Counter({outcome: count for outcome, count in found.items() if outcome != UNREAD}) or found
    if len(found) == 1:
        return next(iter(found))
    return MAPPED if set(found) == {DIRECT, MAPPED} else PARTLY


class Comparison(NamedTuple):
    """Labels that differ in what their languages share, and in nothing else."""

    sentence: str
    numbers: str


def comparisons(summaries: Mapping[str, Summary]) -> list[Comparison]:
    """One for every naive label that has a counterpart with anchors or a unified output."""
    found = []
    for naive in summaries.values():
        if sharing_of(naive.runs[0].config) == "naive" and naive["across"] is not None:
            alike = [x for x in summaries.values() if setting(x.runs[0]) == setting(naive.runs[0])]
            others = [x for x in alike if sharing_of(x.runs[0].config) in ("anchors", "unified")]
            if others and all(x["across"] is not None for x in others):
                judged = [(x, _whole(outcomes(x))) for x in (naive, *others)]
                numbers = sentences("comparison", [x for x, found in judged if found != UNREAD])
                found += [Comparison(_named(judged), numbers)]
    return found
