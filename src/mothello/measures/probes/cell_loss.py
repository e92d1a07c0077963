"""The loss of probes: cross-entropy over the three classes of every cell.

A softmax over three numbers that lie side by side is slow, so the classes come first: three long rows of numbers.
"""

from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from mothello.measures.probes.targets import N_CLASSES


class _CellLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor) -> Tensor:
        classes = logits.unflatten(-1, (-1, N_CLASSES)).movedim(-1, 0)
        x = torch.empty(classes.shape, device=logits.device).copy_(classes)
        x = x.sub_(x.amax(0))
        true = torch.stack([labels == index for index in range(N_CLASSES)]).float()
        picked = (x * true).sum(0)
        p = x.exp_()
        total = p.sum(0)
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(p.div_(total).sub_(true))
            ctx.kind = logits.dtype
        return (total.log_() - picked).flatten(1).mean(1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (excess,) = ctx.saved_tensors
        each = gradient / excess[0, 0].numel()
        return (excess * each.view(1, -1, 1, 1)).to(ctx.kind).movedim(0, -1).flatten(-2), None


def cell_loss(logits: Float[Tensor, "k row output"], labels: Int64[Tensor, "k row cell"]) -> Float[Tensor, " k"]:
    """Nats, a mean over rows and cells, of every probe. logits: [..., cell * class]; computed in fp32."""
    return _CellLoss.apply(logits, labels)
