"""results/question/README.md: does alignment predict transfer? Of every gathered run that was taught something."""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from mothello.files import write_whole
from mothello.report.runs import find_runs
from studies import PAPERS, RESULTS
from studies.correlation import LEAST, Correlation, correlation, difference, shown, spearman, within, without_each
from studies.numbers import decimal
from studies.page import saved
from studies.points import ALIGNMENTS, MAPS, NEXT_MOVE, factors, points
from studies.question_figures import measure_figure, point_figure
from studies.templates import filled

NEEDED = 150
"""Points from which on the page gives an answer (predictions 22: all studies together)."""
ALIKE, UNLIKE, LITTLE, MUCH = 0.9, 0.3, 0.2, 0.5
"""States that are found at least (at most) this often, though what is taught follows by at most (at least) this."""
SURE = {0.5: "yes", 0.2: "in part"}
"""How the page answers, from which lower end of the best measure's interval on; set when there were 297 points."""
KINDS = (
    "alike, but the next move does not follow", "alike, but a task does not follow", "unlike, but it follows",
    "alike through a map only, and it does not follow",
)  # fmt: skip
"""Of points that break the rule; the last break it for measures that see a mirror."""
LITTLE_GAIN = 0.05
DIGITS = 6
"""Of the numbers in points.csv."""
EARLIER = ("finetune", "first", "table1", "mirror_anchors", "steering")
"""Studies some of whose runs were known when prediction 22 was written."""
SAME_STATES = {"eight anchors": "prefix_anchor_8", "a unified output": "prefix_unified"}
"""Cells whose states are alike, and which differ in what they answer in."""
STATES = ("retrieval", "retrieval_strong", "retrieval_best_map", "retrieval_csls", "cosine", "cka", "procrustes")

of_bases = partial(correlation, cells="base")
"""Models realigned from one run are no independent cells."""


def write_question(out: Path, results: Path = RESULTS) -> Path:
    """Write OUT/README.md, OUT/points.csv and the figures from every run below results; returns the page."""
    known = points(find_runs([str(results)])).round(DIGITS)  # as they are stored, so that the page is of points.csv
    found = correlations(known)
    for name, figure in (("points", point_figure(known, found)), ("measures", measure_figure(found))):
        saved(figure, out / f"{name}.png")
    write_whole(out / "points.csv", known.to_csv(index=False, float_format=f"%.{DIGITS}f").encode())
    write_whole(out / "README.md", text_of(known, found, said(results)).encode())
    return out / "README.md"


def said(results: Path = RESULTS) -> dict[str, tuple[str, str]]:
    """By study, what the page of every other paper answers, and which claims of that paper hold, where any is named;
    pages that are not written yet are left out."""
    found = {}
    for study in PAPERS:
        page = results / study / "README.md"
        text = page.read_text() if page.exists() else ""
        answer = re.search(r"^\*\*(.+?)\*\* Predictions: ", text, re.M)
        claims = re.search(r"^(.+, in our words: .+)$", text, re.M)
        if answer:
            found[study] = answer[1], claims[1] if claims else ""
    return found


def text_of(known: pd.DataFrame, found: Mapping[str, Correlation], answers: Mapping[str, tuple[str, str]] = {}) -> str:
    """The page. answers: of the other papers' pages, by study."""
    ends = list(found.values())
    words: dict[str, Any] = {"overlap": bool(ends) and ends[-1].high > ends[0].low, "factors": factors(known)}
    words |= {"known": known, "needed": NEEDED, "rows": table(known, found), "names": ALIGNMENTS, "least": LEAST}
    words |= {"predicted": predicted(known, found) if len(known) else [], "answers": answers, "papers": PAPERS}
    words |= {"within": by_factor(known, found), "exceptions": exceptions(known), "alike": ALIKE, "unlike": UNLIKE}
    words |= {"low": LITTLE, "much": MUCH, "pointed": pointed(known), "sure": sure(found)}
    told = by_task(known, found)
    words |= {"cases": cases(known), "told": told, "best": best_of_task(told), "close": close(known, found)}
    points_of = [f"{task} {count}" for task, count in known.task.value_counts().sort_index().items()]
    words |= {"points_of": points_of, "task_rows": [
        {"alignment": ALIGNMENTS[str(name)].label} | row.map(decimal).to_dict() for name, row in told.iterrows()
    ]}  # fmt: skip
    words |= {"seeing": _seeing(found), "limit": next(iter(SURE)), "enough": enough(known)}
    words |= {"earlier": int(known.study.isin(EARLIER).sum())}
    return filled("question.md.j2", **words)


def sure(found: Mapping[str, Correlation]) -> str:
    """The answer in a word, by the lower end of the best measure's interval."""
    low = next(iter(found.values())).low if found else float("nan")
    return next((word for limit, word in SURE.items() if low >= limit), "no")


def _seeing(found: Mapping[str, Correlation]) -> tuple[str, str]:
    """Of the measures that read through the best map, the one that predicts best."""
    names = [name for name in found if ALIGNMENTS[name].sees == MAPS]
    return (ALIGNMENTS[names[0]].label, shown(found[names[0]])) if names else ("-", "-")


def close(known: pd.DataFrame, found: Mapping[str, Correlation]) -> list[str]:
    """The measures that are not told from the first, over the points that have both."""
    first = next(iter(found), "")
    return [ALIGNMENTS[x].label for x in found if x != first and difference(known, first, x, cells="base")[0] <= 0]


def enough(known: pd.DataFrame) -> list[dict[str, Any]]:
    """Of the next move, by board and cell of SAME_STATES: how alike the states are, and how much follows."""
    rows = known[(known.task == NEXT_MOVE) & known.cell.isin(SAME_STATES.values())]
    both = [(board, part) for board, part in rows.groupby("board") if part.cell.nunique() == len(SAME_STATES)]
    return [
        {"board": board, "label": label, "seeds": int((part.cell == cell).sum())}
        | {name: float(part[part.cell == cell][name].mean()) for name in ("retrieval", "follows")}
        for board, part in both
        for label, cell in SAME_STATES.items()
    ]


def correlations(known: pd.DataFrame) -> dict[str, Correlation]:
    """Of every alignment with how much the other languages follow, the highest first."""
    found = {name: of_bases(known, name) for name in ALIGNMENTS}
    return dict(sorted(((n, one) for n, one in found.items() if one is not None), key=lambda x: -x[1].value))


def table(known: pd.DataFrame, found: Mapping[str, Correlation]) -> list[dict[str, Any]]:
    """A row per alignment, in the order of found."""
    rows = []
    ranked = _ranked(known)
    for name, one in found.items():
        skilled = of_bases(ranked, name, given="skill")
        left = [decimal(value) for value in sorted(value for _, value in without_each(known, name))]
        rows.append({
            "alignment": ALIGNMENTS[name].label, "kind": ALIGNMENTS[name].sees,
            "Spearman": shown(one), "points": one.points,
            "given skill": shown(skilled), "of points": skilled.points if skilled else 0,
            "of the pointer": shown(of_bases(known, name, "pointer")),
            "without winner": shown(of_bases(known[known.task != "winner"], name)),
            "without one study": f"{left[0]} to {left[-1]}" if left else "-",
        })  # fmt: skip
    return rows


def by_factor(known: pd.DataFrame, found: Mapping[str, Correlation]) -> list[dict[str, str]]:
    """A row per alignment: the mean correlation within the levels of every factor."""
    return [
        {"alignment": ALIGNMENTS[name].label}
        | {factor: decimal(within(known, name, factor)) for factor in factors(known)}
        for name in found
    ]


def exceptions(known: pd.DataFrame) -> list[dict[str, str]]:
    """Points that break the rule, by KINDS; those whose source gains little are left out, since a share of little is
    uncertain."""
    heads = {
        "follows": "follows", "of the pointer": "pointer", "retrieval, as it is": "retrieval",
        "retrieval, best map": "retrieval_best_map", "cosine": "cosine", "probes, best map": "probe_best_map",
    }  # fmt: skip
    return [
        {"kind": kind, "cell": f"{row['cell']}, seed {row['seed']}, {row['board']}"}
        | {"taught": f"{row['task']}, in {row['language']}"}
        | {head: decimal(row[column]) for head, column in heads.items()}
        for kind, (broken, _) in cases(known).items()
        for row in broken.to_dict("records")
    ]


def cases(known: pd.DataFrame) -> dict[str, tuple[pd.DataFrame, int]]:
    """By kind, the points that break the rule, and of how many that could."""
    known = known[(known.task != "winner") & (known.source >= LITTLE_GAIN)].sort_values("follows")
    alike, found = known.retrieval >= ALIKE, known.retrieval_best_map >= ALIKE
    fails, follows = known.follows <= LITTLE, known.follows >= MUCH
    could = (
        alike & (known.task == NEXT_MOVE), alike & (known.task != NEXT_MOVE), known.retrieval_best_map <= UNLIKE,
        found & (known.retrieval <= UNLIKE),
    )  # fmt: skip
    does = (fails, fails, follows, fails)
    return {kind: (known[x & y], int(x.sum())) for kind, x, y in zip(KINDS, could, does, strict=True)}


def by_task(known: pd.DataFrame, found: Mapping[str, Correlation]) -> pd.DataFrame:
    """The correlation of every alignment (row) among the points of every task (column); NaN with fewer than LEAST."""

    def among(part: pd.DataFrame) -> float:
        return float(spearman(*part.to_numpy().T)) if len(part) >= LEAST else float("nan")

    tasks = known.groupby("task")
    return pd.DataFrame({
        task: {name: among(part[[name, "follows"]].dropna()) for name in found} for task, part in tasks
    })  # fmt: skip


def best_of_task(told: pd.DataFrame) -> list[str]:
    """Task by task, the measure that predicts it best, and what that makes of a mirror."""
    best = told.dropna(axis=1, how="all").idxmax()
    shown_as = {name: ALIGNMENTS[name] for name in told.index}
    return [f"{task}: {shown_as[x].label} ({decimal(told[task][x])}, {shown_as[x].sees})" for task, x in best.items()]


def pointed(known: pd.DataFrame) -> tuple[str, str] | None:
    """Of the best measure for the pointer, its correlation with it, and with the direction of the same fine-tunings."""
    same = known.dropna(subset=["pointer", "follows"])
    both = {name: (of_bases(same, name, "pointer"), of_bases(same, name)) for name in ALIGNMENTS}
    told = [(one, other) for one, other in both.values() if one is not None and other is not None]
    if not told:
        return None
    one, other = max(told, key=lambda x: x[0].value)
    return shown(one), shown(other)


def predicted(known: pd.DataFrame, found: Mapping[str, Correlation]) -> list[dict[str, Any]]:
    """Predictions 22 with what was found; open below NEEDED points."""
    given = of_bases(_ranked(known), "probe_best_map", given="skill")
    left = given.value if given else float("nan")
    best, raw, words = (
        found[name].value if name in found else float("nan") for name in ("probe_best_map", "probe", "neighbours")
    )
    states = [found[name].value for name in STATES if name in found]
    less = {words < value for value in states}
    claims: dict[str, tuple[Sequence[float], bool | None]] = {
        "22.1 probes through the best map predict what follows better than as they are": ([best, raw], best > raw),
        "22.2 both correlate above .4": ([best, raw], min(best, raw) > 0.4),
        "22.3 given skill, the first stays above .2": ([left], left > 0.2),
        "22.4 embeddings predict it less than states do (open where it depends on the measure of states)": (
            [words, *sorted(states)], less.pop() if len(less) == 1 else None
        ),
    }  # fmt: skip
    return [
        {
            "prediction": claim, "outcome": held if len(known) >= NEEDED else None,
            "what was found": ", ".join(decimal(x) for x in numbers),
        }
        for claim, (numbers, held) in claims.items()
    ]  # fmt: skip


def _ranked(known: pd.DataFrame) -> pd.DataFrame:
    """Skill as ranks among its own kind."""
    return known.assign(skill=known.groupby("evaluated").skill.rank(pct=True))
