"""Activation patching: one game is read, and states of another one, written in any language, are put in their place.

If the languages share a space, the states of a game in language A make the model go on in language B as that game
would: as well as B's own states of it do.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int8, Int64
from torch import Tensor

from mothello.data.batch import in_language
from mothello.measures.activations import states
from mothello.measures.causal.cases import top_n_errors
from mothello.measures.causal.intervene import Errors, Language
from mothello.measures.parallel import mirrored
from mothello.model.transformer import LayerEdit
from mothello.othello.board import Board
from mothello.othello.replay import replay, squares_to_moves
from mothello.othello.symmetry import OPENING_MAPS

PLACES = ("last", "all")
"""The state at the position's last token alone, or those at the last tokens of all moves up to it."""


class Patches(NamedTuple):
    """Two games each, at the same ply and with different legal moves there."""

    game: Int64[Tensor, " case"]
    """Which of the games given is read."""
    moves: Int8[Tensor, "case ply"]
    """It."""
    donor: Int8[Tensor, "case ply"]
    """The game whose states are put in."""
    ply: Int64[Tensor, " case"]
    """The last move before the position, counted from 0."""
    legal: Bool[Tensor, "case move"]
    """In the donor's position."""


def draw_patches(moves: Int8[Tensor, "game ply"], board: Board, n: int, generator: torch.Generator) -> Patches:
    """Up to ``n`` positions of games that both go on, each beside another game's."""
    legal = squares_to_moves(replay(moves, board).legal[:, 1:-1], board)
    going = moves[:, 1:] >= 0
    game, ply = going.nonzero().unbind(1)
    other = (game + torch.randint(1, len(moves), (len(game),), generator=generator).to(game.device)) % len(moves)
    differ = (legal[game, ply] != legal[other, ply]).any(-1) & going[other, ply]
    order = torch.randperm(len(game), generator=generator).to(game.device)
    chosen = order[differ[order]][:n].sort().values
    game, other, ply = game[chosen], other[chosen], ply[chosen]
    return Patches(game, moves[game], moves[other], ply, legal[other, ply])


def _donated(
    read: Language, patches: Patches, source: int, rows: slice, name: str
) -> Float[Tensor, "layer case ply d_model"]:
    batch = in_language(mirrored(patches.donor[rows], read.language_set, name), source, read.language_set)
    return states(read.model, batch, read.precision)


def _patch(read: Language, donated: Tensor, ply: Tensor, rows: slice, layer: int, everywhere: bool) -> LayerEdit:
    """Put the donor's states of one layer in place of those at the same plies."""
    ends = read.move_ends[rows]
    plies = torch.arange(ends.shape[1], device=ends.device)
    put = (plies <= ply[rows].unsqueeze(1)) if everywhere else (plies == ply[rows].unsqueeze(1))
    case, which = put.nonzero().unbind(1)

    def edit(at: int, x: Tensor) -> Tensor:
        if at != layer:
            return x
        x = x.clone()
        x[case, ends[case, which]] = donated[layer, case, which].to(x.dtype)
        return x

    return edit


def patched(read: Language, patches: Patches, source: int) -> Iterator[Errors]:
    """Errors against the donor's legal moves after its states in the source language are put in, layer by layer.

    With the source the language that is read, what patching can reach at all: the donor's states in that language.
    Another language reads the donor as each symmetry of the opening shows it: it may be aligned through one of them.
    """
    for name in OPENING_MAPS[: 1 if source == read.language else None]:
        donated = [_donated(read, patches, source, rows, name) for rows in read.batches()]
        for layer in range(read.model.config.n_layer + 1):
            for place in PLACES:
                errors = []
                for rows, states_ in zip(read.batches(), donated, strict=True):
                    edit = _patch(read, states_, patches.ply, rows, layer, place == "all")
                    errors.append(top_n_errors(read.answer(edit, rows), patches.legal[rows]))
                found = torch.cat(errors).cpu()
                yield Errors(f"patch_{place}_error", "trained", layer, found, patches.game.cpu(), name)


def unpatched(read: Language, patches: Patches) -> Iterator[Errors]:
    """Controls: null, the model goes on as the game it read would; floor, as the donor would, having read that."""
    donor = Language(read.model, read.language_set, read.language, patches.donor, patches.ply, read.precision)
    for control, language in (("null", read), ("floor", donor)):
        errors = top_n_errors(language.answers(), patches.legal).cpu()
        for place in PLACES:
            yield Errors(f"patch_{place}_error", control, None, errors, patches.game.cpu())
