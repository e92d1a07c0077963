"""What is watched along a fine-tuning besides legality on all games: openings, and retrieval between languages."""

from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Int8
from torch import Tensor

from mothello.data.batch import in_language
from mothello.languages.language_set import LanguageSet
from mothello.measures.activations import states
from mothello.measures.alignment.retrieval import cosines, hits
from mothello.measures.legality.estimate import legality
from mothello.measures.positions import Pool, same_ply
from mothello.model.transformer import GPT
from mothello.training.device import Precision, autocast

Numbers = dict[str, float]
GAMES = 200
POOL = 500


@dataclass(frozen=True)
class Watch:
    """Called along a fine-tuning: numbers such as "val/A@c2b2a2/top1" and "align/B/retrieval_same_ply"."""

    language_set: LanguageSet
    source: int
    openings: Mapping[str, Int8[Tensor, "game ply"]]
    """Held-out games of each opening."""
    parallel: Int8[Tensor, "game ply"] | None
    """Games whose states are compared; None for not at all."""
    pool: Pool | None
    """Their positions."""
    precision: Precision

    def __call__(self, model: GPT) -> Numbers:
        numbers: Numbers = {}
        with autocast(model.head.weight.device, self.precision):
            for opening, moves in self.openings.items():
                for index, name in enumerate(self.language_set.names):
                    numbers[f"val/{name}@{opening}/top1"] = legality(model, moves, self.language_set, index)["top1"]
        return numbers | self._alignment(model)

    def _alignment(self, model: GPT) -> Numbers:
        """Retrieval of every other language's state by the source's at the middle layer, among states at its ply."""
        if self.parallel is None or self.pool is None:
            return {}
        layer, allowed = (model.config.n_layer + 1) // 2, same_ply(self.pool)
        rows = [self._rows(model, index, layer) for index in range(len(self.language_set.names))]
        numbers: Numbers = {}
        for index, name in enumerate(self.language_set.names):
            if index != self.source:
                right = hits(cosines(rows[self.source], rows[index]), allowed)
                numbers[f"align/{name}/retrieval_same_ply"] = float(right.double().mean())
        return numbers

    def _rows(self, model: GPT, language: int, layer: int) -> Tensor:
        assert self.parallel is not None
        assert self.pool is not None
        layers = states(model, in_language(self.parallel, language, self.language_set), self.precision)
        return layers[layer][self.pool.game, self.pool.ply]
