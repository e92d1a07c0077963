"""Realignment: a run goes on with nothing but the contrastive loss of linked words. Fine-tuning goes on from the
realigned model (realigned before), or realignment from a fine-tuned one (after); during a fine-tuning it is an
auxiliary objective of that stage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, ClassVar

from mothello.config import NOT_IDENTITY, ranged, without_effect
from mothello.data.config import DataConfig
from mothello.data.sources import Sources
from mothello.data.stream import Stream
from mothello.languages.language_set import LanguageSet
from mothello.model.config import ModelConfig
from mothello.model.transformer import GPT
from mothello.objectives.objective import OBJECTIVES, Loss, Objective, Part, check_model
from mothello.objectives.realign import Realign, RealignConfig
from mothello.stages.continued import STAGES, Continuation, Continued, ContinuedConfig
from mothello.stages.folders import stage_folder
from mothello.stages.run import Run
from mothello.training.optimizer import OptimizerConfig, OptimizerName


class Control(StrEnum):
    """What else is trained, to compare with."""

    plain = "plain"
    shuffled = "shuffled"


def adam() -> OptimizerConfig:
    """Adam at a constant rate."""
    return OptimizerConfig(name=OptimizerName.adamw, lr=1e-3, weight_decay=0.0, warmup_fraction=0.0, decay="constant")


@dataclass(kw_only=True)
class RealignStageConfig(RealignConfig, ContinuedConfig):
    """Realignment alone: as many steps as a fine-tuning has."""

    data: DataConfig = field(default_factory=lambda: DataConfig(games=1_600, batch_size=16))
    games: int = ranged(0, low=0)
    """All of a step: data.batch_size."""
    optimizer: OptimizerConfig = field(default_factory=adam)
    plain: bool = False
    """Control: the run's own objective is trained instead, on the same games in the same languages."""
    controls: list[Control] = field(default_factory=lambda: list(Control), metadata=NOT_IDENTITY)
    """What is trained besides. plain: the run's own objective, on the same games in the same languages. shuffled:
    realignment by links that are shuffled within each game."""

    key: ClassVar[str] = "stage."

    def __post_init__(self) -> None:
        super().__post_init__()
        why = "on realignment alone"
        without_effect(self, "stage", why, "games", "auxiliary", *([] if self.plain else ["objective"]))
        if self.plain:
            names = ("aligner", "layers", "negatives", "temperature", "shuffled")
            without_effect(self, "stage", "with stage.plain=true", *names, default=RealignStageConfig())


class Plain:
    """Training on an objective with the games that a realignment reads, in both languages of its pairs."""

    def __init__(self, main: Objective, config: RealignStageConfig) -> None:
        self.main, self.config, self.attention = main, config, main.attention
        if hasattr(main, "counts"):
            self.counts = self._counts

    def check(self, games: Sources, data: DataConfig, language_set: LanguageSet) -> None:
        """Of the objective, and of the pairs."""
        self.main.check(games, data, language_set)
        self.config.pairs(language_set)

    def check_model(self, model: ModelConfig) -> None:
        """Of the objective."""
        check_model(self.main, model)

    def batch(self, stream: Stream, step: int) -> list[Any]:
        """The games of a step in each language of the pair whose turn it is."""
        pair = self.config.pair_at(step, stream.language_set)
        return [self.main.batch(stream.speaking(language), step) for language in pair]

    def _counts(self, batch: Sequence[Any]) -> dict[str, Any]:
        """Of both halves."""
        halves = [self.main.counts(part) for part in batch]  # type: ignore[attr-defined]
        return {name: sum(half[name] for half in halves) for name in halves[0]}

    def loss(self, model: GPT, batch: Sequence[Any]) -> Loss:
        """Of both halves."""
        halves = [self.main.loss(model, part).terms for part in batch]
        both = {name: list(zip(*(half[name] for half in halves), strict=True)) for name in halves[0]}
        terms = {name: Part(sum(sums), sum(counts), weight) for name, (sums, counts, (weight, _)) in both.items()}
        whole = terms.pop("")
        return Loss(whole.sum, whole.count, terms)

    def floor(self, *_: Any) -> None:
        """Not known."""


@STAGES.register("realign")
class RealignStage(Continued):
    """Training a run's model on realignment alone; as a control, with shuffled links, or on its own objective."""

    Config = RealignStageConfig
    mixed = False

    def __init__(self, settings: RealignStageConfig, command: Continuation, run: Run) -> None:
        super().__init__(settings, command, run)
        self.command, kind = command, "plain" if settings.plain else settings.aligner.name
        name = f"{kind}{'-shuffled' * settings.shuffled}"
        self.folder = stage_folder(run.folder, settings, command.seed, name, run.earlier)
        if not self.folder.finished or command.force:  # else its games may be gone
            self._games()
        self.title = f"{run.config.name}, {'trained on' if settings.plain else 'realigned,'} {name}"

    def _games(self) -> Sources:
        """UserError for settings that do not fit the games, and for those without effect."""
        games = self._games_alone()
        for name in ("language_sampling", "code_switching"):
            without_effect(getattr(self.config.data, name), f"data.{name}", "on games that are read in two languages")
        return games

    def objective(self) -> Objective:
        """Realignment, or the run's own objective."""
        if self.settings.plain:
            return Plain(OBJECTIVES.build(self.config.objective), self.settings)
        return Realign(self.settings, key="")

    def company(self) -> Mapping[str, Sequence["RealignStage"]]:
        """The controls that are asked for; a control has none."""
        settings = self.settings
        if settings.plain or settings.shuffled:
            return {}
        own = {spec.name: getattr(settings, spec.name) for spec in fields(ContinuedConfig)}
        chosen = {"languages": settings.languages, "pivot": settings.pivot}
        others = {
            Control.plain: RealignStageConfig(**own, **chosen, plain=True),
            Control.shuffled: replace(settings, shuffled=True),
        }
        return {name.value: [RealignStage(others[name], self.command, self.run)] for name in settings.controls}
