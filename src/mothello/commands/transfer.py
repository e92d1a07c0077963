"""scripts/transfer.py: fine-tune a run on one language, and measure every language on the way."""

import shutil
from dataclasses import replace
from typing import Any

from mothello.commands.cost_probing import transfer_costs
from mothello.commands.cost_table import where
from mothello.commands.entry import command
from mothello.commands.loading import LoadedRun, games_of, load_run, measured, restore
from mothello.commands.probe import measure_model
from mothello.commands.running import alone, describe_device, running, settle
from mothello.commands.train import resolve_device
from mothello.config import ConfigError, TransferCommand, identity, plain
from mothello.data.pairing import LanguageDraw
from mothello.data.split import Split
from mothello.data.stream import Stream
from mothello.objectives.objective import objective
from mothello.rundir import RunDir
from mothello.stages.finetune import finetune
from mothello.stages.stage import build_evaluator
from mothello.tracking import Tracker
from mothello.training import checkpoint
from mothello.training.distributed import World
from mothello.training.loop import Plan
from mothello.transfer.protocol import curves, summary


def source_index(config: TransferCommand, run: LoadedRun) -> int:
    """Index of the language to fine-tune on. ConfigError lists the names."""
    name = config.transfer.source or run.family.names[0]
    try:
        return run.family.index(name)
    except ValueError as error:
        raise ConfigError(f"transfer.source: {error}") from None


def _fine_tune(config: TransferCommand, run: LoadedRun, source: int, folder: RunDir) -> dict[str, Any]:
    """Fine-tune the run's model in place; the numbers of results.json, without alignment."""
    settings, family, device = config.transfer, run.family, run.model.head.weight.device
    if plain(settings.data.draw) != plain(LanguageDraw()):
        raise ConfigError("transfer.data.draw: fine-tuning is on one language; leave it out")
    data = replace(settings.data, corpus_seed=run.config.data.corpus_seed)  # the whole distribution unless said
    games = games_of(data, family, Split.transfer, data.games)[source]
    held_out = games_of(data, family, Split.validation, settings.evaluation.games)
    loss, tokens = objective(run.config.objective), data.steps * data.batch_size * family.max_tokens
    compiled = settle(folder, config.device, device, run.model, tokens, World())
    evaluator = build_evaluator(
        family, held_out, settings.evaluation.games, loss, config.device.precision, device=device
    )
    group, name = f"{run.config.name}-transfer", f"{run.config.name}-{family.names[source]}-seed{config.seed}"
    with Tracker(config.tracking, folder, plain(config), group, "transfer", name) as tracker:
        plan = Plan(
            steps=settings.data.steps, objective=loss, optimizer=settings.optimizer, precision=config.device.precision,
            seed=config.seed, folder=folder.checkpoints, log=tracker.log, evaluate=evaluator,
            evaluate_at=settings.evaluation.steps(settings.data.steps), log_every=settings.evaluation.log_every,
            checkpoint_every=config.checkpoint_every, compiled=compiled, cuda_graphs=config.device.cuda_graphs,
            title=f"fine-tune {family.names[source]}",
        )  # fmt: skip
        stream = Stream(games, family, data.batch_size, config.seed, device)
        progress = finetune(run.model, stream, source, plan)
    curve = curves(folder.read_metrics(), family.names)
    return {
        "source": family.names[source],
        "languages": family.names,
        "board": family.board.name,
        "games": progress.step * settings.data.batch_size,
        "seconds": progress.seconds,
        "unit": "strict top-1 legality, share of scored plies",
        "curves": curve,
        "summary": summary(curve, family.names[source], family.names),
        "compiled": compiled,
    } | describe_device(device, World())


def _check_start(folder: RunDir, run: LoadedRun) -> None:
    """ConfigError when a fine-tuning to go on with began from another state of the run."""
    begun = folder.read_config().get("from") if checkpoint.saved(folder.checkpoints) else None
    if begun and begun != run.reached:
        line = f"began from step {begun['step']} of the run, whose newest good checkpoint is step {run.step}"
        raise ConfigError(f"run: {folder.path} {line}; force=true to begin again")


def _resume(folder: RunDir, run: LoadedRun) -> None:
    if checkpoint.saved(folder.checkpoints):
        found, _ = checkpoint.latest(folder.checkpoints)
        restore(run.model, found, folder.checkpoints)
        folder.cut_metrics(found.step)
    elif folder.path.exists():
        shutil.rmtree(folder.path)


def transfer(config: TransferCommand) -> dict[str, Any]:
    """Fine-tune a run on one language; returns results.json."""
    alone()
    device = resolve_device(config)
    run = load_run(config.run, device)
    source = source_index(config, run)
    folder = run.folder.transfer(run.family.names[source], identity(config, "probe") | {"seed": config.seed})
    if config.dry_run:
        print(f"fine-tuning {run.folder.path} on {run.family.names[source]}", flush=True)
        print(transfer_costs(config, run, source).table(folder=where(folder, config.transfer.data.steps)), flush=True)
        return {}
    if measured(folder, run) and not config.force:
        print(f"finished already: {folder.path} (force=true to redo)", flush=True)
        return folder.read_results()
    if config.force or folder.finished:  # finished on an earlier state of the run
        shutil.rmtree(folder.path, ignore_errors=True)
    _check_start(folder, run)
    print(f"fine-tuning {run.folder.path} on {run.family.names[source]} -> {folder.path}", flush=True)
    alignment: dict[str, Any] = {}

    def align(when: str) -> None:
        if config.transfer.alignment:
            content = measure_model(run, run.model, config.probe, config.device.precision, None)
            alignment[when] = {key: content.results[key] for key in ("headline", "axes")}

    align("before")
    _resume(folder, run)
    folder.write_config(plain(config) | {"from": run.reached})
    with running(folder, World()):
        content = _fine_tune(config, run, source, folder)
        align("after")
        folder.write_results("transfer", content | run.reached | {"alignment": alignment})
        folder.write_status("ok")
    for name, row in content["summary"].items():
        role = "source" if name == content["source"] else "target"
        print(f"{name} ({role}): {row['before']:.3f} -> {row['after']:.3f} (peak {row['peak']:.3f})")
    return folder.read_results()


main = command("transfer", TransferCommand, transfer)
