"""The top of the page: one sentence, one figure, and what it is made of."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd
from markupsafe import Markup

from mothello.measures.probes.headline import preferred
from mothello.report.answer import NAMED, answer, besides
from mothello.report.figures import training_curves
from mothello.report.labels import thousands
from mothello.report.markup import image
from mothello.report.overview import KEY, overview
from mothello.report.runs import Run
from mothello.report.sentences import summaries_of
from mothello.report.sharing import n_languages
from mothello.report.statistics import share_of
from mothello.report.style import split
from mothello.report.table import heads, masked, of_measure, training

READING = (
    "A probe learns to read the board from a model's states in one language, and then reads another language: as it is "
    "(hollow), and with the board turned or mirrored by the best of the four maps that keep the opening, which "
    "no text tells apart (filled). Languages align where one map lies above the other maps and above the orbit reader. "
    "A mark is a trained model; the bar joins the means."
)
LEARNED = "Held-out loss with its floor, and strict legality of the likeliest move with chance, by games seen."


class Top(NamedTuple):
    """What stands above the sections."""

    answer: str
    figures: list[Markup]
    caption: str
    facts: str
    key: Mapping[str, str] = {}
    """Mark -> its meaning."""


def top_of(rows: pd.DataFrame, groups: Mapping[str, Sequence[Run]]) -> Top:
    """Of all runs together."""
    probes = of_measure(rows, "probe")
    data = heads(probes)
    data = data[(data[["probe", "target"]] == preferred(probes)).all(axis=1)] if len(data) else data
    summaries = summaries_of(data, groups).values()
    sentence = answer(summaries)
    if not sentence:
        return _trained(rows, groups)
    boards = {label: runs[0].results["board"] for label, runs in groups.items()}
    drawn = overview(data, boards if len(set(boards.values())) > 1 else None)
    name = "Share of cells read right, by run"
    figures = [image(one, f"{name}, {index + 1} of {len(drawn)}") for index, one in enumerate(drawn)]
    more = besides(summaries) if len(summaries) > NAMED else ""
    return Top(sentence, figures, f"{READING} {more}".strip(), facts(groups), KEY)


def _trained(rows: pd.DataFrame, groups: Mapping[str, Sequence[Run]]) -> Top:
    """Of runs that tell nothing of alignment: what they learned."""
    data = training(rows)
    data = data[~data.run.isin([str(run.path) for own in groups.values() for run in own if run.origin])]
    drawn = (
        [image(training_curves(part), said or "Loss and legality") for said, part in split(data)][:1]
        if len(data)
        else []
    )
    parts = []
    for label, group in data[~masked(data)].groupby("label", sort=False) if "top1" in data else ():
        last = group.groupby("run")[[x for x in ("top1", "chance") if x in group]].last()
        top, chance = share_of(last.top1), last.get("chance", pd.Series(dtype=float)).mean()
        state = " so far" if any(run.status for run in groups[str(label)]) else ""
        if top is not None:
            beside = (
                "" if chance != chance else f" (chance {chance:.3f}{': not learned yet' * bool(top.mean <= chance)})"
            )
            parts.append(f"{label} plays {top.mean:.3f} of its moves legally{state}{beside}")
    named = "; ".join(parts[:4]) + (f"; and {len(parts) - 4} more" if len(parts) > 4 else "")
    sentence = (
        f"{named or 'Nothing was measured yet'}. Nothing was probed in two languages, so nothing is said of alignment."
    )
    return Top(sentence, drawn, LEARNED if drawn else "", facts(groups))


def facts(groups: Mapping[str, Sequence[Run]]) -> str:
    """What is compared: boards, settings, models, games, languages; and whether budgets differ."""
    every = [run for own in groups.values() for run in own]
    runs = [run for run in every if not run.origin]
    settings = len([own for own in groups.values() if not own[0].origin])
    boards = " and ".join(sorted({run.results["board"] for run in runs}, key=lambda x: int(x.partition("x")[0])))
    said = [boards, _counted(settings, "setting"), _counted(len(runs), "model")]
    games, spoken = [run.results["games"] for run in runs], [n_languages(run.config) for run in runs]
    said.append(f"{_range([thousands(min(games)), thousands(max(games))])} games each")
    said.append(f"{_range([str(min(spoken)), str(max(spoken))])} languages" if max(spoken) > 1 else "one language")
    said += [f"{_counted(len(every) - len(runs), 'model')} realigned from them"] * (len(every) > len(runs))
    begun = sum(bool(run.status) for run in runs)
    said += [f"{begun} not finished"] * bool(begun)
    differ = len(set(games)) > 1 and settings > 1
    return ", ".join(said) + "." + " Budgets differ: the column “games seen” says by how much." * differ


def _range(ends: list[str]) -> str:
    return " to ".join(dict.fromkeys(ends))


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"
