"""Proves: languages planted as images of one another are put into the families and classes they come from, whatever their
order; what is aligned by chance or one way binds nothing; a reading against the group shows as inconsistency."""

from hypothesis import given
from hypothesis import strategies as st

from mothello.measures.probes.symmetry_classes import PRODUCT, symmetry_classes
from mothello.othello.board import Board
from mothello.othello.symmetry import OPENING_MAPS, square_map


def test_the_product_is_that_of_the_maps() -> None:
    board = Board.of(6)
    index = {square: i for i, square in enumerate(board.squares)}
    maps = [square_map(board, name) for name in OPENING_MAPS]
    for g in range(4):
        for h in range(4):
            after = tuple(maps[g][index[square]] for square in maps[h])
            assert after == maps[PRODUCT[g][h]]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=1, max_size=12))
def test_planted_classes_are_found(planted: list[tuple[int, int]]) -> None:
    n = len(planted)
    aligned = [[a[0] == b[0] for b in planted] for a in planted]
    which = [[PRODUCT[a[1]][b[1]] if a[0] == b[0] else 1 for b in planted] for a in planted]
    found = symmetry_classes(aligned, which)
    for a in range(n):
        for b in range(n):
            assert (found.component[a] == found.component[b]) == (planted[a][0] == planted[b][0])
            if planted[a][0] == planted[b][0]:
                same = found.map[a] == found.map[b]
                assert same == (planted[a][1] == planted[b][1])
    sizes = [found.component.count(f) for f in range(max(found.component) + 1)]
    assert sizes == sorted(sizes, reverse=True)
    assert sorted(found.order) == list(range(n))
    assert [found.component[i] for i in found.order] == sorted(found.component)
    several = any(a[0] == b[0] for i, a in enumerate(planted) for b in planted[:i])
    assert found.consistency == (1.0 if several else None)


def test_one_direction_binds_nothing_and_a_contradiction_shows() -> None:
    one_way = [[True, True], [False, True]]
    found = symmetry_classes(one_way, [[0, 0], [0, 0]])
    assert found.component == [0, 1]
    assert found.consistency == 0.0
    every = [[True] * 3] * 3
    which = [[0, 1, 2], [1, 0, 0], [2, 0, 0]]  # the last two should differ by the third map
    found = symmetry_classes(every, which)
    assert found.component == [0, 0, 0]
    assert found.consistency == 4 / 6


def test_disagreeing_directions_bind_nothing() -> None:
    found = symmetry_classes([[True] * 2] * 2, [[0, 1], [2, 0]])
    assert found.component == [0, 1]
