"""Kinds of languages: how a language writes each move of a board, with token ids of its own."""

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch

from mothello.config import check, ranged
from mothello.languages.vocabulary import Words
from mothello.othello.board import Board
from mothello.registry import Registry
from mothello.seeding import generator


class LanguageKind(Protocol):
    """A rule that writes every move as a word."""

    Config: ClassVar[Any]
    """Dataclass whose field ``name`` defaults to the kind's name."""
    drawn: ClassVar[bool]
    """Whether the vocabulary seed and the language's name decide the words."""

    def __init__(self, config: Any) -> None: ...

    def words(self, board: Board, seed: int, name: str) -> Words:
        """One word per move: ids 0, 1, ... that are local to the language. No word begins with another."""
        ...


LANGUAGE_KINDS: Registry[LanguageKind] = Registry("language kind")


@LANGUAGE_KINDS.register("atomic")
class Atomic:
    """One token per move."""

    drawn = False

    @dataclass(kw_only=True)
    class Config:
        name: str = "atomic"

    def __init__(self, config: Config) -> None: ...

    def words(self, board: Board, seed: int, name: str) -> Words:
        return [(move,) for move in range(board.n_moves)]


@LANGUAGE_KINDS.register("split")
class Split:
    """One to ``longest_word`` tokens per move, no token in two words; the lengths are uniform."""

    drawn = True

    @dataclass(kw_only=True)
    class Config:
        name: str = "split"
        longest_word: int = ranged(3, 1, 8)

        def __post_init__(self) -> None:
            check(self, "languages")

    def __init__(self, config: Config) -> None:
        self.longest = config.longest_word

    def words(self, board: Board, seed: int, name: str) -> Words:
        draw = generator(seed, "vocabulary", "split", name)
        lengths = torch.randint(1, self.longest + 1, (board.n_moves,), generator=draw).tolist()
        starts = [sum(lengths[:move]) for move in range(board.n_moves)]
        return [tuple(range(start, start + n)) for start, n in zip(starts, lengths, strict=True)]


@LANGUAGE_KINDS.register("compositional")
class Compositional:
    """A column token, then a row token: ids 0 .. size - 1 are columns, size .. 2 size - 1 rows."""

    drawn = False
    composed = True
    """The tokens of a word are a phrase, whose order is a trait."""

    @dataclass(kw_only=True)
    class Config:
        name: str = "compositional"

    def __init__(self, config: Config) -> None: ...

    def words(self, board: Board, seed: int, name: str) -> Words:
        return [(square % 8, board.size + square // 8) for square in board.moves]
