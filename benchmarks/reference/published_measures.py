"""Measures as published research code takes them: one game, position, layer and pair of languages at a time.

Every position is a forward pass of its own and a replay of the game from the start in plain Python. The numbers are
those of the project's batched measures; benchmarks compare the time.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from benchmarks.reference import othello
from mothello.model.inputs import Inputs

Word = Sequence[int]
Square = othello.Square
LONGEST_WORD = 3
"""Languages of the kind split write a move as one to three tokens."""


def squares_of(game: Sequence[int], squares: Sequence[int]) -> list[Square]:
    """Move indices as (row, column)."""
    return [divmod(squares[move], 8) for move in game]


def greedy(model: Any, written: Sequence[int], steps: int, own: Sequence[int] | None = None) -> int:
    """The next token by argmax, among those of ``own`` if given. As in the published evaluation as many tokens are
    decoded as the longest word has, whatever the language, each by a pass over the whole row; the first one counts."""
    row = list(written)
    for _ in range(steps):
        with torch.no_grad():
            logits = model(Inputs(torch.tensor([row], device=model.head.weight.device))).logits[0, -1]
        row.append(int(logits.argmax()) if own is None else max(own, key=lambda token: float(logits[token])))
    return row[len(written)]


def top1(
    model: Any, games: Sequence[Sequence[int]], words: Sequence[Word], squares: Sequence[int], size: int
) -> dict[str, float]:
    """Strict legality alone: sums over positions, and their number, of a language with one token a move."""
    totals = {"top1": 0.0, "positions": 0.0}
    move_of = {word[0]: move for move, word in enumerate(words)}
    for game in games:
        for ply in range(1, len(game)):
            written = [words[move][0] for move in game[:ply]]
            move = move_of.get(greedy(model, written, min(LONGEST_WORD, len(game) - ply)))
            state = othello.replay(squares_of(game[:ply], squares), size)[-1]
            totals["top1"] += move is not None and divmod(squares[move], 8) in state.legal
            totals["positions"] += 1
    return totals


def legality(
    model: Any, games: Sequence[Sequence[int]], words: Sequence[Word], squares: Sequence[int], size: int
) -> dict[str, float]:
    """Every column of the project's legality, as sums over positions, for a language with one token per move."""
    names = ("top1", "top1_restricted", "lenient", "wrong_language", "malformed", "chance", "mass", "positions")
    totals = dict.fromkeys(names, 0.0)
    move_of = {word[0]: move for move, word in enumerate(words)}
    for game in games:
        for ply in range(1, len(game)):
            written = [words[move][0] for move in game[:ply]]
            steps = min(LONGEST_WORD, len(game) - ply)
            token, restricted = greedy(model, written, steps), greedy(model, written, steps, sorted(move_of))
            state = othello.replay(squares_of(game[:ply], squares), size)[-1]
            either = {*othello.legal(state.discs, "black", size), *othello.legal(state.discs, "white", size)}
            for column, one, legal in (
                ("top1", token, state.legal), ("top1_restricted", restricted, state.legal), ("lenient", token, either),
            ):  # fmt: skip
                totals[column] += one in move_of and divmod(squares[move_of[one]], 8) in legal
            totals["wrong_language"] += token not in move_of
            totals["chance"] += len(state.legal) / (size * size - len(state.discs))
            with torch.no_grad():
                p = model(Inputs(torch.tensor([written], device=model.head.weight.device))).logits[0, -1].softmax(-1)
            totals["mass"] += sum(float(p[t]) for t, m in move_of.items() if divmod(squares[m], 8) in state.legal)
            totals["positions"] += 1
    return totals


def cells_read(
    model: Any,
    games: Sequence[Sequence[int]],
    words: Sequence[Word],
    probe: Callable[[torch.Tensor], torch.Tensor],
    layer: int,
    squares: Sequence[int],
    size: int,
) -> tuple[int, int]:
    """Cells that one probe reads right from one language's states of one layer, and all cells. The probe maps a state
    [d_model] to logits [cell, class]; classes are white, empty, black."""
    right = cells = 0
    for game in games:
        for ply in range(1, len(game) + 1):
            tokens = torch.tensor([[words[move][0] for move in game[:ply]]], device=model.head.weight.device)
            with torch.no_grad():
                state = model(Inputs(tokens), hidden=True).hidden[layer, 0, -1]
                read = probe(state).argmax(-1)
            discs = othello.replay(squares_of(game[:ply], squares), size)[-1].discs
            for row in range(size):
                for column in range(size):
                    # the board's own rows and columns, as the engine counts squares from the corner of its grid
                    color = discs.get((row, column))
                    truth = 1 if color is None else 2 if color == "black" else 0
                    right += int(read[size * row + column]) == truth
                    cells += 1
    return right, cells
