"""What is watched along a fine-tuning beside legality on all games: openings, and alignment without probes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from jaxtyping import Int8
from torch import Tensor

from mothello.data.batch import in_language
from mothello.languages.language_set import LanguageSet
from mothello.measures.activations import states
from mothello.measures.legality.estimate import legality
from mothello.measures.positions import Pool, same_ply
from mothello.model.transformer import GPT
from mothello.training.device import Precision, autocast

Numbers = dict[str, float]
Retrieval = Callable[[Tensor, Tensor, Tensor], float]
"""States of the same positions in two languages and which may be confused -> P@1."""
GAMES = 200
POOL = 500


@dataclass(frozen=True)
class Watch:
    """Called along a fine-tuning: numbers such as "val/A@c2b2a2/top1" and "align/B/retrieval_same_ply"."""

    language_set: LanguageSet
    source: int
    evaluate: Callable[[GPT], Numbers]
    openings: Mapping[str, Int8[Tensor, "game ply"]]
    """Held-out games of each opening."""
    parallel: Int8[Tensor, "game ply"] | None
    """Games whose states are compared; None for not at all."""
    pool: Pool | None
    """Their positions."""
    retrieval: Retrieval
    precision: Precision

    def __call__(self, model: GPT) -> Numbers:
        numbers = dict(self.evaluate(model))
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
        return {
            f"align/{name}/retrieval_same_ply": self.retrieval(rows[self.source], rows[index], allowed)
            for index, name in enumerate(self.language_set.names)
            if index != self.source
        }

    def _rows(self, model: GPT, language: int, layer: int) -> Tensor:
        assert self.parallel is not None
        assert self.pool is not None
        found = states(model, in_language(self.parallel, language, self.language_set), self.precision)[layer]
        return found[self.pool.game, self.pool.ply]


def opening_name(opening: Sequence[str]) -> str:
    return "".join(opening)
