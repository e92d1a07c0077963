"""Proves that work stays eager until all of it would take longer than a compiler does, that a compiler that fails costs
one log line and no game, that both engines play the same games, and that what a fused ply is made of (square_to_move,
choose, the masks of the directions) agrees with plain tables. Negative controls: one game less stays eager, a compiler
that works is asked once and then used, and a shift outside its mask leaves the board's geometry.
"""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mothello.othello import lazy_compile, policy, random_play
from mothello.othello.bits import choose, popcount, select
from mothello.othello.board import SIZES, Board
from mothello.othello.lazy_compile import COMPILE_SECONDS, Engine, LazyCompiled, using
from mothello.othello.policy import PolicyConfig
from mothello.othello.random_play import RandomGames, square_to_move

REAL_COMPILE = torch.compile


def triple(x: torch.Tensor) -> torch.Tensor:
    return x * 3 + 1


def is_eager(fused: LazyCompiled, games: int, how: Engine = Engine.auto) -> bool:
    return fused.step(games, how) is fused.function


class Compiler:
    """In place of torch.compile: counts how often it is asked, and fails or returns what it was given."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.asked, self.calls, self.options = error, 0, 0, {}

    def __call__(self, function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        self.asked, self.options = self.asked + 1, options

        def compiled(*arguments: Any) -> Any:
            self.calls += 1
            if self.error is not None:
                raise self.error
            return function(*arguments)

        return compiled


@pytest.fixture
def working(monkeypatch: pytest.MonkeyPatch) -> Compiler:
    """A compiler that returns the traced function."""
    compiler = Compiler()
    monkeypatch.setattr(torch, "compile", compiler)
    return compiler


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Compiler:
    compiler = Compiler(RuntimeError("no C++ compiler found\nsecond line\nthird line"))
    monkeypatch.setattr(torch, "compile", compiler)
    return compiler


@pytest.fixture
def fresh() -> Iterator[None]:
    """Nothing that was compiled, timed or broken before or within the test reaches another."""
    for cached in (random_play.fused, policy._fused):
        cached.cache_clear()
    yield
    for cached in (random_play.fused, policy._fused):
        cached.cache_clear()


# When compiling pays.


@pytest.mark.parametrize("games", [0, 1, 10**12])
def test_nothing_is_compiled_before_anything_was_timed(games: int) -> None:
    with using(Engine.auto):
        assert is_eager(LazyCompiled(triple, "triple"), games)


@pytest.mark.parametrize(("games", "seconds"), [(2048, 1.0), (6400, 0.5), (10**6, 2.0)])
def test_the_amount_of_work_decides(games: int, seconds: float) -> None:
    """What was spent and what is still asked for, at the rate so far, against COMPILE_SECONDS."""
    with using(Engine.auto):
        fused = LazyCompiled(triple, "triple")
        fused.record(games, seconds)
        enough = round((COMPILE_SECONDS - seconds) * games / seconds)
        assert is_eager(fused, 0)
        assert is_eager(fused, enough - games // 64)
        assert not is_eager(fused, enough + games // 64)


def test_what_was_spent_adds_up() -> None:
    with using(Engine.auto):
        fused = LazyCompiled(triple, "triple")
        for _ in range(20):
            assert is_eager(fused, 100)
            fused.record(1000, COMPILE_SECONDS / 20)
        assert is_eager(fused, 0)  # exactly as long as a compiler takes: not longer
        assert not is_eager(fused, 1)
        fused.record(1, 0.001)
        assert not is_eager(fused, 0)


def test_functions_count_their_work_apart() -> None:
    with using(Engine.auto):
        busy, idle = LazyCompiled(triple, "busy"), LazyCompiled(triple, "idle")
        busy.record(1, 10 * COMPILE_SECONDS)
        assert not is_eager(busy, 1)
        assert is_eager(idle, 10**9)


def test_asking_for_an_engine_overrules_the_amount_of_work() -> None:
    fused = LazyCompiled(triple, "triple")
    assert not is_eager(fused, 0, Engine.compiled)
    fused.record(1, 10 * COMPILE_SECONDS)
    assert is_eager(fused, 10**9, Engine.eager)


@pytest.mark.usefixtures("fresh")
def test_the_first_game_does_not_make_a_thousand_look_slow(working: Compiler) -> None:
    """A single game takes as long as a thousand do: a rate taken from it says nothing of the work to come."""
    play, index = RandomGames(Board.of(8), 0), torch.arange(1000)
    with using(Engine.auto):
        play.games(index[:1])
        play.games(index)
    assert working.asked == 0


# using().


def test_using_decides_what_auto_means_and_restores() -> None:
    fused = LazyCompiled(triple, "triple")
    before = lazy_compile._default
    with using(Engine.auto):
        assert is_eager(fused, 5)
        with using(Engine.compiled):
            assert not is_eager(fused, 5)
            assert is_eager(fused, 5, Engine.eager)  # auto alone is replaced
            with using(Engine.eager):
                assert is_eager(fused, 5)
                assert not is_eager(fused, 5, Engine.compiled)
            assert not is_eager(fused, 5)
        assert is_eager(fused, 5)
        fused.record(1, 10 * COMPILE_SECONDS)
        assert not is_eager(fused, 5)
    assert lazy_compile._default is before


def test_using_restores_after_an_error() -> None:
    before = lazy_compile._default
    with pytest.raises(KeyError), using(Engine.compiled):
        raise KeyError
    assert lazy_compile._default is before


# A compiler that fails.


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_failing_compiler_leaves_one_line_and_the_eager_result(
    failing: Compiler, caplog: pytest.LogCaptureFixture
) -> None:
    fused, x = LazyCompiled(triple, "the triple of games"), torch.arange(5)
    assert torch.equal(fused.step(5, Engine.compiled)(x), triple(x))
    assert (failing.asked, failing.calls) == (1, 1)
    assert fused.broken
    (line,) = warnings(caplog)
    assert line.startswith("the triple of games stays eager")
    assert line.endswith("no C++ compiler found")  # the first line of the error, no more
    assert "\n" not in line


def test_a_broken_compiler_is_never_asked_again(failing: Compiler, caplog: pytest.LogCaptureFixture) -> None:
    fused, x = LazyCompiled(triple, "triple"), torch.arange(5)
    fused.step(5, Engine.compiled)(x)
    fused.record(1, 10 * COMPILE_SECONDS)
    for how in Engine:
        with using(Engine.auto):
            assert is_eager(fused, 10**9, how)
        assert torch.equal(fused.step(5, how)(x), triple(x))
    assert failing.asked == 1
    assert len(warnings(caplog)) == 1


def test_a_step_that_broke_may_be_called_again(failing: Compiler, caplog: pytest.LogCaptureFixture) -> None:
    """A game keeps its step for all of its plies: only the first may meet the compiler."""
    fused, x = LazyCompiled(triple, "triple"), torch.arange(5)
    step = fused.step(5, Engine.compiled)
    for _ in range(3):
        assert torch.equal(step(x), triple(x))
    assert failing.asked == 1
    assert len(warnings(caplog)) == 1


@pytest.mark.parametrize("error", [RuntimeError(""), OSError("\n  \n"), ValueError("   ")])
def test_an_error_without_words_is_named_by_its_type(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch, "compile", Compiler(error))
    LazyCompiled(triple, "triple").step(1, Engine.compiled)(torch.arange(2))
    assert warnings(caplog)[0].endswith(type(error).__name__)


def test_stopping_the_program_is_no_failure_of_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", Compiler(KeyboardInterrupt()))  # type: ignore[arg-type]
    fused = LazyCompiled(triple, "triple")
    with pytest.raises(KeyboardInterrupt):
        fused.step(1, Engine.compiled)(torch.arange(2))
    assert not fused.broken


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("size", SIZES)
def test_without_a_compiler_games_are_the_same_and_one_line_says_so(
    size: int, failing: Compiler, caplog: pytest.LogCaptureFixture
) -> None:
    play, index = RandomGames(Board.of(size), 3), torch.arange(50)
    expected = play.games(index, Engine.eager)
    assert not warnings(caplog)
    for _ in range(2):
        assert torch.equal(play.games(index, Engine.compiled), expected)
    assert failing.asked == 1
    (line,) = warnings(caplog)
    assert line.startswith(f"random play on {size}x{size} (cpu) stays eager")


# A compiler that works.


def test_a_working_compiler_is_asked_once_and_then_used(working: Compiler, caplog: pytest.LogCaptureFixture) -> None:
    fused, x = LazyCompiled(triple, "triple"), torch.arange(5)
    for n in range(1, 5):
        assert torch.equal(fused.step(5, Engine.compiled)(x + n), triple(x + n))
        assert (working.asked, working.calls) == (1, n)
    assert working.options["fullgraph"]
    assert working.options["dynamic"]
    assert fused.compile_seconds > 0
    with using(Engine.auto):
        fused.step(0)(x)  # once compiled, little work uses it too
    assert working.calls == 5
    assert not warnings(caplog)


def test_what_torch_compiled_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's own wrapper, with a backend that needs no compiler: it has no truth value (__len__ raises)."""
    monkeypatch.setattr(torch, "compile", lambda function, **_: REAL_COMPILE(function, backend="eager"))
    fused, x = LazyCompiled(triple, "triple"), torch.arange(5)
    with using(Engine.auto):
        fused.record(1, 10 * COMPILE_SECONDS)
        for _ in range(3):
            assert torch.equal(fused.step(5)(x), triple(x))
    assert not fused.broken
    assert fused.compiled is not None


TASTES = [PolicyConfig(), PolicyConfig(flips=0.4, mobility=-0.3, corners=1.5)]


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("taste", TASTES, ids=["uniform", "policy"])
def test_the_traced_ply_plays_the_same_games(size: int, taste: PolicyConfig, working: Compiler) -> None:
    play, index = RandomGames(Board.of(size), 3, (), taste), torch.arange(40)
    expected = play.games(index, Engine.eager)
    assert working.asked == 0
    assert torch.equal(play.games(index, Engine.compiled), expected)
    assert working.asked == (1 if taste.uniform else 2)
    assert working.calls == Board.of(size).n_moves * working.asked


@pytest.mark.usefixtures("fresh")
def test_games_switch_in_the_middle_when_the_work_pays(working: Compiler, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first chunk is eager, the rest compiled; the games are those of either engine."""
    monkeypatch.setattr(random_play, "CHUNK", {"cpu": (8, 16)})
    play, index = RandomGames(Board.of(4), 3), torch.arange(40)
    expected = play.games(index, Engine.eager)
    assert working.calls == 0
    random_play.fused.cache_clear()
    with using(Engine.auto):
        assert torch.equal(play.games(index), expected)
        assert working.calls == 0  # control: as long as it does not pay, no chunk is compiled
        monkeypatch.setattr(lazy_compile, "COMPILE_SECONDS", 0.0)
        random_play.fused.cache_clear()
        assert torch.equal(play.games(index), expected)
    assert working.asked == 1
    assert working.calls == 2 * Board.of(4).n_moves  # 8 eager, then 16 and 16


# What a fused ply is made of.


@pytest.mark.parametrize("size", SIZES)
def test_square_to_move_is_the_table(size: int) -> None:
    board = Board.of(size)
    squares = torch.tensor(board.moves)
    expected = [board.move_of_square[square] for square in board.moves]
    assert expected == list(range(size * size - 4))
    assert square_to_move(squares, board).tolist() == expected
    assert square_to_move(squares.view(2, -1), board).flatten().tolist() == expected  # any shape
    assert square_to_move(torch.tensor(board.squares), board).tolist() != list(
        range(size * size)
    )  # control: not the cell


WORDS = st.integers(-(1 << 63), (1 << 63) - 1)
UNIFORM = st.one_of(st.integers(0, (1 << 32) - 1), st.sampled_from([0, 1, (1 << 31) - 1, 1 << 31, (1 << 32) - 1]))


@given(st.lists(st.tuples(WORDS.filter(bool), UNIFORM), min_size=1, max_size=30))
def test_choose_selects_the_rank_that_the_bits_draw(drawn: list[tuple[int, int]]) -> None:
    words, uniform = (torch.tensor(column) for column in zip(*drawn, strict=True))
    ranks = [u * (word & (1 << 64) - 1).bit_count() >> 32 for word, u in drawn]
    found = choose(words, uniform)
    assert torch.equal(found, select(words, torch.tensor(ranks)))
    for square, rank, (word, _) in zip(found.tolist(), ranks, drawn, strict=True):
        assert word >> square & 1
        assert bin(word & (1 << square) - 1).count("1") == rank


@given(UNIFORM)
def test_choosing_from_nothing_names_some_square(uniform: int) -> None:
    found = choose(torch.tensor([0, 1]), torch.tensor([uniform, uniform]))
    assert 0 <= int(found[0]) < 64
    assert int(found[1]) == 0


def test_every_bit_is_chosen_equally_often() -> None:
    """At every width of the descent, by going evenly through the 32 bits."""
    for word in (0b1011, -1, 0x5555_5555, -(1 << 63) | 1):
        n = int(popcount(torch.tensor(word)))
        uniform = -(-(torch.arange(n * 100) << 32) // (n * 100))  # rounded up: k / (100 n) of all bits
        counts = torch.bincount(choose(torch.full_like(uniform, word), uniform), minlength=64)
        assert counts.tolist() == [100 if word >> square & 1 else 0 for square in range(64)]


STEPS = {1: (0, 1), 8: (1, 0), 9: (1, 1), 7: (1, -1)}


@pytest.mark.parametrize("size", SIZES)
def test_the_directions_masks_are_the_squares_between_two_others(size: int) -> None:
    board = Board.of(size)
    assert sorted(step for step, _ in board.directions) == sorted(s * k for k in STEPS for s in (1, -1))
    for step, mask in board.directions:
        down, right = STEPS[abs(step)]
        inner = [
            (row, column)
            for row in range(size)
            for column in range(size)
            if all(0 <= row + s * down < size and 0 <= column + s * right < size for s in (1, -1))
        ]
        assert mask == sum(1 << 8 * row + column for row, column in inner)
        assert mask >= 0  # no sign bit: a right shift of it stays logical
        sign = 1 if step > 0 else -1
        ends = [(s, s // 8 + sign * down, s % 8 + sign * right) for s in board.squares]
        leaves = [s for s, row, column in ends if not (0 <= row < size and 0 <= column < size)]
        assert leaves  # control: unmasked, a shift would leave the board or wrap around
        assert not any(mask >> s & 1 for s in leaves)
        assert all(s + step == 8 * row + column for s, row, column in ends if s not in leaves)
