"""Forks: training that goes on from a step of a pretraining, its optimizer's state included, with settings changed.

A step can be forked whose whole checkpoint is there: one of checkpoints.keep.full, or of the last two. What the
checkpoint holds must fit: the shapes of the model, and the groups of parameters that the optimizer updates.

A stage can be forked, too, whatever it is: the pretraining goes on where the stage took its model from (for a stage of
random weights that is its beginning), on the same games, with the model that the stage made and a new optimizer.
"""

import os
from pathlib import Path
from typing import Any

from mothello import config as settings
from mothello.errors import UserError, renamed
from mothello.files import fingerprint
from mothello.model.build import outline
from mothello.rundir import RunDir, step_of
from mothello.stages.find import LAST, find_run
from mothello.stages.folders import Origin, own_settings
from mothello.stages.load import check_fits, own_weights
from mothello.stages.pretrain import Pretrain, TrainConfig, stored_config
from mothello.training import checkpoint
from mothello.training.optimizer import parameter_groups

_OWN = ("run", "force", "dry_run", "fork", "at")
"""Settings that a fork does not take over."""


def forked(fork: str, at: int) -> dict[str, Any]:
    """The settings of a fork before any is changed: those of the pretraining, and its identity. at: its step; of a
    stage that which it went on from, whatever is asked for. UserError names a folder that cannot be forked."""
    with renamed("run", "fork"):
        made = RunDir(find_run(fork))
    if fork == LAST and made.path != Path(LAST):
        raise UserError(f"fork: {LAST} would be the fork itself when the command is run again; write fork={made.path}")
    run, begun = _pretraining(made)
    step = at if begun is None else begun
    stored = stored_config(run, content := run.read_config())
    version = content.get("generator_version")
    made_of = fingerprint(settings.identity(stored) | {"generator_version": version})
    origin = {"identity": made_of, "seed": stored.seed, "step": step}
    origin |= {} if begun is None else {"stage": os.path.relpath(made.path, run.path)}
    kept = {key: value for key, value in own_settings(content).items() if key not in _OWN}
    return kept | {"fork": str(made.path), "at": step, "origin": origin}


def _pretraining(folder: RunDir) -> tuple[RunDir, int | None]:
    """The pretraining that a folder's model comes from, and the step of it that its first stage went on from; None of a
    pretraining itself. UserError where a stage is not finished."""
    begun = None
    while "parent" in (content := folder.read_config()):
        if not folder.finished:
            raise UserError(f"fork: {folder.path} is not finished; run its stage again first")
        begun = content["from"]["step"]
        folder = RunDir(os.path.normpath(folder.path / content["parent"]))
    return folder, begun


def pretraining(config: TrainConfig) -> Pretrain:
    """The stage of a config: a training from random weights, or a fork."""
    return Fork(config) if config.fork else Pretrain(config)


class Fork(Pretrain):
    """A pretraining that begins from a step of another one, or from what a stage made of it."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config)
        self.title = f"{config.name}, fork of {config.fork} at step {config.at}"
        if config.at != config.origin["step"]:
            line = f"{config.fork} went on from step {config.origin['step']} of its pretraining"
            raise UserError(f"at: {line}; leave at out")
        if config.force or not (self.folder.finished or checkpoint.saved(self.folder.checkpoints)):
            run, begun = _pretraining(RunDir(config.fork))
            self.origin = self._step_of(run) if begun is None else self._stage(run, RunDir(config.fork), begun)

    def _stage(self, run: RunDir, made: RunDir, step: int) -> Origin:
        """What a stage made of a step. CheckpointError where it does not fit."""
        newest, _ = checkpoint.latest(made.checkpoints)
        check_fits(outline(self.config.model, self.language_set), newest, made.checkpoints)
        return Origin(run, step, checkpoint.Checkpoint(step, own_weights(newest), {}))

    def _step_of(self, run: RunDir) -> Origin:
        """UserError, or CheckpointError, where training cannot go on from the step."""
        config = self.config
        saved = [path for place in (run.kept, run.checkpoints) for path in checkpoint.saved(place)]
        whole = {step_of(path): path for path in saved if (path / "state.pt").exists()}
        if config.at not in whole:
            there = ", ".join(map(str, sorted(whole))) or "none"
            if not config.at:
                raise UserError(f"at: give a step of {run.path}; whole ones: {there}")
            line = f"{run.path} has no whole checkpoint of step {config.at}; whole ones: {there}"
            raise UserError(f"at: {line} (checkpoints.keep.full=[{config.at}] keeps one)")
        found, model = checkpoint.read(whole[config.at]), outline(config.model, self.language_set)
        check_fits(model, found, whole[config.at])
        groups = parameter_groups(model, config.optimizer)
        own = [[len(groups.decayed), len(groups.rest)], *([[len(groups.muon)]] if groups.muon else [])]
        if own != [[len(group["params"]) for group in part["param_groups"]] for part in found.state["optimizer"]]:
            raise UserError("optimizer: its state is that of the run; a fork keeps its name and decay_embedding")
        return Origin(run, config.at, found)
