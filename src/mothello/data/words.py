"""Which word of a text each of its tokens belongs to."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Int64
from torch import Tensor

from mothello.data.batch import Batch


class Words(NamedTuple):
    """Which word each token belongs to; of padding, values that mean nothing."""

    ply: Int64[Tensor, "game token"]
    part: Int64[Tensor, "game token"]
    """Place of the token in its word, from 0."""


def words_of(batch: Batch) -> Words:
    """The move that every token is part of, and which part."""
    n, width = batch.tokens.shape
    marks = torch.zeros(n, width + 1, dtype=torch.int64, device=batch.tokens.device)
    marks.scatter_(1, torch.where(batch.move_ends >= 0, batch.move_ends, width), 1)
    rank = (marks.cumsum(1) - marks)[:, :-1].clamp(max=batch.moves.shape[1] - 1)
    ends, order = torch.where(batch.move_ends >= 0, batch.move_ends, width).sort(
        dim=1, stable=True
    )  # as they are written
    begins = F.pad(ends, (1, 0), value=-1).gather(1, rank) + 1
    return Words(order.gather(1, rank), torch.arange(width, device=rank.device) - begins)
