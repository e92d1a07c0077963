"""Token embeddings: is the nearest move of the other language the same move?

A word of several tokens counts as the mean of their embeddings, so a compositional language's moves share parts.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from mothello.measures.alignment.retrieval import cosines


class Neighbours(NamedTuple):
    """Of the moves asked about; both in the direction from the first language to the second."""

    precision: float
    """Share of moves whose nearest move of the other language is the same one (under the map asked about)."""
    margin: float
    """Mean cosine with the same move, less the mean with the nearest other one; in -2..2, above 0 where it wins."""


def word_embeddings(
    embedding: Float[Tensor, "token d"], words: Int64[Tensor, "move part"], lengths: Int64[Tensor, " move"]
) -> Float[Tensor, "move d"]:
    """Mean embedding of each move's tokens; parts behind a word's length do not count."""
    counted = torch.arange(words.shape[1], device=words.device) < lengths.unsqueeze(1)
    return (embedding[words] * counted.unsqueeze(-1)).sum(1) / lengths.unsqueeze(1)


def neighbours(
    x: Float[Tensor, "move d"], y: Float[Tensor, "move d"], image: Int64[Tensor, " move"], asked: Bool[Tensor, " move"]
) -> Neighbours:
    """x, y: the moves of two languages. image: the move of y that counts as the same (a symmetry's map). asked: the
    moves that count, for instance those that are no anchor; the rest stay candidates."""
    similarity = cosines(x, y)
    own = similarity.gather(1, image.unsqueeze(1)).squeeze(1)
    others = similarity.scatter(1, image.unsqueeze(1), -torch.inf).amax(1)
    return Neighbours(float((own > others)[asked].double().mean()), float((own - others)[asked].double().mean()))
