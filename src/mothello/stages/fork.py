"""Forks: training that goes on from a step of a pretraining, its optimizer's state included, with settings changed.

A step can be forked whose whole checkpoint is there: one of checkpoints.keep.full, or of the last two. What the
checkpoint holds must fit: the shapes of the model, and the groups of parameters that the optimizer updates.
"""

from typing import Any

from mothello import config as settings
from mothello.errors import UserError
from mothello.files import fingerprint
from mothello.model.build import outline
from mothello.rundir import RunDir, step_of
from mothello.stages.folders import Origin, own_settings
from mothello.stages.load import check_fits, find_run
from mothello.stages.pretrain import Pretrain, TrainConfig, stored_config
from mothello.training import checkpoint
from mothello.training.optimizer import parameter_groups

_OWN = ("run", "force", "dry_run", "fork", "at")
"""Settings that a fork does not take over."""


def forked(fork: str, at: int) -> dict[str, Any]:
    """The settings of a fork before any is changed: those of the run, and its identity. UserError where it is no
    pretraining."""
    run = RunDir(find_run(fork))
    content = run.read_config()
    if (stage := content.get("stage", "pretrain")) != "pretrain":
        raise UserError(f"fork: {run.path} is a stage {stage}; forks go on from what scripts/train.py trained")
    stored = stored_config(run, content)
    made = fingerprint(settings.identity(stored) | {"generator_version": content.get("generator_version")})
    kept = {key: value for key, value in own_settings(content).items() if key not in _OWN}
    return kept | {"fork": str(run.path), "at": at, "origin": {"identity": made, "seed": stored.seed, "step": at}}


def pretraining(config: TrainConfig) -> Pretrain:
    """The stage of a config: a training from random weights, or a fork."""
    return Fork(config) if config.fork else Pretrain(config)


class Fork(Pretrain):
    """A pretraining that begins from a step of another one."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config)
        self.title = f"{config.name}, fork of {config.fork} at step {config.at}"
        if config.force or not (self.folder.finished or checkpoint.saved(self.folder.checkpoints)):
            self.origin = self._origin(RunDir(config.fork))

    def _origin(self, run: RunDir) -> Origin:
        """UserError, or CheckpointError, where training cannot go on from the step."""
        config, steps = self.config, self.config.data.steps
        if config.at >= steps:
            raise UserError(f"at: nothing is left after step {config.at} of {steps}; add games: data.games=...")
        saved = [path for place in (run.kept, run.checkpoints) for path in checkpoint.saved(place)]
        whole = {step_of(path): path for path in saved if (path / "state.pt").exists()}
        if config.at not in whole:
            there = ", ".join(map(str, sorted(whole))) or "none"
            line = f"{run.path} has no whole checkpoint of step {config.at}; whole ones: {there}"
            raise UserError(f"at: {line} (checkpoints.keep.full=[{config.at}] keeps one)")
        found, model = checkpoint.read(whole[config.at]), outline(config.model, self.language_set)
        check_fits(model, found, whole[config.at])
        groups = parameter_groups(model, config.optimizer)
        own = [[len(groups.decayed), len(groups.rest)], *([[len(groups.muon)]] if groups.muon else [])]
        if own != [[len(group["params"]) for group in part["param_groups"]] for part in found.state["optimizer"]]:
            raise UserError("optimizer: its state is that of the run; a fork keeps its name and decay_embedding")
        return Origin(run, whole[config.at])
