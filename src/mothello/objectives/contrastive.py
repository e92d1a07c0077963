"""The contrastive loss of realignment, of any states and links; and the head that projects states before they are
compared (Gaschi et al. 2023, after Wu and Dredze 2020)."""

from enum import StrEnum

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mothello.aligners.aligner import Links
from mothello.objectives.objective import Loss
from mothello.seeding import derive

WIDTH = 128
"""Numbers that a state is projected to."""


class Negatives(StrEnum):
    """What a word's partner is told from. strong: all words of the batch in both languages but the word itself. weak:
    those of the other language."""

    strong = "strong"
    weak = "weak"


class Projection(nn.Module):
    """Two linear layers without biases and a ReLU between them, shared by all layers that are realigned."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(d_model, d_model, bias=False), nn.Linear(d_model, WIDTH, bias=False)

    @torch.no_grad()
    def initialize(self, seed: int) -> "Projection":
        """From a seed of its own: uniform within 1 / sqrt(d_model), torch's usual range."""
        for name, weight in self.named_parameters():
            draw = torch.Generator().manual_seed(derive(seed, "projection", name))
            bound = weight.shape[1] ** -0.5
            weight.copy_(torch.empty(weight.shape).uniform_(-bound, bound, generator=draw))
        return self

    def forward(self, states: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch width"]:
        """What is compared."""
        return self.down(F.relu(self.up(states)))


def contrastive_loss(
    one: Float[Tensor, "game ply width"],
    other: Float[Tensor, "game ply width"],
    played: Bool[Tensor, "2 game ply"],
    links: Links,
    negatives: Negatives,
    temperature: float,
) -> Loss:
    """Minus the log softmax of a word's partner among the candidates, of both words of every link; scores are cosines
    over the temperature. In nats, over twice the number of links. played: whether the game has the ply, by side."""
    vectors = F.normalize(torch.stack([one, other]).float(), dim=-1)
    flat, there = vectors.flatten(0, 2), played.flatten()
    with torch.autocast(flat.device.type, enabled=False):  # bf16 knows two digits of a cosine
        scores = flat @ flat.T / temperature
        partners = vectors[0] @ vectors[1].mT / temperature
    index = torch.arange(len(flat), device=flat.device)
    if negatives is Negatives.strong:
        excluded = index.unsqueeze(1) == index
    else:
        side = index // links[..., 0].numel()
        excluded = side.unsqueeze(1) == side
    spread = scores.masked_fill(excluded | ~there, -torch.inf).logsumexp(1).view(2, *links.shape[:2])
    each = spread[0].unsqueeze(2) + spread[1].unsqueeze(1) - 2 * partners
    return Loss(torch.where(links, each, 0.0).sum(), 2 * links.sum())
