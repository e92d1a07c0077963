"""What the models of a study were taught in one language, and what the others made of it, as two tables."""

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from mothello.cli.study_parts import Further
from mothello.othello.symmetry import OPENING_MAPS
from mothello.report.runs import Run
from studies import CRITERIA
from studies.data import alignment_of
from studies.points import ALIGNMENTS, POINTER, skill_of
from studies.runs import headline_of, staged

LEARNED = float(CRITERIA.papers["learned"])
SCORED, MOVED = "task_accuracy", "task_accuracy_moved"
RUNS = [
    "cell", "seed", "board", "context", "skill", "whole", "excess", "constant", "orbit", "own", "raw", "best", "winner",
    "verdict", "maps", *ALIGNMENTS, "dictionary", "held_out",
    *(f"{name}_{end}" for name in ("own", "raw", "best") for end in ("low", "high")),
]  # fmt: skip
"""Columns of the runs, a row per run of two languages. context: what probes saw of a game; skill: legal moves, or
hidden ones guessed from a prefix, of the most that can be; whole: the same from a whole game; excess: nats above the
floor; own .. maps: as in data.CELLS;
neighbours (of ALIGNMENTS), dictionary, held_out: share of moves whose nearest token embedding of the other language is
the same move: of all moves, of those in the dictionary that was learned from, of the others."""
TAUGHT = [
    "cell", "seed", "board", "stage", "source", "target", "gain", "target_gain", "follows", "itself", "delta", "gap",
    "weak", "strong", "pointer_gain", "pointer", "map", "follows_moved", "pointer_moved",
    *(f"{name}_{end}" for name in ("target", "follows", "pointer") for end in ("low", "high")),
]  # fmt: skip
"""Columns of what was taught, a row per run and stage of the study. source, target: share of labels read right in the
end, in the language that was taught and in the other; gain, target_gain: since the start; follows: target_gain as a
share of gain, empty where that is below LEARNED; itself: of the target, taught in the target; delta: itself - target;
gap: (target - source) / source; weak, strong: retrieval after the fine-tuning at the last layer; pointer_gain, pointer:
as gain and follows, of where a task points to, which the same fine-tuning teaches; map: of the opening, through which
the other language's answers are right most often in the end; *_moved: follows and pointer so read; *_low, *_high: 95%
over games."""


def runs_table(runs: Iterable[Run]) -> pd.DataFrame:
    """A row of RUNS per run."""
    return pd.DataFrame([_run(run) for run in runs], columns=RUNS)


def _run(run: Run) -> dict[str, Any]:
    head, final, rows = headline_of(run), run.results["final"], run.rows
    row = {"cell": run.name, "seed": run.seed, "board": run.results["board"], "skill": skill_of(run)[1]}
    hidden = rows[(rows.quantity == "masked_accuracy") & (rows.target == "game") & rows.ply.isna()]
    guessed = hidden.groupby("control").value.mean()
    row["whole"] = float(guessed["trained"] / guessed["best"]) if len(hidden) else None
    excess = final.get("val/excess_nats")
    row["excess"] = final.get("val/masked_excess_nats") if excess is None else excess
    if (probes := run.measure("probes")) is not None:
        row["context"] = (probes.config.get("probes") or {}).get("context", "game")
    row |= {name: one.read(run, head) for name, one in ALIGNMENTS.items()}
    nearest = rows[(rows.quantity == "neighbours") & (rows.control == "trained") & (rows["map"] == "identity")]
    row |= {str(target): float(part.value.mean()) for target, part in nearest.groupby("target")}
    return row | alignment_of(run)


def taught_table(runs: Iterable[Run], stages: dict[str, Sequence[Further]]) -> pd.DataFrame:
    """A row of TAUGHT per run and stage that taught a task. stages: of each cell."""
    found = [
        {"cell": run.name, "seed": run.seed, "board": run.results["board"], "stage": stage} | row
        for run in runs
        for stage, child in staged(run, stages[run.name]).items()
        if (row := _taught(child))
    ]
    return pd.DataFrame(found, columns=TAUGHT)


def _taught(child: Run) -> dict[str, Any]:
    """Of a fine-tuning on a task; empty where it is none."""
    measure = child.measure("task_transfer")
    if measure is None:
        return {}
    rows = measure.rows[measure.rows.control == "trained"]
    points = rows.target.str.endswith(POINTER)
    where, rows = rows[points], rows[~points]
    row = _follows(*_ends(rows, child.source)) | _moved(rows, where, child.source)
    if len(where):
        names = {
            "pointer_gain": "gain",
            "pointer": "follows",
            "pointer_low": "follows_low",
            "pointer_high": "follows_high",
        }
        pointed = _follows(*_ends(where, child.source))
        row |= {name: pointed.get(column) for name, column in names.items()}
    delta = rows[rows.quantity == "delta"].value
    if len(delta):
        row |= {"delta": float(delta.iloc[0]), "itself": row["target"] + float(delta.iloc[0])}
    last = int(child.config["model"]["n_layer"])
    alike = child.rows[
        (child.rows.layer == last) & (child.rows.control == "trained") & (child.rows["map"] == "identity")
    ]
    for name, quantity in (("weak", "retrieval_raw"), ("strong", "retrieval_raw_strong")):
        same = alike[alike.quantity == quantity].value
        row |= {name: float(same.mean())} if len(same) else {}
    return row


def _moved(rows: pd.DataFrame, where: pd.DataFrame, source: str) -> dict[str, Any]:
    """What follows through the best map of the opening; empty where no label depends on one, or none was read."""
    moved = rows[(rows.quantity == MOVED) & (rows.language != source)]
    if moved.empty:
        return {}
    last = rows[(rows.language != source) & (rows.step == moved.step.max())]
    ends = {str(x.map or OPENING_MAPS[0]): x.value for x in last[last.quantity.isin([MOVED, SCORED])].itertuples()}
    best = max(ends, key=lambda name: ends[name])
    through = {"follows_moved": _through(rows, best, source), "pointer_moved": _through(where, best, source)}
    return {"map": best} | {name: _follows(*_ends(part, source)).get("follows") for name, part in through.items()}


def _through(rows: pd.DataFrame, name: str, source: str) -> pd.DataFrame:
    """The rows with those of the other language read through a map of the opening."""
    if name == OPENING_MAPS[0]:
        return rows
    own = rows[(rows.language == source) & (rows.quantity == SCORED)]
    other = rows[(rows.language != source) & (rows.quantity == MOVED) & (rows["map"] == name)]
    return pd.concat([own, other.assign(quantity=SCORED)])


def _ends(rows: pd.DataFrame, source: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The first and the last evaluation, in the language that is taught and in the other."""
    along = rows[rows.quantity == SCORED].sort_values("step", kind="stable")
    course = {str(name): part.iloc[[0, -1]] for name, part in along.groupby("language")}
    own, (other,) = course.pop(source), course.values()
    return own, other


def _follows(own: pd.DataFrame, other: pd.DataFrame) -> dict[str, Any]:
    """own, other: the first and the last evaluation of the two languages. The interval of the share takes the four
    numbers as independent, which is too wide rather than too narrow."""
    (before, source), (start, target) = own.value, other.value
    gain, follows = float(source - before), float(target - start)
    row = {"source": float(source), "target": float(target), "gain": gain, "target_gain": follows}
    row |= {
        "gap": float((target - source) / source),
        "target_low": other.low.iloc[1],
        "target_high": other.high.iloc[1],
    }
    if gain >= LEARNED:
        share, half = follows / gain, [((x.high - x.low) ** 2).sum() / 4 for x in (own, other)]
        wide = (half[1] + share**2 * half[0]) ** 0.5 / gain
        row |= {"follows": share, "follows_low": share - wide, "follows_high": share + wide}
    return row
