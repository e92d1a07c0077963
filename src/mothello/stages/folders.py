"""Where results lie: folders named by the identity of what made them."""

from typing import Any

from mothello import config as settings
from mothello.files import fingerprint
from mothello.othello.random_play import GENERATOR_VERSION
from mothello.stages.finetune import TransferCommand
from mothello.stages.pretrain import TrainConfig


def identity(config: Any) -> dict[str, Any]:
    """What determines a result: what differs from the defaults, and the version of the games' generator."""
    return settings.identity(config) | {"generator_version": GENERATOR_VERSION}


def transfer_identity(config: TransferCommand) -> dict[str, Any]:
    """What determines a fine-tuning: the probes only where it is probed."""
    found = identity(config)
    if not config.transfer.probe_before_and_after:
        found.pop("probe", None)
    return found | {"seed": config.seed}


def run_folder(config: TrainConfig) -> str:
    """The folder of a run: runs/NAME/HASH/seedN, the same for the same result."""
    return config.run or f"{config.runs}/{config.name}/{fingerprint(identity(config))}/seed{config.seed}"
