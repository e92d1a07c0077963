"""load_run: a run folder -> model, languages and config, in a script or a notebook."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch

from mothello.config import typed
from mothello.data.corpus import Corpus
from mothello.data.domain import mixture
from mothello.data.split import Split, corpus
from mothello.data.stream import DataConfig
from mothello.errors import UserError, keyed
from mothello.languages.language_set import LanguageSet, build_languages
from mothello.model.transformer import GPT
from mothello.othello.board import Board
from mothello.othello.notation import parse_move
from mothello.rows import all_tables
from mothello.rundir import RunDir
from mothello.seeding import derive
from mothello.stages.pretrain import TrainConfig
from mothello.stages.stage import build_model
from mothello.training import checkpoint

log = logging.getLogger(__name__)


class LoadedRun(NamedTuple):
    """A trained model, ready to measure: eval mode, on the device asked for."""

    folder: RunDir
    config: TrainConfig
    board: Board
    language_set: LanguageSet
    model: GPT
    step: int
    """Steps that the model was trained for."""

    @property
    def table(self) -> pd.DataFrame:
        """Every number measured on the run so far, one a row (columns: mothello.rows); ``folder`` says by
        which measurement."""
        return all_tables(self.folder.path)

    @property
    def reached(self) -> dict[str, int]:
        """For results.json: the steps the model was trained for, and the steps planned."""
        return {"step": self.step, "steps": self.config.data.steps}


def language_set_of(config: Any) -> LanguageSet:
    """The languages of a config. UserError names the key that does not fit."""
    return build_languages(config.languages, Board.of(config.board.size))


def model_of(config: TrainConfig, language_set: LanguageSet) -> GPT:
    """A model of a config, not yet initialised. UserError when the parts do not fit."""
    return build_model(config.model, language_set)


def games_of(data: DataConfig, language_set: LanguageSet, split: Split, size: int) -> list[Corpus]:
    """Games of one split, for each language. UserError names the key that does not fit."""
    board = language_set.board
    unknown = set(data.domain_of) - set(language_set.names)
    if unknown:
        raise UserError(f"data.domain_of: no language {min(unknown)!r}; there are {', '.join(language_set.names)}")
    weights_of(data, language_set)
    with keyed("data.prefix: "):
        prefix = [parse_move(text, board) for text in data.prefix]
    with keyed("data."):
        if not data.domains:
            return [corpus(board, data.corpus_seed, split, size, prefix)] * len(language_set.names)
        shared = mixture(board, data.corpus_seed, split, size, data.domains)
        spoken = {name: data.domains[name] for name in data.domain_of.values()}
        own = {name: mixture(board, data.corpus_seed, split, size, {name: spoken[name]}) for name in spoken}
    return [own[data.domain_of[name]] if name in data.domain_of else shared for name in language_set.names]


def weights_of(data: DataConfig, language_set: LanguageSet) -> list[float]:
    """How often each language is spoken. UserError when shares or epochs do not fit the languages."""
    data.language_sampling.check_epochs(data.epochs, len(language_set.names))
    return data.language_sampling.weights(len(language_set.names))


def load_run(path: str | Path, device: torch.device | str = "cpu") -> LoadedRun:
    """Read a run folder, with its newest good checkpoint; a warning names one that is damaged.

    UserError or CheckpointError names the file that is missing, damaged or does not fit.
    """
    folder = RunDir(path)
    try:
        content = folder.read_config()
        content.pop("generator_version", None)
        config = typed(content, TrainConfig)
    except ValueError as error:
        text = str(error)
        raise UserError(text if text.startswith("run:") else f"run: {folder.path / 'config.yaml'}: {text}") from None
    language_set = language_set_of(config)
    found, problems = checkpoint.latest(folder.checkpoints)
    model = model_of(config, language_set)
    restore(model, found, folder.checkpoints)
    for line in problems:
        log.warning("%s; using the one before, step %d of %d", line, found.step, config.data.steps)
    return LoadedRun(folder, config, Board.of(config.board.size), language_set, model.to(device).eval(), found.step)


def random_weights_model(run: LoadedRun) -> GPT:
    """A model of the run's shape with random weights: the control of every measure. Its blocks do add something to the
    stream, also where training starts from blocks that add nothing: those would make it a model without layers."""
    model = build_model(replace(run.config.model, zero_init=False), run.language_set)
    model.initialize(derive(run.config.seed, "random weights"))
    return model.to(run.model.head.weight.device).eval()


def measured(folder: RunDir, run: LoadedRun) -> bool:
    """Whether a measure is finished, on a model trained for as many steps or more."""
    return folder.finished and folder.read_json("results.json").get("step", run.step) >= run.step


def restore(model: GPT, found: checkpoint.Checkpoint, where: Path) -> None:
    """Load weights. CheckpointError names the first tensor that does not fit the board and model."""
    own = model.state_dict()
    for name, tensor in own.items():
        if name not in found.weights:
            raise checkpoint.CheckpointError(f"checkpoint: {where} has no {name}; it belongs to another model")
        if found.weights[name].shape != tensor.shape:
            shapes = f"{tuple(found.weights[name].shape)} there, {tuple(tensor.shape)} here"
            raise checkpoint.CheckpointError(
                f"checkpoint: {where} does not fit this board, languages and model: {name} is {shapes}"
            )
    extra = set(found.weights) - set(own)
    if extra:
        raise checkpoint.CheckpointError(f"checkpoint: {where} has {min(extra)}, which this model has not")
    model.load_state_dict(found.weights)
