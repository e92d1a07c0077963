"""dry_run=true of the probes: what would be read and fitted, and minutes from fitting and scoring a few games."""

from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import replace
from io import StringIO
from time import perf_counter
from typing import NamedTuple

import torch
from torch import Tensor

from mothello.cli.cost.table import Costs, short, size
from mothello.cli.cost.training import finetuning, training_costs
from mothello.data.batch import in_language
from mothello.data.split import Split, corpus, probe_corpus
from mothello.languages.language_set import LanguageSet
from mothello.measures.causal.config import CausalConfig
from mothello.measures.causal.intervene import CASES_AT_ONCE, Language
from mothello.measures.probes.baselines import images
from mothello.measures.probes.config import ProbeConfig
from mothello.measures.probes.fit import SHUFFLED, FittedProbes, fit_probes
from mothello.measures.probes.score import CrossLingual, evaluate_probes
from mothello.measures.probes.symmetry_null import NULL_GAMES, NullOfMaximum
from mothello.measures.probes.targets import TARGETS, board_targets
from mothello.model.transformer import GPT
from mothello.objectives.causal_lm import label
from mothello.othello.lazy_compile import Engine, using
from mothello.seeding import generator
from mothello.stages.finetune import TransferCommand
from mothello.stages.run import Run
from mothello.training.budget import flops_per_token, tokens_per_game
from mothello.training.device import Precision
from mothello.training.rate import Clock, Pace, pace

OWN, ACROSS = 4 + 2, 10 + 8
"""Passes per case and layer: edits once or onwards, random ones too, and patches of one state or all; from another
language edits and patches under every symmetry."""
BUDGET = 8.0
"""Seconds for measuring, about half of it for fitting."""


class Paces(NamedTuple):
    """What was measured, and on what."""

    fit: Pace
    """Steps."""
    score: Pace
    """Games."""
    null: Pace
    """Pairs of languages."""
    probes: FittedProbes
    plies: float
    """Scored plies of a game."""
    tokens: float
    """Of a game, written in all languages."""


def measure_probes(
    model: GPT, language_set: LanguageSet, corpus_seed: int, config: ProbeConfig, precision: Precision,
    budget: float = BUDGET, clock: Clock = perf_counter,
) -> Paces:  # fmt: skip
    """Fit a few steps of every probe, score a few games in every language, draw a null for a pair."""
    device, fitted = model.head.weight.device, []
    games = probe_corpus(language_set.board, corpus_seed, *config.sizes)
    moves = games.moves(torch.arange(max(config.test_games, NULL_GAMES), device=device) % len(games))
    targets = (*TARGETS, SHUFFLED) if config.shuffled else TARGETS

    def fit(steps: int) -> None:
        few = replace(config, games=steps * config.batch_size, epochs=1, evaluations=1, held_out=1)
        with redirect_stderr(StringIO()):  # the bar of a few steps
            fitted.append(fit_probes(model, language_set, games, few, precision, targets=targets))

    def score(n: int) -> dict[str, CrossLingual]:
        return evaluate_probes(model, language_set, fitted[-1], moves[:n], precision, 1, generator(0, "cost"))

    with using(Engine.eager), torch.random.fork_rng([device] if device.type == "cuda" else []):
        fits = pace(fit, max(1, config.games // config.batch_size), budget / 2, clock, start=1)
        scores = pace(score, config.test_games, budget / 4, clock, start=2)
        null = pace(_null(moves[: min(NULL_GAMES, config.test_games)], language_set, config), 1, budget / 4, clock)
    some = moves[:NULL_GAMES]
    each = [label(in_language(some, k, language_set), language_set) for k in range(len(language_set.languages))]
    tokens = sum(tokens_per_game(batch).read for batch in each)
    return Paces(fits, scores, null, fitted[-1], float((moves >= 0).sum(1).double().mean()), tokens)


def _null(moves: Tensor, language_set: LanguageSet, config: ProbeConfig) -> Callable[[int], object]:
    truth = board_targets(moves.cpu(), language_set.board)
    null = NullOfMaximum(images(truth.classes[0], language_set.board), truth.scored, config.draws, generator(0, "cost"))

    def work(n: int) -> None:
        for _ in range(n):
            null(truth.classes[0])

    return work


def _interventions(run: Run, config: CausalConfig, precision: Precision, clock: Clock) -> float:
    """Seconds of all edits and patches, from answering some cases without one."""
    names, layers = run.language_set.names[: config.languages], run.model.config.n_layer + 1
    games = corpus(run.board, run.config.data.corpus_seed, Split.probe, 64)
    moves = games.moves(torch.arange(64, device=run.model.head.weight.device)).repeat(-(-CASES_AT_ONCE // 64), 1)
    moves = moves[: min(CASES_AT_ONCE, config.cases)]
    seconds = 0.0
    for index in range(len(names)):
        written = Language(run.model, run.language_set, index, moves, torch.full_like(moves[:, 0], 3).long(), precision)
        found = pace(lambda n, to=written: to.answer(None, slice(0, n)), len(moves), 1.0, clock, start=16)  # type: ignore[misc]
        edits = layers * (OWN + (len(names) - 1) * ACROSS) + 2
        seconds += edits * config.cases * found.each
    return seconds


def probing_costs(
    run: Run, config: ProbeConfig, precision: Precision, causal: CausalConfig | None = None,
    paces: Paces | None = None, clock: Clock = perf_counter,
) -> Costs:  # fmt: skip
    """Everything about a measurement with probes, but its folder. causal: as in measure_model, with the controls."""
    model, language_set, baseline = run.model, run.language_set, causal is not None and config.random_weights
    if paces is None:
        paces = measure_probes(model, language_set, run.config.data.corpus_seed, config, precision)
    n, layers, times = len(language_set.languages), model.config.n_layer + 1, 1 + baseline
    per_epoch = max(1, config.games // config.batch_size)
    steps, held_out = (
        per_epoch * config.epochs,
        config.evaluations * (config.first_test_game - per_epoch * config.batch_size),
    )
    fitted_on, targets = steps * config.batch_size, len(paces.probes.targets)
    widths = [language.max_tokens for language in language_set.languages]
    forward = sum(width * flops_per_token(model, width, training=False) for width in widths)
    forward *= times * (fitted_on + held_out + config.test_games)
    weights = [p for module in paces.probes.modules.values() for p in module.parameters()]
    products = sum(p.numel() for p in weights if p.shape[1] > 1)
    fitting = times * (6 * fitted_on + 2 * held_out) * products * paces.plies
    counts = len(TARGETS) * layers * n * n * (4 * config.test_games + config.draws) * 8
    parts = {
        "fitting": times * (steps + held_out / config.batch_size / 3) * paces.fit.each,
        "scoring": times * config.test_games * paces.score.each,
        "null": len(config.probes) * len(TARGETS) * layers * n * n * paces.null.each,
    }
    if causal is not None and causal.cases:
        parts["interventions"] = _interventions(run, causal, precision, clock)
    fit_states, scored_states = (n * layers * g * paces.plies for g in (fitted_on + held_out, config.test_games))
    twice = ", and again with random weights" if baseline else ""
    rows = {
        "probes": f"{len(config.probes) * targets * n * layers:,} ({', '.join(config.probes)}; "
        f"{targets} targets, {n} languages, {layers} layers){twice}",
        "parameters": f"{sum(p.numel() for p in weights):,} of all probes, fitted together",
        "states": f"{short(times * fit_states)} read to fit, {short(times * scored_states)} to score, of d_model "
        f"{model.config.d_model}",
        "games": f"{fitted_on:,} to fit, {config.held_out:,} held out, {config.test_games:,} to score",
        "tokens": f"{short(times * (fitted_on + held_out + config.test_games) * paces.tokens)} read, in all languages",
        "FLOPs": f"{forward:.3g} forward, {fitting:.3g} to fit the probes",
        "memory": f"{size(3 * 4 * sum(p.numel() for p in weights))} of probes, their gradients and momenta; "
        f"{size(len(config.probes) * times * counts)} of counts",
        "rate": f"{1 / paces.fit.each:.2f} steps/s of {config.batch_size} games in every language "
        f"({paces.fit.items} steps), {short(1 / paces.score.each)} games/s scored ({paces.score.items} games)",
    }
    return Costs(rows, parts)


def transfer_costs(
    config: TransferCommand, run: Run, source: int, budget: float = BUDGET, paces: Paces | None = None
) -> Costs:
    """Fine-tuning, and the alignment before and after it. paces: of the probes, where they are known."""
    costs = training_costs(finetuning(config, run, source), budget)
    if config.transfer.scratch:
        costs = Costs(costs.rows, costs.parts | {"from scratch": costs.seconds})
    if not config.transfer.probe_before_and_after:
        return costs
    probes = probing_costs(run, config.probe, config.device.precision, None, paces)
    return Costs(
        costs.rows | {"probes": f"{probes.rows['probes']}, before and after"},
        costs.parts | {"alignment": 2 * probes.seconds},
    )
