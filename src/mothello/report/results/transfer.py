"""The page's section on fine-tuning: published curves beside ours, strict, lenient, and in a language's own tokens."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from mothello.report.published import TRANSFER
from mothello.report.regimes import role
from mothello.report.results.cells import BAR, pair_name
from mothello.report.results.judgement import NOT_RUN, REPRODUCED, Judged, direction, judge, near
from mothello.report.results.markdown import decimal, mean, measured, middle, ours, out_of, over_seeds, signed, table
from mothello.report.results.table1 import ATOMIC, winners
from mothello.report.runs import Run

COLUMNS = [
    "cell", "seed", "board", "role", "pair", "kind", "language", "part", "legal", "reached", "before", "after", "peak",
    "gain", "gain_ratio", "scratch", "steps", "curve", "own_curve", "lenient_before", "lenient_after", "lenient_peak",
    "own_before", "own_after", "own_peak", "wrong_before", "wrong_after", "wrong_peak",
]  # fmt: skip
"""legal: strict legality on the pretraining distribution; own_*: choosing among the language's own tokens; wrong_*:
share of answers in another language; scratch: after the same fine-tuning from random weights; steps, curve, own_curve:
lists, the whole course."""
EMPTY: Mapping[str, Sequence[int]] = {}
REGIMES = {"naive": "naive", "anchor": "8 anchors", "unified": "unified output"}


class Course(NamedTuple):
    """A published curve, shares of legal moves."""

    before: float
    after: float
    peak: float | None = None
    """Where one was read off that is neither end."""


def courses(text: str) -> tuple[Course, Course]:
    """ "92 to 99.7 / 91 to 89.6" -> source and target; "same as source" repeats the source."""
    source, target = text.split(" / ")
    first = _course(source)
    return first, first if "same" in target else _course(target)


def _course(text: str) -> Course:
    numbers = [float(x) / 100 for x in re.findall(r"[\d.]+", text)]
    return Course(*numbers)


def transfer_rows(runs: Sequence[Run]) -> pd.DataFrame:
    """One row per fine-tuning and language: strict, lenient and in its own tokens alone, before and after."""
    rows = []
    for run in runs:
        for transfer in run.transfers:
            lines = [line for line in transfer["metrics"] if "val/top1" in line]
            for name in transfer["languages"]:
                row = transfer["summary"][name]
                kinds = {language["name"]: language["kind"] for language in run.results["languages"]}
                rows.append(
                    {
                        "cell": run.name, "seed": run.seed, "board": run.results["board"],
                        "role": role(run), "pair": pair_name(kinds.values()),
                        "kind": _published_kind(list(kinds.values())), "language": name,
                        "part": "source" if name == transfer["source"] else "target",
                        "legal": float(run.results["final"]["val/top1"]),
                        "reached": float(run.results["final"]["val/top1"]) >= BAR,
                        "peak": row["peak"], "steps": [line["step"] for line in lines],
                        "curve": [line.get(f"val/{name}/top1") for line in lines],
                        "own_curve": [line.get(f"val/{name}/top1_restricted") for line in lines],
                        "before": row["before"], "after": row["after"], "gain": row["gain"],
                        "gain_ratio": row.get("gain_ratio"), "scratch": row.get("scratch"),
                    }
                    | _ends(lines, name)
                )  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)


def _published_kind(kinds: Sequence[str]) -> str:
    """How the published curves name a pair: by the language beside an atomic one. Other families in words."""
    others = [kind for kind in kinds if kind != "atomic"]
    return pair_name(kinds) if len(kinds) != 2 or len(others) > 1 else others[0] if others else "atomic"


def _ends(lines: Sequence[dict[str, Any]], name: str) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for key, metric in (("lenient", "lenient"), ("own", "top1_restricted"), ("wrong", "wrong_language")):
        values = [line.get(f"val/{name}/{metric}") for line in lines]
        known = [value for value in values if value is not None]
        if known:
            found |= {f"{key}_before": values[0], f"{key}_after": values[-1], f"{key}_peak": max(known)}
    return found


def transfer_table(rows: pd.DataFrame, planned: Mapping[str, Sequence[int]] = EMPTY) -> str:
    """A row per published curve of the cells that the study asks for, and per language of other families."""
    head = [
        "pair", "regime", "part", "published, either colour", "either colour", "change", "strict", "its peak",
        "in its own tokens", "answers in another language, after", "from scratch", "seeds", "word", "why",
    ]  # fmt: skip
    lines: list[list[str]] = []
    left = []
    for (kind, regime), text in TRANSFER.items():
        of = rows[(rows.kind == kind) & (rows.role == regime)]
        seeds = planned.get(_cell(kind, regime), ())
        if of.empty and not seeds:
            left.append(f"{kind}, {REGIMES[regime]}")
            continue
        for part, course in zip(("source", "target"), courses(text), strict=True):
            here = of[of.part == part]
            told = _told(course.before, course.after, course.peak)
            judged = judged_change(here, course.after - course.before, bool(len(here) and (here.board == "8x8").all()))
            numbers = _numbers(here, out_of(here.seed.nunique(), len(seeds)))
            lines.append([kind, REGIMES[regime], part, told, *numbers, judged.word, judged.reason])
    others = rows[~rows.kind.isin([kind for kind, _ in TRANSFER])]
    for _, here in others.groupby(["kind", "role", "part", "language"], sort=False):
        first = here.iloc[0]
        regime, part = REGIMES.get(first.role, first.role), f"{first.part} ({first.language})"
        lines.append([first.kind, regime, part, "-", *_numbers(here, str(here.seed.nunique())), "-", ""])
    note = f"\n\n*Published, but not asked for at this scale: {'; '.join(left)}.*" if left else ""
    return f"{table(head, lines)}{note}" if lines else "Not run yet."


def _cell(kind: str, regime: str) -> str:
    """The study's cell."""
    before = "" if kind == "atomic" else f"{kind}_"
    return f"{before}prefix_{'anchor_8' if regime == 'anchor' else regime}"


def _told(before: float, after: float, peak: float | None = None) -> str:
    high = f" (peak {decimal(peak)})" if peak is not None and peak > max(before, after) + 0.005 else ""
    return f"{decimal(before)} to {decimal(after)}{high}"


def _numbers(of: pd.DataFrame, seeds: str) -> list[str]:
    if of.empty:
        return [*["-"] * 7, seeds]
    changes = [
        _told(*(float(of[f"{key}{end}"].mean()) for end in ("before", "after", "peak")))
        for key in ("lenient_", "", "own_")
    ]
    change = over_seeds(of.lenient_after - of.lenient_before)
    return [
        changes[0], ours(change), changes[1], decimal(of.peak.mean()), changes[2], decimal(of.wrong_after.mean()),
        mean(of.scratch), seeds,
    ]  # fmt: skip


def judged_change(of: pd.DataFrame, published: float, same: bool = False) -> Judged:
    """Published and lenient scoring must agree: on the change, by its interval over seeds or to within .03, on the same
    board, on its direction else. Strict scoring that moves another way corrects it."""
    if of.empty:
        return Judged(NOT_RUN)
    strict, lenient, own = (over_seeds(of[f"{key}after"] - of[f"{key}before"]) for key in ("", "lenient_", "own_"))
    assert strict is not None
    assert lenient is not None
    assert own is not None
    agrees = near(published, lenient) if same else direction(lenient.mean) == direction(published)
    moves = f"strict {signed(strict.mean)}, either colour {signed(lenient.mean)}"
    changed = "" if direction(strict.mean) == direction(lenient.mean) else moves
    wrong, why = float(of.wrong_after.mean()), ""
    if wrong > 0.05:
        why = f"{wrong:.0%} of the answers are in another language, in its own tokens {signed(own.mean)}"
    reason = f"either colour {signed(lenient.mean)}, published {signed(published)}{why and f'; {why}'}"
    judged = judge(reached=bool(of.legal.mean() >= BAR), agrees=agrees, changed=changed, reason=reason)
    return Judged(REPRODUCED, why) if judged.word == REPRODUCED else judged


def prefix_table(cells: pd.DataFrame) -> str:
    """Alignment of the pairs that were pretrained on one opening, before they are fine-tuned."""
    of = cells[(cells.prefix != "") & cells.raw.notna()]
    head = ["pretrained on", "regime", "seeds", "raw", "best map", "own", "constant", "aligned through"]
    rows = [
        [prefix, REGIMES.get(str(regime), regime), len(here),
         *_across(here), measured(here, "own"), mean(here.constant), winners(here)]
        for (prefix, regime), here in of[of.pair == ATOMIC].groupby(["prefix", "role"], sort=False)
    ]  # fmt: skip
    if not rows:
        return ""
    note = (
        "One opening is its own image under the identity alone. Before fine-tuning, the atomic pair, probed on games "
        "of every opening:"
    )
    return f"{note}\n\n{table(head, rows)}"


def _across(of: pd.DataFrame) -> list[str]:
    """Raw and best map; of naive pairs, which fall into kinds, the median."""
    return [middle(of[name]) if of.role.eq("naive").all() else measured(of, name) for name in ("raw", "best")]


def tuning_text(runs: Sequence[Run]) -> str:
    """What fine-tuning was: games, optimizer, evaluation; and what its start from random weights stands for."""
    settings = {
        f"{x['games']:,} games in one language, {tuned['optimizer']['name']}, learning rate "
        f"{tuned['optimizer']['lr']:g}; legality estimated on {tuned['evaluation']['games']} games a language"
        for run in runs
        for x in run.transfers
        for tuned in [x["config"]["transfer"]]
    }
    if not settings:
        return ""
    text = f"Fine-tuning: {'; '.join(sorted(settings))}."
    return text + " *From scratch*: the same on random weights, a floor and no rival: so few games teach little."


def in_short(rows: pd.DataFrame, cells: pd.DataFrame) -> str:
    """Strict legality of the target before and after, regime by regime, beside the alignment that was there before.
    cells: of the pretrained runs."""
    said = []
    for regime, label in (("naive", "naive"), ("anchor", "eight anchors"), ("unified", "unified output")):
        of = rows[(rows.role == regime) & (rows.part == "target") & (rows.kind == "atomic")]
        if of.empty:
            continue
        before = cells[(cells.role == regime) & (cells.pair == ATOMIC) & (cells.prefix != "")]
        seeds = f"{of.seed.nunique()} seed{'s' if of.seed.nunique() > 1 else ''}"
        own = f"in its own tokens {decimal(of.own_before.mean())} to {decimal(of.own_after.mean())}"
        aligned = f"read across before: {middle(before.raw) if regime == 'naive' else mean(before.raw)}"
        said.append(f"{label} {decimal(of.before.mean())} to {decimal(of.after.mean())} ({own}; {aligned}; {seeds})")
    return "Legality of the language that was not tuned, before and after: " + "; ".join(said) + "."
