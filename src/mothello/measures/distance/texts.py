"""Numbers of texts: the edit distance of renderings, and how much a token tells of the move that it writes."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from mothello.data.batch import Batch
from mothello.languages.language import PAD
from mothello.languages.language_set import LanguageSet


def edit_distance(one: Int64[Tensor, "game token"], other: Int64[Tensor, "game token"]) -> Float[Tensor, " game"]:
    """Levenshtein distance of rows that end with PAD, in tokens, as a share of the longer row; 0..1."""
    lengths, widths = ((rows != PAD).sum(1) for rows in (one, other))
    column = torch.arange(other.shape[1] + 1, device=other.device)
    distance = column.expand(len(other), -1)
    for place, token in enumerate(one.unbind(1)):
        changed = distance[:, :-1] + (other != token.unsqueeze(1))
        best = torch.cat([distance[:, :1] + 1, torch.minimum(changed, distance[:, 1:] + 1)], 1)
        best = (best - column).cummin(1).values + column  # insertions, all at once
        distance = torch.where((place < lengths).unsqueeze(1), best, distance)
    return distance.gather(1, widths.unsqueeze(1)).squeeze(1) / torch.maximum(lengths, widths).clamp(min=1)


def token_move_counts(batch: Batch, language_set: LanguageSet) -> Float[Tensor, "token move"]:
    """How often each token stands in what is written of each move."""
    played = batch.move_ends >= 0
    at = torch.where(played, batch.move_ends, batch.tokens.shape[1] + 1)
    ends, ply = at.sort(1)
    place = torch.arange(batch.tokens.shape[1], device=at.device).expand(len(at), -1)
    which = torch.searchsorted(ends, place.contiguous()).clamp(max=at.shape[1] - 1)
    move = batch.moves.long().gather(1, ply.gather(1, which))
    written = batch.tokens != PAD
    n = language_set.board.n_moves
    counts = torch.bincount((batch.tokens * n + move)[written], minlength=language_set.vocabulary_size * n)
    return counts.view(-1, n).double()


def information(counts: Float[Tensor, "token move"]) -> float:
    """Mutual information in bits of a joint distribution given as counts."""
    joint = counts / counts.sum()
    apart = joint.sum(0, keepdim=True) * joint.sum(1, keepdim=True)
    return float(torch.special.xlogy(joint, joint / apart.clamp(min=1e-300)).sum() / torch.tensor(2.0).log())
