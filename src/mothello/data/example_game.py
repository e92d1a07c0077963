"""One game to look at: its moves, its boards, and the tokens that every language writes it with."""

from collections import Counter
from itertools import pairwise
from typing import NamedTuple

from jaxtyping import Int8
from torch import Tensor

from mothello.data.batch import in_language
from mothello.languages.language_set import LanguageSet
from mothello.othello.notation import game_text
from mothello.othello.replay import replay


class Written(NamedTuple):
    """A game as a figure needs it."""

    moves: list[str]
    """Such as "d3", in order."""
    boards: list[list[int]]
    """Before every ply and after the last: a class per cell, 0 white, 1 empty, 2 black."""
    words: dict[str, list[list[int]]]
    """Language -> the token ids of each move."""
    shared: list[int]
    """Ids that several languages write: anchors."""


def written(moves: Int8[Tensor, " ply"], language_set: LanguageSet) -> Written:
    """One game in every language of a family."""
    board, game = language_set.board, moves.unsqueeze(0)
    played = replay(game, board)
    boards = []
    for ply in range(int(played.lengths) + 1):
        black, white = int(played.black[0, ply]), int(played.white[0, ply])
        boards.append([1 + (black >> square & 1) - (white >> square & 1) for square in board.squares])
    words = {}
    for index, name in enumerate(language_set.names):
        batch = in_language(game, index, language_set)
        ends = [-1, *(end for end in batch.move_ends[0].tolist() if end >= 0)]
        words[name] = [batch.tokens[0, a + 1 : b + 1].tolist() for a, b in pairwise(ends)]
    writers = Counter(token for language in language_set.languages for token in language.ids)
    shared = sorted(token for token, languages in writers.items() if languages > 1)
    return Written(game_text(moves.tolist(), board).split(), boards, words, shared)
