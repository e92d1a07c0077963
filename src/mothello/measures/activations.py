"""Activations at the last token of every move, all layers from one forward pass."""

import torch
from jaxtyping import Float
from torch import Tensor

from mothello.data.batch import Batch
from mothello.model.edited import Model
from mothello.model.inputs import Inputs
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
    ends = batch.move_ends.clamp(min=0)[None, :, :, None].expand(len(hidden), -1, -1, hidden.shape[-1])
    return hidden.gather(2, ends).float() * (batch.move_ends >= 0)[None, :, :, None]
