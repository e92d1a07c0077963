"""Editing the residual stream along the directions of linear probes, and what the model then thinks is legal."""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float, Int8, Int64
from torch import Tensor

from mothello.causal.cases import EDITS, Cases, top_n_errors
from mothello.data.batch import in_language
from mothello.languages.family import Family
from mothello.legality.exact import move_probabilities
from mothello.model.transformer import GPT, Edit, Output
from mothello.probing.targets import N_CLASSES
from mothello.probing.train import FittedProbes
from mothello.training.device import Precision, autocast

CASES_AT_ONCE = 250


class Directions(NamedTuple):
    """What one probe asks of a state, per layer and case."""

    difference: Float[Tensor, "layer case d_model"]
    """Weights of the old class less those of the new one, on raw states."""
    offset: Float[Tensor, "layer case"]
    """Old less new at the origin."""
    step: Float[Tensor, "layer case d_model"]
    """The move that lowers old less new by one, the shortest in normalised states."""

    def __call__(self, layer: int, x: Float[Tensor, "case d_model"], strength: float) -> Float[Tensor, "case d_model"]:
        """The shift of each state: ``strength`` times the way to where the probe reads old and new alike; none where
        it reads new already."""
        excess = ((x * self.difference[layer]).sum(-1) + self.offset[layer]).clamp(min=0)
        return strength * excess.unsqueeze(-1) * self.step[layer]


def directions(probes: FittedProbes, source: int, cases: Cases) -> Directions:
    """Of the linear probe of relative colours of one language."""
    weights = probes.weights("linear", "relative", source)
    scale, mean = probes.scale[source, :, 0], probes.mean[source, :, 0]  # [layer, d_model]
    matrix = weights["W"].unflatten(-1, (-1, N_CLASSES)).movedim(1, -1)  # [layer, cell, class, d_model]
    bias = weights["b"].squeeze(1).unflatten(-1, (-1, N_CLASSES))
    w = matrix[:, cases.cell, cases.old] - matrix[:, cases.cell, cases.new]
    b = bias[:, cases.cell, cases.old] - bias[:, cases.cell, cases.new]
    raw = w * scale.unsqueeze(1)
    offset = b - (raw * mean.unsqueeze(1)).sum(-1)
    step = -w / w.square().sum(-1, keepdim=True).clamp(min=1e-12) / scale.unsqueeze(1)
    return Directions(raw, offset, step)


def _random_like(shift: Tensor, generator: torch.Generator) -> Tensor:
    """Shifts of the same lengths in random directions."""
    noise = torch.randn(shift.shape, generator=generator).to(shift)
    return noise / noise.norm(dim=-1, keepdim=True) * shift.norm(dim=-1, keepdim=True)


def _edit(
    of: Directions, first: int, once: bool, strength: float, ends: Int64[Tensor, " case"],
    random: torch.Generator | None,
) -> Edit:  # fmt: skip
    """Edit the states at the ends, after layer ``first`` and, unless once, after every later one."""
    rows = torch.arange(len(ends), device=ends.device)

    def edit(layer: int, x: Tensor) -> Tensor:
        if layer < first or (once and layer > first):
            return x
        state = x[rows, ends].float()
        shift = of(layer, state, strength)
        shift = shift if random is None else _random_like(shift, random)
        x = x.clone()
        x[rows, ends] = (state + shift).to(x.dtype)
        return x

    return edit


class Errors(NamedTuple):
    """False plus missed moves of every case."""

    quantity: str
    control: str
    layer: int | None
    values: Int64[Tensor, " case"]
    """Of the cases that the quantity is about."""


def quantity(edit: str, once: bool) -> str:
    return f"{edit}_error" + ("_once" if once else "")


class Language:
    """Positions of games written in one language, and what the model says follows them under any edit."""

    def __init__(
        self, model: GPT, family: Family, language: int, moves: Int8[Tensor, "case ply"], ply: Int64[Tensor, " case"],
        precision: Precision,
    ) -> None:  # fmt: skip
        self.model, self.family, self.language, self.precision = model, family, language, precision
        self.moves, self.ply = moves, ply
        batch = in_language(moves, language, family)
        self.tokens, self.move_ends = batch.tokens, batch.move_ends
        self.ends = batch.move_ends.gather(1, ply.unsqueeze(1)).squeeze(1)

    def answer(self, edit: Edit | None, rows: slice = slice(None)) -> Float[Tensor, "case move"]:
        """Log probabilities of the next move."""
        forward = partial(self._forward, edit)
        found = move_probabilities(
            forward, self.tokens[rows], self.ends[rows].unsqueeze(1), self.family, self.language,
            self.family.max_tokens,
        )  # fmt: skip
        return found.full.squeeze(1)

    def _forward(
        self, edit: Edit | None, tokens: Tensor, positions: Tensor | None = None, mask: Tensor | None = None, /
    ) -> Output:
        with torch.no_grad(), autocast(tokens.device, self.precision):
            return self.model(tokens, positions, mask, edit=edit)


def interventions(
    edited: Language, probes: FittedProbes, source: int, cases: Cases, strength: float, seed: int
) -> Iterator[Errors]:
    """Errors after an edit by the source's probes at every layer, beside random directions of the same lengths."""
    for first in range(edited.model.config.n_layer + 1):
        for once in (True, False):
            for control in ("trained", "random"):
                errors = []
                for at in range(0, len(cases.ply), CASES_AT_ONCE):
                    rows = slice(at, at + CASES_AT_ONCE)
                    some = Cases(*(part[rows] for part in cases))
                    draw = torch.Generator().manual_seed(seed + at) if control == "random" else None
                    of = directions(probes, source, some)
                    edit = _edit(of, first, once, strength, edited.ends[rows], draw)
                    errors.append(top_n_errors(edited.answer(edit, rows), some.edited))
                yield from _by_kind(cases, torch.cat(errors), once, control, first)


def without(edited: Language, cases: Cases) -> Iterator[Errors]:
    """Controls that need no probe: null, the model as it is against the edited boards; and floor, the model as it is
    against the boards as they are."""
    answers = [edited.answer(None, slice(at, at + CASES_AT_ONCE)) for at in range(0, len(cases.ply), CASES_AT_ONCE)]
    log_p = torch.cat(answers)
    for control, legal in (("null", cases.edited), ("floor", cases.legal)):
        yield from _by_kind(cases, top_n_errors(log_p, legal), False, control, None)


def _by_kind(cases: Cases, errors: Tensor, once: bool, control: str, layer: int | None) -> Iterator[Errors]:
    for index, kind in enumerate(EDITS):
        yield Errors(quantity(kind, once), control, layer, errors[cases.erased == bool(index)].cpu())
