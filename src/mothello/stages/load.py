"""load_run: the folder of any stage -> model, languages and config, in a script or a notebook."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from mothello.errors import UserError
from mothello.model.build import build_model
from mothello.model.transformer import GPT, HEADS
from mothello.othello.board import Board
from mothello.reading import walk
from mothello.registry import lenient
from mothello.rundir import RunDir, step_of
from mothello.stages.build import language_set_of
from mothello.stages.pretrain import stored_config
from mothello.stages.run import Run
from mothello.training import checkpoint

log = logging.getLogger(__name__)
_WITHIN = ("measures", "checkpoints", "wandb")
TOPS = ("runs", "results")
"""Where a run is looked for by the beginnings of its folders' names."""


def load_run(path: str | Path, device: torch.device | str = "cpu", step: int | None = None) -> Run:
    """The model of a stage's folder after its newest good checkpoint, or of a kept step, or, step 0, the random weights
    that a pretraining began with; eval mode.

    path: the folder, or parts of it that no other run below runs/ or results/ has, such as "naive/seed3". A warning
    names a damaged checkpoint; UserError names what is missing, damaged, ambiguous or does not fit.
    """
    folder = RunDir(find_run(path))
    content = folder.read_config()
    with lenient():
        config = stored_config(folder, content)
    language_set = language_set_of(config)
    model = build_model(config.model, language_set)
    if step == 0 and content.get("stage", "pretrain") == "pretrain" and not config.fork:
        weights, problems = checkpoint.Checkpoint(0, model.initialize(config.seed).state_dict(), {}), list[str]()
    else:
        weights, problems = _checkpoint(folder, step)
    check_fits(model, weights, folder.checkpoints)
    model.load_state_dict(own_weights(weights))
    for line in problems:
        log.warning("%s; using the one before, step %d of %d", line, weights.step, config.data.steps)
    parent = folder.path / content["parent"] if "parent" in content else None
    return Run(
        folder, config, Board.of(config.board.size), language_set, model.to(device).eval(), weights.step,
        content.get("stage", "pretrain"), parent and Path(os.path.normpath(parent)),
        earlier(folder, step),
    )  # fmt: skip


def _checkpoint(folder: RunDir, step: int | None) -> tuple[checkpoint.Checkpoint, list[str]]:
    if step is None:
        return checkpoint.latest(folder.checkpoints)
    return checkpoint.read(checkpoint.of_step(folder, step), weights_alone=True), []


def earlier(folder: RunDir, step: int | None) -> int | None:
    """The step, where it is not that of the newest checkpoint, which None stands for."""
    newest = checkpoint.saved(folder.checkpoints)
    return None if newest and step == step_of(newest[-1]) else step


def _stage_folders() -> Iterator[Path]:
    """Folders of stages below runs/ and results/, as relative paths."""
    for top in TOPS:
        for folder, inside, files in walk(Path(top)):
            inside[:] = [name for name in inside if name not in _WITHIN]
            if "config.yaml" in files:
                yield folder


def _matches(asked: tuple[str, ...], path: Path, exact: bool) -> bool:
    """Whether the parts asked for are parts of the path (or begin them), in order, and the last its last."""
    same, parts = str.__eq__ if exact else str.startswith, iter(path.parts)
    return all(any(same(part, word) for part in parts) for word in asked) and same(path.parts[-1], asked[-1])


def find_run(path: str | Path) -> Path:
    """The folder of a run, by its path or by parts of it. UserError lists the runs that fit."""
    if Path(path).exists() or Path(path).is_absolute():
        return Path(path)
    folders, asked = list(_stage_folders()), Path(path).parts
    for exact in (True, False):
        fitting = [folder for folder in folders if _matches(asked, folder, exact)]
        trained = [folder for folder in fitting if (folder / "checkpoints").exists()]
        fitting = list({folder.resolve(): folder for folder in reversed(trained or fitting)}.values())[::-1]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise UserError(f"run: {path} fits several runs: {_listed(fitting)}")
    known = f"; runs: {_listed(folders)}" if folders else ""
    raise UserError(f"run: {Path(path) / 'config.yaml'} does not exist{known}")


def _listed(folders: list[Path]) -> str:
    return ", ".join(map(str, folders[:8])) + (", ..." if len(folders) > 8 else "")


def own_weights(saved: checkpoint.Checkpoint) -> dict[str, Tensor]:
    """The weights of a model, without those of heads that only a training needs."""
    return {name: x for name, x in saved.weights.items() if not name.startswith(HEADS)}


def check_fits(model: GPT, saved: checkpoint.Checkpoint, where: Path) -> None:
    """CheckpointError names the first tensor that does not fit the board and model."""
    own, stored = (
        {name: tuple(x.shape) for name, x in each.items()} for each in (model.state_dict(), own_weights(saved))
    )
    for name in (*own, *stored):
        if own.get(name) != stored.get(name):
            shapes = f"{stored.get(name, 'missing')} there, {own.get(name, 'missing')} here"
            raise checkpoint.CheckpointError(
                f"checkpoint: {where} does not fit this board, languages and model: {name} is {shapes}"
            )
