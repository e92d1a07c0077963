"""The door of the measures: a subject goes in, rows come out. A control is another subject of the same measure."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from jaxtyping import Float, Int8
from torch import Tensor

from mothello.config import identity
from mothello.data.batch import Context, in_language
from mothello.errors import UserError
from mothello.files import fingerprint
from mothello.languages.language_set import LanguageSet
from mothello.measures.activations import prefix_states, states
from mothello.model.edited import Edited, Model
from mothello.model.inputs import AttentionMask
from mothello.model.transformer import Edit
from mothello.objectives.masked_lm import MASK
from mothello.othello.board import Board
from mothello.othello.facts import FactsConfig
from mothello.othello.random_play import GENERATOR_VERSION
from mothello.registry import Registry
from mothello.rundir import RunDir
from mothello.seeding import derive
from mothello.training.device import Precision

Row = dict[str, Any]
"""One number and what it is a number of; its keys are among mothello.rows.COLUMNS."""


def _reinitialized(model: Model, seed: int) -> Model:
    """The same shape (and edit) with random weights. Blocks that start at zero would be a model without layers."""
    if isinstance(model, Edited):
        return Edited(_reinitialized(model.model, seed), model.edit)
    fresh = copy.deepcopy(model)
    fresh.config = replace(model.config, zero_init=False)
    return fresh.initialize(seed)


@dataclass(frozen=True)
class Subject:
    """A model in eval mode, and what a measure needs to know about it."""

    model: Model
    language_set: LanguageSet
    corpus_seed: int = 0
    """Seed of the games; those of the probe split are measured."""
    seed: int = 0
    """The run's: random weights are drawn from it."""
    precision: Precision = Precision.auto
    control: str = "trained"
    """What the rows of this model say in the column "control"."""
    step: int = 0
    """Steps that the model was trained for."""
    compiled: bool = False
    """Whether legality runs a compiled model."""
    folder: Path | None = None
    """The measure's own folder, where it may keep files; None: it keeps none."""
    run: RunDir | None = None
    """The folder of the run whose model this is; None of any other model."""
    context: Context = Context.game
    """What a model of full attention is shown where its states are read."""
    coverage: float = 1.0
    """Share of moves in the dictionary that it was trained with; the embeddings of all others are held out."""
    other: "Subject | None" = None
    """Another run's model on the same board, where a measure compares the two."""
    objective: Any = None
    """Settings of its objective; None where it is not known."""
    facts: FactsConfig | None = None
    """The facts that it was taught, in whatever language; None: none."""

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def board(self) -> Board:
        return self.language_set.board

    @property
    def names(self) -> list[str]:
        """Names of the languages."""
        return self.language_set.names

    @property
    def n_layers(self) -> int:
        """Layers of states: the embedding and every block."""
        return self.model.config.n_layer + 1

    def states(self, moves: Int8[Tensor, "game ply"], language: int) -> Float[Tensor, "layer game ply d_model"]:
        """The residual stream at each move's last token, all layers, of games written in one language; zeros after the
        end of a game. A causal model has read the game up to there, one of full attention the whole game, or as much
        as :meth:`reading` says."""
        batch = in_language(moves, language, self.language_set)
        if self.context is Context.prefix:
            return prefix_states(self.model, batch, self.language_set.special(MASK), self.precision)
        return states(self.model, batch, self.precision)

    @property
    def causal(self) -> bool:
        """Whether a place of the model sees nothing of what follows."""
        return self.model.config.mask is AttentionMask.causal

    def check_causal(self, what: str) -> None:
        """UserError where something asks for the next move, and the model has read it."""
        if not self.causal:
            line = "asks for the next move, which a model of full attention has read; the measure masked hides one"
            raise UserError(f"{what} {line}")

    def reading(self, context: Context, key: str) -> "Subject":
        """The same with states in that context. UserError names the key where the context changes nothing."""
        if context is not Context.game:
            if self.causal:
                raise UserError(f"{key}: has no effect on a causal model, which reads nothing else; leave it out")
            self.language_set.special(MASK)
            if self.language_set.reorders:
                raise UserError(f"{key}: what is written before a move is not what was played before it; leave it out")
        return replace(self, context=context)

    def context_rows(self) -> Iterator[Row]:
        """A row that says so where states are not a causal model's."""
        if not self.causal:
            seen = float(self.context is Context.game)
            yield {"measure": "context", "quantity": "sees_game", "control": self.control, "value": seen}

    def kept_in(self, folder: Path) -> "Subject":
        """The same, with the folder of the measure."""
        return replace(self, folder=folder)

    def random_weights(self) -> "Subject":
        """The control: the same model with random weights."""
        model = _reinitialized(self.model, derive(self.seed, "random weights"))
        return replace(self, model=model.eval(), control="random_weights", folder=None, run=None)

    def edited(self, edit: Edit) -> "Subject":
        """The same model with an edit of its activations."""
        return replace(self, model=Edited(self.model, edit), control="edited", folder=None, run=None)


class Measure(Protocol):
    """Numbers of a subject. ``Config`` is a dataclass whose field ``name`` is the measure's name in MEASURES.

    A Config may have a method ``shrunk(share)``: the config of the same measure on that share of the games, for a dry
    run. A measure may have a method ``summary(rows)``: the text that a command prints of its rows, a data frame, and a
    method ``check(subject)``: UserError for settings that do not fit the subject, before anything is computed. One that
    compares the subject with that of another run has an attribute ``takes_other``, and ``by_layer`` where both must
    have the same depth.
    """

    Config: type

    def __init__(self, config: Any) -> None: ...

    def __call__(self, subject: Subject) -> Iterator[Row]: ...


_TAKEN = (
    "run", "other", "steps", "measures", "plugins", "device", "tracking", "force", "dry_run", "hydra", "extended",
    "configs",
)  # fmt: skip
MEASURES: Registry[Measure] = Registry("measures", _TAKEN)
"""The built-in ones register themselves when mothello.measures.builtin is imported, a user's own through plugins."""


def takes_other(name: str) -> bool:
    """Whether a measure compares a run with another."""
    return getattr(MEASURES.get(name), "takes_other", False)


def folder_name(config: Any, other: str = "") -> str:
    """Name of a measure's folder in RUN/measures: NAME-HASH, the same for the same result. other: the content of the
    run that it is compared with."""
    more = {"other": other} if other else {}
    return f"{config.name}-{fingerprint(identity(config) | {'generator_version': GENERATOR_VERSION} | more)}"
