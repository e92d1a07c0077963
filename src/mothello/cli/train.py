"""scripts/train.py: pretrain one model, or resume it where it stopped, or do nothing when it is finished; with fork=RUN
at=STEP go on from a step of another run."""

from typing import Any

import torch

from mothello.cli.dry_run import place_of, stage_estimate
from mothello.cli.main import command
from mothello.config import shown
from mothello.errors import UserError
from mothello.stages.folders import run_folder
from mothello.stages.fork import pretraining
from mothello.stages.pretrain import TrainConfig
from mothello.stages.stage import run_stage
from mothello.training.device import resolve
from mothello.training.distributed import World, described, join, leave


def train(config: TrainConfig) -> dict[str, Any]:
    """Run the config; returns results.json. Under torchrun every process calls it."""
    device = resolve(config.device)
    stage = pretraining(config)
    stage.check()
    if config.dry_run:
        print(f"{config.name}: {stage.language_set.board.name}, {', '.join(stage.language_set.names)}")
        begun = stage.origin.step if stage.origin else 0
        estimate = stage_estimate(stage, device).left(stage.folder, config, begun)
        print(estimate.text(folder=place_of(stage.folder, config.data.steps)), flush=True)
        return {"seconds": estimate.seconds}
    return run_stage(stage, device, joined(device, config.data.batch_size))


def joined(device: torch.device, batch_size: int) -> World:
    """This process among torchrun's. UserError, before they meet, when they cannot share a batch evenly."""
    world = described()
    if batch_size % world.size:
        line = f"data.batch_size: {batch_size} games cannot be shared evenly by {world.size} processes"
        raise UserError(line) if world.main else SystemExit(2)
    return join(device)


def following(config: TrainConfig, _: Any) -> str:
    """The command after a training: its measures."""
    return shown("measure", run=run_folder(config))


_main = command("train", TrainConfig, train, following, processes=True)


def main() -> None:
    """The script."""
    _main()
    leave()
