"""Fitted probes on disk: FOLDER/probes.safetensors, tensors and a header of plain text; nothing is unpickled."""

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int8
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from mothello.commands import words
from mothello.config import plain
from mothello.errors import UserError
from mothello.files import write_whole
from mothello.measures.measure import Subject
from mothello.measures.probes.config import PROBES, ProbesConfig
from mothello.measures.probes.fit import SHUFFLED, FittedProbes
from mothello.measures.probes.targets import N_CLASSES
from mothello.reading import parse_json

log = logging.getLogger(__name__)
FILE = "probes.safetensors"


def save_probes(folder: Path, probes: FittedProbes, config: ProbesConfig, subject: Subject) -> None:
    """Write them, without the control of shuffled boards."""
    targets = [name for name in probes.targets if name != SHUFFLED]
    tensors = {"mean": probes.mean, "scale": probes.scale}
    for kind, module in probes.modules.items():
        for name, parameter in module.named_parameters():
            by_target = parameter.detach().unflatten(0, (len(probes.targets), -1))
            tensors[f"{kind}.{name}"] = by_target[[probes.targets.index(target) for target in targets]].flatten(0, 1)
    header = {
        "targets": targets, "languages": subject.names, "layers": subject.n_layers, "cells": subject.board.n_cells,
        "steps": probes.steps, "trained_steps": subject.step, "config": plain(config),
    }  # fmt: skip
    whole = save({name: x.cpu().contiguous() for name, x in tensors.items()}, {"probes": json.dumps(header)})
    write_whole(folder / FILE, whole)


def load_probes(folder: Path, device: torch.device | str = "cpu") -> FittedProbes:
    """Read the probes of a measurement's folder. UserError names a file that is missing or damaged."""
    return _read(folder, device)[0]


def _read(folder: Path, device: torch.device | str) -> tuple[FittedProbes, Any]:
    """The probes, and the step of the model that they were fitted on."""
    path = folder / FILE
    if not path.is_file():
        raise UserError(f"run: {path} does not exist; {words('probe')[-1]} keeps the probes that it fits")
    try:
        with safe_open(path, "pt", device=str(device)) as file:
            tensors, header = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()["probes"]  # noqa: SIM118
        header = parse_json(header)
        return _probes(tensors, header, device), header["trained_steps"]
    except Exception as error:  # the file may hold anything
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UserError(f"run: {path} is damaged ({reason}); force=true fits them again") from None


def _probes(tensors: dict[str, Tensor], header: dict[str, Any], device: torch.device | str) -> FittedProbes:
    mean, hidden = tensors.pop("mean"), header["config"]["hidden"]
    k, d_model = len(header["targets"]) * mean.shape[0] * mean.shape[1], mean.shape[-1]
    modules: dict[str, nn.Module] = {}
    for kind in header["config"]["probes"]:
        draw = torch.Generator().manual_seed(0)
        modules[kind] = PROBES[kind](k, d_model, header["cells"] * N_CLASSES, hidden, draw).to(device)
        modules[kind].load_state_dict({n[len(kind) + 1 :]: x for n, x in tensors.items() if n.startswith(f"{kind}.")})
    some = tuple(header["some_layers"]) if "some_layers" in header else None
    return FittedProbes(modules, tuple(header["targets"]), mean, tensors["scale"], int(header["steps"]), some)


def kept_for(folder: Path, subject: Subject) -> FittedProbes | None:
    """The probes of a folder when they were fitted on this state of the model, else None; a warning names a damaged
    file. In a copy of a run (results/zoo) they may be those of some kinds, targets and layers."""
    if not (folder / FILE).is_file():
        return None
    try:
        probes, step = _read(folder, subject.device)
    except UserError as error:
        log.warning("%s", error)
        return None
    return probes if step == subject.step else None


@dataclass(frozen=True)
class Probe:
    """One probe: reads boards from states of one layer, in whatever language they were written."""

    module: nn.Module
    weights: dict[str, Tensor]
    """The parameters of this probe, [1, ...] each; a linear probe's are W [1, d_model, cell * class] and b."""
    mean: Float[Tensor, "1 d_model"]
    scale: Float[Tensor, "1 d_model"]

    def __repr__(self) -> str:
        layers = ", ".join(f"{name} {tuple(x.shape[1:])}" for name, x in self.weights.items())
        return f"Probe({type(self.module).__name__}: {layers})"

    def logits(self, states: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch cell class"]:
        """Scores of the classes of every cell."""
        x = (states.flatten(0, -2) - self.mean) * self.scale
        with torch.no_grad():
            scores = torch.func.functional_call(self.module, self.weights, (x.unsqueeze(0),))
        return scores.squeeze(0).unflatten(0, states.shape[:-1]).unflatten(-1, (-1, N_CLASSES))

    def __call__(self, states: Float[Tensor, "*batch d_model"]) -> Int8[Tensor, "*batch cell"]:
        """The class of every cell: absolute 0 white, 1 empty, 2 black; relative 0 theirs, 1 empty, 2 mine."""
        return self.logits(states).argmax(-1).to(torch.int8)


def one_probe(probes: FittedProbes, kind: str, target: str, layer: int, language: int) -> Probe:
    """One of the fitted probes by itself. UserError lists what was fitted, where this one was not."""
    fitted = {"kind": (kind, [*probes.modules]), "target": (target, probes.targets), "layer": (layer, probes.layers)}
    for key, (asked, there) in fitted.items():
        if asked not in there:
            raise UserError(f"{key}: no probes of {asked!r} were kept; choices: {', '.join(map(str, there))}")
    at = probes.layers.index(layer)
    weights = {name: x[at : at + 1] for name, x in probes.weights(kind, target, language).items()}
    return Probe(probes.modules[kind], weights, probes.mean[language, at], probes.scale[language, at])
