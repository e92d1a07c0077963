"""What a model knows of hidden moves, compared with their exact posterior."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int8, Int64
from torch import Tensor

from mothello.data.batch import Context, hidden_after, in_language
from mothello.languages.language_set import LanguageSet, OutputVocabulary
from mothello.measures.masked.posterior import Hidden, Posterior
from mothello.model.edited import Model
from mothello.model.inputs import Inputs
from mothello.objectives.masked_lm import MASK

ROWS_AT_ONCE = 256
"""Games in one pass of the model."""
Column = tuple[str, str]
"""Quantity and control, as in rows; the control "trained" stands for the model itself."""


def shown_contexts(language_set: LanguageSet) -> list[Context]:
    """What can be shown of a game around a hidden move. Where plies are written in another order, the places of a
    prefix would tell how long the game is: there it is the whole game alone."""
    return [Context.game] if language_set.reorders else [Context.game, Context.prefix]


class Word(NamedTuple):
    """The hidden words in a language: where they stand, and which words of the language the row admits."""

    places: Int64[Tensor, "position part"]
    hidden: Bool[Tensor, "position part"]
    """Tokens that are hidden; others are shown, or no part of the word."""
    fits: Bool[Tensor, "position move"]
    """As long as the played word, and alike in the tokens that are shown."""


class Guess(NamedTuple):
    """What a model says about hidden moves."""

    log_q: Float[Tensor, "position move"]
    """Log probability, float64: of the hidden tokens' product, which the model predicts independently. Not normalized:
    the rest is on tokens that spell no move, another language's, or a word that does not fit."""
    named: Bool[Tensor, "position move"]
    """The move that the likeliest token of each hidden place spells; none where it spells none."""


def hidden_words(
    ends: Int64[Tensor, " position"], played: Int64[Tensor, " position"], hidden: Hidden, language_set: LanguageSet,
    language: int, one_token: bool,
) -> Word:  # fmt: skip
    """ends: place of the last token of each hidden word. one_token: of a word one token alone is hidden."""
    longest = language_set.languages[language].max_word
    words = language_set.table("word_table", ends.device)[language, :, :longest]
    lengths = language_set.table("length_table", ends.device)[language]
    own, parts = lengths[played].unsqueeze(1), torch.arange(longest, device=ends.device)
    which = parts < own
    if one_token:
        which = parts == (hidden.part.unsqueeze(1) * own).long()
    alike = ((words == words[played].unsqueeze(1)) | which.unsqueeze(1)).all(-1)
    places = ends.unsqueeze(1) - own + 1 + parts
    return Word(torch.where(which, places, 0), which, alike & (lengths == own))


def guesses(log_p: Float[Tensor, "position part class"], word: Word, language_set: LanguageSet, language: int) -> Guess:
    """Of moves, from log probabilities of the classes at each hidden place. Under a unified output, those at the last
    hidden token of a word."""
    if language_set.output is OutputVocabulary.unified:
        parts = torch.arange(word.hidden.shape[1], device=log_p.device)
        last = torch.where(word.hidden, parts, -1).amax(1)
        log_q = log_p[torch.arange(len(log_p), device=log_p.device), last]
        named = torch.zeros_like(word.fits).scatter(1, log_q.argmax(1, keepdim=True), True)
        return Guess(log_q, named)
    words = language_set.table("word_table", log_p.device)[language, :, : word.hidden.shape[1]]
    chosen = log_p.gather(2, words.T.expand(len(log_p), -1, -1))
    spelled = torch.where(word.hidden.unsqueeze(-1), chosen, 0.0)
    right = (words == log_p.argmax(-1).unsqueeze(1)) | ~word.hidden.unsqueeze(1)
    return Guess(spelled.sum(1), right.all(-1) & word.fits)


def compared(guess: Guess, known: Posterior, word: Word) -> dict[Column, Float[Tensor, " position"]]:
    """The numbers of every position, float64. known: the posterior given which words fit."""
    right = known.played.unsqueeze(1)
    entropy = -torch.special.xlogy(known.p, known.p).sum(1)
    nats = -torch.where(known.p == 0, 0.0, known.p * guess.log_q).sum(1)
    open_ = (known.open & word.fits).sum(1)
    columns = {
        ("top1", "trained"): (guess.named & known.possible).any(1),
        ("top1", "chance"): known.possible.sum(1) / open_,
        ("masked_accuracy", "trained"): guess.named.gather(1, right).squeeze(1),
        ("masked_accuracy", "best"): known.p.amax(1),
        ("masked_accuracy", "chance"): 1 / open_,
        ("mass", "trained"): (guess.log_q.exp() * known.possible).sum(1),
        ("masked_nats", "trained"): nats,
        ("masked_nats", "floor"): entropy,
        ("masked_excess_nats", "trained"): nats - entropy,
    }
    return {column: values.double() for column, values in columns.items()}


def given_the_row(known: Posterior, word: Word) -> Posterior:
    """The posterior where the row shows how many tokens are hidden, and all others."""
    p = known.p * word.fits
    return known._replace(possible=known.possible & word.fits, p=p / p.sum(1, keepdim=True))


def count_masked(
    model: Model, moves: Int8[Tensor, "game ply"], hidden: Hidden, known: Posterior, language_set: LanguageSet,
    language: int, one_token: bool = False,
) -> dict[Column, Float[Tensor, " position"]]:  # fmt: skip
    """The numbers of every hidden move, written in one language; eval mode, no gradients.

    top1: the guess is possible. masked_accuracy: it is what was played; best: the mean of the posterior's maximum.
    mass: probability on possible moves. masked_nats: expected under the posterior, so without the noise of what was
    played; floor: the posterior's entropy; masked_excess_nats: their difference, the expected divergence; independent:
    that of the exact posterior of every token of a word by itself. chance: a random square among those that no other
    move shown is on. No columns where nothing is hidden.
    """
    assert not model.training, "hidden moves are guessed in eval mode"
    if not len(hidden.game):
        return {}
    place = torch.arange(len(hidden.game), device=moves.device)
    batch, mask = in_language(moves[hidden.game], language, language_set), language_set.special(MASK)
    word = hidden_words(batch.move_ends[place, hidden.ply], known.played, hidden, language_set, language, one_token)
    width, whole = batch.tokens.shape[1], hidden.last == (batch.moves >= 0).sum(1) - 1
    batch = hidden_after(batch, torch.where(whole, width, batch.move_ends[place, hidden.last]), mask)
    spare = F.pad(batch.tokens, (0, 1))
    tokens = spare.scatter(1, torch.where(word.hidden, word.places, width), mask)[:, :-1]
    with torch.inference_mode():
        parts = zip(tokens.split(ROWS_AT_ONCE), word.places.split(ROWS_AT_ONCE), strict=True)
        log_p = torch.cat([_log_probabilities(model, rows, places, language) for rows, places in parts])
    known = given_the_row(known, word)
    columns = compared(guesses(log_p, word, language_set, language), known, word)
    if language_set.output is OutputVocabulary.own and word.hidden.shape[1] > 1 and not one_token:
        alone = guesses(marginals(known, word, language_set, language).log(), word, language_set, language)
        columns["masked_excess_nats", "independent"] = compared(alone, known, word)["masked_excess_nats", "trained"]
    return columns


def _log_probabilities(
    model: Model, tokens: Int64[Tensor, "row token"], places: Int64[Tensor, "row part"], language: int
) -> Float[Tensor, "row part class"]:
    logits = model(Inputs(tokens, language=torch.full_like(tokens[:, 0], language))).logits
    return logits.gather(1, places.unsqueeze(-1).expand(-1, -1, logits.shape[-1])).double().log_softmax(-1)


def marginals(
    known: Posterior, word: Word, language_set: LanguageSet, language: int
) -> Float[Tensor, "position part class"]:
    """The posterior of every token of the hidden words by itself: the best that independent predictions can be."""
    words = language_set.table("word_table", known.p.device)[language, :, : word.hidden.shape[1]]
    p = known.p.unsqueeze(1).expand(-1, words.shape[1], -1)
    nothing = torch.zeros(*p.shape[:2], language_set.vocabulary_size, dtype=p.dtype, device=p.device)
    return nothing.scatter_add(2, words.T.expand(len(p), -1, -1), p)
