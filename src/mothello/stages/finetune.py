"""Fine-tuning: training goes on, on games of one language; every language is watched on the way."""

import os
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Int8
from omegaconf import MISSING
from torch import Tensor

from mothello.config import NOT_IDENTITY, plain, without_effect
from mothello.data.language_sampling import LanguageSampling
from mothello.data.sources import Sources
from mothello.data.split import Split, corpus
from mothello.data.stream import DataConfig, Stream
from mothello.errors import UserError, keyed
from mothello.measures.positions import draw_positions
from mothello.measures.probes.config import ProbesConfig
from mothello.measures.transfer.watch import GAMES, POOL, Watch
from mothello.model.build import build_model
from mothello.model.transformer import GPT
from mothello.othello.notation import parse_move
from mothello.seeding import derive, generator
from mothello.stages.build import games_of
from mothello.stages.evaluate import EvaluationConfig
from mothello.stages.folders import finetune_folder, finetune_identity
from mothello.stages.run import Run
from mothello.tracking import TrackingConfig
from mothello.training.device import DeviceConfig
from mothello.training.distributed import World
from mothello.training.optimizer import OptimizerConfig


@dataclass(kw_only=True)
class FinetuneConfig:
    """Fine-tuning on one language."""

    source: str = ""
    """Language to fine-tune on; by default the first."""
    data: DataConfig = field(default_factory=lambda: DataConfig(games=12_800))
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    probe_before_and_after: bool = field(default=True, metadata=NOT_IDENTITY)
    """Probe the model before and after."""
    track_retrieval: bool = True
    """At every evaluation, compare the source's states with the other languages', without probes."""
    scratch: bool = field(default=True, metadata=NOT_IDENTITY)
    """Control: the same fine-tuning of a model with random weights."""
    openings: list[list[str]] = field(default_factory=list)
    """Also evaluate every language on games that begin so; always on the opening that the run was pretrained on."""


def _probes() -> ProbesConfig:
    """Brief probes without controls, which are fitted twice."""
    return ProbesConfig(
        probes=["mlp"], games=4_000, test_games=200, random_weights=False, shuffled=False, other_maps=False
    )


@dataclass(kw_only=True)
class TransferCommand:
    """scripts/transfer.py: fine-tune a run on one language and measure all of them."""

    run: str = field(default=MISSING, metadata=NOT_IDENTITY)
    transfer: FinetuneConfig = field(default_factory=FinetuneConfig)
    probes: ProbesConfig = field(default_factory=_probes)
    """The probes before and after."""
    device: DeviceConfig = field(default_factory=DeviceConfig, metadata=NOT_IDENTITY)
    tracking: TrackingConfig = field(default_factory=TrackingConfig, metadata=NOT_IDENTITY)
    seed: int = 0
    checkpoint_every: float = field(default=120, metadata=NOT_IDENTITY)
    force: bool = field(default=False, metadata=NOT_IDENTITY)
    dry_run: bool = field(default=False, metadata=NOT_IDENTITY)

    def __post_init__(self) -> None:
        if not self.transfer.probe_before_and_after:
            without_effect(self.probes, "probes", "with transfer.probe_before_and_after=false", default=_probes())


class Finetune:
    """Training a run's model, or with scratch one of its shape with random weights, on games of one language."""

    Config: Any = FinetuneConfig
    floor_weights: list[float] | None = None

    def __init__(self, command: TransferCommand, run: Run, scratch: bool = False) -> None:
        own, self.run, self.settings, self.scratch = command.transfer, run, command.transfer, scratch
        if plain(own.data.language_sampling) != plain(LanguageSampling()):
            raise UserError("transfer.data.language_sampling: fine-tuning is on one language; leave it out")
        self.language_set = run.language_set
        self.source = own.source or run.language_set.names[0]
        with keyed("transfer.source: "):
            self.language = run.language_set.index(self.source)
        self.config = replace(
            run.config, data=replace(own.data, corpus_seed=run.config.data.corpus_seed), auxiliary={},
            optimizer=own.optimizer, evaluation=own.evaluation, device=command.device, tracking=command.tracking,
            seed=command.seed, run="", checkpoint_every=command.checkpoint_every, force=command.force,
            dry_run=command.dry_run,
        )  # fmt: skip
        self.openings = self._openings()
        self.games = games_of(self.config.data, self.language_set, Split.transfer, self.config.data.games)
        self.identity = finetune_identity(command)
        self.folder = finetune_folder(run.folder, command, self.source, scratch)
        self.title = f"{run.config.name}, fine-tuned on {self.source}{' from random weights' if scratch else ''}"
        if self.folder.finished and self._parent_state.get("step", run.step) < run.step:
            self.config.force = True  # made from an earlier state of the run

    @property
    def _parent_state(self) -> dict[str, int]:
        """The state of the run that the folder's fine-tuning began from."""
        return self.folder.read_config().get("from", {}) if (self.folder.path / "config.yaml").exists() else {}

    def content(self) -> dict[str, Any]:
        """config.yaml: of the form of a pretraining's, with the parent and the state that training goes on from."""
        begun = {} if self.scratch else {"from": self.run.reached}
        return {
            "stage": "finetune", "parent": os.path.relpath(self.run.folder.path, self.folder.path), **begun,
            "finetune": plain(self.settings), **plain(self.config),
            "generator_version": self.identity["generator_version"],
        }  # fmt: skip

    def check(self) -> None:
        """UserError when a fine-tuning to go on with began from another state of the run."""
        begun = self._parent_state
        if begun and begun != self.run.reached and not self.folder.finished and not self.config.force:
            line = f"began from step {begun['step']} of the run, whose newest good checkpoint is step {self.run.step}"
            raise UserError(f"run: {self.folder.path} {line}; force=true to begin again")

    def initial(self) -> GPT:
        if self.scratch:
            return build_model(self.config.model, self.language_set).initialize(derive(self.config.seed, "scratch"))
        return deepcopy(self.run.model)

    def stream(self, device: torch.device, world: World) -> Stream:
        games = Sources.shared(self.games[self.language], len(self.games))
        stream = Stream(games, self.language_set, self.config.data, self.config.seed, device, world)
        return stream.speaking(self.language)

    def watch(self, device: torch.device) -> Callable[[GPT], dict[str, float]]:
        """Legality after openings, and retrieval between the languages."""
        parallel = None
        if self.settings.track_retrieval and len(self.language_set.names) > 1:
            games = corpus(self.run.board, self.config.data.corpus_seed, Split.probe, GAMES)
            moves = games.moves(torch.arange(GAMES, device=device))
            parallel = moves, draw_positions(moves, POOL, generator(0, "pool"))
        openings = {name: moves.to(device) for name, moves in self.openings.items()}
        return Watch(self.language_set, self.language, openings, parallel, self.config.device.precision)

    def _openings(self) -> Mapping[str, Int8[Tensor, "game ply"]]:
        """Held-out games of every opening. UserError names one that cannot be played."""
        board, prefix = self.run.board, self.run.config.data.prefix
        size, games = self.settings.evaluation.games, {}
        for opening in [prefix] * bool(prefix) + self.settings.openings:
            with keyed("transfer.openings: "):
                moves = [parse_move(text, board) for text in opening]
                held_out = corpus(board, self.config.data.corpus_seed, Split.validation, size, moves)
            games["".join(opening)] = held_out.moves(torch.arange(size))
        return games
