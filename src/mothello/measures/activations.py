"""Activations at the last token of every move: all layers from one forward pass, or one layer to train through."""

import torch
from jaxtyping import Float
from torch import Tensor

from mothello.data.batch import Batch, at_moves, hidden_after
from mothello.model.edited import Model
from mothello.model.inputs import Inputs
from mothello.model.transformer import GPT
from mothello.training.device import Precision, autocast


def states(
    model: Model, batch: Batch, precision: Precision = Precision.auto
) -> Float[Tensor, "layer game ply d_model"]:
    """The residual stream after layer 0 (embeddings) .. L at each move's last token; zeros after the end of a game."""
    assert not model.training, "activations are read in eval mode"
    device = batch.tokens.device
    with torch.no_grad(), autocast(device, precision):
        hidden = model(Inputs.of(batch), hidden=True).hidden
    assert hidden is not None
    return at_moves(hidden, batch)


def prefix_states(
    model: Model, batch: Batch, mask: int, precision: Precision = Precision.auto
) -> Float[Tensor, "layer game ply d_model"]:
    """The same with every later place of the row hidden by the mask token, so that a state of a model of full attention
    has seen no more than a causal one has. A pass of the model per ply."""
    each = []
    for ply, end in enumerate(batch.move_ends.unbind(1)):
        only = torch.full_like(batch.move_ends, -1)
        only[:, ply] = end
        each.append(states(model, hidden_after(batch._replace(move_ends=only), end, mask), precision)[:, :, ply])
    return torch.stack(each, 2)


def states_of_layer(model: GPT, batch: Batch, layer: int) -> Float[Tensor, "game ply d_model"]:
    """The residual stream after one layer at each move's last token, differentiable."""
    return at_moves(model.residual(Inputs.of(batch), layer).unsqueeze(0), batch)[0]
