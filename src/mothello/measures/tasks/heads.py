"""Linear heads: multinomial logistic regression on the states of every layer, all layers in one batched product."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor


class Heads(NamedTuple):
    """One linear head per layer."""

    weight: Float[Tensor, "layer d_model class"]
    bias: Float[Tensor, "layer 1 class"]

    def __call__(self, states: Float[Tensor, "layer row d_model"]) -> Int64[Tensor, "layer row"]:
        """The likeliest class of every state."""
        return torch.baddbmm(self.bias, states, self.weight).argmax(-1)


def fit_heads(
    states: Float[Tensor, "layer row d_model"], labels: Int64[Tensor, " row"], n_classes: int, l2: float
) -> Heads:
    """The heads that minimize the mean cross-entropy plus l2 / 2 times the squared norm of the weights.

    The norm is that of the weights on standardized states: scikit-learn's C is 1 / (l2 * rows) on such states.
    """
    mean, scale = states.mean(1, keepdim=True), states.std(1, keepdim=True).clamp(min=1e-6)
    x, (n_layers, n_rows, d_model) = (states - mean) / scale, states.shape
    target = labels.expand(n_layers, n_rows)
    with torch.enable_grad():
        weight = torch.zeros(n_layers, d_model, n_classes, device=x.device, requires_grad=True)
        bias = torch.zeros(n_layers, 1, n_classes, device=x.device, requires_grad=True)
        optimizer = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            optimizer.zero_grad()
            logits = torch.baddbmm(bias, x, weight)
            entropy = F.cross_entropy(logits.flatten(0, 1), target.flatten()) * n_layers
            loss = entropy + l2 / 2 * weight.square().sum()
            loss.backward()
            return loss

        optimizer.step(closure)
    fitted = weight.detach() / scale.mT
    return Heads(fitted, bias.detach() - mean @ fitted)
