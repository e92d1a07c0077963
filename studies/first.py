"""results/first/README.md: one run of each objective on the same games with the same model, and what it learned."""

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from mothello.files import write_whole
from mothello.measures.probes.headline import Headline
from mothello.report.runs import Run, find_runs
from studies.numbers import decimal, percent
from studies.runs import headline_of
from studies.templates import filled

CELLS = {
    "naive": "next token",
    "code_switch": "next token, up to 15% of words in the other language",
    "separate": "next token; token embeddings, positions, head and two of three blocks apart",
    "masked": "hidden tokens",
    "tlm": "hidden tokens, a quarter of the rows a game in both languages",
    "tlm_causal": "next token, a quarter of the rows a game in both languages",
    "dict_mlm": "hidden tokens, half of them read in translation",
    "dict_target": "hidden tokens, half of them predicted in translation",
    "align_mlm": "hidden tokens; embeddings of the dictionary pulled together",
}
"""Cell -> what it is trained on."""
BESIDE = ("naive_9_1", "single_60k", "single_120k", "single_240k")
"""Runs of the study imbalance: unequal shares, and a ladder of one language (its last rung: results/mini/single)."""
FOLLOWS = 0.5
"""Share of the source's gain that the other language must gain to follow it."""
TASK = "bracket"
"""The direction in which a move turns discs, the first of several."""
LEARNED = 0.02
"""A task is learned where the source gains at least this."""


class Column(NamedTuple):
    """Which rows a number is the mean of."""

    quantity: str
    control: str = "trained"
    target: str = ""


def number(rows: pd.DataFrame, measure: str, column: Column) -> float | None:
    """Mean over languages of whole-game numbers; None where it was not measured."""
    known = rows[
        (rows.measure == measure) & (rows.quantity == column.quantity) & (rows.control == column.control)
        & (rows.target == column.target) & rows.ply.isna() & rows.step.isna()
    ]  # fmt: skip
    return float(known.value.mean()) if len(known) else None


class Task(NamedTuple):
    """A task that was learned in one language: accuracy before and after, there and in the other."""

    source: tuple[float, float]
    other: tuple[float, float]
    guess: float
    """The better one of the two guesses without a model."""
    random_weights: float | None

    @property
    def learned(self) -> bool:
        return self.source[1] - self.source[0] >= LEARNED

    @property
    def follows(self) -> bool:
        return self.other[1] - self.other[0] >= FOLLOWS * (self.source[1] - self.source[0])


def task_of(run: Run, name: str = TASK) -> Task | None:
    """What a fine-tuning on a task did, the first of that name; None where there is none."""
    for child in run.finetunings:
        rows = child.rows[(child.rows.measure == "task_transfer") & (child.rows.target == name)]
        along = rows[(rows.quantity == "task_accuracy")].sort_values("step", kind="stable")
        if not len(along):
            continue
        ends = {}
        for (language, control), part in along.groupby(["language", "control"]):
            ends[str(language), str(control)] = float(part.value.iloc[0]), float(part.value.iloc[-1])
        others = [language for language in child.languages if language != child.source]
        guesses = [ends[child.source, control][1] for control in ("constant", "constant_by_move")]
        random = ends.get((child.source, "random_weights"))
        return Task(
            ends[child.source, "trained"], ends[others[0], "trained"], max(guesses), random[1] if random else None
        )
    return None


class First(NamedTuple):
    """A run of the study and its numbers."""

    cell: str
    run: Run
    head: Headline | None
    task: Task | None

    def share(self, quantity: str, control: str = "trained", target: str = "") -> float | None:
        """Of legality, or of hidden moves where a context is the target."""
        return number(self.run.rows, "masked" if target else "legality", Column(quantity, control, target))

    @property
    def neighbours(self) -> float | None:
        """Share of moves whose nearest token of the other language is the same move."""
        rows = self.run.rows[(self.run.rows["map"] == "identity")]
        return number(rows, "embedding", Column("neighbours"))

    @property
    def translated(self) -> float | None:
        """Share of the hidden words whose target is the translation; None where none is."""
        own = self.run.config["objective"]
        if own.get("variant") != "target":
            return None
        return own["cross"] / (own["cross"] + (1 - own["cross"]) * (1 - own["kept"] - own["random"]))

    @property
    def verdict(self) -> str:
        """How the other language's probes read, and through which map of the opening."""
        if self.head is None or self.head.kinds is None or self.head.maps is None:
            return "-"
        kinds = [kind for kind, pairs in self.head.kinds.items() if pairs]
        maps = [name for name, pairs in self.head.maps.items() if pairs]
        shown = ", ".join(kinds) + (f" ({', '.join(maps)})" if maps else "")
        return shown if (self.head.recovered or 0) > 0 else f"{shown}, not above the orbit reader"

    @property
    def sentence(self) -> str:
        """What it learned and what not, by its numbers."""
        return " ".join(filter(None, [self._played(), self._read(), self._tuned()]))

    def _played(self) -> str:
        legal, chance = self.share("top1"), self.share("top1", "chance")
        if legal is not None and chance is not None:
            alone = self.share("top1_restricted")
            among = f", {percent(alone)} among its own tokens" if alone is not None and alone - legal > LEARNED else ""
            return f"It plays a legal next move in {percent(legal)} of cases{among} (a random one: {percent(chance)})."
        asked = product(("prefix", "game"), ("trained", "best"))
        shares = [self.share("masked_accuracy", control, shown) for shown, control in asked]
        if None in shares:
            return ""
        own, best, whole, most = (percent(x) for x in shares if x is not None)
        return f"It guesses {own} of hidden moves from a prefix (at most {best}), {whole} from a game (at most {most})."

    def _read(self) -> str:
        head = self.head
        if head is None or head.across is None or head.constant is None:
            return ""
        own = f"Its states hold {decimal(head.own)} of the board's cells"
        orbit, random = decimal(head.orbit), decimal(head.random_weights)
        blind = f"(the best constant {decimal(head.constant)}, the orbit reader {orbit}, random weights {random})"
        return f"{own} {blind}; probes of the other language read {decimal(head.across)}: {self.verdict}."

    def _tuned(self) -> str:
        if self.task is None:
            return ""
        if not self.task.learned:
            return f"It does not learn {TASK} ({decimal(self.task.source[1])}; a guess {decimal(self.task.guess)})."
        (a, b), (c, d) = (map(decimal, ends) for ends in (self.task.source, self.task.other))
        taught = f"Taught {TASK} in one language it goes from {a} to {b} (a guess {decimal(self.task.guess)})"
        below = ", no more than a guess" if self.task.other[1] <= self.task.guess else ""
        return f"{taught}; the other {'follows' if self.task.follows else 'does not follow'}, {c} to {d}{below}."


def firsts(runs: Sequence[Run]) -> list[First]:
    """The runs of the study, in its order."""
    named = {run.name: run for run in runs}
    return [First(cell, named[cell], headline_of(named[cell]), task_of(named[cell])) for cell in CELLS if cell in named]


def worth(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Token efficiency by run and language, with its range."""
    lines = []
    for run in runs:
        measure = run.measure("efficiency")
        rows = measure.rows if measure is not None else pd.DataFrame()
        for language in run.languages if len(rows) else ():
            own = rows[(rows.language == language) & (rows.control == "trained")].set_index("quantity")
            value, low, high = (float(own[column]["token_efficiency"]) for column in ("value", "low", "high"))
            left_out = rows[(rows.language == language) & (rows.control == "ladder")].value
            lines.append({
                "run": run.name, "language": language, "excess nats": float(own.value["excess_nats"]),
                "games of one language for the same": f"{own.value['equal_games']:,.0f}",
                "token efficiency": f"{value:.2f} [{low:.2f}, {high:.2f}]",
                "runs of the ladder by the others": f"{left_out.min():.2f} to {left_out.max():.2f}",
                "beyond the ladder": "yes" if own.value["extrapolated"] else "no",
            })  # fmt: skip
    return lines


def write_first(out: Path, scale: str = "mini") -> Path:
    """Write OUT/README.md from the runs under OUT/SCALE; returns the page."""
    runs = find_runs([str(out / scale)])
    words: dict[str, Any] = {"cells": CELLS, "follows": FOLLOWS, "learned": LEARNED}
    write_whole(out / "README.md", filled("first.md.j2", runs=firsts(runs), worth=worth(runs), **words).encode())
    return out / "README.md"
