"""Token embeddings: is the nearest move of the other language the same move?

A word of several tokens counts as the mean of their embeddings, so a compositional language's moves share parts.
"""

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from mothello.measures.alignment.retrieval import cosines
from mothello.measures.measure import Row, Subject
from mothello.othello.symmetry import OPENING_MAPS, move_map


class Neighbours(NamedTuple):
    """Over the moves asked about; both in the direction from the first language to the second."""

    precision: float
    """Share of moves whose nearest move of the other language is the same move (under the map asked about)."""
    margin: float
    """Mean cosine with the same move, less the mean with the nearest other move; in -2..2."""


def word_embeddings(
    embedding: Float[Tensor, "token d"], words: Int64[Tensor, "move part"], lengths: Int64[Tensor, " move"]
) -> Float[Tensor, "move d"]:
    """Mean embedding of each move's tokens; parts after a word's length do not count."""
    counted = torch.arange(words.shape[1], device=words.device) < lengths.unsqueeze(1)
    return (embedding[words] * counted.unsqueeze(-1)).sum(1) / lengths.unsqueeze(1)


def neighbours(
    x: Float[Tensor, "move d"], y: Float[Tensor, "move d"], image: Int64[Tensor, " move"], asked: Bool[Tensor, " move"]
) -> Neighbours:
    """x, y: the moves of two languages. image: the move of y that counts as the same (a symmetry's map). asked: the
    moves that count, for instance those that are no anchor; the others stay candidates."""
    similarity = cosines(x, y)
    own = similarity.gather(1, image.unsqueeze(1)).squeeze(1)
    others = similarity.scatter(1, image.unsqueeze(1), -torch.inf).amax(1)
    return Neighbours(float((own > others)[asked].double().mean()), float((own - others)[asked].double().mean()))


def embedding_rows(subject: Subject, languages: int) -> Iterator[Row]:
    """Neighbours and margins between the first languages, of the moves written without a token that both languages
    have."""
    languages_, table = subject.language_set, subject.model.token_embedding.weight.detach().float().cpu()
    words = [
        word_embeddings(table, languages_.word_table[i], languages_.length_table[i]) for i in range(len(subject.names))
    ]
    ids = [set(language.ids) for language in languages_.languages]
    maps = {name: torch.tensor(move_map(subject.board, name)) for name in OPENING_MAPS}
    for first, second in product(range(min(languages, len(words))), repeat=2):
        if first == second:
            continue
        common = ids[first] & ids[second]
        own = [
            torch.tensor([not common & set(word) for word in languages_.languages[i].words]) for i in (first, second)
        ]
        for name, image in maps.items():
            asked = own[0] & own[1][image]
            if not bool(asked.any()):
                continue
            nearest = neighbours(words[first], words[second], image, asked)
            for quantity, value in (("neighbours", nearest.precision), ("margin", nearest.margin)):
                yield {
                    "measure": "embedding", "quantity": quantity, "control": subject.control, "layer": 0,
                    "source": subject.names[first], "language": subject.names[second], "map": name, "value": value,
                    "n": int(asked.sum()),
                }  # fmt: skip
