"""load_run: a run folder -> model, languages and config, in a script or a notebook."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch

from mothello.analysis.tidy import all_tables
from mothello.config import ConfigError, TrainConfig, typed
from mothello.config.corpora import CorpusCommand
from mothello.data.corpus import Corpus
from mothello.data.domain import mixture
from mothello.data.split import Split, corpus
from mothello.data.stream import DataConfig
from mothello.languages.family import Family, build_family
from mothello.model.transformer import GPT
from mothello.othello.board import Board, board
from mothello.othello.notation import parse_move
from mothello.rundir import RunDir
from mothello.seeding import derive
from mothello.stages.stage import build_model
from mothello.training import checkpoint

log = logging.getLogger(__name__)


class LoadedRun(NamedTuple):
    """A trained model, ready to measure: eval mode, on the device asked for."""

    folder: RunDir
    config: TrainConfig
    board: Board
    family: Family
    model: GPT
    step: int
    """Steps that the model was trained for."""

    @property
    def table(self) -> pd.DataFrame:
        """Every number measured on the run so far, one a row (columns: mothello.analysis.tidy); ``folder`` says by
        which measurement."""
        return all_tables(self.folder.path)

    @property
    def reached(self) -> dict[str, int]:
        """For results.json: the steps the model was trained for, and the steps planned."""
        return {"step": self.step, "steps": self.config.data.steps}


def family_of(config: TrainConfig | CorpusCommand) -> Family:
    """The languages of a config. ConfigError names the key that does not fit."""
    try:
        return build_family(config.languages, board(config.board.size))
    except ValueError as error:
        raise ConfigError(str(error)) from None


def model_of(config: TrainConfig, family: Family) -> GPT:
    """A model of a config, not yet initialised. ConfigError when the parts do not fit."""
    try:
        return build_model(config.model, family)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def games_of(data: DataConfig, family: Family, split: Split, size: int) -> list[Corpus]:
    """Games of one split, for each language. ConfigError names the key that does not fit."""
    on = family.board
    unknown = set(data.speaks) - set(family.names)
    if unknown:
        raise ConfigError(f"data.speaks: no language {min(unknown)!r}; there are {', '.join(family.names)}")
    weights_of(data, family)
    try:
        prefix = [parse_move(text, on) for text in data.prefix]
    except ValueError as error:
        raise ConfigError(f"data.prefix: {error}") from None
    try:
        if not data.domains:
            return [corpus(on, data.corpus_seed, split, size, prefix)] * len(family.names)
        shared = mixture(on, data.corpus_seed, split, size, data.domains)
        spoken = {name: data.domains[name] for name in data.speaks.values()}
        own = {name: mixture(on, data.corpus_seed, split, size, {name: spoken[name]}) for name in spoken}
    except ValueError as error:
        raise ConfigError(f"data.{error}") from None
    return [own[data.speaks[name]] if name in data.speaks else shared for name in family.names]


def weights_of(data: DataConfig, family: Family) -> list[float]:
    """How often each language is spoken. ConfigError when shares or epochs do not fit the languages."""
    try:
        data.draw.check_epochs(data.epochs, len(family.names))
        return data.draw.weights(len(family.names))
    except ValueError as error:
        raise ConfigError(str(error)) from None


def load_run(path: str | Path, device: torch.device | str = "cpu") -> LoadedRun:
    """Read a run folder, with its newest good checkpoint; a warning names one that is damaged.

    ConfigError or CheckpointError names the file that is missing, damaged or does not fit.
    """
    folder = RunDir(path)
    try:
        content = folder.read_config()
        content.pop("generator_version", None)
        config = typed(content, TrainConfig)
    except ValueError as error:
        text = str(error)
        raise ConfigError(text if text.startswith("run:") else f"run: {folder.path / 'config.yaml'}: {text}") from None
    family = family_of(config)
    found, problems = checkpoint.latest(folder.checkpoints)
    model = model_of(config, family)
    restore(model, found, folder.checkpoints)
    for line in problems:
        log.warning("%s; using the one before, step %d of %d", line, found.step, config.data.steps)
    return LoadedRun(folder, config, board(config.board.size), family, model.to(device).eval(), found.step)


def never_trained(run: LoadedRun) -> GPT:
    """A model of the run's shape with random weights: the control of every measure. Its blocks do add something to the
    stream, also where training starts from blocks that add nothing: those would make it a model without layers."""
    model = build_model(replace(run.config.model, zero_init=False), run.family)
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
