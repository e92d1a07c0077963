"""scripts/transfer.py: fine-tune a run on one language, and measure every language on the way."""

import shutil
import time
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from mothello.cli.cost.probing import transfer_costs
from mothello.cli.cost.table import where
from mothello.cli.main import command
from mothello.cli.probe import measure_model
from mothello.cli.train import resolve_device
from mothello.config import plain
from mothello.data.language_sampling import LanguageSampling
from mothello.data.split import Split, corpus
from mothello.data.stream import Stream
from mothello.errors import UserError, keyed
from mothello.files import locked
from mothello.measures.alignment.retrieval import cosines, hits
from mothello.measures.positions import draw_positions
from mothello.measures.transfer.curve import curves, summary
from mothello.measures.transfer.rows import Row, summary_rows, transfer_rows
from mothello.measures.transfer.watch import GAMES, POOL, Watch, opening_name
from mothello.model.transformer import GPT
from mothello.objectives.objective import objective
from mothello.othello.notation import parse_move
from mothello.rows import format_table, write_tidy
from mothello.rundir import RunDir
from mothello.seeding import derive, generator
from mothello.stages.finetune import TransferCommand, finetune
from mothello.stages.folders import transfer_identity
from mothello.stages.load import LoadedRun, games_of, load_run, measured, restore
from mothello.stages.running import describe_device, require_single_process, resolve_execution, running
from mothello.stages.stage import Evaluator, build_evaluator, build_model
from mothello.tracking import start_mirror
from mothello.training import checkpoint
from mothello.training.distributed import World
from mothello.training.loop import Plan


def source_index(config: TransferCommand, run: LoadedRun) -> int:
    """Index of the language to fine-tune on. UserError lists the names."""
    name = config.transfer.source or run.language_set.names[0]
    with keyed("transfer.source: "):
        return run.language_set.index(name)


def _openings(config: TransferCommand, run: LoadedRun) -> dict[str, Tensor]:
    """Held-out games of every opening that languages are judged on. UserError names one that cannot be played."""
    wanted = [run.config.data.prefix] * bool(run.config.data.prefix) + config.transfer.openings
    games, indices = config.transfer.evaluation.games, torch.arange(config.transfer.evaluation.games)
    found = {}
    for opening in wanted:
        with keyed("transfer.openings: "):
            moves = [parse_move(text, run.board) for text in opening]
            corpus_ = corpus(run.board, run.config.data.corpus_seed, Split.validation, games, moves)
        found[opening_name(opening)] = corpus_.moves(indices.to(run.model.head.weight.device))
    return found


def _watch(config: TransferCommand, run: LoadedRun, source: int, evaluate: Evaluator) -> Watch:
    """What is evaluated along the way."""
    moves = pool = None
    if config.transfer.track_retrieval and len(run.language_set.names) > 1:
        games = corpus(run.board, run.config.data.corpus_seed, Split.probe, GAMES)
        moves = games.moves(torch.arange(GAMES, device=run.model.head.weight.device))
        pool = draw_positions(moves, POOL, generator(0, "pool"))
    return Watch(
        run.language_set, source, evaluate, _openings(config, run), moves, pool,
        lambda x, y, allowed: float(hits(cosines(x, y), allowed).double().mean()), config.device.precision,
    )  # fmt: skip


def _fine_tune(
    config: TransferCommand, run: LoadedRun, model: GPT, source: int, folder: RunDir, title: str
) -> dict[str, Any]:
    """Fine-tune a model in place; the numbers of results.json, without alignment."""
    settings, language_set, device = config.transfer, run.language_set, model.head.weight.device
    data = replace(settings.data, corpus_seed=run.config.data.corpus_seed)  # the whole distribution unless said
    games = games_of(data, language_set, Split.transfer, data.games)[source]
    held_out = games_of(data, language_set, Split.validation, settings.evaluation.games)
    loss, tokens = objective(run.config.objective), data.steps * data.batch_size * language_set.max_tokens
    compiled = resolve_execution(folder, config.device, device, model, tokens, World())
    evaluator = build_evaluator(
        language_set, held_out, settings.evaluation.games, loss, config.device.precision, device=device
    )
    start_mirror(folder, config.tracking)

    def record(step: int, values: Any) -> None:
        folder.append_metrics({"step": step, **values})

    plan = Plan(
        steps=settings.data.steps, objective=loss, optimizer=settings.optimizer, precision=config.device.precision,
        seed=config.seed, folder=folder.checkpoints, log=record,
        evaluate=_watch(config, run, source, evaluator),
        evaluate_at=settings.evaluation.steps(settings.data.steps), log_every=settings.evaluation.log_every,
        checkpoint_every=config.checkpoint_every, compiled=compiled, cuda_graphs=config.device.cuda_graphs,
        title=f"fine-tune {title}",
    )  # fmt: skip
    stream = Stream(games, language_set, data.batch_size, config.seed, device)
    progress = finetune(model, stream, source, plan)
    return {
        "source": language_set.names[source],
        "languages": language_set.names,
        "board": language_set.board.name,
        "games": progress.step * settings.data.batch_size,
        "seconds": progress.seconds,
        "unit": "strict top-1 legality, share of scored plies",
        "curves": curves(folder.read_metrics(), language_set.names),
        "compiled": compiled,
    } | describe_device(device, World())


def _check_start(folder: RunDir, run: LoadedRun) -> None:
    """UserError when a fine-tuning to go on with began from another state of the run."""
    begun = folder.read_config().get("from") if checkpoint.saved(folder.checkpoints) else None
    if begun and begun != run.reached:
        line = f"began from step {begun['step']} of the run, whose newest good checkpoint is step {run.step}"
        raise UserError(f"run: {folder.path} {line}; force=true to begin again")


def _scratch(config: TransferCommand, run: LoadedRun, source: int, folder: RunDir) -> dict[str, Any]:
    """The control: the same fine-tuning of a model with random weights, in a folder inside."""
    own, device = RunDir(folder.path / "scratch"), run.model.head.weight.device
    model = build_model(run.config.model, run.language_set).initialize(derive(config.seed, "scratch")).to(device)
    _resume(own, model)
    own.write_config(plain(config))
    with running(own, World()):
        content = _fine_tune(config, run, model, source, own, f"{run.language_set.names[source]} from scratch")
        own.write_status("ok")
    return content


def _resume(folder: RunDir, model: GPT) -> None:
    if checkpoint.saved(folder.checkpoints):
        found, _ = checkpoint.latest(folder.checkpoints)
        restore(model, found, folder.checkpoints)
        folder.cut_metrics(found.step)
    elif folder.path.exists():
        shutil.rmtree(folder.path)


def transfer(config: TransferCommand) -> dict[str, Any]:
    """Fine-tune a run on one language; returns results.json."""
    require_single_process()
    device = resolve_device(config)
    run = load_run(config.run, device)
    source = source_index(config, run)
    if plain(config.transfer.data.language_sampling) != plain(LanguageSampling()):
        raise UserError("transfer.data.language_sampling: fine-tuning is on one language; leave it out")
    _openings(config, run)
    folder = run.folder.transfer(run.language_set.names[source], transfer_identity(config))
    if config.dry_run:
        print(f"fine-tuning {run.folder.path} on {run.language_set.names[source]}", flush=True)
        print(transfer_costs(config, run, source).table(folder=where(folder, config.transfer.data.steps)), flush=True)
        return {}
    if measured(folder, run) and not config.force:
        print(f"finished already: {folder.path} (force=true to redo)", flush=True)
        return folder.read_results()
    with locked(folder.path):
        return _transfer(config, run, source, folder)


def _transfer(config: TransferCommand, run: LoadedRun, source: int, folder: RunDir) -> dict[str, Any]:
    if config.force or folder.finished:  # finished on an earlier state of the run
        shutil.rmtree(folder.path, ignore_errors=True)
    _check_start(folder, run)
    print(f"fine-tuning {run.folder.path} on {run.language_set.names[source]} -> {folder.path}", flush=True)
    begun = time.monotonic()
    alignment: dict[str, Any] = {}
    rows: list[Row] = []

    def align(when: str, step: int) -> None:
        if config.transfer.probe_before_and_after:
            content = measure_model(run, run.model, config.probe, config.device.precision, None, f"probes, {when}")
            alignment[when] = {key: content.results[key] for key in ("headline", "axes")}
            rows.extend(row | {"step": step} for row in content.rows)

    align("before", 0)
    _resume(folder, run.model)
    folder.write_config(plain(config) | {"from": run.reached})
    names, name = run.language_set.names, run.language_set.names[source]
    with running(folder, World()):
        content = _fine_tune(config, run, run.model, source, folder, name)
        align("after", content["curves"]["step"][-1])
        rows += transfer_rows(folder.read_metrics(), names, name, "trained")
        scratch = None
        if config.transfer.scratch:
            scratch = _scratch(config, run, source, folder)["curves"]
            rows += transfer_rows(RunDir(folder.path / "scratch").read_metrics(), names, name, "scratch")
        content |= {"scratch": scratch, "summary": summary(content["curves"], name, names, scratch)}
        write_tidy(folder.path, [*rows, *summary_rows(content["summary"], name)])
        content |= {"seconds_all": time.monotonic() - begun}
        folder.write_results("transfer", content | run.reached | {"alignment": alignment})
        folder.write_status("ok")
    print(f"fine-tuned on {name}: strict top-1 legality\n{format_table(content['summary'])}")
    print(f"every step and language: {folder.path / 'table.csv.gz'}", flush=True)
    return folder.read_results()


main = command("transfer", TransferCommand, transfer)
