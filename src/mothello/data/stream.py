"""The training stream: batch = f(seed, step). Resuming is arithmetic, and parallel workers are a stride."""

from collections.abc import Callable
from copy import copy
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int8, Int64
from torch import Tensor

from mothello.data.batch import B, Batch, Groups, make_batch
from mothello.data.batch import rows as rows_of
from mothello.data.code_switching import code_switched
from mothello.data.config import DataConfig
from mothello.data.grouped import Grouped
from mothello.data.language_sampling import Pairing, languages_of
from mothello.data.orbit import orbit_code
from mothello.data.permutation import permute
from mothello.data.sources import Sources
from mothello.languages.language_set import LanguageSet
from mothello.seeding import derive

AT_ONCE = {"cpu": 1 << 13, "cuda": 1 << 17}
"""Number of games that are played and written together: bulk is faster, and the games are the same."""

LAWS_AT_ONCE = {"cpu": 1 << 12, "cuda": 1 << 15}
"""Number of games whose laws are computed together; each takes [state, move] numbers."""


class Games(NamedTuple):
    """Rows of a stream before they are written as tokens."""

    moves: Int8[Tensor, "game ply"]
    language: Int64[Tensor, " game"]
    first_scored: Int64[Tensor, " game"]
    indices: Int64[Tensor, " game"]


class Stream:
    """Batches of the games of corpora, each written in a language.

    Games are drawn without replacement within an epoch, in an order that depends on the seed. data: the batch size,
    and how games are given to languages. share: (rank, processes): this process's rows of every batch, each
    ``processes``-th; together the processes see what one would.
    """

    def __init__(
        self,
        sources: Sources,
        language_set: LanguageSet,
        data: DataConfig,
        seed: int,
        device: torch.device | str = "cpu",
        share: tuple[int, int] = (0, 1),
    ) -> None:
        assert data.batch_size % share[1] == 0, "processes must divide the batch"
        assert len(sources) == len(language_set.languages), "a corpus for every language"
        self.rank, self.processes = share
        self.only: int | None = None
        self.sources, self.language_set, self.data, self.seed = sources, language_set, data, seed
        self.batch_size, self.device = data.batch_size, torch.device(device)
        self.size = sources.games
        self.steps_at_once = max(1, min(AT_ONCE[self.device.type], self.size) // self.batch_size)
        self._played: tuple[int, Games] | None = None
        self._written: tuple[int, Batch] | None = None
        self._laws: tuple[int, Float[Tensor, "game state move"]] | None = None
        sampling, n = data.language_sampling, len(sources)
        self.groups = Groups(sampling.sizes(n, self.batch_size, share)) if sampling.grouped else None
        self._grouped = Grouped(sampling.ends(n, self.batch_size)) if sampling.grouped else None
        self._owned: list[Int64[Tensor, " game"]] = []
        self._labels: tuple[int, Any] | None = None
        self._others: dict[int, Stream] = {}

    def speaking(self, language: int) -> "Stream":
        """The same games, all in one language; made once, so that games are played in bulk."""
        if language == self.only:
            return self
        if language not in self._others:
            self._others[language] = self._speaking(language)
        return self._others[language]

    def _speaking(self, language: int) -> "Stream":
        other = copy(self)
        other.only, other._grouped, other._others = language, None, {}
        other._played = other._written = other._laws = other._labels = None
        rows = self.batch_size // self.processes
        other.groups = Groups(tuple(rows * (i == language) for i in range(len(self.sources))))
        return other

    @property
    def width(self) -> int:
        """Tokens per row, enough for every game; the same in every batch."""
        return self.language_set.max_tokens if self.only is None else self.language_set.languages[self.only].max_tokens

    def rows(self, step: int, n_steps: int = 1) -> Int64[Tensor, " game"]:
        """Places of a step's games in the endless stream: what is drawn for a game is a function of its place."""
        start = step * self.batch_size
        return torch.arange(start + self.rank, start + n_steps * self.batch_size, self.processes, device=self.device)

    def indices(self, rows: Int64[Tensor, " game"]) -> Int64[Tensor, " game"]:
        """Corpus index of each row."""
        if self._grouped and self.data.language_sampling.pairing is Pairing.disjoint:
            return self._grouped.indices(rows, self._owners(), self.seed)
        result, epochs = torch.empty_like(rows), rows // self.size
        for epoch in range(int(epochs[0]), int(epochs[-1]) + 1):
            visit = epochs == epoch
            result[visit] = permute(rows[visit] % self.size, self.size, derive(self.seed, "order", epoch))
        return result

    def languages(self, rows: Int64[Tensor, " game"], indices: Int64[Tensor, " game"]) -> Int64[Tensor, " game"]:
        """Language of each row."""
        if self.only is not None:
            return torch.full_like(rows, self.only)
        return self._grouped.languages(rows) if self._grouped else self._drawn(rows, indices)

    def _owners(self) -> list[Int64[Tensor, " game"]]:
        """Of disjoint corpora, the games of each language."""
        if not self._owned:
            every = torch.arange(self.size, device=self.device).split(AT_ONCE[self.device.type])
            owner = torch.cat([self._drawn(some, some) for some in every])
            self._owned = [(owner == language).nonzero().squeeze(1) for language in range(len(self.sources))]
        return self._owned

    def _drawn(self, rows: Int64[Tensor, " game"], indices: Int64[Tensor, " game"]) -> Int64[Tensor, " game"]:
        games, sampling = indices, self.data.language_sampling
        if sampling.pairing is Pairing.disjoint and len(self.sources.corpora) == 1:
            moves = self.sources[0].moves(indices)
            games = orbit_code(moves, self.language_set.board)  # a game may have several indices
        n, epochs = len(self.sources), rows // self.size
        total = self.data.steps * self.batch_size
        return languages_of(rows, games, epochs, sampling, n, self.seed, self.data.corpus_seed, total)

    def _source(self, language: Int64[Tensor, " game"]) -> Int64[Tensor, " game"]:
        return torch.tensor(self.sources.of_language, device=self.device)[language]

    def _games(self, step: int, n_steps: int) -> Games:
        rows = self.rows(step, n_steps)
        indices = self.indices(rows)
        language = self.languages(rows, indices)
        moves = torch.empty(len(rows), self.language_set.board.n_moves, dtype=torch.int8, device=self.device)
        first_scored = torch.zeros_like(rows)
        source = self._source(language)
        for index, games in enumerate(self.sources.corpora):
            drawn = source == index
            moves[drawn] = games.moves(indices[drawn])
            first_scored[drawn] = games.first_scored(indices[drawn])
        return Games(moves, language, first_scored, indices)

    def _chunk(self, step: int) -> tuple[int, slice]:
        """First of the steps that are played together, and the rows of this step among their rows."""
        first, size = step - step % self.steps_at_once, self.batch_size // self.processes
        return first, slice((step - first) * size, (step - first + 1) * size)

    def games(self, step: int) -> Games:
        """The games of a step, before they are written."""
        first, part = self._chunk(step)
        if self._played is None or self._played[0] != first:
            self._played = first, self._games(first, self.steps_at_once)
        return rows_of(self._played[1], part)

    def batch(self, step: int) -> Batch:
        """The batch of a step, whatever steps came before."""
        first, part = self._chunk(step)
        if self._written is None or self._written[0] != first:
            self.games(step)
            assert self._played is not None
            games = self._played[1]
            written = games.moves, games.language, self.language_set, games.first_scored, self.width, games.indices
            batch, how = make_batch(*written), self.data.code_switching
            if how.probability and self.only is None:
                places = self.rows(first, self.steps_at_once)
                batch = code_switched(batch, places, games.indices, how, self.language_set, self.seed)
            self._written = first, batch
        return rows_of(self._written[1], part)._replace(groups=self.groups)

    def labels(self, step: int, label: Callable[[Int8[Tensor, "game ply"]], B]) -> B:
        """What a function of moves says of a step's games. It is asked about the games of many steps at once, so a
        stream serves one function."""
        first, part = self._chunk(step)
        if self._labels is None or self._labels[0] != first:
            self.games(step)
            assert self._played is not None
            self._labels = first, label(self._played[1].moves)
        return rows_of(self._labels[1], part)

    def law(self, step: int) -> Float[Tensor, "game state move"]:
        """What every move of a step's games was drawn from, given what its index tells (Corpus.law), float32."""
        first, part = self._chunk(step)
        self.games(step)
        assert self._played is not None
        games, size = self._played[1], self.batch_size // self.processes
        together = size * max(1, LAWS_AT_ONCE[self.device.type] // size)
        start = part.start // together * together
        if self._laws is None or self._laws[0] != first * size + start:
            self._laws = first * size + start, self._law(rows_of(games, slice(start, start + together)))
        return self._laws[1][part.start - start : part.stop - start]

    def _law(self, games: Games) -> Float[Tensor, "game state move"]:
        corpora, source = self.sources.corpora, self._source(games.language)
        if len(corpora) == 1:
            return corpora[0].law(games.indices, games.moves)
        shape = len(games.moves), games.moves.shape[1] + 1, self.language_set.board.n_moves
        result = torch.zeros(shape, device=self.device)
        for index, corpus in enumerate(corpora):
            drawn = source == index
            result[drawn] = corpus.law(games.indices[drawn], games.moves[drawn])
        return result

    def pairs(self, step: int, one: int, other: int) -> tuple[Batch, Batch]:
        """The games of a step in two languages, translations of each other row by row, for objectives that need
        parallel text. Both languages must draw from one corpus."""
        source = self.sources.of_language
        assert source[one] == source[other], "languages with domains of their own share no games"
        return self.speaking(one).batch(step), self.speaking(other).batch(step)
