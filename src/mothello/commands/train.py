"""scripts/train.py: pretrain one model, or go on where it stopped, or do nothing when it is finished."""

import logging
import shutil
import traceback
from typing import Any

import torch

from mothello.commands.entry import command
from mothello.commands.loading import family_of, games_of, model_of, restore, weights_of
from mothello.config import ConfigError, TrainConfig, identity, plain, run_folder
from mothello.data.corpus import Corpus
from mothello.data.floor import Floor
from mothello.data.split import Split
from mothello.data.stream import Stream
from mothello.languages.family import Family
from mothello.objectives.objective import Objective, objective
from mothello.rundir import RunDir, fingerprint
from mothello.stages.pretrain import pretrain
from mothello.stages.stage import Evaluator, build_evaluator
from mothello.tracking import Tracker
from mothello.training import checkpoint
from mothello.training.device import has_compiler, resolve
from mothello.training.loop import Plan

log = logging.getLogger(__name__)


def check_folder(folder: RunDir, config: TrainConfig) -> None:
    """A folder that another config made is never touched, not even with force."""
    if not (folder.path / "config.yaml").exists():
        if folder.path.exists() and any(folder.path.iterdir()) and not folder.read_status():
            raise ConfigError(f"run: {folder.path} is not empty and no run folder")
        return
    stored = folder.read_config()
    now = plain(config)
    for key in (*identity(config), "seed"):
        if key != "generator_version" and stored.get(key) != now[key]:
            raise ConfigError(f"run: {folder.path} was made by another config ({key} differs); choose another folder")
    if stored.get("generator_version") != identity(config)["generator_version"]:
        raise ConfigError(f"run: {folder.path} was made by another generator_version; choose another folder")


def describe(config: TrainConfig, family: Family, folder: RunDir) -> str:
    """One line on what a run will do."""
    model = model_of(config, family)
    games = config.data.steps * config.data.batch_size
    return (
        f"{config.name}: {family.board.name}, {', '.join(family.names)}; {model.n_parameters / 1e6:.2f} M parameters, "
        f"{config.data.steps} steps of {config.data.batch_size} games ({games:,} games); folder {folder.path}"
    )


def train(config: TrainConfig) -> dict[str, Any]:
    """Run the config; returns the final numbers (those stored in results.json)."""
    device = resolve_device(config)
    family = family_of(config)
    games = games_of(config.data, family, Split.train, config.data.games)
    folder = RunDir(run_folder(config))
    check_folder(folder, config)
    print(describe(config, family, folder), flush=True)
    if config.dry_run:
        return {}
    if folder.finished and not config.force:
        print(f"finished already: {folder.path} (force=true to redo)", flush=True)
        return folder.read_results()
    if not config.force:
        _check_resumable(folder, config, family)
    else:
        shutil.rmtree(folder.path, ignore_errors=True)
    folder.write_config(plain(config) | {"generator_version": identity(config)["generator_version"]})
    folder.write_status("running")
    try:
        results = _run(config, device, family, games, folder)
    except BaseException as error:
        text = "interrupted" if isinstance(error, KeyboardInterrupt) else f"{type(error).__name__}: {error}"
        folder.write_status("failed", error=text, traceback=traceback.format_exc())
        raise
    folder.write_results("train", results)
    folder.write_status("ok")
    final = results["final"]
    excess = final["val/excess_nats"]
    above = "floor unknown" if excess != excess else f"{excess:.3f} nats above the floor"
    print(
        f"done: strict top-1 legality {final['val/top1']:.3f}, loss {final['val/loss']:.3f}, {above}; "
        f"{results['seconds'] / 60:.1f} min",
        flush=True,
    )
    return folder.read_results()


def resolve_device(config: Any) -> torch.device:
    """The device of a config. ConfigError when it is absent."""
    try:
        return resolve(config.device)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _check_resumable(folder: RunDir, config: TrainConfig, family: Family) -> None:
    """Verify a begun run's checkpoint before any compute. CheckpointError names the file."""
    if checkpoint.saved(folder.checkpoints):
        found, _ = checkpoint.latest(folder.checkpoints)
        restore(model_of(config, family), found, folder.checkpoints)
        folder.cut_metrics(found.step)


def _run(
    config: TrainConfig, device: torch.device, family: Family, games: list[Corpus], folder: RunDir
) -> dict[str, Any]:
    loss = objective(config.objective)
    evaluator = _evaluator(config, family, loss, device)
    model = model_of(config, family).initialize(config.seed).to(device)
    compiled = config.device.compile and has_compiler(device)
    if config.device.compile and not compiled:
        log.warning("device.compile: no C++ compiler found; running eagerly")
    final: dict[str, float] = {}
    settings = plain(config)
    with Tracker(
        config.tracking, folder, settings, config.name, "pretrain", f"{config.name}-seed{config.seed}"
    ) as tracker:

        def record(step: int, values: Any) -> None:
            tracker.log(step, values)
            if "val/top1" in values:
                final.update(values)

        plan = Plan(
            steps=config.data.steps, objective=loss, optimizer=config.optimizer, precision=config.device.precision,
            seed=config.seed, folder=folder.checkpoints, log=record, evaluate=evaluator,
            evaluate_at=config.evaluation.steps(config.data.steps), log_every=config.evaluation.log_every,
            checkpoint_every=config.checkpoint_every, compiled=compiled, title=config.name,
        )  # fmt: skip
        data = config.data
        stream = Stream(games, family, data.batch_size, config.seed, device, data.draw, data.corpus_seed)
        progress = pretrain(model, stream, plan)
    return {
        "identity": fingerprint(identity(config)),
        "final": final or evaluator(model),
        "floors": {name: _floor(value) for name, value in zip(family.names, evaluator.floors, strict=True)},
        "by_ply": _by_ply(model, evaluator),
        "languages": [{"name": x.name, "kind": x.kind} for x in family.languages],
        "board": family.board.name,
        "parameters": model.n_parameters,
        "steps": progress.step,
        "games": progress.step * config.data.batch_size,
        "tokens": progress.tokens,
        "seconds": progress.seconds,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
    }


def _evaluator(config: TrainConfig, family: Family, loss: Objective, device: torch.device) -> Evaluator:
    held_out, size = games_of(config.data, family, Split.validation, config.evaluation.games), config.evaluation.games
    weights = weights_of(config.data, family)
    return build_evaluator(family, held_out, size, loss, config.device.precision, weights, device)


def _floor(value: Floor) -> dict[str, float]:
    return {"nats": value.nats, "standard_error": value.standard_error}


def _by_ply(model: Any, evaluator: Any) -> dict[str, Any]:
    from mothello.legality.estimate import legality

    names = evaluator.family.names
    return {n: legality(model, evaluator.moves[i], evaluator.family, i)["top1_by_ply"] for i, n in enumerate(names)}


main = command("train", TrainConfig, train)
