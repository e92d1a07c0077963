"""A part of a study, one run with its measures, and which of its steps are done."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mothello.cli.measure import MeasureCommand, folders_of
from mothello.cli.stage import StageCommand
from mothello.files import fingerprint
from mothello.measures.transfer.measure import TransferConfig
from mothello.rows import measured
from mothello.rundir import RunDir
from mothello.stages.continued import STAGES, Continued
from mothello.stages.finetune import TransferCommand
from mothello.stages.folders import finetune_folder, stage_identity
from mothello.stages.measuring import measure_folder
from mothello.stages.pretrain import TrainConfig


class Further(NamedTuple):
    """A stage of a part."""

    name: str
    after: str
    """The stage whose model it goes on from; empty: the run."""
    command: StageCommand
    measure: MeasureCommand | None
    """Of its model, besides what the stage measures."""


class Part(NamedTuple):
    """One run of a study, and its measures."""

    cell: str
    train: TrainConfig
    probe: MeasureCommand
    measure: MeasureCommand
    transfers: list[TransferCommand]
    stages: list[Further]
    waits: str = ""
    """Of a fork whose origin is not there yet, what is missing: until then its folder is not known."""

    @property
    def name(self) -> str:
        return part_name(self.cell, self.train.seed)


def part_name(cell: str, seed: int) -> str:
    """The name that ``parts`` matches."""
    return f"{cell}/{seed}"


def finished(part: Part) -> dict[str, bool]:
    """Which steps of a part are done, by the folders that they write."""
    folder = RunDir(part.probe.run)
    return {
        "train": folder.finished,
        "probe": all(map(measured, folders_of(part.probe, folder))),
        "measure": all(map(measured, folders_of(part.measure, folder))),
        "transfer": all(_tuned(part, command) for command in part.transfers),
        "stage": _all_staged(part),
    }


def _tuned(part: Part, command: TransferCommand) -> bool:
    source = command.transfer.source or part.train.languages.language_names()[0]
    child = finetune_folder(RunDir(command.run), command.transfer, command.seed, source, at=command.at)
    return child.finished and measured(measure_folder(child, TransferConfig()))


def _all_staged(part: Part) -> bool:
    """Whether every stage of a part and its measures are there."""
    made = dict(stage_folders(part))
    return all(
        made[further.name] is not None
        and (not further.measure or all(map(measured, folders_of(further.measure, made[further.name]))))
        for further in part.stages
    )


def stage_folders(part: Part) -> Iterator[tuple[str, RunDir | None]]:
    """Every stage with its folder; None where it is not finished."""
    made: dict[str, RunDir | None] = {"": RunDir(part.probe.run)}
    for further in part.stages:
        before = made[further.after]
        made[further.name] = before and _made(str(before.path), further.command)
        yield further.name, made[further.name]


def _made(run: str, command: StageCommand) -> RunDir | None:
    """The folder that a stage has written below a run, with what the stage measures; None where it is not finished."""
    made = fingerprint(stage_identity(command.stage, command.seed, command.at))
    measures = STAGES.get(command.stage.name).measures is not Continued.measures
    for folder in map(RunDir, Path(run, command.stage.name).glob(f"*{made}")):
        if folder.finished and (not measures or any(measured(RunDir(x)) for x in folder.path.glob("measures/*"))):
            return folder
    return None
