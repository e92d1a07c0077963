"""Does alignment predict transfer? Every run, or model realigned from one, that was taught something in one language is
a point: how alike its languages are before, and how much of what the first one learns the others follow."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import pandas as pd

from mothello.measures.probes.headline import Headline
from mothello.othello.symmetry import OPENING_MAPS
from mothello.report.labels import labels_of
from mothello.report.runs import Run, with_realigned
from mothello.report.sharing import sharing_of
from studies.answers import courses
from studies.runs import group_of, headline_of

LEARNED = 0.02
"""Something is learned where the source gains at least this; elsewhere there is nothing to follow."""
POINTER = "_pointer"
"""How the labels of a task that points are called, after the task."""
NEXT_MOVE = "next move"
"""What is taught by a fine-tuning on games; of one on a task, the task's name."""


BLIND, MAPS, ROTATIONS = "blind to a mirror", "reads through maps", "allows any rotation"
"""What a measure makes of a mirrored pair: unlike; alike through its map; alike, as much else that a rotation of the
states makes alike."""


class Alignment(NamedTuple):
    """One way to say how alike the languages of a model are."""

    label: str
    sees: str
    """Of languages that are alike through a symmetry of the opening only: BLIND, MAPS or ROTATIONS."""
    read: Callable[[Run, Headline | None], float | None]


def _far(across: Callable[[Headline], float | None]) -> Callable[[Run, Headline | None], float | None]:
    """The way from the best constant to the language's own probes; none where these read no more."""

    def read(_: Run, head: Headline | None) -> float | None:
        value = None if head is None else across(head)
        if head is None or value is None or head.constant is None or head.own <= head.constant:
            return None
        return (value - head.constant) / (head.own - head.constant)

    return read


def _of_states(quantity: str, maps: Sequence[str] = OPENING_MAPS[:1]) -> Callable[[Run, Headline | None], float | None]:
    """Mean over ordered pairs, each through its best one of the maps, at the run's layer."""

    def read(run: Run, head: Headline | None) -> float | None:
        rows = _trained(run, "alignment", quantity)
        rows = rows[(rows.layer == _layer(run, head)) & rows["map"].isin(maps)]
        return float(rows.groupby(["source", "language"]).value.max().mean()) if len(rows) else None

    return read


def _layer(run: Run, head: Headline | None) -> int:
    """Of the probes; of a model without these that of its origin's, else the one below the last."""
    if head is not None:
        return head.layer
    return _layer(run.origin, headline_of(run.origin)) if run.origin else int(run.config["model"]["n_layer"]) - 1


def _of_embeddings(quantity: str) -> Callable[[Run, Headline | None], float | None]:
    """Mean over ordered pairs, of all moves."""

    def read(run: Run, _: Headline | None) -> float | None:
        rows = _trained(run, "embedding", quantity)
        return _mean(rows[(rows["map"] == "identity") & (rows.target == "")])

    return read


ALIGNMENTS = {
    "probe": Alignment("probes, as they are", BLIND, _far(lambda head: head.across)),
    "probe_best_map": Alignment("probes, best map", MAPS, _far(lambda head: head.across_best_map)),
    "retrieval": Alignment("weak retrieval", BLIND, _of_states("retrieval")),
    "retrieval_strong": Alignment("strong retrieval", BLIND, _of_states("retrieval_strong")),
    "retrieval_best_map": Alignment("retrieval, best map", MAPS, _of_states("retrieval", OPENING_MAPS)),
    "retrieval_csls": Alignment("retrieval, CSLS", BLIND, _of_states("retrieval_csls")),
    "cosine": Alignment("cosine", BLIND, _of_states("cosine")),
    "cka": Alignment("linear CKA", ROTATIONS, _of_states("cka")),
    "procrustes": Alignment("retrieval after a fitted rotation", ROTATIONS, _of_states("procrustes")),
    "neighbours": Alignment("nearest token embedding", BLIND, _of_embeddings("neighbours")),
}
"""All before anything is taught."""
COLUMNS = (
    "board", "study", "cell", "base", "seed", "objective", "order", "kinds", "sharing", "apart", "evaluated", "skill",
    "task", "language", "source", "follows", "pointer",
)  # fmt: skip
"""Of a point, before its alignments. study: the one that trained the run; cell: its name, of a realigned model with
how; base: that of the run that it was realigned from, else the cell itself; objective: of training, and that
realignment came after it; apart: parts of the model of each language's own; skill: legal moves, or (evaluated:
hidden) hidden ones guessed from a prefix, of the most that can be; language: the source, in which it was taught;
source: what it gains; follows: the other's gain as a share of that, mean over the others; pointer: the same of
where the task points to, which the same fine-tuning teaches."""


def _trained(run: Run, measure: str, quantity: str) -> pd.DataFrame:
    rows = run.rows
    return rows[(rows.measure == measure) & (rows.quantity == quantity) & (rows.control == "trained")]


def _mean(rows: pd.DataFrame) -> float | None:
    return float(rows.value.mean()) if len(rows) else None


def points(runs: Iterable[Run]) -> pd.DataFrame:
    """A row per run and what it was taught, with COLUMNS and ALIGNMENTS; what was not learned is left out. Models that
    differ in no number, such as those of aligners that link alike, are one."""
    runs, rows = list(with_realigned(runs)), list[dict[str, Any]]()
    labels = labels_of([run for run in runs if run.origin])
    for run in runs:
        taught = [*_tasks(run), *_games(run)]
        if taught and len(run.languages) > 1:
            head = headline_of(run)
            known = _setting(run) | {"cell": labels.get((run.name, run.identity), run.name)}
            known["base"] = run.origin.name if run.origin else run.name
            known |= {name: one.read(run, head) for name, one in ALIGNMENTS.items()}
            rows += [known | row for row in taught if row["source"] >= LEARNED]
    table = pd.DataFrame(rows, columns=[*COLUMNS, *ALIGNMENTS])
    return table.drop_duplicates(table.columns.drop("cell"), ignore_index=True)


def _setting(run: Run) -> dict[str, Any]:
    traits = run.config["languages"].get("traits") or {}
    separate = run.config["model"].get("separate") or {}
    orders = {str(one["order"]) for one in traits.values() if one.get("order", "forward") != "forward"}
    evaluated, skill = skill_of(run)
    return {
        "board": run.results["board"], "evaluated": evaluated, "study": _study(run), "cell": run.name, "seed": run.seed,
        "objective": _objective(run), "order": " ".join(sorted(orders)) or "forward",
        "kinds": " + ".join(sorted(one["kind"] for one in run.results["languages"])), "sharing": sharing_of(run.config),
        "apart": " ".join(f"{key}={value}" for key, value in separate.items() if value) or "none", "skill": skill,
    }  # fmt: skip


def _study(run: Run) -> str:
    return group_of(run) or (_study(run.origin) if run.origin else run.name)


def _objective(run: Run) -> str:
    """Such as "masked_lm", "causal_lm + realign", or of a realigned model "masked_lm, then realign"."""
    if run.origin is not None:
        stage = "" if run.settings.get("plain") else f", then {run.config['stage']}"
        return f"{_objective(run.origin)}{stage}"
    more = [name for name, part in (run.config.get("auxiliary") or {}).items() if part]
    return " + ".join([str(run.config["objective"]["name"]), *more])


def skill_of(run: Run) -> tuple[str, float | None]:
    """What is evaluated, and the skill, as in COLUMNS; None where it was not measured."""
    legal = _trained(run, "legality", "top1")
    if len(legal):
        return "legal", _mean(legal[legal.ply.isna()])
    rows = run.rows[(run.rows.measure == "masked") & (run.rows.quantity == "masked_accuracy") & run.rows.ply.isna()]
    means = rows[rows.target == "prefix"].groupby("control").value.mean()
    return "hidden", float(means["trained"] / means["best"]) if len(means) else None


def _tasks(run: Run) -> Iterator[dict[str, Any]]:
    """What every fine-tuning on a task did."""
    for child in run.finetunings:
        if child.config.get("auxiliary"):  # realigned on the way: what was alike before is not what it was tuned with
            continue
        rows = child.rows
        along = rows[
            (rows.measure == "task_transfer") & (rows.quantity == "task_accuracy") & (rows.control == "trained")
        ]
        found = {}
        for task, part in along.sort_values("step", kind="stable").groupby("target", sort=False):
            ends = {str(name): own.value.iloc[[0, -1]].tolist() for name, own in part.groupby("language")}
            gains = {name: after - before for name, (before, after) in ends.items()}
            found[str(task)] = _row(str(task), gains, child.source)
        for task, row in found.items():
            if not task.endswith(POINTER):  # the same fine-tuning, scored by where it points
                pointed = found.get(f"{task}{POINTER}", {})
                learned = pointed.get("source", 0) >= LEARNED
                yield row | {"pointer": pointed["follows"] if learned else None}


def _games(run: Run) -> Iterator[dict[str, Any]]:
    """What fine-tuning on games of one language did, all answered in their own tokens; by the study's own schedule."""
    found = courses([run])
    found = found[(found.among == "its own tokens") & (found.softmax == "all") & (found.schedule == "ours")]
    if len(found):
        gains = dict(zip(found.language, found.after - found.before, strict=True))
        yield _row(NEXT_MOVE, gains, str(found[found.part == "source"].language.iloc[0]))


def _row(task: str, gains: dict[str, float], source: str) -> dict[str, Any]:
    others = [gain for name, gain in gains.items() if name != source]
    own = gains[source]
    return {
        "task": task,
        "language": source,
        "source": own,
        "follows": sum(others) / len(others) / own if own > 0 else None,
    }


def factors(known: pd.DataFrame) -> Sequence[str]:
    """What differs between the points, among what a correlation can be taken within."""
    return [
        name
        for name in ("board", "study", "objective", "order", "kinds", "sharing", "task")
        if known[name].nunique() > 1
    ]
