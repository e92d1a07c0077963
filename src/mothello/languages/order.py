"""The place in the text of every ply of a game."""

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from mothello.languages.traits import Order, Traits


def window_of(traits: Traits, n_moves: int) -> int:
    """Plies that are reversed together: 1 where none are, all of a game where it is inverted."""
    return {Order.reversal: traits.window, Order.inversion: n_moves}.get(traits.order, 1)


def places(
    played: Bool[Tensor, "game ply"], window: Int64[Tensor, " game"], random: Int64[Tensor, "game ply"] | None
) -> Int64[Tensor, "game ply"]:
    """Place of every ply among the plies of its game as they are written; plies after the end stay where they are.

    random: numbers whose order is that of the plies, negative in games that are reversed in windows instead.
    """
    ply, window = torch.arange(played.shape[1], device=played.device), window.unsqueeze(1)
    first = ply - ply % window
    last = torch.minimum(first + window, played.sum(1, keepdim=True)) - 1
    place = first + last - ply
    if random is not None:
        drawn = torch.where(played, random, 1 << 40).argsort(dim=1, stable=True).argsort(1)
        place = torch.where(random[:, :1] >= 0, drawn, place)
    return torch.where(played, place, ply)
