"""dry_run=true of scripts/bench.py: what would be timed, and roughly how long that takes."""

from collections.abc import Callable
from importlib.util import find_spec
from time import perf_counter

import torch

from mothello.cli.cost.games import playing
from mothello.cli.cost.table import Costs, minutes, short
from mothello.cli.timing.config import BenchCommand
from mothello.cli.timing.growth import GAMES, LANGUAGES
from mothello.cli.timing.measures import LANGUAGES as MEASURED
from mothello.cli.timing.measures import SMALL
from mothello.cli.timing.products import product_rate
from mothello.cli.timing.steps import PROFILED, ROUNDS, SHAPES, WARM, WAYS
from mothello.data.split import Split, corpus
from mothello.languages.language_set import LanguagesConfig, build_languages
from mothello.measures.legality.estimate import count_legality
from mothello.model.build import build_model
from mothello.othello.board import Board
from mothello.othello.lazy_compile import COMPILE_SECONDS, Engine, using
from mothello.othello.random_play import RandomGames
from mothello.training.budget import flops_per_token
from mothello.training.device import Precision, is_bf16
from mothello.training.rate import Clock, pace

_PEERS = {"python": ("", 1), "open_spiel": ("pyspiel", 1), "pgx": ("pgx", 3)}
"""Of another engine: the module it needs, and how often it is timed."""
_TIMES = 3
"""The best of three."""
_SHARE = 0.4
"""Of the rate of matrix products, what a step of training reaches."""
LANGUAGE_SECONDS = 10.0
"""Seconds per part of the alignment of 2 to 20 languages, roughly."""
_COMPILE_STEP = 40.0
"""Seconds to compile a step, roughly."""


def _engine(config: BenchCommand, device: torch.device, clock: Clock) -> Costs:
    seconds, rates = 0.0, []
    peers = [name for name, (module, _) in _PEERS.items() if config.peers and (not module or find_spec(module))]
    for side in config.boards:
        play = RandomGames(Board.of(side))
        with using(Engine.eager):
            found = pace(lambda n, play=play: play.games(torch.arange(n)), 65_536, 1.0, clock, start=16_384)  # type: ignore[misc]
        bulk = 65_536 * found.each
        rates.append(f"{side}x{side} {short(1 / found.each)}")
        seconds += bulk + 2 * _TIMES * max(config.seconds, bulk) + COMPILE_SECONDS
        seconds += sum(_PEERS[name][1] * config.seconds for name in peers)
    shown = (
        f"random games a second on {len(config.boards)} boards, eager and compiled; peers: {', '.join(peers) or 'none'}"
    )
    return Costs({"timed": shown, "rate": f"{', '.join(rates)} games/s, eager"}, {"timing": seconds})


def _growth(config: BenchCommand, device: torch.device, clock: Clock) -> Costs:
    play = RandomGames(Board.of(max(config.boards)))
    found = playing(lambda n: play.games(torch.arange(n)), max(GAMES), Engine.auto, clock)
    shown = f"{sum(GAMES):,} games, up to {max(GAMES):,} at a time; streams of up to {max(LANGUAGES)} languages"
    seconds = sum(GAMES) * found.pace.each + len(GAMES) * found.compiling
    return Costs({"timed": shown, "rate": f"{short(1 / found.pace.each)} games/s, {found.engine}"}, {"timing": seconds})


def _train(config: BenchCommand, device: torch.device, clock: Clock) -> Costs:
    half = torch.bfloat16 if is_bf16(device, Precision.auto) else torch.float32
    rate, seconds, shown = 1e9 * product_rate(device, half, 2048), 0.0, []
    for name, shape in SHAPES.items():
        language_set, games = build_languages(LanguagesConfig(), Board.of(shape.size)), shape.games[device.type]
        places = language_set.max_tokens
        step = games * places * flops_per_token(build_model(shape.model, language_set), places) / (rate * _SHARE)
        steps = WARM + PROFILED + ROUNDS * shape.steps[device.type]
        for way in WAYS[device.type]:
            seconds += steps * step * (2 if config.peers else 1) + _COMPILE_STEP * way.compiled
        shown.append(f"{name} ({steps} steps of {games:,} games)")
    timed = f"training of {', '.join(shown)} in {len(WAYS[device.type])} ways"
    beside = ", beside the published recipe" if config.peers else ""
    assumed = f"steps at {_SHARE:.0%} of it are assumed"
    return Costs({"timed": timed + beside, "rate": f"{short(rate)}FLOP/s of products; {assumed}"}, {"timing": seconds})


def _measures(config: BenchCommand, device: torch.device, clock: Clock) -> Costs:
    language_set = build_languages(LanguagesConfig(), Board.of(6))
    model = build_model(SMALL, language_set).to(device).eval()
    moves = corpus(language_set.board, 0, Split.validation, 10**6).moves(torch.arange(64, device=device))
    found = pace(lambda n: count_legality(model, moves[:n], language_set, 0), 64, 1.0, clock)
    timed = "legality and alignment, beside one position at a time" if config.peers else "alignment"
    seconds = 60.0 * config.peers + 15 * LANGUAGE_SECONDS
    return Costs(
        {"timed": f"{timed}; alignment of {', '.join(map(str, MEASURED))} languages",
         "rate": f"{short(1 / found.each)} games/s for legality; the time of the rest is as it was on two cores"},
        {"timing": seconds},
    )  # fmt: skip


BENCHES: dict[str, Callable[[BenchCommand, torch.device, Clock], Costs]] = {
    "engine": _engine,
    "growth": _growth,
    "train": _train,
    "measures": _measures,
}


def bench_rows(config: BenchCommand, device: torch.device, clock: Clock = perf_counter) -> dict[str, str]:
    """The lines of the table."""
    costs = BENCHES[config.target](config, device, clock)
    rows = {"target": config.target} | costs.rows | {"minutes": f"{minutes(costs.seconds)}, roughly"}
    return rows | {"folder": config.out or "none: nothing would be written"}
