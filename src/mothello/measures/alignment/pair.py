"""All quantities of one pair of languages at one layer: the positions that each uses, and its controls."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int8, Int64
from torch import Tensor

from mothello.bootstrap import Bootstrap
from mothello.measures.alignment.cka import cka_of_games, cka_within_ply, linear_cka
from mothello.measures.alignment.cosine import parallel_cosines
from mothello.measures.alignment.procrustes import explained, fit_rotation
from mothello.measures.alignment.retrieval import chance, cosines, csls, hits, strong_hits
from mothello.measures.positions import Pool, same_ply, same_square
from mothello.othello.symmetry import ALL_MAPS

States = Float[Tensor, "game ply d_model"]


class Positions(NamedTuple):
    """The games and which of their positions are compared."""

    moves: Int8[Tensor, "game ply"]
    pool: Pool
    """Positions in the second half of the games: rotations are fitted on the first half."""
    bootstrap: Bootstrap

    @property
    def scored(self) -> Bool[Tensor, "game ply"]:
        return self.moves >= 0

    @property
    def half(self) -> int:
        return len(self.moves) // 2

    @property
    def restrictions(self) -> dict[str, Bool[Tensor, "row row"] | None]:
        """Candidates of a query in the pool, by quantity."""
        return {
            "retrieval": None,
            "retrieval_same_ply": same_ply(self.pool),
            "retrieval_same_square": same_square(self.pool, self.moves),
        }


class Value(NamedTuple):
    """One number about a pair at a layer, with its interval over games where there is one."""

    quantity: str
    control: str
    map: str
    value: float
    n: int
    low: float | None = None
    high: float | None = None


def chances(positions: Positions) -> Iterator[Value]:
    """P@1 by guessing among the candidates."""
    rows = len(positions.pool.game)
    for quantity, allowed in positions.restrictions.items():
        yield Value(quantity, "chance", "", 1 / rows if allowed is None else chance(allowed), rows)
    yield Value("retrieval_strong", "chance", "", 1 / max(1, 2 * rows - 1), rows)


def pair_values(x: States, images: Float[Tensor, "map game ply d_model"], positions: Positions) -> Iterator[Value]:
    """x: the first language's states. images: the second's, of the same games under the first of ALL_MAPS.

    The control "unrelated" is the same number with every game of the second language exchanged for the game before.
    """
    y, scored, games = images[0], positions.scored, len(positions.moves)
    both, other = scored & scored.roll(1, 0), images[0].roll(1, 0)
    yield _mean(
        "cosine", "unrelated", "identity", parallel_cosines(x[both], other[both]), both.nonzero()[:, 0], positions
    )
    yield Value("cka", "unrelated", "identity", float(linear_cka(x[both], other[both])), int(both.sum()))
    for name, cka in (("cka_games", cka_of_games), ("cka_within_ply", cka_within_ply)):
        yield Value(name, "trained", "identity", float(cka(x, y, scored)), games)
        yield Value(name, "unrelated", "identity", float(cka(x, other, both)), games)
    for name, image in zip(ALL_MAPS, images, strict=False):
        near = parallel_cosines(x[scored], image[scored])
        yield _mean("cosine", "trained", name, near, scored.nonzero()[:, 0], positions)
        yield Value("cka", "trained", name, float(linear_cka(x[scored], image[scored])), int(scored.sum()))
        yield from _retrieved(x, image, positions, name)


def _retrieved(x: States, y: States, positions: Positions, name: str) -> Iterator[Value]:
    """Retrieval as the states are, and after a rotation fitted on other games."""
    pool, half = positions.pool, positions.half
    queries, candidates = x[pool.game, pool.ply], y[pool.game, pool.ply]
    similarity = cosines(queries, candidates)
    first = positions.scored[:half]
    rotated = fit_rotation(x[:half][first], y[:half][first])(queries)
    outcomes = {quantity: hits(similarity, allowed) for quantity, allowed in positions.restrictions.items()}
    outcomes["retrieval_csls"] = hits(csls(similarity))
    outcomes["retrieval_strong"] = strong_hits(queries, candidates)
    outcomes["procrustes"] = hits(cosines(rotated, candidates))
    for quantity, hit in outcomes.items():
        yield _mean(quantity, "trained", name, hit, pool.game, positions)
    yield Value("procrustes_explained", "trained", name, explained(candidates, rotated), len(queries))


def _mean(
    quantity: str, control: str, name: str, rows: Tensor, game: Int64[Tensor, " row"], positions: Positions
) -> Value:
    """Mean over rows, with its interval over the games they are from."""
    games = len(positions.moves)
    summed = torch.zeros(games, dtype=torch.float64).index_add_(0, game.cpu(), rows.double().cpu())
    low, high = positions.bootstrap(summed, game.cpu().bincount(minlength=games))
    return Value(quantity, control, name, float(rows.double().mean()), len(rows), float(low), float(high))
