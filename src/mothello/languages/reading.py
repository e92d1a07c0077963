"""Reading whole texts: from the tokens of games back to their moves, in the order in which they were played."""

import torch
import torch.nn.functional as F
from jaxtyping import Int64
from torch import Tensor

from mothello.errors import UserError
from mothello.languages.forms import told_forms
from mothello.languages.language import Decoded, decode
from mothello.languages.language_set import LanguageSet
from mothello.languages.traits import Order


def read_games(
    tokens: Int64[Tensor, "game token"],
    language_set: LanguageSet,
    language: int,
    keys: Int64[Tensor, " game"] | None = None,
) -> Decoded:
    """Rows of token ids (PAD ends a row) -> moves [game, ply] as they were played, -1 after the end. The inverse of
    :meth:`LanguageSet.encode`, and strict: besides what :func:`decode` refuses, a marker that the board contradicts is
    an error, at the last token of its move.

    Moves before an error are read where plies are written as they are played, else none. keys: those that the games
    were written with; UserError where a permuted order needs them, and in a language with homonyms, whose text has
    several readings.
    """
    speaker, n = language_set.languages[language], language_set.board.n_moves
    traits, key = speaker.traits, f"languages.traits.{speaker.name}"
    if traits.homonyms:
        raise UserError(f"{key}.homonyms: a word of two moves cannot be read; a text has several readings")
    if traits.order is Order.permutation and keys is None:
        raise UserError(f"{key}.order: a permuted text can be read with the keys of its games only")
    written, error_at = decode(tokens, speaker.trie(language_set.vocabulary_size, spelled=True))
    plies = int((written >= 0).sum(1).max())
    written = F.pad(written[:, : max(plies, n)], (0, max(0, n - written.shape[1])), value=-1)
    languages = torch.full_like(error_at, language)
    place = language_set.places(written, languages, keys)
    length = torch.where(written >= 0, speaker.lengths.to(tokens.device)[written.clamp(min=0)], 0)
    ends, spelling = ((x.gather(1, place)) for x in (length.cumsum(1) - 1, written))
    moves = torch.where(spelling < 0, -1, spelling % n)
    told = language_set.table("form_tables", tokens.device).told[language][spelling.clamp(min=0) // n]
    wrong = ((told >= 0) & (told != told_forms(moves, language_set.board))).any(-1) & (moves >= 0)
    if reordered := traits.order is not Order.forward:
        wrong &= (error_at < 0).unsqueeze(1)  # of a text cut short, no ply's place is known
    error_at = torch.where(wrong.any(1), torch.where(wrong, ends, tokens.shape[1]).amin(1), error_at)
    lost = (error_at >= 0).unsqueeze(1) & (reordered | (ends >= error_at.unsqueeze(1)))
    return Decoded(torch.where(lost, -1, moves), error_at)
