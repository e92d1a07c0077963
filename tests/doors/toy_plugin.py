"""A user's module: a toy of each kind of plug-in. It stands outside the package and registers itself when imported."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mothello.aligners.aligner import ALIGNERS, Links, Side
from mothello.config import ranged
from mothello.data.floor import Floor
from mothello.languages.kinds import LANGUAGE_KINDS
from mothello.measures.measure import MEASURES, Row, Subject
from mothello.measures.tasks.task import TASKS
from mothello.model.transformer import GPT
from mothello.objectives.causal_lm import CausalLM
from mothello.objectives.objective import OBJECTIVES, Loss, Part
from mothello.othello.board import Board
from mothello.rows import QUANTITIES
from mothello.stages.continued import STAGES, Continued, ContinuedConfig


@LANGUAGE_KINDS.register("stutter")
class Stutter:
    """Every move is its own token, several times."""

    drawn = False

    @dataclass(kw_only=True)
    class Config:
        name: str = "stutter"
        times: int = ranged(2, 1, 4)

    def __init__(self, config: Config) -> None:
        self.times = config.times

    def words(self, board: Board, seed: int, name: str) -> list[tuple[int, ...]]:
        return [(move,) * self.times for move in range(board.n_moves)]


@OBJECTIVES.register("calm_lm")
class CalmLM(CausalLM):
    """Next-token prediction with a penalty on large logits."""

    @dataclass(kw_only=True)
    class Config(CausalLM.Config):
        name: str = "calm_lm"
        penalty: float = ranged(0.01, low=0)

    def loss(self, model: GPT, batch: Any) -> Loss:
        loss = super().loss(model, batch)
        square = next(model.parameters()).square()
        return loss._replace(parts={"size": Part(square.sum(), torch.tensor(square.numel()), self.config.penalty)})

    def floor(self, batch: Any, language_set: Any, oracles: Sequence[Any], weights: Any = None) -> Floor | None:
        return None


QUANTITIES["norm"] = "sum of |weight|^power over all weights"


@MEASURES.register("weight_norm")
class WeightNorm:
    """The norm of all weights, by a power."""

    @dataclass(kw_only=True)
    class Config:
        name: str = "weight_norm"
        power: float = ranged(2.0, above=0)

    def __init__(self, config: Config) -> None:
        self.power = config.power

    def __call__(self, subject: Subject) -> Iterator[Row]:
        for one in (subject, subject.random_weights()):
            total = sum(float(weight.abs().pow(self.power).sum()) for weight in one.model.parameters())
            yield {"measure": "weight_norm", "quantity": "norm", "control": one.control, "value": total}


@TASKS.register("parity")
class Parity:
    """Whether the ply is odd."""

    n_classes = 2

    @dataclass(kw_only=True)
    class Config:
        name: str = "parity"

    def __init__(self, config: Config) -> None: ...

    def labels(self, moves: Tensor, board: Board) -> Tensor:
        ply = torch.arange(moves.shape[1], device=moves.device)
        return torch.where(moves >= 0, ply % 2, -1).to(torch.int8)


@ALIGNERS.register("shifted")
class Shifted:
    """Links every ply with a later one."""

    @dataclass(kw_only=True)
    class Config:
        name: str = "shifted"
        plies: int = ranged(0, low=0)

    reads_states = False
    games = 0

    def __init__(self, config: Config, language_set: Any, pair: tuple[int, int]) -> None:
        self.plies = config.plies

    def fit(self, moves: Tensor) -> None: ...

    def links(self, one: Side, other: Side) -> Links:
        later = torch.eye(one.word.shape[1], dtype=torch.bool).roll(self.plies, 1)
        return later & one.played.unsqueeze(2) & other.played.unsqueeze(1)


@STAGES.register("shaken")
class Shaken(Continued):
    """Training that goes on, on all languages, from the run's weights with noise."""

    @dataclass(kw_only=True)
    class Config(ContinuedConfig):
        name: str = "shaken"
        noise: float = ranged(0.1, low=0)

    def initial(self) -> GPT:
        model, draw = super().initial(), torch.Generator().manual_seed(self.config.seed)
        with torch.no_grad():
            for weight in model.parameters():
                weight += self.settings.noise * torch.randn(weight.shape, generator=draw)
        return model
