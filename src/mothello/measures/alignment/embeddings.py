"""Token embeddings: which move of the other language is the nearest to a move, and through which map is it the same?

A word of several tokens counts as the mean of their embeddings, so a compositional language's moves share parts.
"""

from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from mothello.languages.dictionary import covered_moves
from mothello.languages.language import PAD
from mothello.languages.language_set import LanguageSet
from mothello.measures.alignment.retrieval import cosines
from mothello.measures.measure import Row, Subject
from mothello.othello.notation import square_name
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


def move_embeddings(subject: Subject, language: int) -> Float[Tensor, "move d"]:
    """Of every move of a language, the mean of its word's token embeddings. On the CPU."""
    stems = subject.language_set.stem_table[language]
    return word_embeddings(subject.model.token_vectors(language).float().cpu(), stems, (stems != PAD).sum(1))


def unshared(languages: LanguageSet, first: int, second: int) -> list[Bool[Tensor, " move"]]:
    """The moves of the first language that are written without a token that both have, and those of the second."""
    one, other = (languages.languages[i] for i in (first, second))
    common = set(one.ids) & set(other.ids)
    return [torch.tensor([not common & set(word) for word in language.stems]) for language in (one, other)]


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
    """Neighbours, margins and nearest moves between the first languages, of the moves written without a token that both
    languages have."""
    words = [move_embeddings(subject, i) for i in range(min(languages, len(subject.names)))]
    maps = torch.tensor([move_map(subject.board, name) for name in OPENING_MAPS])
    for first, second in permutations(range(len(words)), 2):
        own = unshared(subject.language_set, first, second)
        head: Row = {
            "measure": "embedding", "control": subject.control, "layer": 0, "source": subject.names[first],
            "language": subject.names[second],
        }  # fmt: skip
        pair = words[first], words[second]
        for target, part in _parts(subject):
            yield from (head | target | row for row in _map_rows(*pair, own[0] & part, own[1], maps))
        squares = subject.board.moves if subject.control != "random_weights" else ()
        yield from (head | row for row in _nearest_rows(*pair, own[0], maps, squares))


def _parts(subject: Subject) -> Iterator[tuple[Row, Bool[Tensor, " move"]]]:
    """All moves, and, where a dictionary of some of them was learned from, those in it and the others."""
    every = torch.ones(subject.board.n_moves, dtype=torch.bool)
    yield {}, every
    if subject.coverage < 1:
        entries = ~every
        entries[covered_moves(subject.board, subject.coverage, "coverage")] = True
        yield {"target": "dictionary"}, entries
        yield {"target": "held_out"}, ~entries


def _map_rows(
    x: Float[Tensor, "move d"], y: Float[Tensor, "move d"], own_x: Bool[Tensor, " move"], own_y: Bool[Tensor, " move"],
    maps: Int64[Tensor, "map move"],
) -> Iterator[Row]:  # fmt: skip
    """Neighbours and margins under every map, of the moves that are without a common token there and here."""
    for name, image in zip(OPENING_MAPS, maps, strict=True):
        asked = own_x & own_y[image]
        if bool(asked.any()):
            found = neighbours(x, y, image, asked)
            for quantity, value in (("neighbours", found.precision), ("margin", found.margin)):
                yield {"quantity": quantity, "map": name, "value": value, "n": int(asked.sum())}


def _nearest_rows(
    x: Float[Tensor, "move d"], y: Float[Tensor, "move d"], asked: Bool[Tensor, " move"],
    maps: Int64[Tensor, "map move"], squares: Sequence[int],
) -> Iterator[Row]:  # fmt: skip
    """How many moves' nearest one among all of the other language lies in their own orbit, and by which map; square by
    square where the squares of the moves are given. Where several maps take a move there, the one that most moves take
    is named."""
    if not bool(asked.any()):
        return
    cosine, nearest = cosines(x, y).max(1)
    taken = (nearest == maps) & asked
    inside = float(taken.any(0)[asked].double().mean())
    yield {"quantity": "neighbours_orbit", "value": inside, "n": int(asked.sum())}
    order = taken.sum(1).argsort(descending=True, stable=True).tolist()
    for move, square in enumerate(squares):
        if asked[move]:
            name = next((OPENING_MAPS[i] for i in order if taken[i, move]), "")
            place = {"square": square_name(square), "map": name}
            yield {"quantity": "nearest", "value": float(cosine[move]), "n": 1} | place
