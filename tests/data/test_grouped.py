"""Proves: grouped batches hold every language in its exact share, sorted; processes together see what one does; disjoint
games keep their language, and every language goes through its own games once an epoch."""

from collections import Counter

import pytest
import torch
from data.test_stream import Numbered, language_set, number

from mothello.data.batch import Groups, rows
from mothello.data.config import DataConfig
from mothello.data.language_sampling import LanguageSampling, Pairing
from mothello.data.sources import Sources
from mothello.data.stream import Stream
from mothello.errors import UserError

GAMES, SIZE = 240, 12


def stream(share: tuple[int, int] = (0, 1), games: int = GAMES, **sampling: object) -> Stream:
    how = LanguageSampling(grouped=True, **sampling)  # type: ignore[arg-type]
    data = DataConfig(games=games, batch_size=SIZE, language_sampling=how)
    return Stream(Sources.shared(Numbered(games), 3), language_set(["atomic*3"]), data, 5, share=share)


@pytest.mark.parametrize(("shares", "sizes"), [([], (4, 4, 4)), ([2, 1, 1], (6, 3, 3)), ([5, 4, 3], (5, 4, 3))])
def test_every_batch_holds_the_shares(shares: list[float], sizes: tuple[int, ...]) -> None:
    for step in (0, 3, 19):
        batch = stream(shares=shares).batch(step)
        assert batch.groups == Groups(sizes)
        assert batch.language.tolist() == [i for i, size in enumerate(sizes) for _ in range(size)]
        assert rows(batch, slice(0, 4)).groups is None, "part of a batch is grouped otherwise"


def test_games_are_those_of_ungrouped_batches() -> None:
    """The seed decides the games of a step; grouping decides their languages alone."""
    plain = Stream(
        Sources.shared(Numbered(GAMES), 3), language_set(["atomic*3"]), DataConfig(games=GAMES, batch_size=SIZE), 5
    )
    assert number(plain.batch(7)) == number(stream().batch(7))


@pytest.mark.parametrize("pairing", [Pairing.drawn, Pairing.disjoint])
@pytest.mark.parametrize("processes", [2, 3])
def test_processes_together_see_what_one_sees(pairing: Pairing, processes: int) -> None:
    whole = stream(pairing=pairing).batch(11)
    parts = [stream((rank, processes), pairing=pairing).batch(11) for rank in range(processes)]
    for rank, part in enumerate(parts):
        assert torch.equal(part.tokens, whole.tokens[rank::processes])
        assert part.groups is not None
        assert part.language.tolist() == [i for i, size in enumerate(part.groups.sizes) for _ in range(size)]


def test_disjoint_games_keep_their_language() -> None:
    several, owner = stream(pairing=Pairing.disjoint), {}
    for step in range(40):
        batch = several.batch(step)
        for game, language in zip(number(batch), batch.language.tolist(), strict=True):
            assert owner.setdefault(game, language) == language
    counts = Counter(owner.values())
    assert sum(counts.values()) == GAMES
    assert min(counts.values()) > GAMES / 6


def test_every_language_goes_through_its_own_games() -> None:
    several = stream(pairing=Pairing.disjoint)
    own = {language: [] for language in range(3)}
    for step in range(60):
        batch = several.batch(step)
        for game, language in zip(number(batch), batch.language.tolist(), strict=True):
            own[language].append(game)
    for games in own.values():
        count = len(set(games))
        first, second = games[:count], games[count : 2 * count]
        assert sorted(first) == sorted(second) == sorted(set(games))
        assert first != second


def test_mistakes() -> None:
    with pytest.raises(UserError, match=r"data.batch_size: too few games for one of every language"):
        stream(shares=[100, 1, 1])
    with pytest.raises(UserError, match=r"grouped: parallel games change languages in turn"):
        LanguageSampling(grouped=True, pairing=Pairing.parallel)
