"""scripts/train.py: pretrain one model, or go on where it stopped, or do nothing when it is finished."""

import shutil
from contextlib import nullcontext
from typing import Any

import torch

from mothello.cli.cost.training import dry_train
from mothello.cli.main import command
from mothello.config import plain
from mothello.data.corpus import Corpus
from mothello.data.floor import Floor
from mothello.data.split import Split
from mothello.data.stream import Stream
from mothello.errors import UserError
from mothello.files import fingerprint, locked
from mothello.languages.language_set import LanguageSet
from mothello.objectives.objective import Objective, objective
from mothello.rundir import RunDir
from mothello.stages.folders import identity, run_folder
from mothello.stages.load import games_of, language_set_of, model_of, restore, weights_of
from mothello.stages.pretrain import TrainConfig, pretrain
from mothello.stages.running import describe_device, resolve_execution, running
from mothello.stages.stage import Evaluator, build_evaluator
from mothello.tracking import start_mirror
from mothello.training import checkpoint
from mothello.training.device import resolve
from mothello.training.distributed import World, join, leave
from mothello.training.loop import Plan


def check_folder(folder: RunDir, config: TrainConfig) -> None:
    """A folder that another config made is never touched, not even with force."""
    if not (folder.path / "config.yaml").exists():
        if not folder.empty and not folder.read_status():
            raise UserError(f"run: {folder.path} is not empty and no run folder")
        return
    stored = folder.read_config()
    now = plain(config)
    for key in (*identity(config), "seed"):
        if key != "generator_version" and stored.get(key) != now[key]:
            raise UserError(f"run: {folder.path} was made by another config ({key} differs); choose another folder")
    if stored.get("generator_version") != identity(config)["generator_version"]:
        raise UserError(f"run: {folder.path} was made by another generator_version; choose another folder")


def describe(config: TrainConfig, language_set: LanguageSet, folder: RunDir) -> str:
    """One line on what a run will do."""
    model = model_of(config, language_set)
    games = config.data.steps * config.data.batch_size
    return (
        f"{config.name}: {language_set.board.name}, {', '.join(language_set.names)}; "
        f"{model.n_parameters / 1e6:.2f} M parameters, "
        f"{config.data.steps} steps of {config.data.batch_size} games ({games:,} games); folder {folder.path}"
    )


def train(config: TrainConfig) -> dict[str, Any]:
    """Run the config; returns results.json. Under torchrun every process calls it."""
    device = resolve_device(config)
    language_set = language_set_of(config)
    games = games_of(config.data, language_set, Split.train, config.data.games)
    folder = RunDir(run_folder(config))
    check_folder(folder, config)
    if config.dry_run:
        dry_train(config, language_set, games, device, folder)
        return {}
    world = joined(device, config.data.batch_size)
    with locked(folder.path) if world.main else nullcontext():
        if world.broadcast(_prepare(config, language_set, folder) if world.main else None):
            with running(folder, world):
                results = _run(config, device, language_set, games, folder, world)
                if world.main:
                    folder.write_results("train", results)
                    folder.write_status("ok")
                    print(_summary(results), flush=True)
        world.wait()
    return folder.read_results()


def _prepare(config: TrainConfig, language_set: LanguageSet, folder: RunDir) -> bool:
    """Make the folder ready to begin or go on; False when its run is finished."""
    print(describe(config, language_set, folder), flush=True)
    if config.force:
        shutil.rmtree(folder.path, ignore_errors=True)
    if checkpoint.saved(folder.checkpoints):
        try:
            found, problems = checkpoint.latest(folder.checkpoints)
        except checkpoint.CheckpointError as error:
            raise checkpoint.CheckpointError(f"{error}; force=true to train it again") from None
        restore(model_of(config, language_set), found, folder.checkpoints)
        if folder.finished and found.step == config.data.steps and not problems:
            print(f"finished already: {folder.path} (force=true to redo)", flush=True)
            return False
        folder.cut_metrics(found.step)
    elif folder.finished:
        raise UserError(f"run: {folder.path} is finished, but its checkpoints are gone; force=true to train it again")
    else:
        folder.cut_metrics(-1)
    folder.write_config(plain(config) | {"generator_version": identity(config)["generator_version"]})
    return True


def joined(device: torch.device, batch_size: int) -> World:
    """This process among torchrun's. UserError when they cannot share a batch evenly."""
    world = join(device)
    if batch_size % world.size:
        line = f"data.batch_size: {batch_size} games cannot be shared evenly by {world.size} processes"
        raise UserError(line) if world.main else SystemExit(2)
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
    """The device of a config. UserError when it is absent."""
    return resolve(config.device)


def _run(
    config: TrainConfig,
    device: torch.device,
    language_set: LanguageSet,
    games: list[Corpus],
    folder: RunDir,
    world: World,
) -> dict[str, Any]:
    loss, data = objective(config.objective), config.data
    model = model_of(config, language_set).initialize(config.seed).to(device)
    compiled = resolve_execution(
        folder, config.device, device, model, data.steps * data.batch_size * language_set.max_tokens, world
    )
    evaluator = _evaluator(config, language_set, loss, device) if world.main else None
    final: dict[str, float] = {}
    if world.main:
        start_mirror(folder, config.tracking)

    def record(step: int, values: Any) -> None:
        folder.append_metrics({"step": step, **values})
        if "val/top1" in values:
            final.update({key: value for key, value in values.items() if key.startswith("val/")})

    plan = Plan(
        steps=data.steps, objective=loss, optimizer=config.optimizer, precision=config.device.precision,
        seed=config.seed, folder=folder.checkpoints, log=record, evaluate=evaluator or (lambda _: {}),
        evaluate_at=config.evaluation.steps(data.steps), log_every=config.evaluation.log_every,
        checkpoint_every=config.checkpoint_every, compiled=compiled, cuda_graphs=config.device.cuda_graphs,
        world=world, title=config.name,
    )  # fmt: skip
    stream = Stream(
        games, language_set, data.batch_size, config.seed, device, data.language_sampling, data.corpus_seed, world
    )
    progress = pretrain(model, stream, plan)
    if evaluator is None:
        return {}
    return {
        "identity": fingerprint(identity(config)),
        "final": final or evaluator(model),
        "floors": {name: _floor(value) for name, value in zip(language_set.names, evaluator.floors, strict=True)},
        "by_ply": _by_ply(model, evaluator),
        "languages": [{"name": x.name, "kind": x.kind} for x in language_set.languages],
        "board": language_set.board.name,
        "parameters": model.n_parameters,
        "steps": progress.step,
        "games": progress.step * data.batch_size,
        "tokens": progress.tokens,
        "seconds": progress.seconds,
        "compiled": compiled,
    } | describe_device(device, world)


def _evaluator(config: TrainConfig, language_set: LanguageSet, loss: Objective, device: torch.device) -> Evaluator:
    held_out, size = (
        games_of(config.data, language_set, Split.validation, config.evaluation.games),
        config.evaluation.games,
    )
    weights = weights_of(config.data, language_set)
    return build_evaluator(language_set, held_out, size, loss, config.device.precision, weights, device)


def _floor(value: Floor) -> dict[str, float]:
    return {"nats": value.nats, "standard_error": value.standard_error}


def _by_ply(model: Any, evaluator: Any) -> dict[str, Any]:
    from mothello.measures.legality.estimate import legality

    names = evaluator.language_set.names
    return {
        n: legality(model, evaluator.moves[i], evaluator.language_set, i)["top1_by_ply"] for i, n in enumerate(names)
    }


_main = command("train", TrainConfig, train)


def main() -> None:
    """The script."""
    _main()
    leave()
