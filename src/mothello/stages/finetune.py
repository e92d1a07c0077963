"""Fine-tuning: training goes on, on games of one language; every language is watched on the way."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Int8
from torch import Tensor

from mothello.config import NOT_IDENTITY, without_effect
from mothello.data.split import Split, corpus
from mothello.errors import UserError, keyed
from mothello.measures.positions import draw_positions
from mothello.measures.probes.config import ProbesConfig
from mothello.measures.transfer.watch import GAMES, POOL, Watch
from mothello.model.transformer import GPT
from mothello.objectives.objective import OBJECTIVES, Evaluation, evaluation
from mothello.othello.notation import parse_move
from mothello.seeding import generator
from mothello.stages.build import games_of
from mothello.stages.continued import STAGES, Continuation
from mothello.stages.folders import finetune_folder
from mothello.stages.one_language import OneLanguage, OneLanguageConfig
from mothello.stages.run import Run


@dataclass(kw_only=True)
class FinetuneConfig(OneLanguageConfig):
    """Fine-tuning on one language."""

    name: str = "finetune"
    probe_before_and_after: bool = field(default=True, metadata=NOT_IDENTITY)
    """Probe the model before and after: scripts/transfer.py."""
    track_retrieval: bool = True
    """At every evaluation, compare the source's states with the other languages', without probes."""
    scratch: bool = field(default=True, metadata=NOT_IDENTITY)
    """Control: the same fine-tuning of a model with random weights: scripts/transfer.py."""
    openings: list[list[str]] = field(default_factory=list)
    """Also evaluate every language on games that begin so; always on the opening that the run was pretrained on."""


def _probes() -> ProbesConfig:
    """Brief probes without controls, which are fitted twice."""
    return ProbesConfig(
        probes=["mlp"], games=4_000, test_games=200, random_weights=False, shuffled=False, other_maps=False
    )


@dataclass(kw_only=True)
class TransferCommand(Continuation):
    """scripts/transfer.py: fine-tune a run on one language and measure all of them."""

    transfer: FinetuneConfig = field(default_factory=FinetuneConfig)
    probes: ProbesConfig = field(default_factory=_probes)
    """The probes before and after."""

    key: ClassVar[str] = "transfer."

    def __post_init__(self) -> None:
        if not self.transfer.probe_before_and_after:
            without_effect(self.probes, "probes", "with transfer.probe_before_and_after=false", default=_probes())


@STAGES.register("finetune")
class Finetune(OneLanguage):
    """Training a run's model, or with scratch one of its shape with random weights, on games of one language."""

    Config = FinetuneConfig
    mixed = False

    def __init__(self, settings: FinetuneConfig, command: Continuation, run: Run, scratch: bool = False) -> None:
        super().__init__(settings, command, run, scratch)
        self.openings = self._openings()
        self.folder = finetune_folder(run.folder, settings, command.seed, self.source, scratch, run.earlier)
        if not self.folder.finished or command.force:  # else its games may be gone
            self._games()
        self.title = f"{run.config.name}, fine-tuned on {self.source}{' from random weights' if scratch else ''}"

    def watch(self, device: torch.device) -> Callable[[GPT], dict[str, float]]:
        """Answers in the source's tokens and legality after openings, where the next move is asked; retrieval between
        the languages."""
        parallel = None
        if self.settings.track_retrieval and len(self.language_set.names) > 1:
            games = corpus(self.run.board, self.config.data.corpus_seed, Split.probe, GAMES)
            moves = games.moves(torch.arange(GAMES, device=device))
            parallel = moves, draw_positions(moves, POOL, generator(0, "pool"))
        openings = {name: moves.to(device) for name, moves in self.openings.items()}
        size = self.settings.evaluation.games
        held_out = games_of(self.config.data, self.language_set, Split.validation, size)
        sources = [] if self._masked else list(held_out)
        asked = [own.moves(torch.arange(min(size, len(own)), device=device)) for own in sources]
        return Watch(self.language_set, self.language, asked, openings, parallel, self.config.device.precision)

    @property
    def _masked(self) -> bool:
        """Whether hidden moves are watched, instead of the next one."""
        return evaluation(OBJECTIVES.build(self.config.objective)) is Evaluation.masked

    def _openings(self) -> Mapping[str, Int8[Tensor, "game ply"]]:
        """Held-out games of every opening. UserError names one that cannot be played."""
        board, prefix = self.run.board, self.run.config.data.prefix
        if self._masked:
            if self.settings.openings:
                raise UserError("openings: the next move follows them, which no masked model is asked; leave them out")
            return {}
        size, games = self.settings.evaluation.games, {}
        for opening in [prefix] * bool(prefix) + self.settings.openings:
            with keyed("openings: "):
                moves = [parse_move(text, board) for text in opening]
                held_out = corpus(board, self.config.data.corpus_seed, Split.validation, size, moves)
            games["".join(opening)] = held_out.moves(torch.arange(size))
        return games
