"""Measures as published research code takes them: one game, one position, one layer and one pair of languages at a time.

Every position is a forward pass of its own and a replay of the game from the start in plain Python. The numbers are those
of the project's batched measures; the time is what they are held against.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from reference import othello

Word = Sequence[int]
Square = othello.Square
LONGEST_WORD = 3
"""Languages of the kind split write a move as one to three tokens."""


def squares_of(game: Sequence[int], squares: Sequence[int]) -> list[Square]:
    """Move indices as (row, column)."""
    return [divmod(squares[move], 8) for move in game]


def legality(
    model: Any, games: Sequence[Sequence[int]], words: Sequence[Word], squares: Sequence[int], size: int
) -> tuple[int, int]:
    """Legal greedy moves and positions asked about, of a language that writes every move as one token.

    As in the published evaluation three tokens are decoded behind every position, the longest word there is, whatever the
    language, each by a pass over the whole row; the first word counts.
    """
    right = asked = 0
    move_of = {word[0]: move for move, word in enumerate(words)}
    for game in games:
        for ply in range(1, len(game)):
            written = [words[move][0] for move in game[:ply]]
            for _ in range(min(LONGEST_WORD, len(game) - ply)):
                with torch.no_grad():
                    logits = model(torch.tensor([written])).logits[0, -1]
                written.append(int(logits.argmax()))
            state = othello.replay(squares_of(game[:ply], squares), size)[-1]
            move = move_of.get(written[ply])
            right += move is not None and divmod(squares[move], 8) in state.legal
            asked += 1
    return right, asked


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
            tokens = torch.tensor([[words[move][0] for move in game[:ply]]])
            with torch.no_grad():
                state = model(tokens, hidden=True).hidden[layer, 0, -1]
                read = probe(state).argmax(-1)
            discs = othello.replay(squares_of(game[:ply], squares), size)[-1].discs
            for row in range(size):
                for column in range(size):
                    # the board's own rows and columns, as the engine counts squares from the corner of its grid
                    colour = discs.get((row, column))
                    truth = 1 if colour is None else 2 if colour == "black" else 0
                    right += int(read[size * row + column]) == truth
                    cells += 1
    return right, cells
