"""dry_run=true of measure.py: what would be read, and minutes from measuring a few games and one pair of languages."""

from __future__ import annotations

from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

import torch

from mothello.bootstrap import Bootstrap
from mothello.cli.cost.table import Costs, languages, short, size
from mothello.data.split import Split, corpus
from mothello.measures.alignment.measures import Positions, pair_values
from mothello.measures.legality.estimate import count_legality
from mothello.measures.parallel import layer_states
from mothello.measures.positions import draw_positions
from mothello.othello.lazy_compile import Engine, using
from mothello.othello.symmetry import OPENING_MAPS
from mothello.seeding import generator
from mothello.stages.run import Run
from mothello.training.rate import Clock, pace

if TYPE_CHECKING:
    from mothello.cli.measure import MeasureCommand

BUDGET = 8.0
"""Seconds for measuring."""


def measure_costs(run: Run, config: MeasureCommand, budget: float = BUDGET, clock: Clock = perf_counter) -> Costs:
    """Everything but the folder."""
    model, language_set, device = run.model, run.language_set, run.model.head.weight.device
    settings, n, layers = config.alignment, len(run.language_set.languages), run.model.config.n_layer + 1
    compared = min(n, settings.languages)
    with using(Engine.eager):
        most = max(settings.games, config.legality_games)
        games = corpus(run.board, run.config.data.corpus_seed, Split.probe, most)
        moves = games.moves(torch.arange(most, device=device))

        def exact(n_games: int, index: int) -> object:
            return count_legality(model, moves[:n_games], language_set, index, exact=True)

        def read(n_games: int, index: int) -> object:
            return layer_states(model, moves[:n_games], language_set, index, 0, config.device.precision)

        scoring = [
            pace(partial(exact, index=i), config.legality_games, budget / 2 / n, clock, start=2) for i in range(n)
        ]
        reading = [pace(partial(read, index=i), settings.games, budget / 4 / n, clock, start=8) for i in range(n)]
        comparing = pace(
            lambda _: _compare(moves[: settings.games], config, model.config.d_model), 1, budget / 4, clock
        )
    several = n > 1
    models = (1 + settings.random_weights) * several
    passes = layers * settings.games * models * (1 + len(OPENING_MAPS))
    pairs = compared * (compared - 1)
    states = settings.games * run.board.n_moves * model.config.d_model * 4
    rows = {
        "languages": languages(language_set),
        "legality": f"{config.legality_games:,} games in every language, every next move's probability",
        "pairs": f"{pairs * several:,} ordered, {layers} layers, {len(OPENING_MAPS)} maps"
        + (", and again with random weights" if settings.random_weights and several else ""),
        "states": f"{settings.games:,} games, {settings.pool:,} positions in the pool; "
        f"{short(passes * compared)} games read",
        "memory": f"{size(states * (compared + 2 * len(OPENING_MAPS)))} of states, one layer at a time",
    }
    parts = {
        "legality": sum(found.each for found in scoring) * config.legality_games,
        "reading": sum(found.each for found in reading[:compared]) * passes,
        "comparing": comparing.each * pairs * layers * models,
    }
    return Costs(rows, parts)


def _compare(moves: torch.Tensor, config: MeasureCommand, d_model: int) -> None:
    """The work on one pair of languages at one layer, on numbers that mean nothing."""
    half, draw = len(moves) // 2, generator(0, "cost")
    pool = draw_positions(moves[half:], config.alignment.pool, draw)
    positions = Positions(
        moves, pool._replace(game=pool.game + half), Bootstrap(len(moves), config.alignment.draws, draw)
    )
    x = torch.randn(*moves.shape, d_model, generator=draw).to(moves.device)
    for _ in pair_values(x, x.expand(len(OPENING_MAPS), *x.shape), positions):
        pass
