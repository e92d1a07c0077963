"""Pretraining from a script or a notebook."""

from collections.abc import Mapping
from typing import Any

from mothello.config import typed
from mothello.stages.load import load_run
from mothello.stages.pretrain import Pretrain, TrainConfig
from mothello.stages.run import Run
from mothello.stages.stage import run_stage
from mothello.training.device import resolve


def train(settings: Mapping[str, Any]) -> Run:
    """Pretrain with settings such as {"data": {"games": 20_000}}, and load the run. Keys are those of scripts/train.py;
    what is not given has its default. A finished run is loaded at once, an interrupted one is resumed."""
    config = typed(settings, TrainConfig)
    device, stage = resolve(config.device), Pretrain(config)
    run_stage(stage, device)
    return load_run(stage.folder.path, device)
