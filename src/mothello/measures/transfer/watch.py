"""What is watched along a fine-tuning besides legality on all games: answers in the source's tokens, openings, and
retrieval between languages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int8
from torch import Tensor

from mothello.data.batch import in_language
from mothello.languages.language_set import LanguageSet
from mothello.measures.activations import states
from mothello.measures.alignment.retrieval import cosines, hits
from mothello.measures.legality.estimate import is_legal, legality, rules
from mothello.measures.legality.greedy import ROWS_AT_ONCE, greedy_moves
from mothello.measures.positions import Pool, same_ply
from mothello.model.transformer import GPT
from mothello.training.device import Precision, autocast

Numbers = dict[str, float]
GAMES = 200
POOL = 500


@dataclass(frozen=True)
class Watch:
    """Called along a fine-tuning: numbers such as "val/B/top1_translated", "val/A@c2b2a2/top1" and
    "align/B/retrieval_same_ply"."""

    language_set: LanguageSet
    source: int
    held_out: Sequence[Int8[Tensor, "game ply"]]
    """Games of every language, after which the source's tokens are to tell a move; none where no next move is asked."""
    openings: Mapping[str, Int8[Tensor, "game ply"]]
    """Held-out games of each opening."""
    parallel: tuple[Int8[Tensor, "game ply"], Pool] | None
    """Games whose states are compared, and their positions; None for not at all."""
    precision: Precision

    def __call__(self, model: GPT) -> Numbers:
        numbers: Numbers = {}
        with autocast(model.device, self.precision):
            for index, name in enumerate(self.language_set.names):
                if self.held_out:
                    numbers[f"val/{name}/top1_translated"] = self._translated(model, index)
                for opening, moves in self.openings.items():
                    numbers[f"val/{name}@{opening}/top1"] = legality(model, moves, self.language_set, index)["top1"]
        return numbers | self._alignment(model)

    def _translated(self, model: GPT, language: int) -> float:
        """Strict top-1 legality after games in a language, the move spelt in the source's tokens."""
        games, languages = self.held_out[language], self.language_set
        truth, parts = rules(games, languages), games.split(ROWS_AT_ONCE)
        with torch.inference_mode():
            batches = (in_language(part, language, languages) for part in parts)
            answers = [greedy_moves(model, batch, languages, language, among=self.source).move for batch in batches]
        return float(is_legal(torch.cat(answers), truth.strict)[truth.scored].double().mean())

    def _alignment(self, model: GPT) -> Numbers:
        """Retrieval of every other language's state by the source's at the middle layer, among states at its ply."""
        if self.parallel is None:
            return {}
        (moves, pool), layer, rows, numbers = self.parallel, (model.config.n_layer + 1) // 2, [], dict[str, float]()
        for language in range(len(self.language_set.names)):
            layers = states(model, in_language(moves, language, self.language_set), self.precision)
            rows.append(layers[layer][pool.game, pool.ply])
        for index, name in enumerate(self.language_set.names):
            if index != self.source:
                right = hits(cosines(rows[self.source], rows[index]), same_ply(pool))
                numbers[f"align/{name}/retrieval_same_ply"] = float(right.double().mean())
        return numbers
