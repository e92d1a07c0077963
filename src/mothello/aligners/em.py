"""IBM models 1 and 2 of word alignment (Brown et al. 1993), fitted by EM on batches of texts; model 2 with the diagonal
prior of Dyer et al. (2013).

A text is a row of words in the order in which they are written, -1 after the end. Every target word is the translation
of one source word, or of the null word. A table holds p(target word | source word). Its last row is the null word's;
its last column, that of what is after the end, is 0.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

Table = Float[Tensor, "source target"]
TEXTS_AT_ONCE = 128
"""Pairs of texts whose posteriors are held together, each of them words x words numbers."""
TINY = 1e-300
"""A sum of probabilities below it is 0, and nothing is divided by it."""


class Prior(NamedTuple):
    """Where the source of a target word stands, before the words are known."""

    null: float
    """Probability of the null word."""
    tension: float
    """Weight of a source place: exp(-tension * |i / l - j / m|), of place i of l and place j of m. 0 is model 1."""

    def __call__(self, source: Bool[Tensor, "text i"], target: Bool[Tensor, "text j"]) -> Float[Tensor, "text 1+i j"]:
        """Probability of every source place, the null word's last, for every target place; 0 after the source's end.
        source, target: which places hold a word."""
        lengths = torch.stack([source.sum(1), target.sum(1)], 1)
        kinds, which = torch.unique(lengths, dim=0, return_inverse=True)
        n, m = (length.clamp(min=1).view(-1, 1, 1).double() for length in kinds.unbind(1))
        i, j = (torch.arange(1, held.shape[1] + 1, device=held.device) for held in (source, target))
        weight = torch.exp(-self.tension * (i.view(-1, 1) / n - j / m).abs()) * (i.view(-1, 1) <= kinds[:, :1, None])
        places = (1 - self.null) * weight / weight.sum(1, keepdim=True).clamp(min=TINY)
        return torch.cat([places, torch.full_like(places[:, :1], self.null)], 1)[which]


def joint(
    table: Table, prior: Prior, source: Int64[Tensor, "text i"], target: Int64[Tensor, "text j"]
) -> tuple[Float[Tensor, "text 1+i j"], Int64[Tensor, "text 1+i j"]]:
    """p(target word j, its source is word i), the null word last, and the cell of the table that tells of the two."""
    rows, columns = table.shape
    with_null = torch.cat([source, torch.full_like(source[:, :1], -1)], 1)
    cell = (with_null % rows * columns).unsqueeze(2) + (target % columns).unsqueeze(1)
    return prior(source >= 0, target >= 0) * table.take(cell), cell


def expected_counts(
    table: Table, prior: Prior, source: Int64[Tensor, "text i"], target: Int64[Tensor, "text j"]
) -> Table:
    """How often each target word is expected to translate each source word."""
    counts = torch.zeros_like(table).flatten()
    for some, others in zip(source.split(TEXTS_AT_ONCE), target.split(TEXTS_AT_ONCE), strict=True):
        found, cell = joint(table, prior, some, others)
        posterior = found / found.sum(1, keepdim=True).clamp(min=TINY)
        counts.index_add_(0, cell.flatten(), posterior.flatten())
    return counts.view_as(table)


def fit(
    source: Int64[Tensor, "text i"], target: Int64[Tensor, "text j"], sizes: tuple[int, int], prior: Prior, rounds: int
) -> Table:
    """EM, from a table where all words are alike. sizes: numbers of source and target words. A word that no text has
    keeps probability 0."""
    table = torch.full((sizes[0] + 1, sizes[1] + 1), 1 / sizes[1], dtype=torch.float64, device=source.device)
    table[:, -1] = 0
    for _ in range(rounds):
        counts = expected_counts(table, prior, source, target)
        table = counts / counts.sum(1, keepdim=True).clamp(min=TINY)
    return table


def best(
    table: Table, prior: Prior, source: Int64[Tensor, "text i"], target: Int64[Tensor, "text j"]
) -> Bool[Tensor, "text i j"]:
    """The likeliest source of every target word; none where that is the null word, or where the word is unknown."""
    found, _ = joint(table, prior, source, target)
    most, at = found.max(1, keepdim=True)
    return torch.zeros_like(found, dtype=torch.bool).scatter_(1, at, most > 0)[:, :-1]
