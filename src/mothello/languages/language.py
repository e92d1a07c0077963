"""A language is a table: every move is written as one to a few token ids. Encoding is look-up, decoding is strict."""

from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Int64
from torch import Tensor

from mothello.errors import UserError
from mothello.languages.traits import Traits, stem

PAD = 0
"""The id that fills rows after a game's last token; no language ever writes it."""

DEAD, ROOT = 0, 1
"""States of the decoder: no move can follow; between two moves."""


class WordTrie(NamedTuple):
    """A strict decoder as an automaton. Read token x in state s: go to ``next_state[s, x]``; when ``move[s, x]``
    is not negative that move is complete (and the next state is ROOT). Of two moves that are written alike it is the
    first."""

    next_state: Int64[Tensor, "state token"]
    move: Int64[Tensor, "state token"]


class Decoded(NamedTuple):
    """Moves read from tokens; ``error_at`` is the first token that could not be read, -1 when all were."""

    moves: Int64[Tensor, "game ply"]
    error_at: Int64[Tensor, " game"]


@dataclass(frozen=True, eq=False)
class Language:
    """One language. words: the token ids of every spelling, ``form * n_moves + move``, () where there is none; without
    traits, the word of every move. No word begins with another, so that a text can be read in one way only (as far as
    homonyms allow)."""

    name: str
    kind: str
    words: tuple[tuple[int, ...], ...]
    traits: Traits = field(default_factory=Traits)

    def __post_init__(self) -> None:
        written = [word for word in self.words if word]
        seen = sorted(set(written) if self.traits.homonyms else written)
        for shorter, longer in pairwise(seen):
            if longer[: len(shorter)] == shorter:
                raise UserError(
                    f"languages.anchors: in {self.name} two moves would be written alike, or one would begin with "
                    f"another; link each move once"
                )

    @property
    def n_moves(self) -> int:
        return len(self.words) // self.traits.n_forms

    @cached_property
    def lengths(self) -> Int64[Tensor, " spelling"]:
        """Tokens per spelling, 0 where there is none."""
        return torch.tensor([len(word) for word in self.words])

    @property
    def max_word(self) -> int:
        return max(len(word) for word in self.words)

    @property
    def max_tokens(self) -> int:
        """Tokens of the longest game: no move is played twice, so all moves together bound it."""
        return int(self.lengths.view(-1, self.n_moves).amax(0).sum())

    @cached_property
    def ids(self) -> tuple[int, ...]:
        """Every id this language writes, ascending."""
        return tuple(sorted({token for word in self.words for token in word}))

    @property
    def stems(self) -> tuple[tuple[int, ...], ...]:
        """The word of every move, the first one where it has two, without markers."""
        return tuple(stem(word, self.traits) for word in self.words[: self.n_moves])

    def spellings(self, move: int) -> list[tuple[int, ...]]:
        """All ways to write a move."""
        return [word for word in self.words[move :: self.n_moves] if word]

    def trie(self, vocabulary_size: int, spelled: bool = False) -> WordTrie:
        """The decoder of this language over a vocabulary of that size. spelled: it reads spellings instead of moves."""
        prefixes: dict[tuple[int, ...], int] = {(): ROOT}
        for word in self.words:
            for end in range(1, len(word)):
                prefixes.setdefault(word[:end], len(prefixes) + 1)
        next_state = torch.full((len(prefixes) + 1, vocabulary_size), DEAD)
        move = torch.full((len(prefixes) + 1, vocabulary_size), -1)
        for index, word in reversed(list(enumerate(self.words))):
            for end in range(1, len(word)):
                next_state[prefixes[word[: end - 1]], word[end - 1]] = prefixes[word[:end]]
            if word:
                next_state[prefixes[word[:-1]], word[-1]] = ROOT
                move[prefixes[word[:-1]], word[-1]] = index if spelled else index % self.n_moves
        return WordTrie(next_state, move)


def decode(tokens: Int64[Tensor, "game token"], trie: WordTrie) -> Decoded:
    """Read rows of token ids (PAD ends a row) back into moves [game, ply], -1 after the end.

    Strict: an id of another language, a wrong continuation, an id after the end and a word that the end cuts short
    are errors; ``error_at`` is the position of the first (of the end itself for a word cut short).
    """
    n, length = tokens.shape
    state = torch.full((n,), ROOT, device=tokens.device)
    moves = torch.full((n, length + 1), -1, device=tokens.device)
    error_at = torch.full((n,), -1, device=tokens.device)
    ply = torch.zeros(n, dtype=torch.int64, device=tokens.device)
    ended = torch.zeros(n, dtype=torch.bool, device=tokens.device)
    for position in range(length + 1):
        token = tokens[:, position] if position < length else torch.full_like(state, PAD)
        pad = token == PAD
        wrong = pad & (state != ROOT) & ~ended | ~pad & (ended | (trie.next_state[state, token] == DEAD))
        error_at = torch.where((error_at < 0) & wrong, position, error_at)
        ended = ended | pad | (error_at >= 0)
        read = torch.where(ended, -1, trie.move[state, token])
        moves.scatter_(1, ply.unsqueeze(1), read.unsqueeze(1))
        ply = ply + (read >= 0)
        state = torch.where(ended, ROOT, trie.next_state[state, token])
    return Decoded(moves[:, :-1], error_at)
