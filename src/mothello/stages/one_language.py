"""Stages that go on from a run with games of one of its languages; as a control, the same from random weights."""

from dataclasses import dataclass
from typing import Any

import torch

from mothello.config import plain
from mothello.data.language_sampling import LanguageSampling
from mothello.data.sources import Sources
from mothello.data.stream import Stream
from mothello.errors import UserError, keyed
from mothello.model.build import build_model
from mothello.model.transformer import GPT
from mothello.seeding import derive
from mothello.stages.continued import Continuation, Continued, ContinuedConfig
from mothello.stages.run import Run
from mothello.training.distributed import World


@dataclass(kw_only=True)
class OneLanguageConfig(ContinuedConfig):
    """Fine-tuning on games of one language."""

    source: str = ""
    """Language to fine-tune on; by default the first."""


class OneLanguage(Continued):
    """Training a run's model, or with scratch one of its shape with random weights, on games of one language."""

    Config: Any = OneLanguageConfig

    def __init__(self, settings: Any, command: Continuation, run: Run, scratch: bool = False) -> None:
        super().__init__(settings, command, run)
        if plain(settings.data.language_sampling) != plain(LanguageSampling()):
            raise UserError("data.language_sampling: fine-tuning is on one language; leave it out")
        if settings.data.code_switching.probability:
            raise UserError("data.code_switching: fine-tuning is on one language; leave it out")
        self.scratch, self.source = scratch, settings.source or run.language_set.names[0]
        with keyed("source: "):
            self.language = run.language_set.index(self.source)

    def content(self) -> dict[str, Any]:
        """The control does not go on from the run."""
        content = super().content()
        return {key: value for key, value in content.items() if key != "from" or not self.scratch}

    def initial(self) -> GPT:
        if self.scratch:
            return build_model(self.config.model, self.language_set).initialize(derive(self.config.seed, "scratch"))
        return super().initial()

    def stream(self, device: torch.device, world: World) -> Stream:
        games = Sources.shared(self._games()[self.language], len(self.language_set.names))
        stream = Stream(games, self.language_set, self.config.data, self.config.seed, device, world)
        return stream.speaking(self.language)
