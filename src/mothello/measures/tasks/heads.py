"""Heads of tasks. Fitted on states as they are: multinomial logistic regression, all layers in one batched product.
Trained with the model or on top of it: on the states of one layer, with pointers where the task has them."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from mothello.measures.tasks.task import STARTS, Task
from mothello.seeding import derive


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


RATE = 10.0
"""States are scaled to this deviation before a head reads them, so that under Adam it learns about ten times as fast as
the model that it is trained with (docs/LOG.md)."""


class TaskHead(nn.Module):
    """Logits of a task's labels from the states of one layer, which are normalized first, without weights: "class"
    [game, ply, class], and of a task that points "pointer" [game, ply, 4 + ply].

    A pointer is attention: the query of a move's state meets the keys of the states of earlier moves of its game, and a
    learned key for each start disc.
    """

    def __init__(self, task: Task, d_model: int) -> None:
        super().__init__()
        self.classes = nn.Linear(d_model, task.n_classes)
        self.points = hasattr(task, "pointed")
        if self.points:
            self.query, self.key = (nn.Linear(d_model, d_model, bias=False) for _ in range(2))
            self.starts = nn.Parameter(torch.zeros(STARTS, d_model))

    @torch.no_grad()
    def initialize(self, seed: int) -> "TaskHead":
        """From a seed of its own: queries and keys so that scores begin near 1 in size, all else zero."""
        for name, parameter in self.named_parameters():
            parameter.zero_()
            if name in ("query.weight", "key.weight", "starts"):
                draw = torch.Generator().manual_seed(derive(seed, "task head", name))
                size = 1.0 if name == "starts" else parameter.shape[1] ** -0.5
                parameter.copy_(size / RATE * torch.randn(parameter.shape, generator=draw))
        return self

    def forward(self, states: Float[Tensor, "game ply d_model"]) -> dict[str, Tensor]:
        """A move cannot point to itself or to a later one: such scores are the lowest number there is."""
        x = RATE * F.layer_norm(states, states.shape[-1:])
        logits = {"class": self.classes(x).float()}
        if self.points:
            query, key = self.query(x), self.key(x)
            scores = torch.cat([query @ (RATE * self.starts).mT, query @ key.mT], -1).float() / x.shape[-1] ** 0.5
            n, ply = x.shape[1], torch.arange(-STARTS, x.shape[1], device=x.device)
            later = ply >= torch.arange(n, device=x.device).unsqueeze(1)
            logits["pointer"] = scores.masked_fill(later & (ply >= 0), torch.finfo(scores.dtype).min)
        return logits
