"""Folders of results, named by the identity of the config that made them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mothello import config as settings
from mothello.files import fingerprint
from mothello.othello.random_play import GENERATOR_VERSION
from mothello.rundir import RunDir

if TYPE_CHECKING:
    from mothello.stages.finetune import TransferCommand
    from mothello.stages.pretrain import TrainConfig


_OF_THE_STAGE = ("stage", "parent", "from", "finetune", "generator_version")


def own_settings(content: Mapping[str, Any]) -> dict[str, Any]:
    """A stage's config.yaml without what is no setting of a training: where the model comes from."""
    return {key: value for key, value in content.items() if key not in _OF_THE_STAGE}


def identity(config: Any) -> dict[str, Any]:
    """What determines a result: what differs from the defaults, and the version of the games' generator."""
    return settings.identity(config) | {"generator_version": GENERATOR_VERSION}


def run_folder(config: "TrainConfig") -> str:
    """The folder of a run: runs/NAME/HASH/seedN, the same for the same result."""
    return config.run or f"{config.runs}/{config.name}/{fingerprint(identity(config))}/seed{config.seed}"


def finetune_identity(config: "TransferCommand") -> dict[str, Any]:
    """What determines a fine-tuning, besides the run that it lies in."""
    return identity(config.transfer) | {"seed": config.seed}


def finetune_folder(run: RunDir, config: "TransferCommand", source: str, scratch: bool = False) -> RunDir:
    """RUN/finetune/SOURCE-HASH; with scratch its control's, which starts from random weights."""
    name = f"{source}-{fingerprint(finetune_identity(config))}"
    return RunDir(run.path / "finetune" / (f"{name}-scratch" if scratch else name))
