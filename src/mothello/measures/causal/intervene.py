"""Editing the residual stream along the directions of linear probes, and the moves that the model then names."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int8, Int64
from torch import Tensor

from mothello.data.batch import in_language
from mothello.measures.causal.cases import EDITS, Cases, top_n_errors
from mothello.measures.legality.exact import move_probabilities
from mothello.measures.measure import Subject
from mothello.measures.probes.fit import FittedProbes
from mothello.measures.probes.targets import N_CLASSES
from mothello.model.edited import Edited
from mothello.model.transformer import LayerEdit, on_residual
from mothello.othello.symmetry import cell_map
from mothello.training.device import autocast

CASES_AT_ONCE = 250


class Directions(NamedTuple):
    """The change that one probe asks of a state, per layer and case."""

    difference: Float[Tensor, "layer case d_model"]
    """Weights of the old class less those of the new one, on raw states."""
    offset: Float[Tensor, "layer case"]
    """Old less new at the origin."""
    step: Float[Tensor, "layer case d_model"]
    """The shift that lowers old less new by one, the shortest in normalized states."""

    def __call__(self, layer: int, x: Float[Tensor, "case d_model"], strength: float) -> Float[Tensor, "case d_model"]:
        """The shift of each state: ``strength`` times the way to where the probe reads old and new alike; none where
        it reads new already."""
        excess = ((x * self.difference[layer]).sum(-1) + self.offset[layer]).clamp(min=0)
        return strength * excess.unsqueeze(-1) * self.step[layer]


def directions(
    probes: FittedProbes, source: int, cases: Cases, cell: Int64[Tensor, " case"] | None = None
) -> Directions:
    """Directions of one language's linear probe of relative colors. cell: where that probe reads each case's cell, by
    default at its own place; under a symmetry at its image."""
    cell = cases.cell if cell is None else cell
    weights = probes.weights("linear", "relative", source)
    scale, mean = probes.scale[source, :, 0], probes.mean[source, :, 0]  # [layer, d_model]
    matrix = weights["W"].unflatten(-1, (-1, N_CLASSES)).movedim(1, -1)  # [layer, cell, class, d_model]
    bias = weights["b"].squeeze(1).unflatten(-1, (-1, N_CLASSES))
    w = matrix[:, cell, cases.old] - matrix[:, cell, cases.new]
    b = bias[:, cell, cases.old] - bias[:, cell, cases.new]
    raw = w * scale.unsqueeze(1)
    offset = b - (raw * mean.unsqueeze(1)).sum(-1)
    step = -w / w.square().sum(-1, keepdim=True).clamp(min=1e-12) / scale.unsqueeze(1)
    return Directions(raw, offset, step)


class _Steering:
    """Edits the states at the ends after layer ``first`` and, unless once, after every later one; keeps the shifts."""

    def __init__(
        self, directions: Directions, first: int, once: bool, strength: float, ends: Int64[Tensor, " case"]
    ) -> None:
        self.directions, self.first, self.once, self.strength, self.ends = directions, first, once, strength, ends
        self.rows = torch.arange(len(ends), device=ends.device)
        self.shifts: dict[int, Float[Tensor, "case d_model"]] = {}

    def __call__(self, layer: int, x: Float[Tensor, "case token d_model"]) -> Float[Tensor, "case token d_model"]:
        if layer < self.first or (self.once and layer > self.first):
            return x
        state = x[self.rows, self.ends].float()
        self.shifts[layer] = self.directions(layer, state, self.strength)
        x = x.clone()
        x[self.rows, self.ends] = (state + self.shifts[layer]).to(x.dtype)
        return x

    def at_random(self, generator: torch.Generator) -> LayerEdit:
        """The control: shifts as long as these, layer by layer and case by case, in directions drawn once."""
        drawn = {}
        for layer, shift in self.shifts.items():
            noise = torch.randn(shift.shape, generator=generator).to(shift)
            drawn[layer] = noise / noise.norm(dim=-1, keepdim=True) * shift.norm(dim=-1, keepdim=True)

        def edit(layer: int, x: Tensor) -> Tensor:
            if layer not in drawn:
                return x
            x = x.clone()
            x[self.rows, self.ends] += drawn[layer].to(x.dtype)
            return x

        return edit


class Errors(NamedTuple):
    """False plus missed moves of every case."""

    quantity: str
    control: str
    layer: int | None
    values: Int64[Tensor, " case"]
    """Per case that the quantity is about."""
    game: Int64[Tensor, " case"]
    """The game of each of them."""
    map: str = ""
    """The symmetry through which a source was read; empty where there is no source."""


def quantity(edit: str, once: bool) -> str:
    return f"{edit}_error" + ("_once" if once else "")


class EditedPositions:
    """Positions of games written in one language, and the model's next moves there under any edit."""

    def __init__(
        self, subject: Subject, language: int, moves: Int8[Tensor, "case ply"], ply: Int64[Tensor, " case"]
    ) -> None:
        self.subject, self.language, self.ply = subject, language, ply
        batch = in_language(moves, language, subject.language_set)
        self.tokens, self.move_ends = batch.tokens, batch.move_ends
        self.ends = batch.move_ends.gather(1, ply.unsqueeze(1)).squeeze(1)

    def answer(self, edit: LayerEdit | None, rows: slice = slice(None)) -> Float[Tensor, "case move"]:
        """Log probabilities of the next move."""
        model, language_set = self.subject.model, self.subject.language_set
        forward = model if edit is None else Edited(model, on_residual(edit))
        with torch.no_grad(), autocast(self.tokens.device, self.subject.precision):
            answers = move_probabilities(
                forward, self.tokens[rows], self.ends[rows].unsqueeze(1), language_set, self.language,
                language_set.max_tokens,
            )  # fmt: skip
        return answers.full.squeeze(1)

    def batches(self) -> Iterator[slice]:
        """All cases, some at once."""
        for first in range(0, len(self.ply), CASES_AT_ONCE):
            yield slice(first, first + CASES_AT_ONCE)

    def answers(self) -> Float[Tensor, "case move"]:
        """Of all cases, without an edit."""
        return torch.cat([self.answer(None, rows) for rows in self.batches()])


def interventions(
    edited: EditedPositions, probes: FittedProbes, source: int, cases: Cases, strength: float, seed: int,
    maps: Sequence[str],
) -> Iterator[Errors]:  # fmt: skip
    """Errors after an edit by the source's probes at every layer, and after random directions of the same lengths.

    Another language's probes may read the board through any symmetry of the opening, so they are tried under each of
    the maps: the direction for a cell is then that of its image.
    """
    for first in range(edited.subject.n_layers):
        for once in (True, False):
            for name in maps:
                errors: dict[str, list[Tensor]] = {"trained": [], "random": []}
                image = torch.tensor(cell_map(edited.subject.board, name), device=cases.cell.device)
                for rows in edited.batches():
                    some = Cases(*(part[rows] for part in cases))
                    steering = _Steering(
                        directions(probes, source, some, image[some.cell]), first, once, strength, edited.ends[rows]
                    )
                    errors["trained"].append(top_n_errors(edited.answer(steering, rows), some.edited))
                    if name == maps[0]:
                        random = steering.at_random(torch.Generator().manual_seed(seed + rows.start))
                        errors["random"].append(top_n_errors(edited.answer(random, rows), some.edited))
                for control, parts in errors.items():
                    if parts:
                        yield from _by_kind(cases, torch.cat(parts), once, control, first, name)


def without(edited: EditedPositions, cases: Cases) -> Iterator[Errors]:
    """Controls that need no probe: null, the model as it is against the edited boards; and floor, the model as it is
    against the boards as they are."""
    log_p = edited.answers()
    for control, legal in (("null", cases.edited), ("floor", cases.legal)):
        yield from _by_kind(cases, top_n_errors(log_p, legal), False, control, None)


def _by_kind(
    cases: Cases, errors: Tensor, once: bool, control: str, layer: int | None, name: str = ""
) -> Iterator[Errors]:
    for index, kind in enumerate(EDITS):
        chosen = cases.erased == bool(index)
        if bool(chosen.any()):
            yield Errors(quantity(kind, once), control, layer, errors[chosen].cpu(), cases.game[chosen].cpu(), name)
