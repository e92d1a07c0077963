"""A model with an edit is a model: every measure accepts it."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mothello.model.inputs import Inputs
from mothello.model.transformer import GPT, Edit, ModelConfig, ModelOutput


class Edited(nn.Module):
    """A model whose activations pass through an edit on the way. An edit given to a call is applied after its own."""

    def __init__(self, model: "GPT | Edited", edit: Edit) -> None:
        super().__init__()
        self.model, self.edit = model, edit
        self.train(model.training)

    def forward(self, inputs: Inputs, hidden: bool = False, edit: Edit | None = None) -> ModelOutput:
        """As the model's own."""
        first, second = self.edit, edit
        return self.model(inputs, hidden, first if second is None else lambda site, x: second(site, first(site, x)))

    @property
    def config(self) -> ModelConfig:
        return self.model.config

    @property
    def device(self) -> torch.device:
        return self.model.device

    def token_vectors(self, language: int) -> Float[Tensor, "token D"]:
        """As the model's own."""
        return self.model.token_vectors(language)

    @property
    def n_positions(self) -> int:
        """The longest row, in tokens."""
        return self.model.n_positions


Model = GPT | Edited
"""What every measure accepts."""
