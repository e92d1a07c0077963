"""The languages of one model, built from its config on one vocabulary."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int8, Int64
from torch import Tensor

from mothello.errors import UserError
from mothello.languages.anchors import Member, anchor_links
from mothello.languages.config import LanguagesConfig, OutputVocabulary
from mothello.languages.kinds import LANGUAGE_KINDS
from mothello.languages.language import PAD, ROOT, Language, WordTrie
from mothello.languages.vocabulary import Words, allocate, compact, share
from mothello.othello.board import Board


class Encoded(NamedTuple):
    """A batch of games as tokens, PAD after the end."""

    tokens: Int64[Tensor, "game token"]
    move_ends: Int64[Tensor, "game ply"]
    """Index of each move's last token, -1 after the end."""


@dataclass(frozen=True, eq=False)
class LanguageSet:
    """Languages on one vocabulary. ``links`` are the anchors, as lists of (language, move)."""

    board: Board
    languages: tuple[Language, ...]
    vocabulary_size: int
    output: OutputVocabulary
    links: tuple[tuple[Member, ...], ...]
    special_tokens: tuple[str, ...] = ()
    """Tokens that no language writes and no model predicts, such as "mask"; their ids come after the languages'."""
    _tables: dict[str, Tensor] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        return [language.name for language in self.languages]

    def index(self, name: str) -> int:
        """Index of the language of that name. UserError lists the names."""
        if name not in self.names:
            raise UserError(f"no language {name!r}; there are {', '.join(self.names)}")
        return self.names.index(name)

    def special(self, name: str) -> int:
        """Id of a special token. UserError where there is none of that name."""
        if name not in self.special_tokens:
            raise UserError(f"run: the model was trained without a {name} token")
        return self.vocabulary_size + self.special_tokens.index(name)

    @property
    def output_size(self) -> int:
        """Number of classes the model predicts over."""
        return self.board.n_moves if self.output is OutputVocabulary.unified else self.vocabulary_size

    @property
    def max_tokens(self) -> int:
        """Positions a model needs: the longest game in the wordiest language."""
        return max(language.max_tokens for language in self.languages)

    @property
    def max_word(self) -> int:
        return max(language.max_word for language in self.languages)

    def table(self, name: str, device: torch.device) -> Tensor:
        """One of the tables below on a device, copied there once."""
        key = f"{name}@{device}"
        if key not in self._tables:
            self._tables[key] = getattr(self, name).to(device)
        return self._tables[key]

    @cached_property
    def word_table(self) -> Int64[Tensor, "language move part"]:
        """Token ids of every move, PAD after short words."""
        table = torch.full((len(self.languages), self.board.n_moves, self.max_word), PAD)
        for index, language in enumerate(self.languages):
            for move, word in enumerate(language.words):
                table[index, move, : len(word)] = torch.tensor(word)
        return table

    @cached_property
    def length_table(self) -> Int64[Tensor, "language move"]:
        """Tokens per move."""
        return torch.stack([language.lengths for language in self.languages])

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
    def state_table(self) -> Int64[Tensor, "language move part"]:
        """State of a language's decoder after the first ``part`` tokens of a move's word; ROOT after all of them."""
        table = torch.full((len(self.languages), self.board.n_moves, self.max_word), ROOT)
        for index, language in enumerate(self.languages):
            next_state = self.trie(index).next_state
            for move, word in enumerate(language.words):
                for part, token in enumerate(word[:-1]):
                    table[index, move, part + 1] = next_state[table[index, move, part], token]
        return table

    @cached_property
    def continuation_table(self) -> Int64[Tensor, "language state move"]:
        """The token that continues each move's word from each state of a language's decoder, -1 for other words."""
        table = torch.full((len(self.languages), int(self.state_table.max()) + 1, self.board.n_moves), -1)
        for index, language in enumerate(self.languages):
            for move, word in enumerate(language.words):
                table[index, self.state_table[index, move, : len(word)], move] = torch.tensor(word)
        return table

    def trie(self, language: int) -> WordTrie:
        return self.languages[language].trie(self.vocabulary_size)

    def width(self, languages: Int64[Tensor, " game"]) -> int:
        """Tokens per row that hold any game of the languages present."""
        present = torch.unique(languages.cpu()).tolist()
        return max(self.languages[index].max_tokens for index in present)

    def encode(
        self,
        moves: Int8[Tensor, "game ply"] | Int64[Tensor, "game ply"],
        languages: Int64[Tensor, " game"],
        width: int | None = None,
    ) -> Encoded:
        """Write each game in its language: one table look-up and one scatter.

        moves: move indices, negative after the end. width: tokens per row, by default what the languages present
        can need. Moves must come from a game (each at most once), else they may not fit: AssertionError.
        """
        moves = moves.long()
        device = moves.device
        width = self.width(languages) if width is None else width
        played = moves >= 0
        known = torch.where(played, moves, 0)
        words = self.table("word_table", device)[languages.unsqueeze(1), known]
        lengths = torch.where(played, self.table("length_table", device)[languages.unsqueeze(1), known], 0)
        ends = lengths.cumsum(1) - 1
        assert int(ends[:, -1].max()) < width, "a game does not fit the row"
        parts = torch.arange(self.max_word, device=device)
        places = (ends - lengths + 1).unsqueeze(-1) + parts
        places = torch.where(parts < lengths.unsqueeze(-1), places, width)  # unused parts go to a spare column
        tokens = torch.full((len(moves), width + 1), PAD, device=device)
        tokens.scatter_(1, places.flatten(1), words.flatten(1))
        return Encoded(tokens[:, :-1], torch.where(played, ends, -1))


def build_languages(config: LanguagesConfig, board: Board) -> LanguageSet:
    """The languages of a config on one vocabulary. UserError names the key that does not fit the board."""
    names, kinds = config.language_names(), config.expanded_kinds()
    local: list[Words] = []
    for kind, name in zip(kinds, names, strict=True):
        local.append(LANGUAGE_KINDS.build(config.config_of(kind)).words(board, config.vocabulary_seed, name))
        if len(local[-1]) != board.n_moves or not all(local[-1]):
            raise UserError(f"languages.kinds: {kind} must write each of the {board.n_moves} moves of {board.name}")
    links = anchor_links(config.anchors, names, board)
    words, size = compact(share(allocate(local)[0], links, config.anchors.sharing))
    languages = tuple(Language(name, kind, tuple(table)) for name, kind, table in zip(names, kinds, words, strict=True))
    special = tuple(config.special_tokens)
    return LanguageSet(board, languages, size, config.output, tuple(map(tuple, links)), special)
