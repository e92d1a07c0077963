"""The languages of one model, built from its config on one vocabulary."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Float, Int8, Int64
from torch import Tensor

from mothello.errors import UserError
from mothello.languages.anchors import Member, anchor_links
from mothello.languages.config import LanguagesConfig, OutputVocabulary
from mothello.languages.forms import FormTables, game_keys, law_of_forms, random_plies, told_forms
from mothello.languages.kinds import LANGUAGE_KINDS
from mothello.languages.language import PAD, Language
from mothello.languages.lexicon import lexicon, merge_homonyms, spellings
from mothello.languages.order import places
from mothello.languages.tables import Tables
from mothello.languages.traits import Order, Traits
from mothello.languages.vocabulary import Words, allocate, compact, share, share_tokens
from mothello.othello.board import Board


class Encoded(NamedTuple):
    """A batch of games as tokens, PAD after the end."""

    tokens: Int64[Tensor, "game token"]
    move_ends: Int64[Tensor, "game ply"]
    """Index of each move's last token, -1 after the end."""


@dataclass(frozen=True, eq=False, kw_only=True)
class LanguageSet(Tables):
    """Languages on one vocabulary. ``links`` are the anchors, as lists of (language, move)."""

    output: OutputVocabulary
    links: tuple[tuple[Member, ...], ...]
    special_tokens: tuple[str, ...] = ()
    """Tokens that no language writes and no model predicts, such as "mask"; their ids come after the languages'."""

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
    def board_hidden_by(self) -> str:
        """The trait for which the tokens so far do not fix the board, as KEY=VALUE; empty where they do. Without the
        board there is no legality of the next move, and no exact floor of a causal loss."""
        hiding = ((one.name, one.traits.hides_board) for one in self.languages)
        return next((f"languages.traits.{name}.{trait}" for name, trait in hiding if trait), "")

    @property
    def prefix_fixes_board(self) -> bool:
        return not self.board_hidden_by

    def require_board(self, user: str) -> None:
        """UserError unless the tokens so far fix the board. user: what needs it."""
        if trait := self.board_hidden_by:
            raise UserError(f"{user} needs the board after every prefix of a text; with {trait} it is not known")

    @property
    def one_spelling(self) -> bool:
        """Whether every move has one word in each language, and every word one move."""
        return not any(one.traits.n_forms > 1 or one.traits.homonyms for one in self.languages)

    def require_one_spelling(self, user: str) -> None:
        """UserError where a move is written in several ways, or two moves in one. user: what knows one word a move."""
        for one in self.languages:
            if one.traits.n_forms > 1 or one.traits.homonyms:
                line = f"{user} knows one word for every move; leave out markers, synonyms and homonyms"
                raise UserError(f"{line} (languages.traits.{one.name})")

    @cached_property
    def reorders(self) -> bool:
        """Whether a language writes plies in another order than they are played in."""
        return any(language.traits.order is not Order.forward for language in self.languages)

    @cached_property
    def permutes(self) -> bool:
        """Whether a language draws the order of every game."""
        return any(language.traits.order is Order.permutation for language in self.languages)

    def width(self, languages: Int64[Tensor, " game"]) -> int:
        """Tokens per row that hold any game of the languages present."""
        present = torch.unique(languages.cpu()).tolist()
        return max(self.languages[index].max_tokens for index in present)

    def _drawn(
        self, moves: Int64[Tensor, "game ply"], languages: Int64[Tensor, " game"], keys: Tensor | None, use: str
    ) -> Int64[Tensor, "game ply"]:
        keys = game_keys(moves) if keys is None else keys
        return random_plies(keys, moves.shape[1], self.table("order_table", moves.device)[languages, 2], use)

    def spelled(
        self, moves: Int64[Tensor, "game ply"], languages: Int64[Tensor, " game"], keys: Tensor | None = None
    ) -> Int64[Tensor, "game ply"]:
        """The spelling of each move, any after the end; see :meth:`encode`."""
        known = moves.clamp(min=0)
        if self.n_forms == 1:
            return known
        tables: FormTables = self.table("form_tables", moves.device)
        step, language = tables.step[languages].unsqueeze(1), languages.unsqueeze(1)
        two = tables.share[language, step[..., 2], known] > 0
        second = two * (self._drawn(moves, languages, keys, "synonyms") & 1)
        form = (told_forms(moves, self.board) * step[..., :2]).sum(-1) + second * step[..., 2]
        return form * self.board.n_moves + known

    def spelled_law(
        self,
        law: Float[Tensor, "game state move"],
        moves: Int8[Tensor, "game ply"] | Int64[Tensor, "game ply"],
        languages: Int64[Tensor, " game"],
    ) -> Float[Tensor, "game state spelling"]:
        """The distribution of the next move -> that of how it will be spelled, given the board."""
        if self.n_forms == 1:
            return law
        tables = FormTables(*(table[languages] for table in self.table("form_tables", law.device)))
        return law_of_forms(law, moves.long(), tables, self.board)

    def spellings_of(
        self,
        tokens: Int64[Tensor, "game token"],
        move_ends: Int64[Tensor, "game ply"],
        moves: Int64[Tensor, "game ply"],
        languages: Int64[Tensor, " game"],
    ) -> Int64[Tensor, "game ply"]:
        """The spelling of each move as a text has it, -1 after the end."""
        if self.n_forms == 1:
            return moves
        n, known, language = self.board.n_moves, moves.clamp(min=0).unsqueeze(-1), languages.view(-1, 1, 1)
        possible = known + n * torch.arange(self.n_forms, device=moves.device)
        words = self.table("word_table", moves.device)[language, possible]
        lengths = self.table("length_table", moves.device)[language, possible].unsqueeze(-1)
        part = torch.arange(self.max_word, device=moves.device)
        at = (move_ends.view(*moves.shape, 1, 1) - lengths + 1 + part).clamp(0, tokens.shape[1] - 1)
        there = tokens.gather(1, at.flatten(1)).view(at.shape)
        same = ((there == words) | (part >= lengths)).all(-1) & (lengths.squeeze(-1) > 0)
        return torch.where(moves < 0, -1, known.squeeze(-1) + n * same.int().argmax(-1))

    def places(
        self, moves: Int64[Tensor, "game ply"], languages: Int64[Tensor, " game"], keys: Tensor | None = None
    ) -> Int64[Tensor, "game ply"]:
        """Place of every ply among the plies of its game as they are written; see :meth:`encode`."""
        window, permuted, _ = self.table("order_table", moves.device)[languages].unbind(1)
        random = None
        if self.permutes:
            drawn = self._drawn(moves, languages, keys, "order")
            random = torch.where(permuted.bool().unsqueeze(1), drawn, -1)
        return places(moves >= 0, window, random)

    def encode(
        self,
        moves: Int8[Tensor, "game ply"] | Int64[Tensor, "game ply"],
        languages: Int64[Tensor, " game"],
        width: int | None = None,
        keys: Int64[Tensor, " game"] | None = None,
        spoken: Int64[Tensor, "game ply"] | None = None,
    ) -> Encoded:
        """Write each game in its language: one table look-up and one scatter.

        moves: move indices, negative after the end. width: tokens per row, by default what the languages present
        can need. keys: a number of each game that decides what a language is free to choose (synonyms, a permuted
        order), such as its index; by default one that its moves decide. spoken: the language of each word, by default
        the game's, which decides the order. Moves must come from a game (each at most
        once), else they may not fit: AssertionError.
        """
        moves = moves.long()
        device = moves.device
        width = self.width(languages) if width is None else width
        played, spelling = moves >= 0, self.spelled(moves, languages, keys)
        language = languages.unsqueeze(1) if spoken is None else spoken
        words = self.table("word_table", device)[language, spelling]
        lengths = torch.where(played, self.table("length_table", device)[language, spelling], 0)
        ends = lengths.cumsum(1) - 1
        if self.reorders:
            place = self.places(moves, languages, keys)
            ends = torch.empty_like(lengths).scatter_(1, place, lengths).cumsum(1).gather(1, place) - 1
        assert bool((ends < width).all()), "a game does not fit the row"
        parts = torch.arange(self.max_word, device=device)
        at = (ends - lengths + 1).unsqueeze(-1) + parts
        at = torch.where(parts < lengths.unsqueeze(-1), at, width)  # unused parts go to a spare column
        tokens = torch.full((len(moves), width + 1), PAD, device=device)
        tokens.scatter_(1, at.flatten(1), words.flatten(1))
        return Encoded(tokens[:, :-1], torch.where(played, ends, -1))

    def written(self, game: Int8[Tensor, "1 ply"], language: int) -> list[list[int]]:
        """The token ids of every move of one game, in the order in which they are written."""
        tokens, ends = self.encode(game, torch.tensor([language], device=game.device))
        stops = sorted(end + 1 for end in ends[0].tolist() if end >= 0)
        return [tokens[0, first:stop].tolist() for first, stop in zip([0, *stops], stops, strict=False)]


def build_languages(config: LanguagesConfig, board: Board) -> LanguageSet:
    """The languages of a config on one vocabulary. UserError names the key that does not fit the board."""
    names, kinds = config.language_names(), config.expanded_kinds()
    traits = [config.traits.get(name) or Traits() for name in names]
    local: list[Words] = []
    for kind, name, own in zip(kinds, names, traits, strict=True):
        if own.window > board.n_moves:
            line = f"{own.window} is above the longest game of {board.name}, {board.n_moves} plies"
            raise UserError(f"languages.traits.{name}.window: {line}")
        local.append(lexicon(LANGUAGE_KINDS.build(config.config_of(kind)), own, board, config.vocabulary_seed, name))
    links = anchor_links(config.anchors, names, board)
    words = share(allocate(local)[0], links, config.anchors.sharing)
    if config.anchors.subtokens:
        words = share_tokens(words, board.n_moves, config.anchors.subtokens)
    for index, (name, own) in enumerate(zip(names, traits, strict=True)):
        anchored = {move for link in links for language, move in link if language == index}
        words[index] = merge_homonyms(words[index], own, board, name, anchored)
    words, size = compact(words)
    languages = tuple(
        Language(name, kind, tuple(spellings(table, own, board, name)), own)
        for name, kind, table, own in zip(names, kinds, words, traits, strict=True)
    )
    return LanguageSet(
        board=board, languages=languages, vocabulary_size=size, output=config.output, links=tuple(map(tuple, links)),
        special_tokens=tuple(config.special_tokens),
    )  # fmt: skip
