"""Checkpoints that survive a kill: weights as safetensors, the rest as tensors and numbers, nothing executable.

A checkpoint is a folder ``step-N`` with weights.safetensors, state.pt and manifest.json (checksums). It is written
under a temporary name, flushed and renamed; loading verifies the checksums and falls back to the one before.
"""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from mothello.errors import UserError

KEEP = 2
"""Checkpoints kept: the last good one and the one before."""
_FILES = ("weights.safetensors", "state.pt")


class CheckpointError(UserError):
    """A checkpoint that is missing, truncated, does not fit or cannot be written; the message names the file."""


class Checkpoint(NamedTuple):
    """What a checkpoint holds. state: plain numbers and tensors, such as the optimizer's."""

    step: int
    weights: dict[str, Tensor]
    state: dict[str, Any]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(part: Path, checkpoint: Checkpoint) -> None:
    part.mkdir(parents=True)
    weights = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in checkpoint.weights.items()}
    save_file(weights, part / "weights.safetensors")
    torch.save({"step": checkpoint.step, **checkpoint.state}, part / "state.pt")
    sums = {name: _sha256(part / name) for name in _FILES}
    (part / "manifest.json").write_text(json.dumps(sums, indent=1))
    for path in part.iterdir():
        path.chmod(0o644)  # safetensors lets nobody else read
        _flush(path)
    _flush(part)


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write ``folder/step-N`` whole or not at all, then drop all but it and the one before.

    Later ones are deleted as well: reaching step N again means that they failed verification. CheckpointError
    when it cannot be written (a full disk, no permission): what was there is left as it was.
    """
    final = folder / f"step-{checkpoint.step:09d}"
    part = folder / f".part-{final.name}"
    try:
        for left in folder.glob(".part-*"):  # of a kill
            shutil.rmtree(left)
        _write(part, checkpoint)
        if final.exists():  # damaged, or it would not be written again
            shutil.rmtree(final)
        part.rename(final)
        _flush(folder)
    except Exception as error:  # safetensors, torch and the system each have their own
        shutil.rmtree(part, ignore_errors=True)
        kept = saved(folder)
        rest = f"{kept[-1].name} is kept" if kept else "there is none before it"
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise CheckpointError(f"checkpoint: {final} cannot be written ({reason}); {rest}") from error
    kept = [path for path in saved(folder) if path.name <= final.name][-KEEP:]
    for other in saved(folder):
        if other not in kept:
            shutil.rmtree(other)


def saved(folder: Path) -> list[Path]:
    """Checkpoints of a folder, oldest first."""
    return sorted(folder.glob("step-*")) if folder.is_dir() else []


def read(path: Path) -> Checkpoint:
    """One checkpoint, verified. CheckpointError names the file that is missing or damaged."""
    try:
        sums = json.loads((path / "manifest.json").read_text())
        for name in _FILES:
            if _sha256(path / name) != sums[name]:
                raise CheckpointError(f"checkpoint: {path / name} is damaged (its checksum does not match)")
        weights = load_file(path / "weights.safetensors")
        state = torch.load(path / "state.pt", weights_only=True)
        return Checkpoint(state.pop("step"), weights, state)
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
