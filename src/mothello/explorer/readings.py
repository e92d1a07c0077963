"""Readings that are made when the page is: of some games in two languages, at one byte per cell and move."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int8, UInt8
from torch import Tensor

from mothello.data.batch import in_language
from mothello.explorer.pack import Pack
from mothello.explorer.probes import scores
from mothello.measures.legality.exact import Forward, move_probabilities
from mothello.measures.probes.fit import FittedProbes
from mothello.model.inputs import Inputs
from mothello.model.separate import apply, parts_of
from mothello.model.transformer import GPT, ModelOutput
from mothello.stages.run import Run

CLASS = 85
"""A byte holds a class, times this, and how sure the probe was, from a third to one (page/recorded.js)."""


def lens(model: GPT, layer: int) -> Forward:
    """The model's answer as the head reads it from a layer: the logit lens; at the last layer the model's own."""

    def forward(inputs: Inputs) -> ModelOutput:
        parts = parts_of(inputs.language, inputs.groups) if model.config.separate else []
        return ModelOutput(apply(model.head, parts, model.norm(model.residual(inputs, layer))), None)

    return forward


@torch.no_grad()
def next_moves(
    run: Run, moves: Int8[Tensor, "game ply"], language: int, layer: int
) -> tuple[Float[Tensor, "game ply move"], Float[Tensor, "game ply"]]:
    """After every ply: the probability of each move, and that the first token is of another language."""
    languages, batch, forward = run.language_set, in_language(moves, language, run.language_set), lens(run.model, layer)
    ends = batch.move_ends.clamp(min=0)
    found = move_probabilities(forward, batch.tokens, ends, languages, language, languages.max_tokens).full.exp()
    if languages.output == "unified":
        return found, torch.zeros_like(found[..., 0])
    logits = forward(Inputs(batch.tokens, language=batch.language)).logits
    first = logits.gather(1, ends.unsqueeze(-1).expand(-1, -1, logits.shape[-1])).double().softmax(-1)
    foreign = languages.own_table.any(0) & ~languages.own_table[language]
    return found, (first * foreign).sum(-1)


def listed(moves: Int8[Tensor, "game ply"]) -> list[list[int]]:
    """The moves of every game, without what fills the rows."""
    return [[move for move in game if move >= 0] for game in moves.tolist()]


def reading_size(run: Run, lenses: int) -> int:
    """Bytes of the readings of one game. lenses: layers whose next moves are recorded."""
    pairs, plies, layers = min(2, len(run.languages)), run.board.n_moves, run.model.config.n_layer + 1
    return plies * pairs * (pairs * layers * run.board.n_cells + lenses * (run.board.n_moves + 2))


def as_bytes(readings: Float[Tensor, "*batch cell class"]) -> UInt8[Tensor, "*batch cell"]:
    """The likeliest class of every cell and its probability, as a byte."""
    sure, classes = readings.softmax(-1).max(-1)
    return (classes * CLASS + ((sure - 1 / 3) * 1.5 * (CLASS - 1)).round().clamp(0, CLASS - 1)).to(torch.uint8)


def record(
    pack: Pack, name: str, run: Run, fitted: FittedProbes, kind: str, moves: Int8[Tensor, "game ply"],
    layers: Sequence[int],
) -> None:  # fmt: skip
    """Boards and next moves of the first two languages. layers: those whose next moves are recorded."""
    languages = range(min(2, len(run.languages)))
    states = [run.subject().states(moves, language) for language in languages]  # [layer, game, ply, d_model]
    boards = [
        [as_bytes(scores(fitted, kind, "absolute", source, x.flatten(1, 2))).unflatten(1, moves.shape) for x in states]
        for source in languages
    ]
    whole = torch.stack([torch.stack(of_source) for of_source in boards])  # [source, language, layer, game, ply, cell]
    pack.add(f"{name}.boards", whole.permute(0, 1, 3, 4, 2, 5), "u1")
    answers = [[next_moves(run, moves, language, layer) for layer in layers] for language in languages]
    roots = torch.stack([torch.stack([(255 * p.sqrt()).round() for p, _ in each], 2) for each in answers])
    pack.add(f"{name}.moves", roots, "u1")
    pack.add(f"{name}.other", torch.stack([torch.stack([other for _, other in each], 2) for each in answers]))
