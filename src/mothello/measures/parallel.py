"""States of the same games in every language, one layer at a time: memory holds one layer of all languages."""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int8
from torch import Tensor

from mothello.data.batch import in_language
from mothello.languages.language_set import LanguageSet
from mothello.measures.activations import states
from mothello.model.transformer import GPT
from mothello.othello.symmetry import OPENING_MAPS, move_map
from mothello.training.device import Precision

GAMES_AT_ONCE = 128


def mirrored(moves: Int8[Tensor, "game ply"], language_set: LanguageSet, name: str) -> Int8[Tensor, "game ply"]:
    """The games as a symmetry of the board shows them."""
    image = torch.tensor(move_map(language_set.board, name), dtype=moves.dtype, device=moves.device)
    return torch.where(moves >= 0, image[moves.long().clamp(min=0)], moves)


def layer_states(
    model: GPT,
    moves: Int8[Tensor, "game ply"],
    language_set: LanguageSet,
    language: int,
    layer: int,
    precision: Precision,
) -> Float[Tensor, "game ply d_model"]:
    """One layer's states in one language."""
    parts = [
        states(model, in_language(some, language, language_set), precision)[layer].clone()
        for some in moves.split(GAMES_AT_ONCE)
    ]
    return torch.cat(parts)


def image_states(
    model: GPT,
    moves: Int8[Tensor, "game ply"],
    language_set: LanguageSet,
    language: int,
    layer: int,
    precision: Precision,
) -> Float[Tensor, "map game ply d_model"]:
    """The same under each of OPENING_MAPS: what the language says of the mirrored games."""
    images = (mirrored(moves, language_set, name) for name in OPENING_MAPS)
    return torch.stack([layer_states(model, image, language_set, language, layer, precision) for image in images])


def pairs(names: list[str]) -> Iterator[tuple[int, int]]:
    """Ordered pairs of different languages, second ones outermost."""
    for second in range(len(names)):
        for first in range(len(names)):
            if first != second:
                yield first, second
