"""Proves: facts are what a slow search by the rules says they may be: openings whose board no other moves reach, with a
choice of moves after them, one of every orbit; taught and untaught ones, and all their images, are different; more facts
contain fewer; and the openings that follow are told apart from all others, move by move."""

from itertools import product

import pytest
import torch

from mothello.config import typed
from mothello.errors import UserError
from mothello.othello import facts as module
from mothello.othello.board import Board
from mothello.othello.facts import Facts, FactsConfig, facts
from mothello.othello.symmetry import OPENING_MAPS, move_map

Discs = dict[tuple[int, int], int]
SIX = Board.of(6)
KNOWN = (
    (((18, 22, 7, 19), (23, 22, 13, 14)), (28, 28)),
    (((18, 14, 7, 13), (23, 14, 8, 1)), (6, 9)),
)


def turned(discs: Discs, color: int, place: tuple[int, int]) -> list[tuple[int, int]]:
    """Discs that a move turns, ray by ray."""
    if place in discs:
        return []
    found = []
    for step in product((-1, 0, 1), repeat=2):
        line, at = [], (place[0] + step[0], place[1] + step[1])
        while any(step) and discs.get(at) == -color:
            line.append(at)
            at = (at[0] + step[0], at[1] + step[1])
        found += line if discs.get(at) == color and any(step) else []
    return found


def legal(discs: Discs, size: int, color: int) -> list[tuple[int, int]]:
    return [place for place in product(range(size), repeat=2) if turned(discs, color, place)]


def search(size: int, plies: int) -> list[tuple[tuple[tuple[int, int], ...], Discs, list[tuple[int, int]]]]:
    """Every opening with the board after it and the moves that are legal then; passes where there is none."""
    low, high = size // 2 - 1, size // 2
    start = {(low, high): 1, (high, low): 1, (low, low): -1, (high, high): -1}
    found: list[tuple[tuple[tuple[int, int], ...], Discs, int]] = [((), start, 1)]
    for _ in range(plies):
        longer = []
        for opening, discs, color in found:
            color = color if legal(discs, size, color) else -color
            for place in legal(discs, size, color):
                after = discs | dict.fromkeys([place, *turned(discs, color, place)], color)
                longer.append(((*opening, place), after, -color))
        found = longer
    return [(opening, discs, legal(discs, size, c) or legal(discs, size, -c)) for opening, discs, c in found]


def fit(size: int, plies: int) -> dict[tuple[int, ...], set[int]]:
    """Openings, as moves, that may be facts, with the legal moves after each."""
    board = Board.of(size)

    def move(place: tuple[int, int]) -> int:
        return board.move_of_square[8 * place[0] + place[1]]

    every = search(size, plies)
    boards = [frozenset(discs.items()) for _, discs, _ in every]
    return {
        tuple(map(move, opening)): set(map(move, after))
        for (opening, _, after), reached in zip(every, boards, strict=True)
        if boards.count(reached) == 1 and len(after) > 1
    }


def images(opening: tuple[int, ...], board: Board) -> set[tuple[int, ...]]:
    return {tuple(move_map(board, name)[move] for move in opening) for name in OPENING_MAPS}


@pytest.mark.parametrize(("size", "plies"), [(4, 2), (4, 4), (4, 5), (6, 3), (6, 4), (8, 4)])
def test_they_are_one_of_every_orbit_of_what_a_slow_search_allows(size: int, plies: int) -> None:
    board, allowed = Board.of(size), fit(size, plies)
    every = module._candidates(board, plies)
    assert len(every.openings) == len(set(every.openings)) == len(allowed) / 4
    assert set().union(*(images(opening, board) for opening in every.openings)) == set(allowed)
    assert all(move in allowed[opening] for opening, move in zip(every.openings, every.moves, strict=True))


@pytest.mark.parametrize(("size", "counts"), [(8, [4, 12, 56, 244, 1396, 8200]), (6, [4, 12, 56, 244, 1364, 7604])])
def test_the_openings_are_as_many_as_is_known(size: int, counts: list[int]) -> None:
    """8x8: the published perft of Othello. 6x6: as this search counted them."""
    assert [len(module._openings(Board.of(size), plies)[0]) for plies in range(1, 7)] == counts


@pytest.mark.parametrize(("size", "plies"), [(6, 4), (6, 5), (8, 4)])
def test_no_image_of_a_fact_is_another_and_more_of_them_contain_fewer(size: int, plies: int) -> None:
    board, most = Board.of(size), len(module._candidates(Board.of(size), plies).moves) // 2
    large, small = (facts(board, FactsConfig(count=count, plies=plies)) for count in (most, 5))
    openings = [opening for sort in large for opening in sort.openings]
    assert len(openings) == 2 * most
    assert len(set().union(*(images(opening, board) for opening in openings))) == 4 * len(openings)
    for one, other in zip(large, small, strict=True):
        assert (one.openings[:5], one.moves[:5]) == (other.openings, other.moves)
        assert (len(one.openings[0]), len(one.moves)) == (plies, most)
    assert len({opening[0] for opening in openings}) == 4  # drawn from their orbits, not always the first of one


def test_they_are_the_same_everywhere() -> None:
    """A run that is measured later is asked what it was taught: any change here makes older runs' rows wrong."""
    taught, untaught = facts(SIX, FactsConfig(count=2))
    assert (taught.openings, taught.moves) == KNOWN[0]
    assert (untaught.openings, untaught.moves) == KNOWN[1]


def test_follow_leaves_all_but_its_openings_alone() -> None:
    taught, untaught = facts(SIX, FactsConfig(count=20))
    openings = torch.tensor([*taught.openings, *untaught.openings])
    given = torch.full((len(openings),), -1)  # whatever is legal
    rule = taught.taught
    found = rule.follow(openings, given)
    assert found[:20].tolist() == [1 << SIX.moves[move] for move in taught.moves]
    assert torch.equal(found[20:], given[20:])
    assert torch.equal(rule.follow(openings.to(torch.int8), given), found)
    ended = torch.where(torch.arange(4) < 2, openings, -1)
    assert torch.equal(rule.follow(ended, given), given)
    assert (
        Facts(SIX, taught.openings[::-1], taught.moves[::-1]).taught.follow(openings, given).tolist() == found.tolist()
    )


@pytest.mark.parametrize(
    ("settings", "line"),
    [({"count": -1}, "facts.count: -1 is negative"), ({"plies": 7}, "facts.plies: 7 is outside 1..6")],
)
def test_what_is_out_of_range_names_its_key(settings: dict[str, int], line: str) -> None:
    with pytest.raises(UserError, match=f"^{line}"):
        typed(settings, FactsConfig, "facts")


def test_more_than_there_are_is_refused() -> None:
    facts(SIX, FactsConfig(count=28))
    with pytest.raises(UserError, match=r"^facts\.count: 29 is above 28, the most of 4 plies on 6x6$"):
        facts(SIX, FactsConfig(count=29))
