"""The page's section on fine-tuning: published curves beside ours, strict, lenient, and in a language's own tokens."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from mothello.analysis.cells import BAR, pair_name
from mothello.analysis.markdown import decimal, ours, over_seeds, table
from mothello.analysis.published import TRANSFER
from mothello.analysis.regimes import role
from mothello.analysis.runs import Run
from mothello.analysis.words import NOT_RUN, WITHIN, Judged, direction, judge

COLUMNS = [
    "cell", "seed", "board", "role", "pair", "kind", "language", "part", "legal", "before", "after", "gain",
    "gain_ratio", "scratch", "lenient_before", "lenient_after", "own_before", "own_after", "wrong_before",
    "wrong_after",
]  # fmt: skip
"""legal: strict legality on the pretraining distribution; own_*: choosing among the language's own tokens; wrong_*:
share of answers in another language; scratch: after the same fine-tuning from random weights."""


class Ends(NamedTuple):
    """Published source and target, before and after, 0..1."""

    source: tuple[float, float]
    target: tuple[float, float]


def ends(text: str) -> Ends:
    """ "92 to 99.7 / 91 to 89.6" -> shares; "same as source" repeats the source."""
    source, target = (part.split("(")[0] for part in text.split(" / "))
    first = tuple(float(x) / 100 for x in source.split(" to "))
    second = first if "same" in target else tuple(float(x) / 100 for x in target.split(" to "))
    return Ends((first[0], first[1]), (second[0], second[1]))


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
    found = {}
    for key, metric in (("lenient", "lenient"), ("own", "top1_restricted"), ("wrong", "wrong_language")):
        for when, line in (("before", lines[0]), ("after", lines[-1])) if lines else ():
            found[f"{key}_{when}"] = line.get(f"val/{name}/{metric}")
    return found


def transfer_table(rows: pd.DataFrame) -> str:
    """A row per published curve."""
    head = [
        "pair", "regime", "part", "published, either colour", "strict", "either colour", "in its own tokens",
        "answers in another language, after", "from scratch", "seeds", "word", "why",
    ]  # fmt: skip
    lines: list[list[str]] = []
    if rows.empty:
        return "Not run yet."
    for (kind, regime), text in TRANSFER.items():
        of = rows[(rows.kind == kind) & (rows.role == regime)] if len(rows) else rows
        for part, (before, after) in zip(("source", "target"), ends(text), strict=True):
            here = of[of.part == part] if len(of) else of
            told = f"{100 * before:.1f} to {100 * after:.1f}"
            judged = judged_change(here, after - before, same=bool(len(here) and (here.board == "8x8").all()))
            lines.append([kind, regime, part, told, *_numbers(here), judged.word, judged.reason])
    return table(head, lines)


def _numbers(of: pd.DataFrame) -> list[str]:
    if of.empty:
        return ["-"] * 6
    changes = [
        f"{decimal(of[a].mean())} to {ours(over_seeds(of[b]))}"
        for a, b in (("before", "after"), ("lenient_before", "lenient_after"), ("own_before", "own_after"))
    ]
    return [*changes, decimal(of.wrong_after.mean()), decimal(of.scratch.mean()), str(of.seed.nunique())]


def judged_change(of: pd.DataFrame, published: float, same: bool = False) -> Judged:
    """Published and lenient scoring must agree: on the change to within .03 on the same board, on its direction else.
    Strict scoring that moves another way corrects it. Means over runs."""
    if of.empty:
        return Judged(NOT_RUN)
    strict, lenient, own = (float((of[f"{key}after"] - of[f"{key}before"]).mean()) for key in ("", "lenient_", "own_"))
    agrees = abs(lenient - published) <= WITHIN if same else direction(lenient) == direction(published)
    changed = "" if direction(strict) == direction(lenient) else f"strict {strict:+.3f}, either colour {lenient:+.3f}"
    wrong = float(of.wrong_after.mean())
    lost = f"; {wrong:.0%} of the answers are in another language, in its own tokens {own:+.3f}" if wrong > 0.05 else ""
    reason = f"either colour {lenient:+.3f}, published {published:+.3f}{lost}"
    return judge(reached=bool(of.legal.mean() >= BAR), agrees=agrees, changed=changed, reason=reason)


def in_short(rows: pd.DataFrame) -> str:
    """Strict legality of the target before and after, regime by regime."""
    said = []
    for regime, label in (("naive", "naive"), ("anchor", "eight anchors"), ("unified", "unified output")):
        of = rows[(rows.role == regime) & (rows.part == "target") & (rows.kind == "atomic")]
        if len(of):
            own = f"in its own tokens {decimal(of.own_before.mean())} to {decimal(of.own_after.mean())}"
            said.append(f"{label} {decimal(of.before.mean())} to {decimal(of.after.mean())} ({own})")
    return "Legality of the language that was not tuned, before and after: " + "; ".join(said) + "."
