"""Code-switching: single words of a game are written in another language, with the help of a dictionary."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from mothello.config import check, ranged, without_effect
from mothello.data.batch import IGNORE, Batch, Switched
from mothello.data.words import words_of
from mothello.errors import UserError
from mothello.languages.dictionary import dictionary, require_several
from mothello.languages.language_set import LanguageSet, OutputVocabulary
from mothello.othello.counter import random_bits
from mothello.seeding import derive

KEY = "data.code_switching"


class Label(StrEnum):
    """What is predicted of a word that is switched. foreign: the word as it is written. original: the first token of
    the word in the game's own language, and nothing at its other tokens. none: nothing. mixed: foreign or original, a
    draw for every word. both: the word as it is written, but of the loss of its first token half is the original's."""

    foreign = "foreign"
    original = "original"
    none = "none"
    mixed = "mixed"
    both = "both"


@dataclass(kw_only=True)
class CodeSwitching:
    """Words of other languages in training games. Games of one language (evaluation, fine-tuning) have none.

    Published: Conneau et al. 2020 switch with probability .3, up to a share of .15, and predict the foreign word;
    PreAlign (Li et al. 2024) switches with probability .05 and predicts the original. That share was one of a batch;
    here it is one of every game, so that a row depends on its place alone.
    """

    probability: float = ranged(0.0, 0, 1)
    """Chance that a move of the dictionary is written in another language; each other language is as likely."""
    cap: float = ranged(1.0, above=0, high=1)
    """Share of a game's moves that are switched at most; further ones are left."""
    coverage: float = ranged(1.0, above=0, high=1)
    """Share of moves in the dictionary; a larger share contains a smaller one."""
    label: Label = Label.foreign
    """What is predicted of a switched word."""

    def __post_init__(self) -> None:
        check(self, KEY)
        if not self.probability:
            without_effect(self, KEY, f"without {KEY}.probability", "cap", "coverage", "label")

    @property
    def predicts_foreign(self) -> bool:
        """Whether a game's targets hold tokens of other languages."""
        return self.probability > 0 and self.label in (Label.foreign, Label.mixed, Label.both)

    def check_languages(self, language_set: LanguageSet) -> None:
        """UserError where words have no translation, or a label no effect."""
        if not self.probability:
            return
        require_several(language_set, KEY)
        language_set.require_one_spelling(KEY)
        if language_set.output is OutputVocabulary.unified and self.label not in (Label.foreign, Label.none):
            raise UserError(f"{KEY}.label: a move is one class in all languages with a unified output; leave it out")
        if int(self.cap * language_set.board.n_moves) == 0:
            raise UserError(f"{KEY}.cap: {self.cap:g} of {language_set.board.n_moves} moves is none")
        dictionary(language_set, self.coverage, f"{KEY}.coverage")


def code_switched(
    text: Batch,
    places: Int64[Tensor, " game"],
    keys: Int64[Tensor, " game"],
    how: CodeSwitching,
    language_set: LanguageSet,
    seed: int,
) -> Batch:
    """Games with words of other languages in them, and what to predict of their tokens.

    places: of the games in the endless stream; with the seed they decide what is switched. keys: of LanguageSet.encode.
    """
    numbers, width = partial(_numbers, places, text.moves.shape[1], seed), text.tokens.shape[1]
    spoken = _spoken(text, numbers, how, language_set)
    tokens, move_ends = language_set.encode(text.moves, text.language, width, keys, spoken)
    text = text._replace(tokens=tokens, move_ends=move_ends)
    words, own = words_of(text), text.language.unsqueeze(1)
    language = spoken.gather(1, words.ply)
    foreign, begins = language != own, words.part == 0
    stems = language_set.table("word_table", tokens.device)[own, text.moves.long().clamp(min=0), 0]
    first = stems.gather(1, words.ply)
    if how.label is Label.both:
        return text._replace(switched=Switched(language, tokens, torch.where(foreign & begins, first, tokens)))
    if how.label is Label.mixed:
        foreign = foreign & (numbers(2).gather(1, words.ply) < 0.5)
    nothing = torch.full_like(tokens, IGNORE)
    label = {Label.foreign: tokens, Label.none: nothing}.get(how.label, torch.where(begins, first, nothing))
    return text._replace(switched=Switched(language, torch.where(foreign, label, tokens)))


def _numbers(places: Int64[Tensor, " game"], n: int, seed: int, counter: int) -> Float[Tensor, "game ply"]:
    """Numbers in 0..1, functions of the seed and the place."""
    at = places.unsqueeze(1) * n + torch.arange(n, device=places.device)
    return (random_bits(derive(seed, "code switching"), at, counter).double() + 0.5) / 2**32


def _spoken(
    text: Batch, numbers: Callable[[int], Float[Tensor, "game ply"]], how: CodeSwitching, language_set: LanguageSet
) -> Int64[Tensor, "game ply"]:
    """The language of every move's word. Where a row would become longer than a model reads, the game's later words
    stay as they are. numbers: counters 0 and 1 are drawn."""
    moves, own = text.moves.long(), text.language.unsqueeze(1)
    played, known, drawn = moves >= 0, moves.clamp(min=0), numbers(0)
    n = len(language_set.languages)
    other = (own + 1 + (numbers(1) * (n - 1)).long()) % n
    entries = dictionary(language_set, how.coverage, f"{KEY}.coverage").to(moves.device)[own, other, known]
    switched = entries & played & (drawn < how.probability)
    if how.cap < 1:
        rank = torch.where(switched, drawn, 2.0).argsort(1).argsort(1)
        switched = switched & (rank < (how.cap * played.sum(1, keepdim=True)).floor())
    if language_set.max_word > 1:
        lengths = language_set.table("length_table", moves.device)
        longer = (lengths[other, known] - lengths[own, known]).clamp(min=0) * switched
        written = (lengths[own, known] * played).sum(1, keepdim=True)
        switched = switched & (written + longer.cumsum(1) <= text.tokens.shape[1])
    return torch.where(switched, other, own)
