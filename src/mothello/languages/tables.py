"""The tables of the languages of one model, on any device: what encoding, decoding and exact distributions look up."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Int64
from torch import Tensor
from torch.utils._pytree import tree_map

from mothello.languages.forms import FormTables, form_tables
from mothello.languages.language import PAD, ROOT, Language, WordTrie
from mothello.languages.order import window_of
from mothello.languages.traits import Order
from mothello.othello.board import Board
from mothello.seeding import derive


@dataclass(frozen=True, eq=False, kw_only=True)
class Tables:
    """Languages on one vocabulary, as tables."""

    board: Board
    languages: tuple[Language, ...]
    vocabulary_size: int
    _tables: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def max_word(self) -> int:
        return max(language.max_word for language in self.languages)

    @cached_property
    def n_forms(self) -> int:
        """Spellings of a move in the language that has most."""
        return max(language.traits.n_forms for language in self.languages)

    def table(self, name: str, device: torch.device) -> Any:
        """One of the tables below on a device, copied there once."""
        key = f"{name}@{device}"
        if key not in self._tables:
            self._tables[key] = tree_map(lambda table: table.to(device), getattr(self, name))
        return self._tables[key]

    @cached_property
    def word_table(self) -> Int64[Tensor, "language spelling part"]:
        """Token ids of every spelling (of a move, in languages without traits), PAD after short ones."""
        return self._padded([language.words for language in self.languages])

    @cached_property
    def stem_table(self) -> Int64[Tensor, "language move part"]:
        """Token ids of every move's word without markers, PAD after short words."""
        return self._padded([language.stems for language in self.languages])

    def _padded(self, words: Sequence[Sequence[tuple[int, ...]]]) -> Tensor:
        table = torch.full((len(words), max(map(len, words)), self.max_word), PAD)
        for index, of_language in enumerate(words):
            for row, word in enumerate(of_language):
                table[index, row, : len(word)] = torch.tensor(word, dtype=torch.int64)
        return table

    @cached_property
    def word_id_table(self) -> Int64[Tensor, "language spelling"]:
        """Which of the language's distinct words every spelling is, counted from 0; -1 where there is no such spelling.
        Homonyms are one word."""
        ids = torch.full(self.word_table.shape[:2], -1)
        for own, words in zip(ids, self.word_table, strict=True):
            written = words[:, 0] != PAD
            own[written] = torch.unique(words[written], dim=0, return_inverse=True)[1]
        return ids

    @cached_property
    def length_table(self) -> Int64[Tensor, "language spelling"]:
        """Tokens per spelling, 0 where there is none."""
        return (self.word_table != PAD).sum(-1)

    @cached_property
    def form_tables(self) -> FormTables:
        """The forms of all languages."""
        lengths = [language.lengths.view(-1, self.board.n_moves) for language in self.languages]
        return form_tables([language.traits for language in self.languages], lengths)

    @cached_property
    def order_table(self) -> Int64[Tensor, "language 3"]:
        """Plies that are reversed together, whether the order is drawn for every game, and a salt for what is drawn."""
        rows = [
            [window_of(one.traits, self.board.n_moves), one.traits.order is Order.permutation, derive(0, one.name)]
            for one in self.languages
        ]
        return torch.tensor(rows, dtype=torch.int64)

    @cached_property
    def own_table(self) -> Bool[Tensor, "language token"]:
        """Whether a language writes an id."""
        table = torch.zeros(len(self.languages), self.vocabulary_size, dtype=torch.bool)
        for index, language in enumerate(self.languages):
            table[index, list(language.ids)] = True
        return table

    @cached_property
    def id_table(self) -> Int64[Tensor, "language rank"]:
        """Every id that a language writes, ascending, then PAD."""
        table = torch.full((len(self.languages), max(len(language.ids) for language in self.languages)), PAD)
        for index, language in enumerate(self.languages):
            table[index, : len(language.ids)] = torch.tensor(language.ids)
        return table

    @cached_property
    def state_table(self) -> Int64[Tensor, "language spelling part"]:
        """State of a language's decoder after the first ``part`` tokens of a spelling; ROOT after all of them."""
        table = torch.full(self.word_table.shape, ROOT)
        for index, language in enumerate(self.languages):
            next_state = self.trie(index).next_state
            for spelling, word in enumerate(language.words):
                for part, token in enumerate(word[:-1]):
                    table[index, spelling, part + 1] = next_state[table[index, spelling, part], token]
        return table

    @cached_property
    def continuation_table(self) -> Int64[Tensor, "language state spelling"]:
        """The token that continues each spelling from each state of a language's decoder, -1 for other spellings."""
        table = torch.full((len(self.languages), int(self.state_table.max()) + 1, self.word_table.shape[1]), -1)
        for index, language in enumerate(self.languages):
            for spelling, word in enumerate(language.words):
                if word:
                    table[index, self.state_table[index, spelling, : len(word)], spelling] = torch.tensor(word)
        return table

    def trie(self, language: int) -> WordTrie:
        return self.languages[language].trie(self.vocabulary_size)
