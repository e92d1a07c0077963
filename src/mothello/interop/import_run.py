"""A checkpoint of others as a run's folder, which every command then reads as any other."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mothello.config import plain
from mothello.data.config import DataConfig
from mothello.errors import UserError, below
from mothello.files import checksum, locked
from mothello.interop.foreign import ACTIVATIONS, READERS, Foreign, Kind
from mothello.interop.orders import Order, ids_of
from mothello.interop.tensors import KEY, Tensors
from mothello.languages.language import PAD
from mothello.languages.language_set import LanguagesConfig, LanguageSet
from mothello.model.build import build_model
from mothello.model.transformer import GPT, Activation, ModelConfig
from mothello.objectives.objective import OBJECTIVES
from mothello.othello.board import Board, BoardConfig
from mothello.own import remove, replaced
from mothello.rundir import RunDir
from mothello.stages.build import language_set_of
from mothello.stages.evaluate import EvaluationConfig
from mothello.stages.folders import identity
from mothello.stages.pretrain import TrainConfig
from mothello.stages.running import describe_device, running
from mothello.stages.stage import evaluator_of, results_of
from mothello.training import checkpoint
from mothello.training.distributed import World
from mothello.training.plan import Progress

STAGE = "import"


@dataclass(frozen=True, kw_only=True)
class Imported:
    """A model of others in the house: as a stage, without a training."""

    model: GPT
    config: TrainConfig
    language_set: LanguageSet
    settings: Mapping[str, Any]
    """Of the import: what config.yaml keeps of it."""
    games: int
    """It was trained on; 0: not known."""
    reads_games = False
    floor_weights = None

    @property
    def identity(self) -> dict[str, Any]:
        """The config, and the file's content, whatever it is called."""
        read = {key: value for key, value in self.settings.items() if key not in ("file", "games")}
        return identity(self.config) | {STAGE: read}

    def watch(self, device: torch.device) -> Any:
        return lambda _: {}


def read_model(
    file: Path, kind: Kind, order: Order, board: BoardConfig, n_head: int = 0, activation: Activation | None = None,
    folded: bool = False, name: str = "imported", games: int = 0,
) -> Imported:  # fmt: skip
    """The model of a file. UserError names what is missing, of another architecture, or not said."""
    if folded and kind is not Kind.transformerlens:
        raise UserError("folded: has no effect without kind=transformerlens; leave it out")
    if not (activation or kind in ACTIVATIONS):
        raise UserError("activation: the file does not say; nanoGPT had gelu_tanh first, and gelu later")
    tensors = Tensors(file, kind)
    foreign = READERS[kind](tensors, folded)
    tensors.end()
    ids = ids_of(order, Board.of(board.size), len(foreign.weights["token_embedding.weight"]))
    settings = {"activation": activation or ACTIVATIONS[kind]} | foreign.settings
    if n_head and settings.setdefault("n_head", n_head) != n_head:
        raise UserError(f"n_head: {n_head}; the file has {settings['n_head']}")
    if "n_head" not in settings:
        raise UserError("n_head: the file does not say how many heads there are; give n_head=8 or another number")
    with below(KEY):
        config = _config(settings, foreign, len(ids), board, name)
    language_set = language_set_of(config)
    model = build_model(config.model, language_set)
    _load(model, _ordered(foreign.weights, ids, model))
    asked = {"kind": kind, "file": file.name, "content": checksum(file), "vocabulary": order, "games": games}
    more = {"n_head": n_head, "activation": activation, "folded": folded}
    made = {key: plain(value) for key, value in (asked | {key: x for key, x in more.items() if x}).items()}
    return Imported(model=model.eval(), config=config, language_set=language_set, settings=made, games=games)


def _config(
    settings: Mapping[str, Any], foreign: Foreign, languages: int, board: BoardConfig, name: str
) -> TrainConfig:
    d_model = foreign.weights["token_embedding.weight"].shape[1]
    try:
        model = ModelConfig(**{**settings, "d_model": d_model, "n_head": int(settings["n_head"])})
    except ValueError as error:
        raise UserError(f"{KEY}: {error}") from None
    kinds = [f"atomic*{languages}" if languages > 1 else "atomic"]
    return TrainConfig(
        name=name, board=board, languages=LanguagesConfig(kinds=kinds), model=model,
        data=DataConfig(games=1, batch_size=1), evaluation=EvaluationConfig(),
    )  # fmt: skip


def _ordered(weights: Mapping[str, Tensor], ids: list[list[int]], model: GPT) -> dict[str, Tensor]:
    """Rows of tokens in the order of the house's, and its number of positions: a last one that the file lacks is zero,
    for nothing is predicted there."""
    n, places = model.n_positions, weights["position_embedding.weight"]
    if len(places) < n - 1:
        raise UserError(f"{KEY}: {len(places)} positions; a game needs {n - 1}")
    rows = torch.tensor([PAD, *(index for language in ids for index in language)])
    moved = {name: weights[name][rows] for name in ("token_embedding.weight", "head.weight")}
    padded = torch.cat([places[:n], places.new_zeros(max(0, n - len(places)), places.shape[1])])
    return {**weights, **moved, "position_embedding.weight": padded}


def _load(model: GPT, weights: Mapping[str, Tensor]) -> None:
    for name, x in model.state_dict().items():
        if weights[name].shape != x.shape:
            raise UserError(f"{KEY}: {name} is {tuple(weights[name].shape)} there, {tuple(x.shape)} here")
    model.load_state_dict(dict(weights))


def write_run(made: Imported, folder: RunDir) -> dict[str, Any]:
    """Write the run's folder, with an evaluation on held-out games; returns results.json."""
    world, config, objective = World(), made.config, OBJECTIVES.build(made.config.objective)
    content = {"stage": STAGE, **plain(config), "settings": dict(made.settings)}
    with locked(folder.path):
        if own := list(folder.own()):
            print(replaced(folder.path, own), flush=True)
            remove(folder.path, own)
        with running(folder, world):
            folder.write_config(content | {"generator_version": made.identity["generator_version"]})
            checkpoint.save(folder.checkpoints, checkpoint.Checkpoint(config.data.steps, made.model.state_dict(), {}))
            evaluator = evaluator_of(made, objective, made.model.device)
            folder.append_metrics(config.data.steps, evaluator(made.model))
            progress = Progress(config.data.steps, 0, 0.0)
            results = results_of(made, evaluator, made.model, progress) | {"games": made.games, "compiled": False}
            folder.write_results("train", results | describe_device(made.model.device, world))
            folder.write_status("ok")
    return folder.read_results()
