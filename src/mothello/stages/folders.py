"""Folders of results, named by the identity of the config that made them."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mothello import config as settings
from mothello.data.config import DataConfig
from mothello.errors import UserError
from mothello.files import fingerprint
from mothello.othello.random_play import GENERATOR_VERSION
from mothello.rundir import RunDir
from mothello.training.checkpoint import Checkpoint

if TYPE_CHECKING:
    from mothello.stages.pretrain import TrainConfig


class Origin(NamedTuple):
    """What the training of a fork begins from."""

    run: RunDir
    """The pretraining whose numbers come before."""
    step: int
    checkpoint: Checkpoint
    """Without a state, where a stage has changed the weights."""


_OF_THE_STAGE = ("stage", "parent", "from", "settings", "generator_version")


def own_settings(content: Mapping[str, Any]) -> dict[str, Any]:
    """A stage's config.yaml without what is no setting of a training: where the model comes from."""
    return {key: value for key, value in content.items() if key not in _OF_THE_STAGE}


def identity(config: Any) -> dict[str, Any]:
    """What determines a result: what differs from the defaults, and the version of the games' generator."""
    return settings.identity(config) | {"generator_version": GENERATOR_VERSION}


def runs_like(config: "TrainConfig") -> Iterable[Path]:
    """Folders that the run may have, whatever its hash."""
    return [Path(config.run)] if config.run else Path(config.runs, config.name).glob(f"*/seed{config.seed}")


def recall_games(data: DataConfig, folders: Iterable[Path]) -> None:
    """Fill in which games a folder held that is gone, where a stage that was trained on them says so."""
    lost = {name: domain for name, domain in data.domains.items() if domain.folder and not domain.content}
    for folder in folders if lost else ():
        with suppress(UserError):
            domains = RunDir(folder).read_config().get("data", {}).get("domains", {})
            for name in lost.keys() & domains.keys():
                if domains[name].get("folder") == lost[name].folder:
                    lost[name].content = domains[name].get("content", "")


def run_folder(config: "TrainConfig") -> str:
    """The folder of a run: runs/NAME/HASH/seedN, the same for the same result."""
    return config.run or f"{config.runs}/{config.name}/{fingerprint(identity(config))}/seed{config.seed}"


def stage_identity(settings: Any, seed: int, at: int | None = None) -> dict[str, Any]:
    """What determines a stage's result, besides the run that it goes on from and lies in. at: the step of the run where
    it is not the newest."""
    return identity(settings) | {"seed": seed} | ({} if at is None else {"at": at})


def stage_folder(run: RunDir, settings: Any, seed: int, name: str = "", at: int | None = None) -> RunDir:
    """RUN/STAGE/HASH; name: put before the hash."""
    made = fingerprint(stage_identity(settings, seed, at))
    return RunDir(run.path / settings.name / (f"{name}-{made}" if name else made))


def finetune_folder(
    run: RunDir, settings: Any, seed: int, source: str, scratch: bool = False, at: int | None = None
) -> RunDir:
    """RUN/finetune/SOURCE-HASH; with scratch its control's, which starts from random weights."""
    folder = stage_folder(run, settings, seed, source, at)
    return RunDir(folder.path.with_name(f"{folder.path.name}-scratch")) if scratch else folder
