"""Word alignment alone: a run goes on with words that are read one by one, and no text. Of random weights (at=0) it is
the first stage of PreAlign (Li et al. 2024); a pretraining goes on from it as a fork (mothello.stages.fork)."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import ClassVar

import torch

from mothello.config import ranged, without_effect
from mothello.data.config import DataConfig
from mothello.data.sources import Sources
from mothello.languages.language_set import OutputVocabulary
from mothello.model.separate import own_parts
from mothello.model.transformer import GPT
from mothello.objectives.align_words import AlignWords, AlignWordsConfig, Level
from mothello.seeding import derive
from mothello.stages.continued import STAGES, Continuation, Continued, ContinuedConfig
from mothello.stages.folders import stage_folder
from mothello.stages.realign import adam
from mothello.stages.run import Run
from mothello.training.optimizer import OptimizerConfig


@dataclass(kw_only=True)
class AlignWordsStageConfig(AlignWordsConfig, ContinuedConfig):
    """Words alone."""

    steps: int = ranged(100, low=1)
    """Updates; each reads all words of the dictionary in two languages."""
    data: DataConfig = field(default_factory=partial(DataConfig, batch_size=1))
    optimizer: OptimizerConfig = field(default_factory=adam)

    key: ClassVar[str] = "stage."

    def __post_init__(self) -> None:
        without_effect(self.data, "stage.data", "on words alone", default=DataConfig(batch_size=1))
        without_effect(self, "stage", "on words alone", "objective", "auxiliary")


@STAGES.register("align_words")
class AlignWordsStage(Continued):
    """Training a run's model on the words of its languages."""

    Config = AlignWordsStageConfig
    reads_games = False

    def __init__(self, settings: AlignWordsStageConfig, command: Continuation, run: Run) -> None:
        super().__init__(settings, command, run)
        self.config.data = replace(self.config.data, games=settings.steps, batch_size=1)
        name = "shuffled" if settings.shuffled else ""
        self.folder = stage_folder(run.folder, settings, command.seed, name, at=run.earlier)
        self.title = f"{run.config.name}, words aligned{', shuffled' * settings.shuffled}"
        self._games()

    def _games(self) -> Sources:
        """Some, none of which is read."""
        return self._games_alone()

    def initial(self) -> GPT:
        """A copy of the run's model. Where a head is aligned that begins at zero, its rows point nowhere, no gradient
        turns them: they are drawn from normal(0, .02), as other weights are."""
        model = super().initial()
        aligned = Level.output in self.objective().levels(model, self.language_set.output is OutputVocabulary.own)
        for index, head in enumerate(own_parts(model.head) if aligned else ()):
            if not bool(head.weight.any()):
                draw = torch.Generator().manual_seed(derive(self.config.seed, "words", "head", index))
                rows = torch.empty(head.weight.shape).normal_(0, 0.02, generator=draw)
                head.weight.data.copy_(rows)
        return model

    def objective(self) -> AlignWords:
        """Alone."""
        return AlignWords(self.settings, key="")

    def watch(self, device: torch.device) -> Callable[[GPT], dict[str, float]]:
        """How many words find their partner at each level, of the dictionary and of those held out."""
        objective = self.objective()
        return lambda model: {f"words/{name}": x for name, x in objective.found(model, self.language_set).items()}
