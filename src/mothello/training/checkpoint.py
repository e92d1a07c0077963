"""Checkpoints that survive a kill: weights as safetensors, the rest as tensors and numbers, nothing executable.

A checkpoint is a folder ``step-NNNNNNNNN`` with weights.safetensors, state.pt and manifest.json (checksums), written
whole or not at all; loading verifies the checksums and falls back to the one before. What else lies in the folder of
checkpoints is neither read nor removed. In ``kept/`` lie steps that are never dropped: whole, or half-precision weights
alone, without state.pt. Half precision is fp16: weights are far from its largest number, 65,504, and its rounding error
is an eighth of bf16's (docs/LOG.md).
"""

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from mothello.errors import UserError
from mothello.files import MovedError, remove_folder, whole_folder
from mothello.own import refilled, remove
from mothello.reading import COUNT, misfit, parse_json
from mothello.rundir import CHECKPOINT_FILES, KEPT, RunDir, checkpoints_in, step_of

KEEP = 2
"""Checkpoints kept: the last good one and the one before."""
_FILES = ("weights.safetensors", "state.pt")
saved = checkpoints_in


class CheckpointError(UserError):
    """A checkpoint that is missing, truncated or does not fit; the message names the file."""


class UnwritableError(OSError):
    """A checkpoint that cannot be written, which is no user's mistake; the message names the file."""


class Checkpoint(NamedTuple):
    """What a checkpoint holds. state: plain numbers and tensors, such as the optimizer's."""

    step: int
    weights: dict[str, Tensor]
    state: dict[str, Any]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(part: Path, checkpoint: Checkpoint, whole: bool = True) -> None:
    weights = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in checkpoint.weights.items()}
    save_file(weights, part / "weights.safetensors")
    if whole:
        torch.save({"step": checkpoint.step, **checkpoint.state}, part / "state.pt")
    sums = {name: _sha256(part / name) for name in _FILES[: None if whole else 1]}
    (part / "manifest.json").write_text(json.dumps(sums, indent=1))
    (part / "weights.safetensors").chmod((part / "manifest.json").stat().st_mode & 0o777)  # it ignores the umask


def _store(final: Path, checkpoint: Checkpoint, good: Path, whole: bool = True) -> None:
    """Write a checkpoint whole or not at all. good: the folder of those that training can go on from."""
    try:
        pure, own = not final.exists() or _is_pure(final), [final / name for name in CHECKPOINT_FILES]
        with whole_folder(final) if pure else refilled(final, own, CHECKPOINT_FILES[0]) as part:
            _write(part, checkpoint, whole)
            if pure and final.exists():  # damaged, or it would not be written again
                remove_folder(final)
    except MovedError:
        raise
    except Exception as error:  # safetensors, torch and the system each have their own
        kept = saved(good)
        rest = f"{kept[-1].name} is kept" if kept else "there is none before it"
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UnwritableError(f"checkpoint: {final} cannot be written ({reason}); {rest}") from error


def _name(step: int) -> str:
    return f"step-{step:09d}"


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write ``folder/step-N`` whole or not at all, then drop all but it and the one before.

    Later ones are deleted as well: reaching step N again means that they failed verification. UnwritableError
    when it cannot be written (a full disk, no permission): what was there is left as it was.
    """
    final = folder / _name(checkpoint.step)
    _store(final, checkpoint, folder)
    kept = [path for path in saved(folder) if path.name <= final.name][-KEEP:]
    for other in saved(folder):
        if other not in kept:
            _drop(other)


def keep(folder: Path, checkpoint: Checkpoint, whole: bool) -> None:
    """Write ``folder/kept/step-N`` whole or not at all, over what is there: a resumed run comes to the same weights.
    whole: all of it, which training can go on from; else half-precision weights. UnwritableError as :func:`save`."""
    if not whole:
        halves = {name: x.half() if x.is_floating_point() else x for name, x in checkpoint.weights.items()}
        checkpoint = checkpoint._replace(weights=halves)
    _store(folder / KEPT / _name(checkpoint.step), checkpoint, folder, whole)


def of_step(folder: RunDir, step: int) -> Path:
    """Where the weights of a step of a run are: among the last checkpoints, or those kept for good. UserError where
    they are in neither."""
    there = {step_of(path): path for place in (folder.kept, folder.checkpoints) for path in saved(place)}
    if step not in there:
        kept = ", ".join(map(str, sorted(there)))
        raise UserError(f"step: {folder.path} keeps no checkpoint of step {step}; kept: {kept}")
    return there[step]


def _is_pure(path: Path) -> bool:
    """Whether there is nothing but a checkpoint, whole or damaged, or a link."""
    names = {inner.name for inner in path.iterdir()} if path.is_dir() else {""}
    return path.is_symlink() or names <= {*CHECKPOINT_FILES}


def _drop(path: Path) -> None:
    """Remove a checkpoint, and nothing else that lies in its folder."""
    if _is_pure(path):
        remove_folder(path)
    else:
        remove(path, [path / name for name in CHECKPOINT_FILES])


def read(path: Path, weights_alone: bool = False) -> Checkpoint:
    """One checkpoint, verified. CheckpointError names the file that is missing or damaged. weights_alone: leave out the
    state, which a kept step may lack."""
    try:
        sums = parse_json((path / "manifest.json").read_bytes())
        for name in _FILES[: 1 if weights_alone else None]:
            if _sha256(path / name) != sums[name]:
                raise CheckpointError(f"checkpoint: {path / name} is damaged (its checksum does not match)")
        weights = load_file(path / "weights.safetensors")
        if weights_alone:
            return Checkpoint(step_of(path), weights, {})
        state = torch.load(path / "state.pt", map_location="cpu", weights_only=True)
        step = state.pop("step")
        if wrong := misfit({"step": step}, {"step": COUNT}):
            raise CheckpointError(f"checkpoint: {path / 'state.pt'} is damaged ({wrong})")
        return Checkpoint(step, weights, state)
    except CheckpointError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise CheckpointError(f"checkpoint: {path} cannot be read ({reason})") from error


def latest(folder: Path) -> tuple[Checkpoint, list[str]]:
    """The newest checkpoint that verifies, and a line for each newer one that does not.

    CheckpointError when there is none, or none is good.
    """
    problems: list[str] = []
    for path in reversed(saved(folder)):
        try:
            return read(path), problems
        except CheckpointError as error:
            problems.append(str(error))
    raise CheckpointError(problems[0] if problems else f"checkpoint: none in {folder}")
