"""Optimizers: AdamW, and Muon on the matrices of the blocks with AdamW on the rest."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from mothello.config import check, ranged, without_effect
from mothello.training.muon import Muon


class OptimizerName(StrEnum):
    adamw = "adamw"
    muon = "muon"


DECAYS = ("linear", "cosine", "constant", "mingpt")


@dataclass(kw_only=True)
class OptimizerConfig:
    """Learning rates and the rest. ``muon`` uses ``muon_lr`` on block matrices (Jordan et al. 2024)."""

    name: OptimizerName = OptimizerName.muon
    lr: float = ranged(1e-2, above=0)
    """Peak learning rate of AdamW."""
    muon_lr: float = ranged(0.01, above=0)
    """Peak learning rate of Muon, on the matrices of the blocks."""
    beta_1: float = ranged(0.9, low=0, high=1)
    """Of AdamW: decay of the mean gradient."""
    beta_2: float = ranged(0.99, low=0, high=1)
    """Of AdamW: decay of the mean squared gradient."""
    weight_decay: float = ranged(0.1, low=0)
    """On matrices only; biases, norms and positions are not decayed."""
    decay_embedding: bool = True
    """Decay the token embedding, too."""
    max_grad_norm: float = ranged(1.0, low=0)
    """Largest gradient norm, 0 for no limit."""
    warmup_fraction: float = ranged(0.02, low=0, high=1)
    """Share of the steps over which the learning rate rises linearly."""
    final_lr_fraction: float = ranged(0.0, low=0, high=1)
    """Learning rate at the end, as a share of the peak."""
    decay: str = "linear"
    """Decay after the warm-up: linear, cosine or constant. mingpt: the whole schedule of published Othello models: the
    first update has the full rate, and the cosine goes to zero and is cut off at the final rate."""

    def __post_init__(self) -> None:
        check(self, "optimizer")
        if self.name is not OptimizerName.muon:
            without_effect(self, "optimizer", f"with optimizer.name={self.name}", "muon_lr")
        if self.decay not in DECAYS:
            raise ValueError(f"optimizer.decay: {self.decay!r} is not one of {', '.join(DECAYS)}")


class Optimizers:
    """Several torch optimizers stepped as one, their learning rates scaled together.

    rates_on_device: learning rates are tensors beside the parameters, so that an update can be captured and replayed.
    """

    def __init__(self, parts: Sequence[torch.optim.Optimizer], clip: float, rates_on_device: bool = False) -> None:
        self.parts, self.clip = list(parts), clip
        self.peaks = [[group["lr"] for group in part.param_groups] for part in self.parts]
        if rates_on_device:
            for group in (group for part in self.parts for group in part.param_groups if group["params"]):
                group["lr"] = torch.tensor(group["lr"], device=group["params"][0].device)
                group |= {"capturable": True} if "capturable" in group else {}

    def clip_gradients(self) -> Tensor:
        """Scale gradients down to the largest norm allowed; returns the norm before, on the device."""
        parameters = [p for part in self.parts for group in part.param_groups for p in group["params"]]
        return nn.utils.clip_grad_norm_(parameters, self.clip or float("inf"))

    def set_rates(self, scale: float) -> None:
        """Learning rates become peak * scale."""
        for part, peaks in zip(self.parts, self.peaks, strict=True):
            for group, peak in zip(part.param_groups, peaks, strict=True):
                if isinstance(group["lr"], Tensor):
                    group["lr"].fill_(peak * scale)
                else:
                    group["lr"] = peak * scale

    def update(self) -> None:
        """Update at the rates that are set, and clear the gradients."""
        for part in self.parts:
            part.step()
        self.clear()

    def clear(self) -> None:
        """Forget the gradients."""
        for part in self.parts:
            part.zero_grad(set_to_none=True)

    def step(self, scale: float) -> None:
        """Update with learning rates peak * scale, and clear the gradients."""
        self.set_rates(scale)
        self.update()

    def state_dict(self) -> list[dict[str, Any]]:
        """Of all parts; rates as numbers."""
        states = [part.state_dict() for part in self.parts]
        return [
            state | {"param_groups": [group | {"lr": float(group["lr"])} for group in state["param_groups"]]}
            for state in states
        ]

    def load_state_dict(self, state: Sequence[dict[str, Any]]) -> None:
        """Moments and step counts; rates, decay and betas stay those of the config, which a fork may change."""
        for part, saved in zip(self.parts, state, strict=True):
            own, there = part.state_dict()["param_groups"], saved["param_groups"]
            groups = [group | {"params": old["params"]} for group, old in zip(own, there, strict=True)]
            part.load_state_dict(saved | {"param_groups": groups})


class ParameterGroups(NamedTuple):
    """Parameters by how they are updated."""

    muon: list[nn.Parameter]
    decayed: list[nn.Parameter]
    """By AdamW, with weight decay; the rest without."""
    rest: list[nn.Parameter]


def parameter_groups(model: nn.Module, config: OptimizerConfig) -> ParameterGroups:
    """Weight decay falls on matrices alone, positions excepted, and the token embedding where it is not to be decayed;
    Muon takes the matrices of the blocks. What is frozen is in no group."""
    groups = ParameterGroups([], [], [])
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        matrix = parameter.ndim == 2 and "position" not in name
        matrix = matrix and (config.decay_embedding or not name.startswith("token_embedding"))
        muon = matrix and config.name is OptimizerName.muon and name.startswith("blocks.")
        (groups.muon if muon else groups.decayed if matrix else groups.rest).append(parameter)
    return groups


def build_optimizer(model: nn.Module, config: OptimizerConfig, rates_on_device: bool = False) -> Optimizers:
    """The optimizer of a model."""
    muon, decayed, rest = parameter_groups(model, config)
    adamw = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": config.weight_decay}, {"params": rest, "weight_decay": 0.0}],
        lr=config.lr,
        betas=(config.beta_1, config.beta_2),
        fused=True,
    )
    parts = [adamw, *([Muon(muon, lr=config.muon_lr, weight_decay=config.weight_decay)] if muon else [])]
    return Optimizers(parts, config.max_grad_norm, rates_on_device)
