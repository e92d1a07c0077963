"""Example boards: the truth, and what a probe reads in its own language, in others as they are, and through maps."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pandas as pd
from markupsafe import Markup

from mothello.othello.board import Board
from mothello.othello.notation import parse_game, svg_board
from mothello.othello.symmetry import cell_map
from mothello.report.runs import Run
from mothello.report.sections import Groups

FEW = 8
"""Labels up to which every example is shown; of more, one board of each."""


class Example(NamedTuple):
    """A row of boards: the truth, and what a probe reads."""

    label: str
    caption: str
    boards: list[tuple[Markup, str]]


def boards(groups: Groups, pairs: pd.DataFrame) -> dict[str, Any]:
    """Example boards of one seed per label. pairs: table.pairs, which say through which map a pair is read best."""
    shown = [(label, runs[0], runs[0].measure("probes")) for label, runs in groups.items()]
    found = []
    for label, run, probed in shown:
        kept = probed.examples if probed else []
        kept = kept if len(groups) <= FEW else kept[:1]
        found += [_example(label, run, example, pairs[pairs.run == str(run.path)]) for example in kept]
    return {"examples": found}


def _example(label: str, run: Run, example: dict[str, Any], pairs: pd.DataFrame) -> Example:
    board = Board.of(int(run.results["board"].split("x")[0]))
    last = board.moves[parse_game(example["game"], board)[-1]]
    drawn = [(Markup(svg_board(example["truth"], board, last=last, cell=20)), "the true board")]
    for caption, cells in readings(example, board, _maps(pairs, example)):
        wrong = [a != b for a, b in zip(cells, example["truth"], strict=True)]
        right = f"{len(cells) - sum(wrong)} of {len(cells)} right"
        drawn.append((Markup(svg_board(cells, board, wrong=wrong, cell=20)), f"{caption}: {right}"))
    probe = f"{example['probe']} probe of {example['source']}, layer {example['layer']}"
    return Example(label, f"seed {run.seed}, after ply {example['ply']}; {probe}", drawn)


def _maps(pairs: pd.DataFrame, example: dict[str, Any]) -> dict[str, str]:
    """Language -> the map through which it is read best, where that is a map of an aligned pair and moves the board."""
    chosen = pairs[(pairs.layer == example["layer"]) & (pairs.source == example["source"])]
    chosen = chosen[chosen.aligned & (chosen.best_map != "identity") & (chosen.language != example["source"])]
    return dict(zip(chosen.language, chosen.best_map, strict=True))


def readings(example: dict[str, Any], board: Board, maps: dict[str, str]) -> Iterator[tuple[str, Sequence[int]]]:
    """A caption and the cells of every reading; a language with a map is read through it, too."""
    for language, cells in example["readings"].items():
        as_it_is = "" if language == example["source"] else " as it is"
        yield f"{language}{as_it_is}", cells
        if language in maps:
            image = cell_map(board, maps[language])
            yield f"{language} through {maps[language]}", [cells[cell] for cell in image]  # the map undoes itself
