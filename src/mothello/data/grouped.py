"""Batches that hold every language in its exact share, sorted by language: what separate parts of a model need."""

from collections.abc import Sequence

import torch
from jaxtyping import Int64
from torch import Tensor

from mothello.data.permutation import permute
from mothello.seeding import derive


class Grouped:
    """Which language a row is in, by its place in the batch. ends: where the rows of each language end in a batch."""

    def __init__(self, ends: Sequence[int]) -> None:
        self.ends, self.batch_size = list(ends), ends[-1]

    def languages(self, rows: Int64[Tensor, " game"]) -> Int64[Tensor, " game"]:
        """Language of each row of a stream."""
        return torch.bucketize(rows % self.batch_size, torch.tensor(self.ends, device=rows.device), right=True)

    def indices(
        self, rows: Int64[Tensor, " game"], owned: Sequence[Int64[Tensor, " game"]], seed: int
    ) -> Int64[Tensor, " game"]:
        """Corpus index of each row, where every language has games of its own (owned): each goes through all of its
        games, epoch by epoch, in an order of its own."""
        language, result = self.languages(rows), torch.empty_like(rows)
        for index, (start, end) in enumerate(zip([0, *self.ends], self.ends, strict=False)):
            mine, games = (language == index).nonzero().squeeze(1), owned[index]
            turn = rows[mine] // self.batch_size * (end - start) + rows[mine] % self.batch_size - start
            epochs = turn // len(games)
            for epoch in epochs.unique().tolist():
                visit = epochs == epoch
                order = permute(turn[visit] % len(games), len(games), derive(seed, "order", index, epoch))
                result[mine[visit]] = games[order]
        return result
