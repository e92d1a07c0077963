"""The lexicon of a language: the words of its kind, then what its traits add; and from it every spelling."""

from collections.abc import Iterable

import torch

from mothello.errors import UserError
from mothello.languages.kinds import LanguageKind
from mothello.languages.traits import Marker, Phrase, Traits, forms
from mothello.languages.vocabulary import Words
from mothello.othello.board import Board
from mothello.seeding import generator


def _drawn(moves: Iterable[int], n: int, *names: str) -> list[int]:
    """n of the moves in a fixed order that depends on the names: fewer are the first of more."""
    chosen = list(moves)
    return [chosen[i] for i in torch.randperm(len(chosen), generator=generator(0, *names)).tolist()[:n]]


def synonymous(traits: Traits, board: Board, name: str) -> list[int]:
    """The moves with two words. UserError where the share is of no move."""
    count = round(traits.synonyms * board.n_moves)
    if traits.synonyms and not count:
        raise UserError(f"languages.traits.{name}.synonyms: {traits.synonyms:g} of {board.n_moves} moves is none")
    return _drawn(range(board.n_moves), count, "synonyms", board.name, name)


def lexicon(kind: LanguageKind, traits: Traits, board: Board, seed: int, name: str) -> Words:
    """The words and markers of a language, with local ids. UserError names a kind that leaves moves out."""
    words = list(kind.words(board, seed, name))
    if len(words) != board.n_moves or not all(words):
        line = f"{type(kind).Config().name} must write each of the {board.n_moves} moves of {board.name}"
        raise UserError(f"languages.kinds: {line}")
    second = synonymous(traits, board, name)
    if second:
        offset = _size(words)
        others = kind.words(board, seed, f"{name}/synonyms")
        words += [tuple(offset + token for token in others[move]) for move in second]
    if traits.phrase is Phrase.row_column:
        words = [word[::-1] for word in words]
    sides, bins, _ = traits.sizes
    offset = _size(words)
    return words + [(offset + i,) for i in range((sides if sides > 1 else 0) + (bins if bins > 1 else 0))]


def _size(words: Words) -> int:
    return 1 + max(token for word in words for token in word)


def merge_homonyms(words: Words, traits: Traits, board: Board, name: str, anchored: set[int]) -> Words:
    """The lexicon after pairs of moves that are no anchors got one word. UserError where there are too few."""
    pairs = round(traits.homonyms * board.n_moves) // 2
    free = [move for move in range(board.n_moves) if move not in anchored]
    if traits.homonyms and not 0 < pairs <= len(free) // 2:
        line = f"{traits.homonyms:g} of {board.n_moves} moves makes {pairs} pairs; {len(free)} moves are no anchors"
        raise UserError(f"languages.traits.{name}.homonyms: {line}")
    chosen, result = _drawn(free, 2 * pairs, "homonyms", board.name, name), list(words)
    for one, other in zip(chosen[::2], chosen[1::2], strict=True):
        result[other] = result[one]
    return result


def spellings(words: Words, traits: Traits, board: Board, name: str) -> Words:
    """A lexicon -> every move in every form, spelling ``form * n_moves + move``; () where a move has no second word."""
    n, second = board.n_moves, synonymous(traits, board, name)
    own: list[Words] = [list(words[:n]), [()] * n]
    for move, word in zip(second, words[n:], strict=False):
        own[1][move] = word
    markers = words[n + len(second) :]
    sides = markers[:2] if traits.mover is not Marker.absent else []
    bins = markers[len(sides) :]
    result: Words = []
    for form in forms(traits):
        told = [(traits.mover, sides, form.mover), (traits.flips, bins, form.flips)]
        before, after = (
            tuple(token for place, table, value in told if place is side for token in table[value])
            for side in (Marker.before, Marker.after)
        )
        result += [before + word + after if word else () for word in own[form.word]]
    return result
