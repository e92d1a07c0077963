"""Anchors: moves that several languages write with the same tokens.

Sharing a *move* means that its whole token list is the one of the lowest-indexed language of the link (the published
meaning: an anchored move of a compositional language may thus become a single token). Sharing *components* is for
compositional languages: the column and row tokens of the anchored moves are shared, wherever they occur.
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache

import torch

from mothello.config import without_effect
from mothello.errors import UserError, keyed
from mothello.othello.board import Board
from mothello.othello.notation import parse_move
from mothello.othello.symmetry import ALL_MAPS, move_map
from mothello.seeding import generator


class Placement(StrEnum):
    """Where anchors counted off by ``count`` lie. Off both diagonals an anchor breaks every symmetry of the
    opening; on one diagonal it leaves the reflection in it. ``each`` takes the main and the anti-diagonal in turn."""

    off = "off"
    main = "main"
    anti = "anti"
    on = "on"
    each = "each"
    any = "any"


class Sharing(StrEnum):
    move = "move"
    component = "component"


@dataclass(kw_only=True)
class AnchorConfig:
    """Which moves are anchors. ``count`` and ``moves`` anchor a move with its image in every group; ``links`` pair
    any moves of any languages and come on top."""

    count: int = 0
    """Length of the prefix taken from one fixed nested list per board and placement."""
    placement: Placement = Placement.off
    image: str = "identity"
    """A symmetry of the square: what ``count`` and ``moves`` name of a group's first language is linked with its image
    in the others. Identity: with itself."""
    moves: list[str] = field(default_factory=list)
    """Moves such as d3, instead of a count."""
    groups: list[list[str]] = field(default_factory=list)
    """Languages that share the anchors, several groups if wanted; empty: all languages are one group."""
    links: list[str] = field(default_factory=list)
    """Explicit links such as "atomic_0.c2=atomic_1.e5": move c2 of one is written as move e5 of the other."""
    sharing: Sharing = Sharing.move

    def __post_init__(self) -> None:
        if self.count < 0:
            raise UserError(f"languages.anchors.count: {self.count} is negative")
        if self.count and self.moves:
            raise UserError("languages.anchors: give count or moves, not both")
        if self.image not in ALL_MAPS:
            raise UserError(f"languages.anchors.image: {self.image!r} is not one of {', '.join(ALL_MAPS)}")
        key = "languages.anchors"
        if not self.count:
            without_effect(self, key, f"with {key}.count=0", "placement")
        if not (self.count or self.moves):
            without_effect(self, key, f"without {key}.count or {key}.moves", "image", "groups")
            if not self.links:
                without_effect(self, key, "without anchors", "sharing")


Member = tuple[int, int]
"""(language index, move index)."""


@cache
def nested_list(board: Board, placement: Placement) -> tuple[int, ...]:
    """All moves of that placement in one fixed order, the same for every seed: the first n are the n anchors."""
    main = {m for m, image in enumerate(move_map(board, "main")) if m == image}
    anti = {m for m, image in enumerate(move_map(board, "anti")) if m == image}
    everything = set(range(board.n_moves))
    allowed = {
        Placement.off: everything - main - anti,
        Placement.main: main,
        Placement.anti: anti,
        Placement.on: main | anti,
        Placement.each: main | anti,
        Placement.any: everything,
    }[placement]
    order = torch.randperm(board.n_moves, generator=generator(0, "anchors", board.name)).tolist()
    if placement is Placement.each:
        by_diagonal = ([move for move in order if move in diagonal] for diagonal in (main, anti))
        return tuple(move for pair in zip(*by_diagonal, strict=True) for move in pair)
    return tuple(move for move in order if move in allowed)


def anchored_moves(config: AnchorConfig, board: Board) -> tuple[int, ...]:
    """The moves named by ``count`` or ``moves``. UserError names the key when there are too few, or one is bad."""
    if config.moves:
        chosen = []
        for text in config.moves:
            with keyed("languages.anchors.moves: "):
                chosen.append(parse_move(text, board))
        if len(set(chosen)) < len(chosen):
            raise UserError("languages.anchors.moves: a move is listed twice")
        return tuple(chosen)
    available = nested_list(board, config.placement)
    if config.count > len(available):
        raise UserError(
            f"languages.anchors.count: {config.count} anchors asked for, but the {board.name} board has "
            f"{len(available)} moves with placement={config.placement.value}"
        )
    return available[: config.count]


def _language(name: str, names: list[str], key: str) -> int:
    if name not in names:
        raise UserError(f"languages.anchors.{key}: no language {name!r}; there are {', '.join(names)}")
    return names.index(name)


def _groups(config: AnchorConfig, names: list[str]) -> list[list[int]]:
    groups = [[_language(name, names, "groups") for name in group] for group in config.groups]
    for index, name in enumerate(names):
        if sum(group.count(index) for group in groups) > 1:
            raise UserError(f"languages.anchors.groups: {name} is in two groups of an anchor")
    return groups or [list(range(len(names)))]


def _link(text: str, names: list[str], board: Board) -> list[Member]:
    members = []
    for side in text.split("="):
        match = re.fullmatch(r"\s*(\S+)\.(\w+)\s*", side)
        if match is None or "=" not in text:
            raise UserError(f"languages.anchors.links: {text!r} is not of the form NAME.MOVE=NAME.MOVE")
        language = _language(match[1], names, "links")
        with keyed("languages.anchors.links: "):
            members.append((language, parse_move(match[2], board)))
    return members


def anchor_links(config: AnchorConfig, names: list[str], board: Board) -> list[list[Member]]:
    """Every anchor as the list of (language, move) that share their tokens, lowest-indexed language first.

    UserError names the key: unknown language or move, a language twice in an anchor, a move in two anchors.
    """
    groups, image = _groups(config, names), move_map(board, config.image)
    links = [
        [(language, image[move] if position else move) for position, language in enumerate(sorted(group))]
        for group in groups
        for move in anchored_moves(config, board)
    ]
    links += [_link(text, names, board) for text in config.links]
    seen: set[Member] = set()
    for link in links:
        if len({language for language, _ in link}) < len(link):
            raise UserError("languages.anchors.links: one language stands twice in one link")
        if seen & set(link):
            raise UserError("languages.anchors: a move of one language is in two anchors")
        seen |= set(link)
    return [sorted(link) for link in links if len(link) > 1]
