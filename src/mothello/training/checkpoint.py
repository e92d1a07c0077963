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

KEEP = 2
"""Checkpoints kept: the last good one and the one before."""


class CheckpointError(ValueError):
    """A checkpoint that is missing, truncated or does not fit; the message names the file."""


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


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write ``folder/step-N`` whole or not at all, then drop all but the last two."""
    final = folder / f"step-{checkpoint.step:09d}"
    part = folder / f".part-{final.name}"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    weights = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in checkpoint.weights.items()}
    save_file(weights, part / "weights.safetensors")
    torch.save({"step": checkpoint.step, **checkpoint.state}, part / "state.pt")
    sums = {name: _sha256(part / name) for name in ("weights.safetensors", "state.pt")}
    (part / "manifest.json").write_text(json.dumps(sums, indent=1))
    for path in (*part.iterdir(), part):
        _flush(path)
    shutil.rmtree(final, ignore_errors=True)
    part.rename(final)
    _flush(folder)
    for old in saved(folder)[:-KEEP]:
        shutil.rmtree(old)


def saved(folder: Path) -> list[Path]:
    """Checkpoints of a folder, oldest first."""
    return sorted(folder.glob("step-*")) if folder.is_dir() else []


def read(path: Path) -> Checkpoint:
    """One checkpoint, verified. CheckpointError names the file that is missing or damaged."""
    try:
        sums = json.loads((path / "manifest.json").read_text())
        for name, expected in sums.items():
            if _sha256(path / name) != expected:
                raise CheckpointError(f"checkpoint: {path / name} is damaged (its checksum does not match)")
        weights = load_file(path / "weights.safetensors")
        state = torch.load(path / "state.pt", weights_only=True)
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(f"checkpoint: {path} cannot be read ({type(error).__name__}: {error})") from error
    return Checkpoint(state.pop("step"), weights, state)


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
