"""What fine-tuned models answer, and the predictions of 9: courses and tables.

A target answers among all tokens, its own, or the source's; the softmax of the fine-tuning is over all tokens or over
those of the source.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pandas as pd

from mothello.report.runs import Run
from mothello.report.sharing import sharing_of
from studies import CRITERIA
from studies.numbers import decimal, over_seeds, percent, signed

LIMITS = CRITERIA.answers
AMONG = {"": "all tokens", "_restricted": "its own tokens", "_translated": "the source's tokens"}
"""End of a quantity -> what is answered among."""
COURSES = [
    "cell", "seed", "sharing", "learned", "softmax", "schedule", "part", "language", "among", "before", "after", "peak",
    "ratio", "steps", "curve",
]  # fmt: skip
"""ratio: the gain as a share of the source's, where that one gains; curve: strict legality after each of the steps."""
SOFTMAX = {"all": "all tokens", "language": "each language's tokens"}


def softmax_of(child: Run) -> str:
    """What the softmax of a training is over: all, or language."""
    return str((child.config.get("objective") or {}).get("softmax", "all"))


def schedule_of(child: Run) -> str:
    """The schedule of a fine-tuning: published or ours."""
    return "published" if child.config["optimizer"].get("decay") == "mingpt" else "ours"


def usual(children: Sequence[Run]) -> list[Run]:
    """The fine-tunings with the softmax over all tokens, by the study's own schedule where there are two."""
    own = [child for child in children if softmax_of(child) == "all"]
    return [child for child in own if schedule_of(child) == "ours"] or own


def courses(runs: Iterable[Run]) -> pd.DataFrame:
    """A row of COURSES per fine-tuning, language and kind of answer."""
    found = []
    for run in runs:
        head = {"cell": run.name, "seed": run.seed, "sharing": sharing_of(run.config)}
        head["learned"] = float(run.results["final"]["val/top1"]) >= CRITERIA.bar
        for child in run.finetunings:
            measure = child.measure("transfer")
            way = {"softmax": softmax_of(child), "schedule": schedule_of(child)}
            rows = list(_courses(measure.rows)) if measure is not None else []
            gains = {row["among"]: row["after"] - row["before"] for row in rows if row["language"] == child.source}
            for row in rows:
                part, gain = "source" if row["language"] == child.source else "target", gains[row["among"]]
                ratio = (row["after"] - row["before"]) / gain if gain > 0 else None
                found.append(head | way | {"part": part, "ratio": ratio} | row)
    return pd.DataFrame(found, columns=COURSES).astype({"learned": bool})


def _courses(rows: pd.DataFrame) -> Iterator[dict[str, Any]]:
    rows = rows[(rows.control == "trained") & (rows.opening == "") & rows.step.notna()].sort_values("step")
    for end, among in AMONG.items():
        for language, curve in rows[rows.quantity == f"top1{end}"].groupby("language", sort=False):
            values = curve.value.tolist()
            numbers = {"before": values[0], "after": values[-1], "peak": max(values)}
            numbers |= {"steps": curve.step.tolist(), "curve": values}
            yield {"language": language, "among": among} | numbers


def table(found: pd.DataFrame) -> list[dict[str, Any]]:
    """A row per sharing, softmax, schedule and kind of answer of the target; only where there are two ways."""
    rows, known = [], found[found.among.isin(AMONG.values())]
    if (known.softmax == "language").sum() == 0:
        return []
    for key, both in known.groupby(["cell", "sharing", "schedule", "softmax", "among"], sort=False):
        cell, _, schedule, softmax, among = map(str, key)
        group, source = both[both.part == "target"], both[both.part == "source"]
        ratio, gained, seeds = over_seeds(group.ratio), int(group.ratio.notna().sum()), group.seed.nunique()
        fewer = f" ({gained} of {seeds} seeds)" if 0 < gained < seeds else ""
        rows.append({
            "cell": cell, "softmax over": SOFTMAX[softmax], "schedule": schedule, "answered in": among,
            "before": decimal(group.before.mean()), "after": decimal(group.after.mean()),
            "peak": decimal(group.peak.mean()), "gain / source's": "-" if ratio is None else signed(ratio.mean) + fewer,
            "source": f"{decimal(source.before.mean())} to {decimal(source.after.mean())}", "seeds": seeds,
        })  # fmt: skip
    return rows


def by_run(found: pd.DataFrame, cells: pd.DataFrame) -> list[dict[str, str]]:
    """How far a pair was aligned before it was fine-tuned, and what the target then gained of the source's gain, run by
    run. cells: those of the study."""
    rows = []
    for run in cells[cells.probed].sort_values(["cell", "seed"]).to_dict("records"):
        mine = found[(found.cell == run["cell"]) & (found.seed == run["seed"])]
        gains = dict.fromkeys(WAYS, mine.ratio[:0])
        gains |= {way: _ratios(mine, run["sharing"], *what) for way, what in _ways(run["sharing"])}
        if any(map(len, gains.values())):
            row = {"run": f"{run['cell']}/{run['seed']}", "verdict before": run["verdict"]}
            row |= {"recovered": percent(run["recovered"]), "the bar": "passed" if run["learned"] else "below"}
            rows.append(row | {way: signed(x.mean()) if len(x) else "-" for way, x in gains.items()})
    return rows


def _ways(sharing: str) -> list[tuple[str, tuple[str, str]]]:
    """Name -> softmax and kind of answer. A unified output has one."""
    named = [(way, (softmax, AMONG[among])) for way, (softmax, among) in WAYS.items()]
    return named[:1] if sharing == "unified" else named


LABELS = {"naive": "naive", "anchors": "eight anchors", "unified": "unified output"}


def shares(found: pd.DataFrame) -> list[dict[str, str]]:
    """What the target gains as a share of the source's gain, the seeds' mean: by sharing, in its own tokens with the
    softmax over all tokens (usual) and over each language's (own), and in the source's tokens (translated)."""
    known, rows = ratios(found), []
    for label in LABELS.values():
        means = [over_seeds(known.get((label, way), ())) for way in WAYS]
        usual, own, translated = (f"{x.mean:+.0%}" if x else "-" for x in means)
        rows += [{"label": label, "usual": usual, "own": own, "translated": translated}] if means[0] else []
    return rows


def conclusion(found: pd.DataFrame) -> str:
    """What the shares say of aligned pairs, where they say it: of eight anchors."""
    known = ratios(found)
    own, same, other = (known.get((LABELS["anchors"], way)) for way in WAYS)
    if (
        own is None
        or same is None
        or other is None
        or not own.mean() < LIMITS["gains"] <= min(same.mean(), other.mean())
    ):
        return ""
    return "So pairs that anchors align do transfer, after the usual fine-tuning in the words of the taught language."


WAYS = {
    "in its own tokens": ("all", "_restricted"),
    "in its own tokens, softmax over each language's": ("language", "_restricted"),
    "in the source's tokens": ("all", "_translated"),
}
"""What a target answers in, and what the softmax of the fine-tuning was over."""


def ratios(found: pd.DataFrame) -> dict[tuple[str, str], pd.Series]:
    """(sharing, one of WAYS) -> the target's gain as a share of the source's gain, by seed; our own schedule, and what
    was run. A unified output has one way."""
    pairs = {
        (label, way): _ratios(found, sharing, *what)
        for sharing, label in LABELS.items()
        for way, what in _ways(sharing)
    }
    return {key: values for key, values in pairs.items() if len(values)}


def _ratios(found: pd.DataFrame, sharing: str, softmax: str, among: str, schedule: str = "ours") -> pd.Series:
    """Of the targets, by seed."""
    rows = found[(found.sharing == sharing) & (found.softmax == softmax) & (found.schedule == schedule)]
    rows = rows[(rows.part == "target") & (rows.among == among) & rows.ratio.notna()]
    return rows.groupby("seed").ratio.mean()


def predictions(found: pd.DataFrame) -> Iterator[tuple[str, str, bool | None, list[str]]]:
    """Claim, what was found, outcome, cells. found: the courses of models that learned."""
    own, source, gains, none = AMONG["_restricted"], AMONG["_translated"], LIMITS["gains"], LIMITS["no_gain"]

    def ratios(sharing: str, softmax: str = "language", among: str = own, schedule: str = "ours") -> pd.Series:
        return _ratios(found, sharing, softmax, among, schedule)

    eight, usual_8, naive, usual_0 = (ratios(x, y) for x in ("anchors", "naive") for y in ("language", "all"))
    cells = ["prefix_naive", "prefix_anchor_8", "prefix_unified"]
    known = len(eight) and len(usual_8)
    yield (
        "9.1 softmax over each language's tokens, eight anchors: in its own tokens the target gains at least a quarter "
        "of what the source gains, with the usual softmax less than a tenth",
        f"{_listed(eight)}; usual {_listed(usual_8)}",
        bool((eight >= gains).all() and (usual_8 < none).all()) if known else None, cells[1:2],
    )  # fmt: skip
    known = len(naive) and len(usual_0) and len(eight)
    both = pd.concat([naive, usual_0], axis=1, keys=["own", "usual"]).dropna()
    yield (
        "9.2 the same, naive: more than with the usual softmax on all seeds, less than with eight anchors in the mean",
        f"{_listed(naive)}; usual {_listed(usual_0)}",
        bool((both.own > both.usual).all() and naive.mean() < eight.mean()) if known else None, cells[:2],
    )  # fmt: skip
    answers = [ratios("anchors", softmax, source) for softmax in ("language", "all")]
    yield (
        "9.3 eight anchors, answered in the source's tokens: at least a quarter of its gain with either softmax",
        "; usual ".join(map(_listed, answers)),
        all(bool((x >= gains).all()) for x in answers) if all(map(len, answers)) else None, cells[1:2],
    )  # fmt: skip
    published = [ratios("anchors", softmax, own, "published") for softmax in ("language", "all")]
    alike = [one.mean() * other.mean() > 0 for one, other in zip(published, (eight, usual_8), strict=True)]
    yield (
        "9.4 the published schedule, eight anchors: the signs of 9.1 are the same",
        "; usual ".join(map(_listed, published)),
        all(map(bool, alike)) if known and all(map(len, published)) else None, cells[1:2],
    )  # fmt: skip
    unified, others = ratios("unified", "all", AMONG[""]), [eight, usual_8, naive, usual_0, *answers]
    most = max((x.mean() for x in others if len(x)), default=float("nan"))
    yield (
        "9.5 no other gains as large a share as unified output, whatever tokens it answers in",
        f"{_listed(unified)}; the most of the others {signed(most)}" if len(unified) else "-",
        all(bool(unified.mean() > x.mean()) for x in others) if len(unified) and all(map(len, others)) else None, cells,
    )  # fmt: skip


def same_signs(found: pd.DataFrame, smaller: pd.DataFrame) -> tuple[str, str, bool | None, list[str]]:
    """17.2: the mean gains of 9.1 and 9.3 have the signs that they have at the smaller scale."""
    kinds = {f"{short}, {softmax}": (softmax, AMONG[among]) for among, short in (("_restricted", "own tokens"),
             ("_translated", "the source's")) for softmax in ("language", "all")}  # fmt: skip
    means = [{name: _ratios(x, "anchors", *kind).mean() for name, kind in kinds.items()} for x in (found, smaller)]
    shown = ", ".join(f"{name} {signed(means[0][name])} ({signed(means[1][name])})" for name in kinds)
    known = not any(pd.isna(x) for mean in means for x in mean.values())
    alike = all(means[0][name] * means[1][name] > 0 for name in kinds)
    claim = "17.2 eight anchors: the signs of 9.1 and 9.3 are those of the smaller board (in brackets)"
    return claim, shown if known else "-", alike if known else None, ["prefix_anchor_8"]


def _listed(values: pd.Series) -> str:
    return ", ".join(signed(value) for value in values) or "-"
