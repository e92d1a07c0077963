"""Kept steps of a training: readings of a few games, each by linear probes of that step."""

from typing import Any

from jaxtyping import Int8
from torch import Tensor
from tqdm import tqdm

from mothello.explorer.pack import Pack
from mothello.explorer.pairs import best_layer, shares
from mothello.explorer.probes import probes_of
from mothello.explorer.readings import listed, next_moves, reading_size, record
from mothello.othello.replay import replay, squares_to_moves
from mothello.rundir import checkpoints_in, step_of
from mothello.stages.load import load_run
from mothello.stages.run import Run

BYTES = 900_000
"""Of the readings of all steps together, at most; but one game always."""
GAMES = 3
MASS_GAMES = 32
"""Games that the probability on legal moves is a mean over."""


def kept_steps(run: Run, most: int) -> list[int]:
    """The kept steps before the run's own that a page shows, thinned out evenly."""
    if run.stage != "pretrain":
        return []
    steps = [step for path in checkpoints_in(run.folder.kept) if (step := step_of(path)) < run.step]
    if len(steps) <= most:
        return steps
    return sorted({steps[round(i * (len(steps) - 1) / max(1, most - 1))] for i in range(most)})


def add_along(
    pack: Pack, run: Run, steps: list[int], probe_games: int, scored: Int8[Tensor, "game ply"],
    offered: Int8[Tensor, "game ply"],
) -> dict[str, Any]:  # fmt: skip
    """Add readings of the steps and of the run itself; returns what else the page says of them."""
    last, languages = run.model.config.n_layer, range(len(run.languages))
    shown = offered[: max(1, min(GAMES, BYTES // (reading_size(run, 1) * (len(steps) + 1))))]
    tables, legal = [], []
    for index, step in enumerate(tqdm([*steps, run.step], desc="along the training", unit="step")):
        there = run if step == run.step else load_run(run.folder.path, step=step)
        fitted = probes_of(there, probe_games).fitted
        record(pack, f"along.{index}", there, fitted, "linear", shown, [last])
        tables.append(shares(there, fitted, "linear", scored))
        legal.append([mass(there, scored[:MASS_GAMES], language) for language in languages])
    layer = best_layer(tables[-1])
    return {
        "steps": [*steps, run.step], "games": listed(shown), "layers": last + 1, "lens": [last], "layer": layer,
        "legal": legal, "scored": len(scored), "shares": [table[:2, :2, layer].tolist() for table in tables],
    }  # fmt: skip


def mass(run: Run, moves: Int8[Tensor, "game ply"], language: int) -> float:
    """Mean probability on the legal moves, after every ply but the last."""
    p, _ = next_moves(run, moves, language, run.model.config.n_layer)
    legal = squares_to_moves(replay(moves, run.board).legal[:, 1:-1], run.board)
    return float((p[:, :-1] * legal).sum(-1)[moves[:, 1:] >= 0].mean())
