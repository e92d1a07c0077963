"""scripts/train.py: pretrain one model, or go on where it stopped, or do nothing when it is finished."""

import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from mothello.analysis.regimes import role_of
from mothello.analysis.runs import Run
from mothello.commands.cost.training import dry_train
from mothello.commands.entry import command
from mothello.commands.loading import family_of, games_of, model_of, restore, weights_of
from mothello.commands.pictures import saved, training_pictures
from mothello.commands.running import describe_device, running, settle
from mothello.config import ConfigError, TrainConfig, identity, plain, run_folder
from mothello.data.corpus import Corpus
from mothello.data.floor import Floor
from mothello.data.split import Split
from mothello.data.stream import Stream
from mothello.languages.family import Family
from mothello.objectives.objective import Objective, objective
from mothello.rundir import RunDir, fingerprint, locked
from mothello.stages.pretrain import pretrain
from mothello.stages.stage import Evaluator, build_evaluator
from mothello.tracking import Tracker, TrackingConfig
from mothello.training import checkpoint
from mothello.training.device import resolve
from mothello.training.distributed import World, join, leave
from mothello.training.loop import Plan


def check_folder(folder: RunDir, config: TrainConfig) -> None:
    """A folder that another config made is never touched, not even with force."""
    if not (folder.path / "config.yaml").exists():
        if not folder.empty and not folder.read_status():
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
    """Run the config; returns results.json. Under torchrun every process calls it."""
    device = resolve_device(config)
    family = family_of(config)
    games = games_of(config.data, family, Split.train, config.data.games)
    folder = RunDir(run_folder(config))
    check_folder(folder, config)
    if config.dry_run:
        dry_train(config, family, games, device, folder)
        return {}
    world = joined(device, config.data.batch_size)
    with locked(folder.path) if world.main else nullcontext():
        if world.told(_prepare(config, family, folder) if world.main else None):
            with running(folder, world):
                results = _run(config, device, family, games, folder, world)
                if world.main:
                    folder.write_results("train", results)
                    folder.write_status("ok")
                    print(_summary(results), flush=True)
        world.wait()
    return folder.read_results()


def _prepare(config: TrainConfig, family: Family, folder: RunDir) -> bool:
    """Make the folder ready to begin or go on; False when its run is finished."""
    print(describe(config, family, folder), flush=True)
    if config.force:
        shutil.rmtree(folder.path, ignore_errors=True)
    if checkpoint.saved(folder.checkpoints):
        try:
            found, problems = checkpoint.latest(folder.checkpoints)
        except checkpoint.CheckpointError as error:
            raise checkpoint.CheckpointError(f"{error}; force=true to train it again") from None
        restore(model_of(config, family), found, folder.checkpoints)
        if folder.finished and found.step == config.data.steps and not problems:
            print(f"finished already: {folder.path} (force=true to redo)", flush=True)
            return False
        folder.cut_metrics(found.step)
    elif folder.finished:
        raise ConfigError(f"run: {folder.path} is finished, but its checkpoints are gone; force=true to train it again")
    else:
        folder.cut_metrics(-1)
    folder.write_config(plain(config) | {"generator_version": identity(config)["generator_version"]})
    return True


def joined(device: torch.device, batch_size: int) -> World:
    """This process among torchrun's. ConfigError when they cannot share a batch evenly."""
    world = join(device)
    if batch_size % world.size:
        line = f"data.batch_size: {batch_size} games cannot be shared evenly by {world.size} processes"
        raise ConfigError(line) if world.main else SystemExit(2)
    return world


def _summary(results: dict[str, Any]) -> str:
    final = results["final"]
    excess = final["val/excess_nats"]
    above = "floor unknown" if excess != excess else f"{excess:.3f} nats above the floor"
    return (
        f"done: strict top-1 legality {final['val/top1']:.3f}, loss {final['val/loss']:.3f}, {above}; "
        f"{results['seconds'] / 60:.1f} min"
    )


def resolve_device(config: Any) -> torch.device:
    """The device of a config. ConfigError when it is absent."""
    try:
        return resolve(config.device)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _run(
    config: TrainConfig, device: torch.device, family: Family, games: list[Corpus], folder: RunDir, world: World
) -> dict[str, Any]:
    loss, data = objective(config.objective), config.data
    model = model_of(config, family).initialize(config.seed).to(device)
    compiled = settle(folder, config.device, device, model, data.steps * data.batch_size * family.max_tokens, world)
    evaluator = _evaluator(config, family, loss, device) if world.main else None
    final: dict[str, float] = {}
    name = f"{config.name}-seed{config.seed}"
    settings = config.tracking if world.main else TrackingConfig()
    labels = {"cell": config.name, "regime": role_of(plain(config), len(family.names))}
    with Tracker(settings, folder, plain(config), config.name, "pretrain", name, labels, data.batch_size) as tracker:

        def record(step: int, values: Any) -> None:
            tracker.log(step, values)
            if "val/top1" in values:
                final.update({key: value for key, value in values.items() if key.startswith("val/")})

        plan = Plan(
            steps=data.steps, objective=loss, optimizer=config.optimizer, precision=config.device.precision,
            seed=config.seed, folder=folder.checkpoints, log=record, evaluate=evaluator or (lambda _: {}),
            evaluate_at=config.evaluation.steps(data.steps), log_every=config.evaluation.log_every,
            checkpoint_every=config.checkpoint_every, compiled=compiled, cuda_graphs=config.device.cuda_graphs,
            world=world, title=config.name,
        )  # fmt: skip
        stream = Stream(games, family, data.batch_size, config.seed, device, data.draw, data.corpus_seed, world)
        progress = pretrain(model, stream, plan)
        if evaluator is None:
            return {}
        results: dict[str, Any] = {
            "identity": fingerprint(identity(config)),
            "final": final or evaluator(model),
            "floors": {name: _floor(value) for name, value in zip(family.names, evaluator.floors, strict=True)},
            "by_ply": _by_ply(model, evaluator),
            "languages": [{"name": x.name, "kind": x.kind} for x in family.languages],
            "board": family.board.name,
            "parameters": model.n_parameters,
            "steps": progress.step,
            "games": progress.step * data.batch_size,
            "tokens": progress.tokens,
            "seconds": progress.seconds,
            "compiled": compiled,
        } | describe_device(device, world)
        moves = evaluator.moves[0]

        def draw() -> dict[str, Path]:
            run = Run(folder.path, plain(config), results, folder.read_metrics(), [], [])
            return saved(training_pictures(run, model, family, moves), folder.path)

        tracker.show(draw, {"minutes": results["seconds"] / 60})
    return results


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


_main = command("train", TrainConfig, train)


def main() -> None:
    """The script."""
    _main()
    leave()
