"""Proves: shares of languages that change over training are at every place what a straight line says, a batch still is a
function of seed and step, and shares that stay give the batches that they gave."""

import pytest
import torch
from data.test_stream import Numbered, language_set, number, same

from mothello.data.config import DataConfig
from mothello.data.language_sampling import LanguageSampling, Pairing
from mothello.data.sources import Sources
from mothello.data.stream import Stream
from mothello.errors import UserError

GAMES, SIZE = 60_000, 200


def stream(**sampling: object) -> Stream:
    data = DataConfig(games=GAMES, batch_size=SIZE, language_sampling=LanguageSampling(**sampling))  # type: ignore[arg-type]
    return Stream(Sources.shared(Numbered(GAMES), 3), language_set(["atomic*3"]), data, 5)


def shares_at(made: Stream, first: int, steps: int) -> torch.Tensor:
    drawn = torch.cat([made.batch(step).language for step in range(first, first + steps)])
    return drawn.bincount(minlength=3) / len(drawn)


def test_shares_move_in_a_straight_line() -> None:
    made = stream(shares=[8, 1, 1], shares_end=[1, 1, 8])
    for first, expected in ((0, (0.78, 0.1, 0.12)), (140, (0.443, 0.1, 0.457)), (280, (0.12, 0.1, 0.78))):
        assert (shares_at(made, first, 20) - torch.tensor(expected)).abs().max() < 0.025  # 4,000 rows: four deviations


def test_the_games_are_the_same_and_a_batch_depends_on_its_step_alone() -> None:
    made, plain = stream(shares_end=[1, 2, 3]), stream()
    assert number(made.batch(7)) == number(plain.batch(7))
    assert same(stream(shares_end=[1, 2, 3]).batch(250), made.batch(250))


def test_shares_that_end_where_they_begin_are_shares_that_stay() -> None:
    """Up to a row whose random bits are a bound's own."""
    made, plain = stream(shares=[1, 2, 3], shares_end=[1, 2, 3]), stream(shares=[1, 2, 3])
    assert all(torch.equal(made.batch(step).language, plain.batch(step).language) for step in (0, 150, 299))


@pytest.mark.parametrize(
    ("sampling", "line"),
    [
        ({"shares_end": [1, 0, 1]}, r"shares_end: \[1, 0, 1\] are not all positive"),
        ({"shares_end": [1, 2], "pairing": Pairing.disjoint}, "shares_end: only languages that are drawn"),
        ({"shares_end": [1, 2], "grouped": True}, "shares_end: only languages that are drawn"),
    ],
)
def test_mistakes(sampling: dict, line: str) -> None:
    with pytest.raises(UserError, match=line):
        LanguageSampling(**sampling)
    with pytest.raises(UserError, match="shares_end: 2 shares for 3 languages"):
        LanguageSampling(shares_end=[1, 2]).weights(3, end=True)
