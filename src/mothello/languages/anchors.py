"""Anchors: moves that several languages write with the same tokens.

Sharing a *move* replaces its word by the word of the link's first language (the published meaning: an anchored move of
a compositional language can thus become a single token). Sharing *components* is for compositional languages: they
share the column and row tokens of the anchored moves, wherever these tokens occur.

``count`` is for anchors that break a symmetry: few, from squares of one placement. ``overlap`` is for vocabularies that
coincide: a share of all moves, wherever they are, whose words need not mean the same in both languages.
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache

import torch

from mothello.config import check, ranged, without_effect
from mothello.errors import UserError, keyed
from mothello.othello.board import Board
from mothello.othello.notation import parse_move
from mothello.othello.symmetry import ALL_MAPS, move_map
from mothello.seeding import generator


class Placement(StrEnum):
    """Squares that ``count`` takes its anchors from. An anchor off both diagonals breaks every symmetry of the
    opening; an anchor on a diagonal keeps the reflection in it. ``each`` takes both diagonals in turn."""

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
    """The moves that are anchors. ``count``, ``moves`` and ``overlap`` choose moves and link each with its image in the
    other languages of a group; ``links`` add pairs of any moves of any languages."""

    count: int = ranged(0, 0)
    """Number of anchors, taken from the start of one fixed list per board and placement."""
    placement: Placement = Placement.off
    image: str = "identity"
    """A symmetry of the square: a move of a group's first language is linked with its image in the other languages."""
    moves: list[str] = field(default_factory=list)
    """Moves such as d3, instead of a number."""
    overlap: float = ranged(0.0, 0, 1)
    """Share of all moves with a common word, instead of a number: the first ones of a fixed order, without replacement,
    so that a larger overlap contains a smaller one."""
    same_meaning: float = ranged(1.0, 0, 1)
    """Of the words of ``overlap``, the share that mean the same move (under ``image``), the first ones again. Each of
    the others, false friends, means another move in every language of a group."""
    groups: list[list[str]] = field(default_factory=list)
    """Groups of languages that share the anchors; by default all languages are one group."""
    links: list[str] = field(default_factory=list)
    """Links such as "atomic_0.c2=atomic_1.e5": move c2 of one language and move e5 of the other have one word."""
    sharing: Sharing = Sharing.move
    subtokens: float = ranged(0.0, 0, 1)
    """Share of the tokens that languages whose words have several have in common, whatever they stand for: an inventory
    of letters. Of two languages the smaller inventory counts; tokens that other anchors share are among them."""

    def __post_init__(self) -> None:
        key = "languages.anchors"
        check(self, key)
        if self.count and self.moves:
            raise UserError("languages.anchors: give count or moves, not both")
        if self.overlap and (self.count or self.moves):
            raise UserError(f"{key}.overlap: give overlap, count or moves, one of them")
        if self.overlap and self.sharing is Sharing.component:
            raise UserError(f"{key}.overlap: shares whole words; give moves for sharing=component")
        if not self.overlap:
            without_effect(self, key, f"without {key}.overlap", "same_meaning")
        if self.image not in ALL_MAPS:
            raise UserError(f"languages.anchors.image: {self.image!r} is not one of {', '.join(ALL_MAPS)}")
        if not self.count:
            without_effect(self, key, f"with {key}.count=0", "placement")
        if not (self.count or self.moves or self.overlap):
            without_effect(self, key, f"without {key}.count or {key}.moves", "image", "groups")
            if not self.links:
                without_effect(self, key, "without anchors", "sharing")


Member = tuple[int, int]
"""(language index, move index)."""


@cache
def nested_list(board: Board, placement: Placement) -> tuple[int, ...]:
    """All moves of a placement in one fixed order, the same for every seed; the first n are the n anchors."""
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
    """The moves that ``count``, ``moves`` or ``overlap`` asks for."""
    if config.overlap:
        shared = nested_list(board, Placement.any)[: round(config.overlap * board.n_moves)]
        if not shared:
            raise UserError(f"languages.anchors.overlap: {config.overlap:g} of {board.n_moves} moves is none")
        return shared
    if config.moves:
        with keyed("languages.anchors.moves: "):
            chosen = [parse_move(text, board) for text in config.moves]
        if len(set(chosen)) < len(chosen):
            raise UserError("languages.anchors.moves: a move is listed twice")
        return tuple(chosen)
    available = nested_list(board, config.placement)
    if config.count > len(available):
        raise UserError(
            f"languages.anchors.count: {config.count} anchors are too many: the {board.name} board has "
            f"{len(available)} moves with placement={config.placement.value}"
        )
    return available[: config.count]


def _meanings(config: AnchorConfig, board: Board, group: list[int]) -> list[list[Member]]:
    """What each shared word means in the languages of a group, before the image is taken: false friends move on by one
    from language to language. UserError where they are too few for that."""
    moves = anchored_moves(config, board)
    same, false = moves[: (n := round(config.same_meaning * len(moves)))], moves[n:]
    if false and len(false) < len(group):
        line = f"leaves {len(false)} of {len(moves)} words as false friends; {len(group)} languages need {len(group)}"
        raise UserError(f"languages.anchors.same_meaning: {config.same_meaning:g} {line}")
    turned = (false[i % len(false) :] + false[: i % len(false)] if false else () for i in range(len(group)))
    return [[(language, move) for move in same + of] for language, of in zip(group, turned, strict=True)]


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
    """Every anchor as the list of (language, move) that have one word, in the order of the languages.

    UserError names the key: unknown language or move, a language twice in one anchor, a move in two anchors.
    """
    groups, image = _groups(config, names), move_map(board, config.image)
    links = [
        [(language, image[move] if position else move) for position, (language, move) in enumerate(link)]
        for group in groups
        for link in zip(*_meanings(config, board, sorted(group)), strict=True)
    ]
    links += [_link(text, names, board) for text in config.links]
    seen: set[Member] = set()
    for link in links:
        if len({language for language, _ in link}) < len(link):
            raise UserError("languages.anchors.links: a link names one language twice")
        if seen & set(link):
            raise UserError("languages.anchors: a move of one language is in two anchors")
        seen |= set(link)
    return [sorted(link) for link in links if len(link) > 1]
