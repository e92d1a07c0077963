"""What a fine-tuning on a task did to every language, from the metrics of its folder, of its controls' and of the same
fine-tuning on the other languages."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mothello.errors import UserError
from mothello.measures.measure import MEASURES, Row, Subject
from mothello.measures.transfer.curve import curves, summary
from mothello.othello.symmetry import OPENING_MAPS
from mothello.rows import Table, format_table
from mothello.rundir import RunDir

CONTROLS = {"random_weights": "-random", "scratch": "-scratch"}
"""Control -> end of the name of its folder, next to the other's."""
GUESSED = ("constant", "constant_by_move")
SUMMARY = ("peak", "forgetting", "relative_gap", "over_scratch")
Lines = Sequence[Mapping[str, float]]


@dataclass(kw_only=True)
class TaskTransferConfig:
    """Nothing to choose: what was watched along the fine-tuning is reported."""

    name: str = "task_transfer"

    def shrunk(self, share: float) -> "TaskTransferConfig":
        """It reads what is there."""
        return self


@MEASURES.register("task_transfer")
class TaskTransfer:
    """Labels of a task read right in every language along a fine-tuning on one, also by its controls and by counting;
    peak, what was forgotten, and how the other languages follow."""

    Config = TaskTransferConfig

    def __init__(self, config: TaskTransferConfig) -> None:
        self.config = config

    def __call__(self, subject: Subject) -> Iterator[Row]:
        """Rows. UserError when the subject was not fine-tuned on a task, in its folder."""
        if subject.run is None:
            raise UserError("measures: task_transfer reads the folder of a fine-tuning on a task")
        folder, names = subject.run, subject.names
        content = folder.read_config()
        if content.get("stage") != "task":
            raise UserError(f"measures: task_transfer is measured on a model tuned on a task; {folder.path} is none")
        settings = content["settings"]
        source = settings["source"] or names[0]
        layer = settings["layer"] if settings["layer"] >= 0 else subject.n_layers - 1
        lines, others = folder.read_metrics(), dict(_tuned_on_others(folder.path, content, names))
        controls = dict(_controls(folder.path))
        scratch = controls.get("random_weights" if settings["tune"] == "head" else "scratch")
        for target in _targets(lines, names[0]):
            head: Row = {"measure": "task_transfer", "target": target, "layer": layer, "source": source}
            for control, course in {"trained": lines, **controls}.items():
                yield from (head | row for row in accuracy_rows(course, names, target, control))
            own, from_scratch = (curves(part or [], names, f"{target}_accuracy") for part in (lines, scratch))
            yield from (head | row for row in summary_rows(own, from_scratch, source))
            for language, course in others.items():
                ends = curves(course, names, f"{target}_accuracy")[language][-1], own[language][-1]
                head |= {"quantity": "delta", "control": "trained", "language": language}
                yield head | {"value": ends[0] - ends[1]}

    def summary(self, rows: Table) -> str:
        """Per label and language: before, after and what is made of it, beside the baselines."""
        return f"labels read right along the fine-tuning\n{format_table(overview(rows))}"


def _targets(lines: Lines, language: str) -> list[str]:
    """The labels that were watched: flips; bracket, bracket_pointer."""
    form = rf"val/{re.escape(language)}/(\w+)_constant"
    return list(dict.fromkeys(found[1] for line in lines for key in line if (found := re.fullmatch(form, key))))


def _controls(path: Path) -> Iterator[tuple[str, Lines]]:
    """Metrics of the finished controls, by name."""
    for control, end in CONTROLS.items():
        folder = RunDir(path.with_name(path.name + end))
        if folder.finished:
            yield control, folder.read_metrics()


def _tuned_on_others(path: Path, content: Mapping[str, Any], names: Sequence[str]) -> Iterator[tuple[str, Lines]]:
    """By language, metrics of the finished fine-tunings with the same settings and seed on the other languages."""

    def setting(of: Mapping[str, Any]) -> tuple[Any, ...]:
        apart = ("source", "controls")  # what may differ
        return {key: x for key, x in (of.get("settings") or {}).items() if key not in apart}, of.get("seed")

    for other in sorted(path.parent.iterdir()):
        folder = RunDir(other)
        if other != path and not other.name.endswith(tuple(CONTROLS.values())) and folder.finished:
            its = folder.read_config()
            if setting(its) == setting(content):
                yield its["settings"]["source"] or names[0], folder.read_metrics()


def accuracy_rows(lines: Lines, names: Sequence[str], target: str, control: str) -> Iterator[Row]:
    """Accuracy in every language by step, with its interval over games, and through the other maps of the opening where
    it differs; of what was trained also the best guesses."""
    for line in lines:
        for language in names:
            key = f"val/{language}/{target}"
            if f"{key}_accuracy" in line:
                head = {"quantity": "task_accuracy", "language": language, "step": int(line["step"])}
                about = {name: line[f"{key}_{name}"] for name in ("low", "high", "n")}
                yield head | {"control": control, "value": line[f"{key}_accuracy"]} | about
                for name in OPENING_MAPS[1:] if f"{key}_through_{OPENING_MAPS[1]}" in line else ():
                    value, low, high = (line[f"{key}_through_{name}{end}"] for end in ("", "_low", "_high"))
                    moved = {"quantity": "task_accuracy_moved", "map": name, "control": control, "n": about["n"]}
                    yield head | moved | {"value": value, "low": low, "high": high}
                for guess in GUESSED if control == "trained" else ():
                    yield head | {"control": guess, "value": line[f"{key}_{guess}"]}


def summary_rows(
    curve: Mapping[str, Sequence[float]], scratch: Mapping[str, Sequence[float]], source: str
) -> Iterator[Row]:
    """What is made of the curves of all languages, and of those of the same from random weights."""
    for language, row in summary(curve, source, list(curve), scratch or None).items():
        for quantity in SUMMARY:
            if row.get(quantity) is not None:
                yield {"quantity": quantity, "control": "trained", "language": language, "value": row[quantity]}


def overview(rows: Table) -> dict[str, dict[str, float]]:
    """Per label and language: accuracy before and after, the numbers of the summary, and at the end what is right of
    the game under another map of the opening, and the baselines."""
    table: dict[str, dict[str, float]] = {}
    for (target, language), group in rows.groupby(["target", "language"], sort=False):
        along = group[group.quantity == "task_accuracy"].sort_values("step", kind="stable")
        made, course = group[group.step.isna()], along[along.control == "trained"].value
        baselines = along[along.control != "trained"].groupby("control", sort=False).value.last()
        moved = group[(group.quantity == "task_accuracy_moved") & (group.control == "trained")]
        through = (
            moved.sort_values("step", kind="stable").groupby("map", sort=False).value.last().add_prefix("through ")
        )
        numbers = [(made.quantity, made.value), (through.index, through), (baselines.index, baselines)]
        table[f"{target} in {language}"] = {"before": course.iloc[0], "after": course.iloc[-1]} | {
            str(name): float(value) for names, values in numbers for name, value in zip(names, values, strict=True)
        }
    return table
