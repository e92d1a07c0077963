"""Activation patching: one game is read, and its states are replaced by those of another game, written in any language.

If the languages share a space, the states of a game in language A make the model go on in language B as that game
would: as well as B's own states of it do.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int8, Int64
from torch import Tensor

from mothello.measures.causal.cases import top_n_errors
from mothello.measures.causal.intervene import EditedPositions, Errors
from mothello.measures.positions import mirrored
from mothello.model.transformer import LayerEdit
from mothello.othello.board import Board
from mothello.othello.replay import replay, squares_to_moves

PLACES = ("last", "all")
"""The state at the position's last token alone, or those at the last tokens of all moves up to it."""


class Patches(NamedTuple):
    """Two games each, at the same ply and with different legal moves there."""

    game: Int64[Tensor, " case"]
    """Index of the recipient game, which is read."""
    moves: Int8[Tensor, "case ply"]
    """The recipient game."""
    donor: Int8[Tensor, "case ply"]
    """The game whose states are put in."""
    ply: Int64[Tensor, " case"]
    """The last move before the position, counted from 0."""
    legal: Bool[Tensor, "case move"]
    """In the donor's position."""


def draw_patches(moves: Int8[Tensor, "game ply"], board: Board, n: int, generator: torch.Generator) -> Patches:
    """Up to ``n`` positions, each paired with another game's at the same ply; both games go on."""
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
    read: EditedPositions, patches: Patches, source: int, rows: slice, name: str
) -> Float[Tensor, "layer case ply d_model"]:
    return read.subject.states(mirrored(patches.donor[rows], read.subject.board, name), source)


def _patch(read: EditedPositions, donated: Tensor, ply: Tensor, rows: slice, layer: int, everywhere: bool) -> LayerEdit:
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


def patched(read: EditedPositions, patches: Patches, source: int, maps: Sequence[str]) -> Iterator[Errors]:
    """Errors against the donor's legal moves after its states in the source language are put in, layer by layer.

    When the source is the language that is read, this is the best that patching can reach: the donor's states in that
    language. Another language reads the donor as each of the maps shows it: it may be aligned through one.
    """
    for name in maps:
        donated = [_donated(read, patches, source, rows, name) for rows in read.batches()]
        for layer in range(read.subject.n_layers):
            for place in PLACES:
                errors = []
                for rows, states_ in zip(read.batches(), donated, strict=True):
                    edit = _patch(read, states_, patches.ply, rows, layer, place == "all")
                    errors.append(top_n_errors(read.answer(edit, rows), patches.legal[rows]))
                whole = torch.cat(errors).cpu()
                yield Errors(f"patch_{place}_error", "trained", layer, whole, patches.game.cpu(), name)


def unpatched(read: EditedPositions, patches: Patches) -> Iterator[Errors]:
    """Controls: null, the model goes on as the game it read would; floor, as the donor would, having read that."""
    donor = EditedPositions(read.subject, read.language, patches.donor, patches.ply)
    for control, language in (("null", read), ("floor", donor)):
        errors = top_n_errors(language.answers(), patches.legal).cpu()
        for place in PLACES:
            yield Errors(f"patch_{place}_error", control, None, errors, patches.game.cpu())
