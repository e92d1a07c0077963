"""Proves: labels agree with a slow game of Othello and with the symmetries of the opening; heads are scikit-learn's
logistic regression; a label planted in one language is read there, and in the other language only where both have the
same code. Negative controls: destroyed states score no more than the best guess; a move alone gives the region away."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from benchmarks.reference.othello import OTHER, State, score
from benchmarks.reference.othello import replay as slow_replay
from mothello.config import typed
from mothello.errors import UserError
from mothello.measures.tasks.heads import fit_heads
from mothello.measures.tasks.measure import Tasks, TasksConfig
from mothello.measures.tasks.score import best_guess
from mothello.measures.tasks.task import DIRECTIONS, TASKS
from mothello.othello.board import SIZES, Board
from mothello.othello.random_play import RandomGames
from mothello.othello.symmetry import OPENING_MAPS, move_map


def games(n: int, size: int = 6) -> Tensor:
    return RandomGames(Board.of(size), 5).games(torch.arange(n))


def task(name: str) -> object:
    return TASKS.build(TASKS.get(name).Config())


@pytest.mark.parametrize("size", SIZES)
def test_labels_agree_with_a_slow_game(size: int) -> None:
    board, moves = Board.of(size), games(6, size)
    flips, region, winner = (task(name).labels(moves, board).tolist() for name in ("flips", "region", "winner"))
    for game, row in enumerate(moves.tolist()):
        squares = [divmod(board.moves[move], 8) for move in row if move >= 0]
        states = slow_replay(squares, size)
        for ply, (r, c) in enumerate(squares):
            before, after = states[ply].discs, states[ply + 1].discs
            turned = sum(before[square] != after[square] for square in before)
            assert flips[game][ply] == [1, 2, 3, 5, 99].index(next(b for b in (2, 3, 5, 99) if turned < b)) - 1
            depth = sorted((min(r, size - 1 - r), min(c, size - 1 - c)))
            expected = {(0, 0): 0, (1, 1): 2}.get(tuple(depth), 1 if depth[0] == 0 else 3)
            assert region[game][ply] == expected
        black, white = score(states[-1].discs)
        assert winner[game][len(squares) - 1] == 1 + (black > white) - (black < white)
        assert set(winner[game][: len(squares) - 1]) | set(winner[game][len(squares) :]) <= {-1}
        assert set(flips[game][len(squares) :]) | set(region[game][len(squares) :]) <= {-1}


COMPASS = {
    "east": (0, 1), "west": (0, -1), "south": (1, 0), "north": (-1, 0),
    "southeast": (1, 1), "northwest": (-1, -1), "southwest": (1, -1), "northeast": (-1, 1),
}  # fmt: skip


def first_bracket(before: State, square: tuple[int, int]) -> tuple[str, tuple[int, int]]:
    """The first direction along which discs are turned, and the square of the disc at the other end, by walking."""
    for name, (down, right) in COMPASS.items():
        here, between = (square[0] + down, square[1] + right), 0
        while before.discs.get(here) == OTHER[before.mover]:
            here, between = (here[0] + down, here[1] + right), between + 1
        if between and before.discs.get(here) == before.mover:
            return name, here
    raise AssertionError("a legal move turns something")


@pytest.mark.parametrize("size", SIZES)
def test_movers_and_brackets_agree_with_a_slow_game(size: int) -> None:
    board, moves = Board.of(size), games({4: 60, 6: 40, 8: 12}[size], size)
    mover = task("mover").labels(moves, board).tolist()
    direction, pointer = (labels.tolist() for labels in task("bracket").pointed(moves, board))
    assert direction == task("bracket").labels(moves, board).tolist()
    low, passed, ends = size // 2 - 1, 0, set[int]()
    starts = [(low, low), (low, low + 1), (low + 1, low), (low + 1, low + 1)]
    for game, row in enumerate(moves.tolist()):
        squares = [divmod(board.moves[move], 8) for move in row if move >= 0]
        for ply, (square, before) in enumerate(zip(squares, slow_replay(squares, size), strict=False)):
            assert mover[game][ply] == (before.mover == "black")
            passed += (before.mover == "black") != (ply % 2 == 0)
            name, end = first_bracket(before, square)
            assert DIRECTIONS[direction[game][ply]] == name
            assert pointer[game][ply] == (starts.index(end) if end in starts else 4 + squares.index(end)) < 4 + ply
            ends.add(pointer[game][ply])
        for labels in (mover, direction, pointer):
            assert set(labels[game][len(squares) :]) <= {-1}
    assert {0, 1, 2, 3} < ends
    assert passed or size == 8


def test_brackets_by_hand() -> None:
    """d3 encloses d4 with d5, southwards; c3 then d4 with e5, diagonally; b3 then c3 with the d3 of the first move."""
    board = Board.of(8)
    moves = torch.tensor([[board.move_of_square[8 * 2 + column] for column in (3, 2, 1)]], dtype=torch.int8)
    direction, pointer = task("bracket").pointed(moves, board)
    assert [DIRECTIONS[i] for i in direction[0]] == ["south", "southeast", "east"]
    assert pointer[0].tolist() == [2, 3, 4]  # start disc d5, start disc e5, ply 0


@pytest.mark.parametrize("name", [name for name in TASKS if name != "bracket"])
def test_labels_are_the_same_in_a_mirror(name: str) -> None:
    board, moves = Board.of(6), games(20)
    for symmetry in OPENING_MAPS:
        image = torch.tensor(move_map(board, symmetry), dtype=torch.int8)
        mirrored = torch.where(moves >= 0, image[moves.long().clamp(min=0)], moves)
        assert torch.equal(task(name).labels(mirrored, board), task(name).labels(moves, board))


def test_a_game_that_was_cut_short_has_no_winner() -> None:
    moves = games(4)
    moves[:, 10:] = -1
    assert (task("winner").labels(moves, Board.of(6)) == -1).all()


def test_heads_are_scikit_learns() -> None:
    draw = torch.Generator().manual_seed(0)
    states = torch.randn(2, 300, 5, generator=draw) * torch.tensor([3.0, 1, 1, 0.1, 1]) + 2
    noisy = states[0, :, 0] / 3 + torch.randn(300, generator=draw)
    labels = torch.bucketize(noisy, torch.tensor([0.0, 1.0]))
    heads = fit_heads(states, labels, 3, l2=0.01)
    for layer in range(2):
        x = (states[layer] - states[layer].mean(0)) / states[layer].std(0)
        known = LogisticRegression(C=1 / (0.01 * 300), max_iter=5000, tol=1e-8).fit(x.numpy(), labels.numpy())
        ours = torch.softmax(states[layer] @ heads.weight[layer] + heads.bias[layer], 1)
        assert np.abs(ours.numpy() - known.predict_proba(x.numpy())).max() < 2e-3


def test_the_best_guess_by_hand() -> None:
    group, labels = torch.tensor([[0, 0, 1, 1]]), torch.tensor([[2, 2, 1, -1]])
    assert best_guess(group, labels, 3, 3).tolist() == [2, 1, 0]


@dataclass(frozen=True)
class Planted:
    """Stands in for a Subject: its first language writes the labels of two tasks into its states."""

    board = Board.of(6)
    names = ("a", "b", "c")
    corpus_seed = 0
    device = torch.device("cpu")
    control: str = "trained"

    def states(self, moves: Tensor, language: int) -> Tensor:
        noise = torch.randn(2, *moves.shape, 8, generator=torch.Generator().manual_seed(len(moves) + language))
        if self.control == "trained" and language < 2:
            code = task("flips").labels(moves, self.board).long().clamp(min=0) + 4 * language
            noise[1] += 9 * torch.nn.functional.one_hot(code, 8)
        return noise

    def reading(self, *_: object) -> "Planted":
        return self

    def context_rows(self) -> Iterator[Any]:
        yield from ()

    def random_weights(self) -> "Planted":
        return replace(self, control="random_weights")


def test_a_planted_label_is_read_where_its_code_is_shared() -> None:
    measure = Tasks(TasksConfig(games=100, test_games=50, draws=10))
    rows = pd.DataFrame(measure(Planted()))
    at = rows.set_index(["target", "control", "layer", "source", "language"]).value.sort_index()
    constant = rows[rows.control == "constant"].set_index("target").value
    assert at["flips", "trained", 1, "a", "a"] > 0.99 < at["flips", "trained", 1, "b", "b"]
    assert at["flips", "trained", 1, "a", "b"] < constant["flips"] + 0.05  # b has another code
    for nothing in (("trained", 0, "a", "a"), ("trained", 1, "c", "c"), ("random_weights", 1, "a", "a")):
        assert at[("flips", *nothing)] < constant["flips"] + 0.05
    assert rows[(rows.target == "region") & (rows.control == "constant_by_move")].value.item() == 1
    assert (rows.low <= rows.value).all()
    assert (rows.value <= rows.high).all()
    assert rows[rows.target == "winner"].n.unique() == [50]
    assert measure.summary(rows).count("\n") == 4


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"names": ["flip"]}, r"tasks\.names: 'flip' is not one of flips, region, winner"),
        ({"names": ["flips"], "options": {"winner": {}}}, r"tasks\.options\.winner: has no effect"),
        ({"options": {"flips": {"bins": [2]}}}, r"tasks\.options\.flips\.bins"),
        ({"games": 1}, r"tasks\.games: 1 is below 2"),
    ],
)
def test_a_mistake_is_named(settings: dict[str, object], line: str) -> None:
    with pytest.raises(UserError, match=f"^{line}"):
        typed(settings, TasksConfig, "tasks")
