"""dry_run=true of what trains: arithmetic, and a few seconds of measuring on the path that training takes."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import torch
from torch import Tensor

from mothello.cli.cost.table import Costs, free_bytes, languages, short, size, threads, where
from mothello.data.batch import in_language, make_batch
from mothello.data.sources import Sources
from mothello.data.split import Split
from mothello.data.stream import DataConfig, Stream
from mothello.errors import UserError
from mothello.languages.language_set import LanguageSet
from mothello.measures.legality.estimate import legality
from mothello.model.transformer import GPT
from mothello.objectives.causal_lm import label
from mothello.objectives.combined import build_objective
from mothello.objectives.objective import Objective
from mothello.rundir import RunDir
from mothello.stages.build import games_of, model_of, weights_of
from mothello.stages.evaluate import EvaluationConfig
from mothello.stages.finetune import TransferCommand
from mothello.stages.pretrain import TrainConfig
from mothello.stages.run import Run
from mothello.training.budget import (
    Memory,
    Tokens,
    activation_bytes,
    flops_per_token,
    memory,
    parameters,
    tokens_per_game,
)
from mothello.training.checkpoint import KEEP
from mothello.training.device import Compile, DeviceConfig, autocast, has_compiler, is_bf16, worth_compiling
from mothello.training.optimizer import OptimizerConfig
from mothello.training.rate import Clock, Rate, Step, measure, pace

BUDGET = 8.0
"""Seconds for measuring steps; evaluation and floors take a quarter of it each at most."""
_SAMPLE = 256
_ROOM = 0.5
"""Share of the free memory that a measured step may plan with: a process grows by more than tensors do."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """A stage that trains, ready to begin."""

    model: GPT
    language_set: LanguageSet
    stream: Stream
    corpora: Sources
    """Per language."""
    weights: Sequence[float]
    """How often each language is spoken in the games trained on."""
    floor_weights: Sequence[float] | None
    held_out: Sources
    data: DataConfig
    evaluation: EvaluationConfig
    evaluations: int
    """Along the stage and after it."""
    optimizer: OptimizerConfig
    objective: Objective
    device: DeviceConfig

    @property
    def games(self) -> int:
        return self.data.steps * self.data.batch_size

    @property
    def board(self) -> torch.device:
        return self.model.head.weight.device

    @property
    def compiled(self) -> bool:
        """As the stage itself decides."""
        flops = flops_per_token(self.model, self.model.position_embedding.num_embeddings)
        tokens = self.games * self.language_set.max_tokens
        return worth_compiling(self.device, self.board, flops * tokens) and has_compiler(self.board)

    @property
    def tried_compiled(self) -> bool:
        """Whether its steps are compiled to be measured: only when asked for, as that takes minutes."""
        return self.compiled and self.device.compile is Compile.always


def pretraining(config: TrainConfig, language_set: LanguageSet, games: Sources, device: torch.device) -> Training:
    """What scripts/train.py would do."""
    data, weights = config.data, weights_of(config.data, language_set)
    return Training(
        model=model_of(config, language_set).initialize(config.seed).to(device), language_set=language_set,
        stream=Stream(games, language_set, data, config.seed, device),
        corpora=games, weights=weights, floor_weights=weights,
        held_out=games_of(data, language_set, Split.validation, config.evaluation.games), data=data,
        evaluation=config.evaluation, evaluations=len(config.evaluation.steps(data.steps)) + 1,  # by ply, at the end
        optimizer=config.optimizer, objective=build_objective(config.objective), device=config.device,
    )  # fmt: skip


def finetuning(config: TransferCommand, run: Run, source: int) -> Training:
    """What scripts/transfer.py would do between its two measurements of alignment."""
    settings, language_set, device = config.transfer, run.language_set, run.model.head.weight.device
    data = replace(settings.data, corpus_seed=run.config.data.corpus_seed)
    games = games_of(data, language_set, Split.transfer, data.games)
    stream = Stream(Sources.shared(games[source], len(games)), language_set, data, config.seed, device)
    return Training(
        model=run.model, language_set=language_set, stream=stream.speaking(source), corpora=games,
        weights=[float(k == source) for k in range(len(games))], floor_weights=None,
        held_out=games_of(data, language_set, Split.validation, settings.evaluation.games), data=data,
        evaluation=settings.evaluation, evaluations=len(settings.evaluation.steps(data.steps)),
        optimizer=settings.optimizer, objective=build_objective(run.config.objective), device=config.device,
    )  # fmt: skip


def mean_tokens(job: Training) -> Tokens:
    """Of a game, over the languages as often as they are spoken: exact for the first games of each corpus."""
    computed = job.stream.batch(0).tokens.shape[1] - 1
    read = scored = 0.0
    for language, (games, weight) in enumerate(zip(job.corpora, job.weights, strict=True)):
        if weight:
            indices = torch.arange(min(_SAMPLE, len(games)))
            spoken = torch.full_like(indices, language)
            each = tokens_per_game(
                label(
                    make_batch(games.moves(indices), spoken, job.language_set, games.first_scored(indices)),
                    job.language_set,
                )
            )
            read, scored = read + weight * each.read, scored + weight * each.scored
    return Tokens(read, scored, computed)


def _per_language(job: Training, work: Callable[[Tensor, int], object], budget: float, clock: Clock) -> float:
    """Seconds of ``work(moves, language)`` on the evaluation's games in all languages, from the first of each kind."""
    kinds: dict[tuple[str, int], list[int]] = {}
    for index, language in enumerate(job.language_set.languages):
        kinds.setdefault((language.kind, language.max_word), []).append(index)
    most, total = min(job.evaluation.games, *map(len, job.held_out)), 0.0
    for first, *others in kinds.values():
        moves = job.held_out[first].moves(torch.arange(most, device=job.board))

        def some(n: int, moves: Tensor = moves, first: int = first) -> None:
            work(moves[:n], first)

        total += (1 + len(others)) * most * pace(some, most, budget / len(kinds), clock).each
    return total


def evaluation_seconds(job: Training, budget: float, clock: Clock = perf_counter) -> float:
    """One evaluation in every language."""
    model = job.model.eval()

    def work(moves: Tensor, language: int) -> None:
        with torch.no_grad(), autocast(job.board, job.device.precision):
            legality(model, moves, job.language_set, language)
            job.objective.loss(model, label(in_language(moves, language, job.language_set), job.language_set))

    return _per_language(job, work, budget, clock)


def floor_seconds(job: Training, budget: float, clock: Clock = perf_counter) -> float:
    """The floors of all languages, computed once at the start; zero where no oracle is known."""
    known = [oracle for games in job.held_out if (oracle := games.oracle) is not None]
    if len(known) < len(job.held_out):
        return 0.0

    def work(moves: Tensor, language: int) -> None:
        batch = label(in_language(moves, language, job.language_set), job.language_set)
        job.objective.floor(batch, job.language_set, known, job.floor_weights)

    return _per_language(job, work, budget, clock)


def training_flops(job: Training, tokens: Tokens) -> float:
    """Of all steps, padding included."""
    return job.games * tokens.computed * flops_per_token(job.model, int(tokens.computed))


def _arithmetic(job: Training, tokens: Tokens, held: Memory) -> dict[str, str]:
    counts, games = parameters(job.model), job.games
    each = flops_per_token(job.model, int(tokens.computed))
    free = free_bytes(job.board)
    there = f"of {size(free)} free" if held.peak < free else f"MORE THAN the {size(free)} free"
    return {
        "parameters": f"{counts.total:,} ({counts.without_embeddings:,} without embeddings)",
        "games": f"{games:,} in {job.data.steps:,} steps of {job.data.batch_size:,}",
        "tokens": f"{short(games * tokens.read)} read, {short(games * tokens.scored)} scored",
        "FLOPs": f"{training_flops(job, tokens):.3g} in training, {short(each)} for each of "
        f"{short(games * tokens.computed)} places, padding included",
        "memory": f"{size(held.peak)} at the peak, {there}: weights {size(held.weights)}, optimizer "
        f"{size(held.optimizer)}, activations {size(held.activations)}",
        "disk": f"{size(KEEP * held.stored)} for {KEEP} checkpoints",
    }


def _shown_rate(job: Training, tokens: Tokens, rate: Rate) -> str:
    per_game, precision = rate.seconds(1), "bf16" if is_bf16(job.board, job.device.precision) else "fp32"
    flops = tokens.computed * flops_per_token(job.model, int(tokens.computed)) / per_game
    place = threads() if job.board.type == "cpu" else torch.cuda.get_device_name(job.board)
    how = f"{job.board.type}, {place}, {precision}, {'compiled' if job.tried_compiled else 'eager'}"
    if job.compiled and not job.tried_compiled:
        how += "; the run will compile its step: device.compile=always measures that"
    whole = job.data.batch_size
    fewer = "" if rate.games >= whole else f", not {whole:,}: too long to try, or too much memory"
    return (
        f"{short(tokens.read / per_game)} tokens/s, {short(1 / per_game)} games/s, {short(flops)}FLOP/s "
        f"({rate.steps} steps of {rate.games:,} games{fewer}; {how})"
    )


def priced(job: Training, tokens: Tokens, held: Memory, rate: Rate, evaluation: float, floors: float) -> Costs:
    """The table from what was measured. evaluation: seconds of one. floors: seconds of all."""
    parts = {"training": rate.seconds(job.games), "evaluation": job.evaluations * evaluation, "floors": floors}
    if job.tried_compiled:
        parts["compiling"] = rate.first_seconds
    return Costs(_arithmetic(job, tokens, held) | {"rate": _shown_rate(job, tokens, rate)}, parts)


def training_costs(job: Training, budget: float = BUDGET, clock: Clock = perf_counter) -> Costs:
    """Everything about a stage that trains, but its folder. Takes about twice ``budget`` seconds."""
    batch, precision = job.objective.batch(job.stream, 0), job.device.precision
    kept = activation_bytes(job.model, job.objective, batch, precision, job.data.batch_size)
    held = memory(job.model, job.optimizer, kept)
    room = _ROOM * free_bytes(job.board) - 2 * (
        held.stored + held.gradients
    )  # the model that is copied stays beside it
    step = Step(
        objective=job.objective, optimizer=job.optimizer, precision=precision, compiled=job.tried_compiled,
        cuda_graphs=job.device.cuda_graphs,
    )  # fmt: skip
    rate = measure(job.model, job.stream, step, int(room * job.data.batch_size / kept), budget, clock)
    evaluation = evaluation_seconds(job, budget / 4, clock)
    return priced(job, mean_tokens(job), held, rate, evaluation, floor_seconds(job, budget / 4, clock))


def dry_train(
    config: TrainConfig, language_set: LanguageSet, games: Sources, device: torch.device, folder: RunDir
) -> None:
    """Print what a pretraining would cost. UserError under torchrun: the processes would disturb one another."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError("dry_run: one process is measured; leave torchrun out")
    job = pretraining(config, language_set, games, device)
    print(f"{config.name}: {language_set.board.name}, {languages(language_set)}", flush=True)
    print(training_costs(job).table(folder=where(folder, config.data.steps)), flush=True)
