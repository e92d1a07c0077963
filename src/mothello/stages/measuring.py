"""Measures of a run: one folder each, RUN/measures/NAME-HASH, written once and read by every report."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import mothello.measures.builtin  # noqa: F401
from mothello.errors import UserError
from mothello.files import locked
from mothello.measures.measure import MEASURES, Measure, Subject, folder_name, takes_other
from mothello.model.edited import Edited
from mothello.rows import measured, write_tidy
from mothello.rundir import RunDir
from mothello.stages.run import Run
from mothello.stages.running import describe_device, running
from mothello.tracking import TrackingConfig, start_mirror
from mothello.training.device import DeviceConfig
from mothello.training.distributed import World


def measure_folder(run: RunDir, config: Any, step: int | None = None, other: Run | None = None) -> RunDir:
    """Where a measure with this config writes. step: of a model loaded at an earlier step than the newest. other: a run
    that it is compared with."""
    earlier = "" if step is None else f"-step{step}"
    compared = other.content if other is not None and takes_other(config.name) else ""
    return RunDir(run.path / "measures" / f"{folder_name(config, compared)}{earlier}")


def measured_subject(run: Run, config: Any, device: DeviceConfig, other: Run | None = None) -> Subject:
    """The subject of a measure, with that of the other run where it compares the two. UserError where that makes no
    sense, or the measure's own check finds a mistake."""
    subject = run.subject(device)
    if takes_other(config.name):
        subject = replace(subject, other=_other(run, config, device, other))
    measure = MEASURES.build(config)
    getattr(measure, "check", lambda _: None)(subject)
    return subject


def _other(run: Run, config: Any, device: DeviceConfig, other: Run | None) -> Subject | None:
    """The subject that a measure compares the run with."""
    entry = MEASURES.get(config.name)
    if other is None:
        return None
    if other.board.size != run.board.size:
        raise UserError(f"other: {other.folder.path} plays on {other.board.name}, the run on {run.board.name}")
    if getattr(entry, "by_layer", False) and other.model.config.n_layer != run.model.config.n_layer:
        blocks = f"{other.model.config.n_layer} blocks, the run {run.model.config.n_layer}"
        raise UserError(f"other: {other.folder.path} has {blocks}; layers are compared one by one")
    if other.content == run.content:
        raise UserError(f"other: {other.folder.path} is the run itself")
    folder = measure_folder(other.folder, config, other.earlier).path
    return other.subject(device).kept_in(folder)


def measure_run(
    run: Run, config: Any, device: DeviceConfig, force: bool = False, tracking: TrackingConfig | None = None,
    plugins: Sequence[str] = (), other: Run | None = None,
) -> RunDir:  # fmt: skip
    """Measure a run unless it is measured already; returns the folder, with table.csv.gz (every number) and
    results.json (where and how it was measured). other: a run that it is compared with, if the measure compares.
    UserError for an edited model, whose numbers are not the run's."""
    if isinstance(run.model, Edited):
        raise UserError(f"run: {run} has no folder for its numbers; mothello.measure returns them")
    subject = measured_subject(run, config, device, other)
    folder = measure_folder(run.folder, config, run.earlier, other)
    reached = measured(folder) and folder.read_results().get("step", run.step) >= run.step
    if reached and not force:
        print(f"finished already: {folder.path} (force=true to redo)", flush=True)
        return folder
    print(f"{config.name}: {run.folder.path} -> {folder.path}", flush=True)
    begun = time.monotonic()
    measure: Measure = MEASURES.build(config)
    settings = {"run": str(run.folder.path), "measures": [config.name], config.name: config, "device": device}
    settings |= {"other": str(other.folder.path)} if subject.other and other else {}
    settings["plugins"] = list(dict.fromkeys([*run.config.plugins, *plugins]))
    with locked(folder.path), running(folder, World(), settings):
        if tracking is not None:
            start_mirror(folder, tracking)
        rows = measure(subject.kept_in(folder.path))
        write_tidy(folder.path, rows if run.earlier is None else ({"step": run.earlier} | row for row in rows))
        games = getattr(config, "test_games", getattr(config, "games", None))
        about = {"board": run.board.name, "games": games, "seconds": time.monotonic() - begun} | run.reached
        folder.write_results(config.name, about | describe_device(run.device, World()))
        folder.write_status("ok")
    return folder
