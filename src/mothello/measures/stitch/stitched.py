"""The first blocks of one model, a map, and the upper blocks of another: a model as well, of the upper one's language.

A game comes in the upper model's language. The lower model reads the same game, or its image under a symmetry, in a
language of its own; its states at the last tokens of the moves, mapped, stand where the upper model's own would.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from mothello.data.batch import in_language
from mothello.languages.language import PAD, Language
from mothello.measures.activations import states_of_layer
from mothello.measures.measure import Subject
from mothello.measures.positions import mirrored
from mothello.model.edited import Edited
from mothello.model.inputs import Inputs
from mothello.model.transformer import GPT, Edit, ModelOutput, residual_site

Bridge = Callable[[Float[Tensor, "game ply d"]], Float[Tensor, "game ply e"]]
"""States of the lower model -> states of the upper one."""


def one_token_a_move(language: Language) -> bool:
    """Whether a language writes every move as one token, always the same, in the order of play: then a place of a text
    is a ply, and states can be put there."""
    return language.traits.n_forms == 1 and not language.traits.hides_board and language.max_word == 1


class Stitched(Edited):
    """``upper`` from layer ``layer`` on, of what ``lower`` has there. Layers below it are the upper model's own."""

    def __init__(
        self, upper: Subject, language: int, lower: Subject, spoken: int, layer: int, bridge: Bridge, name: str
    ) -> None:
        """language: of the texts, one_token_a_move. spoken: the language that the lower model reads. name: the symmetry
        under which it reads the games."""
        super().__init__(upper.model, self._put)
        self.lower, self.spoken, self.layer, self.bridge, self.symmetry = lower, spoken, layer, bridge, name
        words = torch.tensor([word[0] for word in upper.language_set.languages[language].words])
        n = upper.language_set.vocabulary_size + len(upper.language_set.special_tokens)
        self.move_of = torch.full((n,), -1, dtype=torch.int8).scatter_(
            0, words, torch.arange(len(words), dtype=torch.int8)
        )
        self.states: Float[Tensor, "game ply e"] | None = None

    def forward(self, inputs: Inputs, hidden: bool = False, edit: Edit | None = None) -> ModelOutput:
        """As the upper model's own."""
        self.states = self.bridge(self._read(inputs.tokens))
        return super().forward(inputs, hidden, edit)

    def _read(self, tokens: Int64[Tensor, "game ply"]) -> Float[Tensor, "game ply d"]:
        """What the lower model has read after every move; zeros after the end."""
        assert isinstance(self.lower.model, GPT)
        moves = mirrored(self.move_of.to(tokens.device)[tokens], self.lower.board, self.symmetry)
        moves = torch.where(tokens == PAD, -1, moves)
        batch = in_language(moves, self.spoken, self.lower.language_set)
        return states_of_layer(self.lower.model, batch, self.layer)

    def _put(self, site: str, x: Tensor) -> Tensor:
        """The states in place of the upper model's."""
        if site != residual_site(self.layer) or self.states is None:
            return x
        return self.states.to(x.dtype)
