"""load_run: the folder of any stage -> model, languages and config, in a script or a notebook."""

import logging
import os
from pathlib import Path

import torch
from torch import Tensor

from mothello.config import shown
from mothello.model.build import build_model
from mothello.model.transformer import GPT, HEADS
from mothello.othello.board import Board
from mothello.registry import lenient
from mothello.rundir import RunDir, step_of
from mothello.stages.build import language_set_of
from mothello.stages.find import find_run
from mothello.stages.pretrain import stored_config
from mothello.stages.run import Run
from mothello.training import checkpoint
from mothello.training.device import exact_device

log = logging.getLogger(__name__)


def load_run(path: str | Path, device: torch.device | str = "cpu", step: int | None = None) -> Run:
    """The model of a stage's folder after its newest good checkpoint, or of a kept step, or, step 0, the random weights
    that a pretraining began with; eval mode.

    path: the folder; a beginning of it; parts of it that no other run below runs/ or results/ has, such as
    "naive/seed3"; "last", the run below runs/ that was written last; or "zoo:NAME", a model that comes with a checkout
    (results/zoo), in half precision. A warning names a damaged checkpoint; UserError
    names what is missing, damaged, ambiguous or does not fit. On mps, which has no float64, the model is on the CPU.
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
        if step is None and weights.step < config.data.steps and not problems:
            log.warning("%s is not finished: the model after step %d of %d", path, weights.step, config.data.steps)
    check_fits(model, weights, folder.checkpoints)
    model.load_state_dict(own_weights(weights))
    model.to(exact_device(torch.device(device)))
    for line in problems:
        log.warning("%s; using the one before, step %d of %d", line, weights.step, config.data.steps)
    parent = folder.path / content["parent"] if "parent" in content else None
    return Run(
        folder, config, Board.of(config.board.size), language_set, model.eval(), weights.step,
        content.get("stage", "pretrain"), parent and Path(os.path.normpath(parent)),
        earlier(folder, step),
    )  # fmt: skip


def _checkpoint(folder: RunDir, step: int | None) -> tuple[checkpoint.Checkpoint, list[str]]:
    if step is None and not checkpoint.saved(folder.checkpoints):
        kept = checkpoint.saved(folder.kept)
        if kept and folder.finished and step_of(kept[-1]) == folder.read_results().get("steps"):
            return checkpoint.read(kept[-1], weights_alone=True), []
        page = shown("report", runs=[str(folder.path)])
        how = f"the page of {page} shows its command" if folder.finished else "rerun its training"
        raise checkpoint.CheckpointError(f"checkpoint: none in {folder.checkpoints}: its weights are not here; {how}")
    if step is None:
        return checkpoint.latest(folder.checkpoints)
    return checkpoint.read(checkpoint.of_step(folder, step), weights_alone=True), []


def earlier(folder: RunDir, step: int | None) -> int | None:
    """The step, where it is not that of the newest checkpoint, which None stands for."""
    newest = checkpoint.saved(folder.checkpoints) or checkpoint.saved(folder.kept)
    return None if newest and step == step_of(newest[-1]) else step


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
