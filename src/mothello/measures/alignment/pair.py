"""All quantities of one pair of languages at one layer: the positions that each uses, and its controls."""

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int8, Int64
from torch import Tensor

from mothello.bootstrap import Bootstrap
from mothello.measures.alignment.cka import cka_of_games, cka_within_ply, linear_cka
from mothello.measures.alignment.cosine import parallel_cosines
from mothello.measures.alignment.procrustes import explained, fit_rotation
from mothello.measures.alignment.retrieval import (
    among_both,
    chance,
    cosines,
    csls,
    nearest,
    own_row,
    published_nearest,
)
from mothello.measures.positions import Pool, same_ply, same_square
from mothello.othello.symmetry import ALL_MAPS, OPENING_MAPS

States = Float[Tensor, "game ply d_model"]
CALIBRATED = (
    "retrieval", "retrieval_same_ply", "retrieval_strong", "retrieval_raw", "retrieval_raw_strong",
    "retrieval_raw_mutual",
)  # fmt: skip
"""Quantities with the control "permuted", and with another, NAME_best_map, through the best of the opening's maps:
languages may be aligned through any of them. Its control "permuted" takes the same maximum under each permutation."""


class Positions(NamedTuple):
    """The games and which of their positions are compared."""

    moves: Int8[Tensor, "game ply"]
    pool: Pool
    """Positions in the second half of the games: rotations are fitted on the first half."""
    bootstrap: Bootstrap
    permutations: Int64[Tensor, "draw row"]
    """Of the pool, within plies: the pairs of the control "permuted"."""

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
    yield from (Value(name, "chance", "", 1 / rows, rows) for name in ("retrieval_raw", "retrieval_raw_mutual"))
    for name in ("retrieval_strong", "retrieval_raw_strong"):
        yield Value(name, "chance", "", 1 / max(1, 2 * rows - 1), rows)


def pair_values(x: States, images: Float[Tensor, "map game ply d_model"], positions: Positions) -> Iterator[Value]:
    """x: the first language's states. images: the second's, of the same games under the first of ALL_MAPS.

    The control "unrelated" is the same number with every game of the second language exchanged for the game before.
    """
    scored = positions.scored
    both, other = scored & scored.roll(1, 0), images[0].roll(1, 0)
    yield mean_over_games(
        "cosine", "unrelated", "identity", parallel_cosines(x[both], other[both]), both.nonzero()[:, 0], positions
    )
    yield from cka_values(x, images, positions)
    for name, image in zip(ALL_MAPS, images, strict=False):
        near = parallel_cosines(x[scored], image[scored])
        yield mean_over_games("cosine", "trained", name, near, scored.nonzero()[:, 0], positions)
    yield from _retrieved(x, images, positions)


def cka_values(x: States, images: Float[Tensor, "map game ply e"], positions: Positions) -> Iterator[Value]:
    """Linear CKA of positions under every map, of games and within plies under the identity; also between widths."""
    scored, games = positions.scored, len(positions.moves)
    both, other = scored & scored.roll(1, 0), images[0].roll(1, 0)
    yield Value("cka", "unrelated", "identity", float(linear_cka(x[both], other[both])), int(both.sum()))
    for name, cka in (("cka_games", cka_of_games), ("cka_within_ply", cka_within_ply)):
        yield Value(name, "trained", "identity", float(cka(x, images[0], scored)), games)
        yield Value(name, "unrelated", "identity", float(cka(x, other, both)), games)
    for name, image in zip(ALL_MAPS, images, strict=False):
        yield Value("cka", "trained", name, float(linear_cka(x[scored], image[scored])), int(scored.sum()))


def _retrieved(x: States, images: Float[Tensor, "map game ply d_model"], positions: Positions) -> Iterator[Value]:
    """Retrieval under every map, and under the best of the opening's with the interval that it has as one map."""
    reached, by_chance = defaultdict[str, list[Value]](list), defaultdict[str, list[Tensor]](list)
    for name, image in zip(ALL_MAPS, images, strict=False):
        found, share = _nearest(x, image, positions)
        for quantity, indices in found.items():
            value = mean_over_games(quantity, "trained", name, own_row(indices), positions.pool.game, positions)
            yield value
            if quantity in CALIBRATED:
                permuted = (positions.permutations == indices).double().mean(1)
                yield _permuted(quantity, name, permuted, len(indices))
                if name in OPENING_MAPS:
                    reached[quantity].append(value)
                    by_chance[quantity].append(permuted)
        yield Value("procrustes_explained", "trained", name, share, len(positions.pool.game))
    for quantity, values in reached.items():
        best = max(values, key=lambda value: value.value)
        yield best._replace(quantity=f"{quantity}_best_map")
        yield _permuted(f"{quantity}_best_map", "", torch.stack(by_chance[quantity]).amax(0), best.n)


def _nearest(x: States, y: States, positions: Positions) -> tuple[dict[str, Int64[Tensor, " row"]], float]:
    """What every state of the pool finds, by quantity: as the states are, and after a rotation fitted on other games,
    whose explained share comes second."""
    pool, half = positions.pool, positions.half
    queries, candidates = x[pool.game, pool.ply], y[pool.game, pool.ply]
    similarity = cosines(queries, candidates)
    first = positions.scored[:half]
    rotated = fit_rotation(x[:half][first], y[:half][first])(queries)
    published = published_nearest(queries, candidates)
    found = {quantity: nearest(similarity, allowed) for quantity, allowed in positions.restrictions.items()}
    found["retrieval_csls"] = nearest(csls(similarity))
    found["retrieval_strong"] = among_both(similarity, cosines(queries, queries))
    found["retrieval_raw"], found["retrieval_raw_strong"], found["retrieval_raw_mutual"] = published
    found["procrustes"] = nearest(cosines(rotated, candidates))
    return found, explained(candidates, rotated)


def _permuted(quantity: str, name: str, shares: Float[Tensor, " draw"], n: int) -> Value:
    """P@1 had the pairs been others of the same ply: the mean over permutations, and where 95% of them lie."""
    low, high = shares.quantile(shares.new_tensor([0.025, 0.975])).tolist()
    return Value(quantity, "permuted", name, float(shares.mean()), n, low, high)


def mean_over_games(
    quantity: str, control: str, name: str, rows: Tensor, game: Int64[Tensor, " row"], positions: Positions
) -> Value:
    """Mean over rows, with its interval over the games they are from."""
    games = len(positions.moves)
    summed = torch.zeros(games, dtype=torch.float64).index_add_(0, game.cpu(), rows.double().cpu())
    low, high = positions.bootstrap(summed, game.cpu().bincount(minlength=games))
    return Value(quantity, control, name, float(rows.double().mean()), len(rows), float(low), float(high))
