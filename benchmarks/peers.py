"""Random games per second of other engines: pgx under JAX, open_spiel, and a plain Python loop."""

import random
from collections.abc import Callable
from importlib.util import find_spec

from benchmarks.common import best_seconds
from mothello.othello.board import Board


def pgx(board: Board, seconds: float) -> float | None:
    """pgx's vectorized Othello under jit, at the best of three batch sizes; None where it is not installed."""
    if board.size != 8 or find_spec("pgx") is None or find_spec("jax") is None:
        return None
    import jax
    import pgx as peer

    env = peer.make("othello")

    def games(key, n):  # type: ignore[no-untyped-def]
        def step(carry):  # type: ignore[no-untyped-def]
            state, key = carry
            key, draw = jax.random.split(key)
            action = jax.random.categorical(draw, jax.numpy.log(state.legal_action_mask.astype(float)), axis=-1)
            return jax.vmap(env.step)(state, action), key

        state = jax.vmap(env.init)(jax.random.split(key, n))
        return jax.lax.while_loop(lambda c: ~c[0].terminated.all(), step, (state, key))[0].rewards

    def rate(n: int) -> float:
        played = jax.jit(games, static_argnums=1)
        return n / best_seconds(lambda: played(jax.random.PRNGKey(0), n).block_until_ready(), seconds)

    return max(map(rate, (128, 1024, 4096)))


def open_spiel(board: Board, seconds: float) -> float | None:
    """open_spiel's Othello, driven from Python; None where it is not installed."""
    if board.size != 8 or find_spec("pyspiel") is None:
        return None
    import pyspiel

    rules = pyspiel.load_game("othello")

    def game() -> None:
        state = rules.new_initial_state()
        while not state.is_terminal():
            state.apply_action(random.choice(state.legal_actions()))

    return 1 / best_seconds(game, seconds)


def plain_python(board: Board, seconds: float) -> float:
    """A loop over squares and directions, one game at a time: what research code does."""
    steps = [(r, c) for r in (-1, 0, 1) for c in (-1, 0, 1) if r or c]
    squares = [(r, c) for r in range(board.size) for c in range(board.size)]

    def turned(discs: dict[tuple[int, int], int], square: tuple[int, int], color: int) -> list[tuple[int, int]]:
        flips: list[tuple[int, int]] = []
        for down, right in steps:
            line, at = [], (square[0] + down, square[1] + right)
            while discs.get(at) == -color:
                line.append(at)
                at = (at[0] + down, at[1] + right)
            if discs.get(at) == color:
                flips += line
        return flips

    def game() -> None:
        high = board.size // 2
        discs = {(high - 1, high - 1): -1, (high, high): -1, (high - 1, high): 1, (high, high - 1): 1}
        color, passes = 1, 0
        while passes < 2:
            legal = [(s, line) for s in squares if s not in discs and (line := turned(discs, s, color))]
            if legal:
                square, line = random.choice(legal)
                discs |= dict.fromkeys([square, *line], color)
            passes = 0 if legal else passes + 1
            color = -color

    return 1 / best_seconds(game, seconds)


PEERS: dict[str, Callable[[Board, float], float | None]] = {
    "pgx": pgx,
    "open_spiel": open_spiel,
    "python": plain_python,
}
