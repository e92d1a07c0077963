"""What a stage is, and the one runner that owns a stage's folder: lock, resume, evaluation, status."""

import logging
import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from copy import deepcopy
from typing import Any, Protocol

import torch
from tqdm import tqdm

from mothello.data.batch import moved
from mothello.data.split import Split
from mothello.data.stream import Stream
from mothello.errors import UserError
from mothello.files import fingerprint, locked, tidy
from mothello.languages.language_set import LanguageSet
from mothello.model.build import outline
from mothello.model.transformer import GPT
from mothello.objectives.micro_batches import check_micro_batches
from mothello.objectives.objective import OBJECTIVES, Objective, with_head
from mothello.own import remove, replaced
from mothello.rundir import RunDir
from mothello.stages.build import games_of
from mothello.stages.evaluate import Evaluator, headline
from mothello.stages.folders import Origin
from mothello.stages.load import check_fits
from mothello.stages.pretrain import TrainConfig
from mothello.stages.running import describe_device, resolve_execution, running
from mothello.tracking import start_mirror
from mothello.training import checkpoint
from mothello.training.device import Compile, exact_device
from mothello.training.distributed import World
from mothello.training.loop import train
from mothello.training.plan import Plan, Progress

log = logging.getLogger(__name__)


class Stage(Protocol):
    """One thing that happens to a model. It says what is trained on what; the runner does the rest."""

    config: TrainConfig
    """What the trained model is made from, and how: a stage that follows another takes over what it does not set."""
    language_set: LanguageSet
    folder: RunDir
    title: str
    reads_games: bool
    """False where no game is trained on."""
    floor_weights: list[float] | None
    """How often each language occurs in training, for the floors of the evaluation."""
    origin: Origin | None
    """The step of another run that a fork goes on from."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """What determines the result."""

    def content(self) -> dict[str, Any]:
        """config.yaml: the config, ``stage``, and the ``parent`` where there is one."""

    def check(self) -> None:
        """UserError when the folder holds something else."""

    def initial(self) -> GPT:
        """The model before its first step."""

    def objective(self) -> Objective:
        """What is trained on, whole. Evaluated is always ``config.objective``."""

    def stream(self, device: torch.device, world: World) -> Stream:
        """The games to train on."""

    def watch(self, device: torch.device) -> Callable[[GPT], dict[str, float]]:
        """Numbers logged with every evaluation, besides its own."""


def run_stage(stage: Stage, device: torch.device, world: World | None = None) -> dict[str, Any]:
    """Train the stage's model, or resume it, or do nothing when it is finished; returns results.json.

    Under torchrun every process calls it.
    """
    folder, world = stage.folder, world or World()
    stage.check()
    check_micro_batches(stage.objective(), stage.config.device.micro_batch_size)
    with locked(folder.path) if world.main else nullcontext():
        if world.broadcast(_prepare(stage) if world.main else None):
            with running(folder, world):
                results = _train(stage, device, world)
                if world.main:
                    folder.write_results("train", results)
                    folder.write_status("ok")
                    print(_summary(results), flush=True)
        world.wait()
    return folder.read_results()


def _prepare(stage: Stage) -> bool:
    """Make the folder ready to begin or resume; False when its stage is finished."""
    folder, data, languages = stage.folder, stage.config.data, stage.language_set
    outlined = outline(stage.config.model, languages)
    read = f" of {data.batch_size} games ({data.steps * data.batch_size:,} games)" if stage.reads_games else ""
    print(
        f"{stage.title}: {languages.board.name}, {', '.join(languages.names)}; {outlined.n_parameters / 1e6:.2f} M "
        f"parameters, {data.steps:,} step{'s' * (data.steps != 1)}{read}; folder {folder.path}",
        flush=True,
    )
    if stage.config.force and (own := list(folder.own())):
        print(replaced(folder.path, own), flush=True)
        remove(folder.path, own)
    if checkpoint.saved(folder.checkpoints):
        try:
            newest, problems = checkpoint.latest(folder.checkpoints)
        except checkpoint.CheckpointError as error:
            raise checkpoint.CheckpointError(f"{error}; force=true to train it again") from None
        check_fits(outlined, newest, folder.checkpoints)
        if folder.finished and newest.step == data.steps and not problems:
            print(f"finished already: {folder.path} (force=true to redo)", flush=True)
            return False
        if folder.read_status().get("status") == "ok" and folder.damage:
            log.warning("%s; made again", folder.damage)
        _cut_metrics(folder, newest.step, stage.config.evaluation.log_every)
    elif folder.finished:
        raise UserError(f"run: {folder.path} is finished, but its checkpoints are gone; force=true to train it again")
    else:
        folder.cut_metrics(-1)
        if origin := stage.origin:
            for line in origin.run.read_metrics():
                if 0 < origin.step >= line["step"]:  # the beginning is evaluated again
                    folder.append_metrics(line["step"], line)
    for place in (folder.checkpoints, folder.kept):
        if place.is_dir():
            tidy(place, whole=True)
    folder.write_config(stage.content())
    return True


def _cut_metrics(folder: RunDir, step: int, every: int) -> None:
    """Keep the metrics up to the step of a checkpoint. A warning says which are missing; every: steps between lines."""
    kept = folder.cut_metrics(step)
    last = max(kept, default=0)
    if 0 not in kept or last <= step - every:
        lost = f"those of steps {last} to {step}" if 0 in kept else "the first ones"
        log.warning("run: %s lacks numbers, %s: they are lost", folder.path / "metrics.jsonl", lost)


class Judged(Protocol):
    """What an evaluation and its results ask of a stage, or of a model that is none of the house's."""

    @property
    def config(self) -> TrainConfig: ...
    @property
    def language_set(self) -> LanguageSet: ...
    @property
    def reads_games(self) -> bool: ...
    @property
    def floor_weights(self) -> list[float] | None: ...
    @property
    def identity(self) -> Mapping[str, Any]: ...
    def watch(self, device: torch.device) -> Callable[[GPT], dict[str, float]]: ...


def evaluator_of(stage: Judged, objective: Objective, device: torch.device) -> Evaluator:
    """What the evaluation along a stage asks its model, on held-out games."""
    config, size, watch = stage.config, stage.config.evaluation.games, stage.watch(device)
    held_out, precision = games_of(config.data, stage.language_set, Split.validation, size), config.device.precision
    return Evaluator(stage.language_set, held_out, size, objective, precision, stage.floor_weights, watch, device)


def _train(stage: Stage, device: torch.device, world: World) -> dict[str, Any]:
    config, folder, main = stage.config, stage.folder, OBJECTIVES.build(stage.config.objective)
    objective, exact = stage.objective(), exact_device(device)
    model, stream = with_head(objective, stage.initial(), config.seed).to(device), stage.stream(exact, world)
    tokens = config.data.steps * config.data.batch_size * stage.language_set.max_tokens
    origin = stage.origin
    compiled = resolve_execution(folder, config.device, device, model, tokens, world, origin and origin.run)
    evaluator = evaluator_of(stage, main, exact) if world.main else None

    def evaluate(trained: GPT) -> dict[str, float]:
        return evaluator(_on(exact, trained)) if evaluator else {}

    def log(step: int, values: Mapping[str, float]) -> None:
        folder.append_metrics(step, values)
        if "val/loss" in values and 0 < step < config.data.steps:
            done = f"{step * config.data.batch_size:,} games" if stage.reads_games else f"step {step:,}"
            tqdm.write(f"{stage.title}, {done}: {_numbers(values)}", sys.stderr)

    def turned_eager() -> None:
        if world.main:
            folder.write_json("execution.json", folder.read_json("execution.json") | {"compiled": False})

    if world.main:
        start_mirror(folder, config.tracking)
    plan = Plan(
        steps=config.data.steps, objective=objective,
        optimizer=config.optimizer, precision=config.device.precision, seed=config.seed,
        folder=folder.checkpoints, log=log, evaluate=evaluate,
        evaluate_at=config.evaluation.steps(config.data.steps), log_every=config.evaluation.log_every,
        checkpoint_every=config.checkpoint_every, keep=config.checkpoints.keep, origin=origin and origin.checkpoint,
        compiled=compiled, cuda_graphs=config.device.cuda_graphs,
        micro_batches=config.device.micro_batches(config.data.batch_size // world.size),
        must_compile=config.device.compile is Compile.always, turned_eager=turned_eager, world=world, title=stage.title,
    )  # fmt: skip
    progress = train(model, lambda step: moved(objective.batch(stream, step), device), plan)
    if evaluator is None:
        return {}
    compiled = folder.read_json("execution.json")["compiled"]
    results = results_of(stage, evaluator, _on(exact, model), progress)
    return results | {"compiled": compiled} | describe_device(device, world)


def _on(device: torch.device, model: GPT) -> GPT:
    """The model, or a copy of it on the device."""
    return model if model.device.type == device.type else deepcopy(model).to(device)


def results_of(stage: Judged, evaluator: Evaluator, model: GPT, progress: Progress) -> dict[str, Any]:
    """results.json of a finished stage."""
    final, languages = evaluator.last or evaluator(model), stage.language_set
    return {
        "identity": fingerprint(stage.identity),
        "final": {key: value for key, value in final.items() if key.startswith("val/")},
        "floors": {name: floor._asdict() for name, floor in zip(languages.names, evaluator.floors, strict=True)},
        "by_ply": evaluator.by_ply,
        "languages": [{"name": x.name, "kind": x.kind} for x in languages.languages],
        "board": languages.board.name,
        "parameters": model.n_parameters,
        "steps": progress.step,
        "games": progress.step * stage.config.data.batch_size * stage.reads_games,
        "tokens": progress.tokens,
        "seconds": progress.seconds,
    }


def _summary(results: Mapping[str, Any]) -> str:
    reason = next((floor["reason"] for floor in results["floors"].values() if floor.get("reason")), "")
    return f"done: {_numbers(results['final'], reason)}; {_duration(results['seconds'])}"


def _numbers(values: Mapping[str, float], reason: str = "") -> str:
    """An evaluation in words. reason: why the floor is not known, where it is not."""
    excess = values["val/excess_nats"]
    above = f"{excess:.3f} nats above the floor" if excess == excess else f"floor unknown{f': {reason}' * bool(reason)}"
    return f"{headline(values)}, loss {values['val/loss']:.3f}, {above}"


def _duration(seconds: float) -> str:
    """Seconds, or minutes from two of them on."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"
