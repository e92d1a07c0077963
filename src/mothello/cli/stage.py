"""scripts/stage.py: go on from a run with a stage of any kind, a user's own included."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import mothello.stages.align_words
import mothello.stages.finetune
import mothello.stages.realign
import mothello.stages.task  # noqa: F401
from mothello.cli.dry_run import company_estimate, place_of
from mothello.cli.main import command
from mothello.cli.measure import summary_of
from mothello.config import shown
from mothello.errors import below, keyed, renamed
from mothello.registry import load_plugins
from mothello.rows import FILE
from mothello.stages.continued import STAGES, Continuation
from mothello.stages.find import TUNED, find_run
from mothello.stages.load import load_run
from mothello.stages.measuring import measure_run
from mothello.stages.running import require_single_process
from mothello.stages.stage import run_stage
from mothello.training.device import resolve


@dataclass(kw_only=True)
class StageCommand(Continuation):
    """scripts/stage.py: one stage that goes on from a run."""

    stage: Any = field(default_factory=lambda: {"name": "finetune"})
    """What is done: a name in STAGES with its settings."""

    def __post_init__(self) -> None:
        load_plugins(self.plugins)
        with below("stage"):
            self.stage = STAGES.typed(self.stage, "stage")


def stage(config: StageCommand) -> dict[str, Any]:
    """Run the stage, or resume it, or do nothing when it is finished; returns results.json and the folder."""
    require_single_process()
    device = resolve(config.device)
    with renamed("step", "at"):
        run = load_run(config.run, device, config.at)
    with keyed(config.key):
        asked = STAGES.get(config.stage.name)(config.stage, config, run)
        trained = [asked, *(part for parts in asked.company().values() for part in parts)]
    if config.dry_run:
        asked.check()
        print(f"{asked.title}: {run.folder.path}", flush=True)
        place = place_of(asked.folder, asked.config.data.steps)
        estimate = company_estimate(asked, device)
        print(estimate.text(folder=place), flush=True)
        return {"seconds": estimate.seconds}
    results = [run_stage(part, device) for part in trained]
    measured = [
        (measure, measure_run(load_run(part.folder.path, device), measure, config.device, True, config.tracking))
        for part in trained for measure in part.measures()
    ]  # fmt: skip
    for measure, folder in measured[: len(asked.measures())]:
        print(f"{summary_of(measure, folder)}\nevery number: {folder.path / FILE}", flush=True)
    return results[0] | {"folder": str(asked.folder.path)}


def following(config: StageCommand, results: Mapping[str, Any]) -> str:
    """The command after a stage: the page where it shows the stage with its run, else measures of what it made."""
    if config.stage.name in TUNED:
        return shown("report", runs=[str(find_run(config.run))])
    return shown("measure", run=results["folder"])


main = command("stage", StageCommand, stage, following)
