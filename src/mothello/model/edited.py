"""A model with an edit is a model: every measure accepts it."""

from torch import nn

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
    def head(self) -> nn.Linear:
        return self.model.head

    @property
    def token_embedding(self) -> nn.Embedding:
        return self.model.token_embedding

    @property
    def n_positions(self) -> int:
        """The longest row, in tokens."""
        return self.model.n_positions


Model = GPT | Edited
"""What every measure accepts."""
