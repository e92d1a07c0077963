"""The loss floor: the entropy of the true distribution of the next token, over exactly the scored positions.

The corpus' oracle gives the distribution of the next move, and a language's traits that of its spelling (a marker is
decided by the board, a synonym drawn); the entropy is spread over the tokens. Anchors
can hide the language of a game, so the distribution of the next token is a mixture over all languages that could have
written the prefix, weighted by their likelihoods.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from mothello.data.batch import IGNORE, LabeledBatch, rows
from mothello.data.oracle import Oracle
from mothello.languages.language import PAD, ROOT, decode
from mothello.languages.language_set import LanguageSet, OutputVocabulary


class Floor(NamedTuple):
    """Mean entropy per scored position, in nats, and its standard error over games; nan where it is not known."""

    nats: float
    standard_error: float
    reason: str = ""
    """Why it is not known."""


def unknown(reason: str) -> Floor:
    """An unknown floor, with its reason."""
    return Floor(float("nan"), float("nan"), reason)


class _Reading(NamedTuple):
    """The tokens as read in one language: distributions over the next token and the next move, and the log likelihood
    of the tokens before each place (-inf where the language cannot have written them), and whether they end a move."""

    token: Float[Tensor, "game token vocabulary"]
    move: Float[Tensor, "game token move"]
    log_weight: Float[Tensor, "game token"]
    between: Bool[Tensor, "game token"]


def _read(
    tokens: Int64[Tensor, "game token"], language_set: LanguageSet, language: int, oracle: Oracle, columns: Tensor
) -> _Reading:
    """columns: place of each token id among the ids of the possible languages."""
    trie, board = language_set.trie(language), language_set.board
    n, length = tokens.shape
    decoded = decode(tokens, trie)
    moves = decoded.moves[:, : board.n_moves]
    predicted = language_set.spelled_law(oracle(moves).float(), moves, torch.full((n,), language))
    state, ply = torch.full((n,), ROOT), torch.zeros(n, dtype=torch.int64)
    rows, continuing, width = torch.arange(n), language_set.continuation_table[language], int(columns.max()) + 1
    token_p, move_p, weights, between = [], [], [], []
    log_weight = torch.zeros(n)
    for place in range(length):
        following = continuing[state]
        possible = predicted[rows, ply.clamp(max=predicted.shape[1] - 1)] * (following >= 0)
        total = possible.sum(1, keepdim=True).clamp(min=1e-30)  # between moves: P(the game continues)
        possible = torch.where((state == ROOT).unsqueeze(1), possible, possible / total)
        p = torch.zeros(n, width).scatter_add_(1, columns[following.clamp(min=0)], possible)
        token_p.append(p)
        move_p.append(possible.view(n, -1, board.n_moves).sum(1))
        weights.append(log_weight)
        between.append(state == ROOT)
        token = tokens[:, place]
        log_weight = log_weight + p[rows, columns[token]].log()
        ply = ply + (trie.move[state, token] >= 0)
        state = trie.next_state[state, token]
    return _Reading(*(torch.stack(column, 1) for column in (token_p, move_p, weights, between)))


def _each(oracles: Oracle | Sequence[Oracle], language_set: LanguageSet) -> list[Oracle]:
    n = len(language_set.languages)
    each = list(oracles) if isinstance(oracles, Sequence) else [oracles] * n
    assert len(each) == n, "one oracle, or one per language"
    return each


def _possible(language: Int64[Tensor, " game"], language_set: LanguageSet) -> list[int]:
    """Languages that share a token with a language of the batch, ascending: no other can have written it."""
    ids = language_set.own_table[torch.unique(language)].any(0)
    return torch.nonzero((language_set.own_table & ids).any(1)).flatten().tolist()


def entropies(
    batch: LabeledBatch,
    language_set: LanguageSet,
    oracles: Oracle | Sequence[Oracle],
    weights: Sequence[float] | None = None,
) -> Float[Tensor, "game token"]:
    """Expected loss of the best prediction at each place, in nats; zero where nothing is scored. Works on the CPU.

    The prediction is the mixture over languages, the truth is the game's own language: the mean over games of all
    languages is the mixture's entropy. oracles: one for all languages, or one per language. weights: frequencies of the
    languages.
    """
    tokens, language = batch.text.tokens.cpu(), batch.text.language.cpu()
    known, speakers = _each(oracles, language_set), _possible(language, language_set)
    ids = language_set.own_table[speakers].any(0)
    columns = torch.where(ids, ids.cumsum(0), 0)  # 0: ids that these languages never write, such as PAD
    readings = [_read(tokens, language_set, k, known[k], columns) for k in speakers]
    prior = torch.tensor([weights[k] if weights else 1.0 for k in speakers]).log().view(-1, 1, 1)
    log_weight = prior + torch.stack([r.log_weight for r in readings])[:, :, 1:]
    if batch.classes is not None:  # the classes of a game tell its language
        log_weight = log_weight.masked_fill((torch.tensor(speakers).unsqueeze(1) != language).unsqueeze(-1), -torch.inf)
    unified = language_set.output is OutputVocabulary.unified
    if unified:  # a language in which the next move is not due yet is not scored here
        log_weight = log_weight.masked_fill(~torch.stack([r.between for r in readings])[:, :, 1:], -torch.inf)
    p = torch.stack([r.move if unified else r.token for r in readings])[:, :, 1:]
    mixed = (p * log_weight.softmax(0).unsqueeze(-1)).sum(0)
    mixed = mixed / mixed.sum(-1, keepdim=True).clamp(min=1e-30)  # the game is over in some readings
    truth = p[torch.searchsorted(torch.tensor(speakers), language), torch.arange(len(tokens))]
    truth = truth / truth.sum(-1, keepdim=True).clamp(min=1e-30)
    loss = -torch.special.xlogy(truth, mixed).sum(-1)
    loss = torch.cat([loss, torch.zeros(len(tokens), 1)], 1)
    return torch.where(batch.targets.cpu() == IGNORE, 0.0, loss)


def floor(
    batch: LabeledBatch,
    language_set: LanguageSet,
    oracles: Oracle | Sequence[Oracle],
    weights: Sequence[float] | None = None,
) -> Floor:
    """The floor of a batch's loss: exact for these games, with the standard error over games."""
    assert bool((batch.text.tokens != PAD).any()), "no games"
    pieces = [rows(batch, slice(i, i + 128)) for i in range(0, len(batch.targets), 128)]
    entropy = torch.cat([entropies(piece, language_set, oracles, weights) for piece in pieces]).double()
    scored = (batch.targets.cpu() != IGNORE).sum(1).double()
    mean = float(entropy.sum() / scored.sum())
    residual = entropy.sum(1) - mean * scored
    error = float(residual.std() / scored.mean() / len(scored) ** 0.5) if len(scored) > 1 else float("nan")
    return Floor(mean, error)
